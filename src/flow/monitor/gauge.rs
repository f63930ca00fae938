//! Thread time: how many are in a state, summed over time.

use crate::sync::{self, MODEL, Mutex};
use std::time::{Duration, Instant};

/// How long threads have been in a state, all of them together. The clock is read when one enters or
/// leaves only; in a model, never.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    inside: u32,
    since: Option<Instant>,
    sum: Duration,
}

impl Gauge {
    pub(crate) fn enter(&mut self) {
        self.settle();
        self.inside += 1;
    }

    pub(crate) fn leave(&mut self) {
        self.settle();
        self.inside -= 1;
    }

    /// Counts the calling thread in for as long as `f` runs, which does not panic.
    pub(crate) fn time<R>(gauge: &Mutex<Gauge>, f: impl FnOnce() -> R) -> R {
        gauge.lock().enter();
        let out = f();
        gauge.lock().leave();
        out
    }

    /// The thread time until now.
    pub(crate) fn total(&mut self) -> Duration {
        self.settle();
        self.sum
    }

    fn settle(&mut self) {
        if MODEL {
            return;
        }
        let now = sync::time::now();
        if let Some(since) = self.since.replace(now) {
            self.sum += now.saturating_duration_since(since) * self.inside;
        }
    }
}
