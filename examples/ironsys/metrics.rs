//! `/metrics`: everything that can be counted, for Prometheus.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ironsys::export::Scrape;

use crate::app::App;

pub(crate) fn text(app: &App) -> String {
    let get = |count: &AtomicU64| count.load(Relaxed);
    let (meters, mut scrape) = (&app.meters, Scrape::new());
    let answers = [("ok", &meters.ok), ("shed", &meters.shed), ("failed", &meters.failed)];
    for (answer, count) in answers {
        let help = "Requests by how they were answered.";
        scrape.counter("http_requests", help, &[("answer", answer)], get(count));
    }
    scrape
        .histogram("http_request_duration", "How long answers took.", &[], &meters.took.snapshot())
        .gauge("http_connections", "Connections that are open.", &[], get(&app.http.open))
        .counter("http_turned_away", "Connections over the limit.", &[], get(&app.http.turned_away))
        .counter("http_cut", "Connections that were too slow.", &[], get(&app.http.cut))
        .counter(
            "http_cut_off",
            "Connections cut by a drain, or for want of threads.",
            &[],
            get(&app.http.left),
        )
        .counter("http_short_of_threads", "Times without a thread.", &[], get(&app.http.short))
        .counter("cart_changes", "Changes that are on disk.", &[], get(&meters.changes))
        .counter("events_counted", "Events that were counted.", &[], app.ingest.counted())
        .counter("events_refused", "Events without a place.", &[], app.ingest.refused())
        .counter("rollup_runs", "Rollups that were made.", &[], app.rollups.runs())
        .counter("billing_received", "Uses that billing has.", &[], get(&app.books.received))
        .counter("auth_stale", "Answers from memory.", &[], get(&app.auth.counts().stale))
        .gauge("ready", "Whether work may come.", &[], app.health.ready().is_fine())
        .seconds("uptime", "Time since the start.", &[], app.started.elapsed())
        .part(&[("limit", "requests")], &app.gate.all.stats())
        .part(&[("limit", "clients")], &app.gate.clients.stats())
        .part(&[("manager", "carts")], &app.carts.stats())
        .part(&[("channel", "events")], &app.ingest.queue())
        .part(&[("outbox", "usage")], &app.usage.stats())
        .part(&[("relay", "billing")], &*app.relay.get())
        .part(&[("breaker", "auth")], &app.auth.breaker().stats())
        .part(&[("hedge", "auth")], &app.auth.hedges())
        .part(&[], &ironsys::observe::tasks());
    scrape.text()
}
