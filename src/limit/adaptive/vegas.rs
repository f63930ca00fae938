//! TCP Vegas, as Netflix' concurrency-limits applies it.

use super::algorithm::{Algorithm, Cut, Sample};
use super::baseline::{Baseline, nanos};

/// Estimates the queue from how much longer work takes than the baseline, and keeps it between two
/// bounds that grow with the logarithm of the limit.
///
/// After Brakmo and Peterson's TCP Vegas (1994) in the form of Netflix' concurrency-limits: the queue is
/// `limit * (1 - baseline / time)`; below `3 log10 limit` the limit grows, above `6 log10 limit` it
/// shrinks, by `log10 limit`. Other than there: it begins with a slow start, a drop cuts the limit by a
/// tenth, once for the work that is under way, and the baseline decays or is pinned.
///
/// ```
/// use ironsys::limit::{AdaptiveLimit, Baseline, Vegas};
/// use std::time::Duration;
/// let pinned = Vegas::new(Baseline::pinned(Duration::from_millis(10)));
/// let limit = AdaptiveLimit::builder(pinned).bounds(4..=100).initial(10).build().unwrap();
/// assert!(limit.explain().contains("vegas"));
/// ```
#[derive(Debug, Clone)]
pub struct Vegas {
    baseline: Baseline,
    cut: Cut,
    slow_start: bool,
    queue: f64,
}

impl Vegas {
    /// Makes one that has learned nothing yet.
    ///
    /// ```
    /// # use ironsys::limit::{AdaptiveLimit, Baseline, Vegas};
    /// let vegas = Vegas::new(Baseline::decaying(100));
    /// let limit = AdaptiveLimit::builder(vegas).build().unwrap();
    /// assert!(limit.explain().contains("vegas"));
    /// ```
    #[must_use]
    pub fn new(baseline: Baseline) -> Vegas {
        Vegas { baseline, cut: Cut::by(0.9), slow_start: true, queue: 0.0 }
    }
}

impl Default for Vegas {
    /// With a baseline that decays over 2,000 samples.
    fn default() -> Self {
        Vegas::new(Baseline::decaying(2_000))
    }
}

impl Algorithm for Vegas {
    fn update(&mut self, limit: f64, sample: &Sample) -> f64 {
        if let Some(cut) = self.cut.after(limit, sample.dropped) {
            self.slow_start = false;
            return cut;
        }
        let base = match self.baseline.observe(sample.time, limit) {
            Ok(base) => base,
            Err(probing) => return probing,
        };
        self.queue = limit * (1.0 - base / nanos(sample.time)).max(0.0);
        let step = limit.log10().max(1.0);
        let (few, many) = (3.0 * step, 6.0 * step);
        if self.queue > many {
            self.slow_start = false;
            // A sample each: all that is under way makes it one step in a round trip.
            limit - step / limit.max(1.0)
        } else if self.queue > few {
            self.slow_start = false;
            limit
        } else if self.slow_start {
            limit + 1.0
        } else {
            limit + step / limit.max(1.0)
        }
    }

    fn explain(&self) -> String {
        let phase = if self.slow_start { "slow start" } else { "steady" };
        let (base, queue) = (self.baseline.time(), self.queue);
        format!("vegas, {phase}: baseline {base:?}, about {queue:.1} queued")
    }
}
