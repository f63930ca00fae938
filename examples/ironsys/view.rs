//! What the page shows, as one object.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ironsys::export::capacity_advice;
use serde_json::{Value, json};

use crate::app::App;
use crate::faults::Faults;

/// The state of everything, at this moment. The page makes rates of the counts.
pub(crate) fn state(app: &App) -> Value {
    let get = |count: &AtomicU64| count.load(Relaxed);
    let (carts, admission, clients) =
        (app.carts.stats(), app.gate.all.stats(), app.gate.clients.stats());
    let (queue, usage, relay) = (app.ingest.queue(), app.usage.stats(), *app.relay.get());
    let (breaker, hedges, counts) =
        (app.auth.breaker().stats(), app.auth.hedges(), app.auth.counts());
    let [p50, p90, p99] = app.meters.latency.quantiles([0.5, 0.9, 0.99]).unwrap_or_default();
    let ms = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    let top = app.ingest.top(8).into_iter();
    json!({
        "uptime": app.started.elapsed().as_secs_f64(),
        "ready": app.health.ready().to_string(),
        "live": app.health.live().to_string(),
        "http": {
            "requests": get(&app.meters.requests), "ok": get(&app.meters.ok),
            "shed": get(&app.meters.shed), "failed": get(&app.meters.failed),
            "changes": get(&app.meters.changes),
            "connections": get(&app.http.open), "turned_away": get(&app.http.turned_away),
            "accepted": get(&app.http.accepted), "cut": get(&app.http.cut),
            "left": get(&app.http.left),
            "p50_ms": ms(p50), "p90_ms": ms(p90), "p99_ms": ms(p99),
        },
        "gate": {
            "limit": admission.limit, "running": admission.in_flight, "waiting": admission.waiting,
            "clients": clients.keys,
        },
        "carts": {
            "sessions": carts.sessions, "live": carts.live, "queued": carts.queued,
            "deepest": carts.deepest, "restarts": carts.restarts, "threads": carts.threads,
            "handled": carts.ledger.done,
            "slowest": app.carts.slowest().first().map(|(id, took)| json!({"id": id, "ms": ms(*took)})),
            "shards": carts.shards.iter().map(|s| s.ready).collect::<Vec<_>>(),
        },
        "ingest": {
            "depth": queue.depth, "capacity": queue.capacity, "peak": queue.peak,
            "counted": app.ingest.counted(), "refused": app.ingest.refused(),
            "bad": app.ingest.bad(), "keys": app.ingest.keys(),
            "advice": advice(app, &queue),
            "full_ms": ms(queue.time_full), "empty_ms": ms(queue.time_empty),
            "top": top.map(|(key, s)| json!({"key": key, "count": s.count, "sum": s.sum, "last": s.last}))
                .collect::<Vec<_>>(),
        },
        "rollup": {
            "runs": app.rollups.runs(),
            "latest": app.rollups.latest().map_or(Value::Null, |rollup| rollup.json()),
        },
        "usage": {
            "appended": usage.next, "pending": usage.len, "disk": usage.bytes_on_disk,
            "syncs": usage.syncs, "sent": relay.ledger.done, "outages": relay.outages,
            "down": relay.is_down,
            "received": get(&app.books.received), "duplicates": get(&app.books.duplicates),
            "used": get(&app.books.used),
        },
        "auth": {
            "breaker": app.auth.state().to_string(), "opened": breaker.opened,
            "asked": get(&counts.asked), "failed": get(&counts.failed),
            "stale": get(&counts.stale), "hedges": hedges.hedges, "won": hedges.won,
        },
        "faults": {
            "slow-auth": Faults::is(&app.faults.slow_auth),
            "broker-down": Faults::is(&app.faults.broker_down),
            "load": Faults::is(&app.faults.load),
        },
        "deadlocks": app.eyes.deadlocks(),
        "threads": ironsys::observe::tasks().len(),
    })
}

/// What the times the queue was full and empty say about its capacity.
fn advice(app: &App, queue: &ironsys::channel::Stats) -> String {
    let mut before = *queue;
    (before.time_full, before.time_empty) = Default::default();
    capacity_advice(&before, queue, app.started.elapsed()).to_string()
}
