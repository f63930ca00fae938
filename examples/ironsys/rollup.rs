//! Shape 4, batch rollups: what was ingested lately, counted by a flow, on a schedule and on demand.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ironsys::flow::{Flow, FlowError, Never};
use ironsys::schedule::{Overlap, Plan, Scheduler};
use ironsys::service::{Service, StartError};
use ironsys::{BuildError, Context, cpu};
use serde_json::{Value, json};

use crate::ingest::{Event, Ingest};

/// Keys in a rollup.
const TOP: usize = 10;
/// Milliseconds that are counted together.
const WINDOW: u64 = 10_000;

/// A handle on the rollups.
#[derive(Clone)]
pub(crate) struct Rollups {
    ingest: Ingest,
    latest: Arc<Mutex<Option<Arc<Rollup>>>>,
    runs: Arc<AtomicU64>,
}

/// Totals over the last events.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rollup {
    pub(crate) events: u64,
    pub(crate) took: Duration,
    /// Key, count, sum: those with the largest sums.
    pub(crate) top: Vec<(String, u64, f64)>,
    /// Start in milliseconds since 1970, count, sum: in order.
    pub(crate) windows: Vec<(u64, u64, f64)>,
}

#[derive(Default)]
struct Totals {
    keys: HashMap<String, (u64, f64)>,
    windows: HashMap<u64, (u64, f64)>,
}

/// Starts the schedule as a part of the service.
pub(crate) fn start(
    service: &mut Service,
    ingest: &Ingest,
    every: Duration,
) -> Result<Rollups, StartError<BuildError>> {
    let rollups = Rollups { ingest: ingest.clone(), latest: Arc::default(), runs: Arc::default() };
    service.start("rollups", |ctx| {
        let scheduler = Scheduler::builder("rollups").context(ctx).build()?;
        let runs = rollups.clone();
        let plan = Plan::every(every).overlap(Overlap::Skip).timeout(Duration::from_secs(30));
        // A new scheduler has room for a job.
        let _ = scheduler.handle().add("rollup", plan, move |run| {
            runs.run(run).map(drop).map_err(|error| error.to_string())
        });
        Ok((scheduler, rollups))
    })
}

impl Rollups {
    /// Counts now.
    pub(crate) fn run(&self, ctx: &Context) -> Result<Arc<Rollup>, FlowError<Never>> {
        let began = Instant::now();
        let totals = Flow::vec(self.ingest.recent())
            .chunk(2_048)
            .par_map(cpu::available(), |events: Vec<Event>| Totals::of(&events))
            .named("count")
            .fold(ctx, Totals::default(), Totals::merge)?;
        let rollup = Arc::new(totals.rollup(began.elapsed()));
        let latest = &mut *self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        *latest = Some(rollup.clone());
        self.runs.fetch_add(1, Relaxed);
        Ok(rollup)
    }

    pub(crate) fn latest(&self) -> Option<Arc<Rollup>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn runs(&self) -> u64 {
        self.runs.load(Relaxed)
    }
}

impl Totals {
    fn of(events: &[Event]) -> Totals {
        let mut totals = Totals::default();
        for event in events {
            let add =
                |(count, sum): &mut (u64, f64)| (*count, *sum) = (*count + 1, *sum + event.value);
            match totals.keys.get_mut(&event.key) {
                Some(key) => add(key),
                None => add(totals.keys.entry(event.key.clone()).or_default()),
            }
            add(totals.windows.entry(event.at / WINDOW * WINDOW).or_default());
        }
        totals
    }

    fn merge(mut self, other: Totals) -> Totals {
        for (key, (count, sum)) in other.keys {
            let mine = self.keys.entry(key).or_default();
            *mine = (mine.0 + count, mine.1 + sum);
        }
        for (at, (count, sum)) in other.windows {
            let mine = self.windows.entry(at).or_default();
            *mine = (mine.0 + count, mine.1 + sum);
        }
        self
    }

    fn rollup(self, took: Duration) -> Rollup {
        let mut top: Vec<_> = self.keys.into_iter().map(|(k, (n, sum))| (k, n, sum)).collect();
        top.sort_by(|a, b| b.2.total_cmp(&a.2).then_with(|| a.0.cmp(&b.0)));
        let events = top.iter().map(|(_, count, _)| count).sum();
        top.truncate(TOP);
        let mut windows: Vec<_> = self.windows.into_iter().map(|(at, (n, s))| (at, n, s)).collect();
        windows.sort_unstable_by_key(|(at, ..)| *at);
        windows.drain(..windows.len().saturating_sub(30));
        Rollup { events, took, top, windows }
    }
}

impl Rollup {
    pub(crate) fn json(&self) -> Value {
        let top = self.top.iter().map(|(k, n, sum)| json!({"key": k, "count": n, "sum": sum}));
        let windows =
            self.windows.iter().map(|(at, n, sum)| json!({"at": at, "count": n, "sum": sum}));
        json!({
            "events": self.events,
            "took_ms": self.took.as_secs_f64() * 1e3,
            "top": top.collect::<Vec<_>>(),
            "windows": windows.collect::<Vec<_>>(),
        })
    }
}
