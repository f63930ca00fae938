//! Gradient2 of Netflix' concurrency-limits.

use super::algorithm::{Algorithm, Cut, Sample};
use super::baseline::{Baseline, nanos};

/// Multiplies the limit by how much faster work would be without a queue, and adds room for a small one.
///
/// After Gradient2 of Netflix' concurrency-limits: the gradient is `1.5 * baseline / time`, kept between
/// a half and 1; the limit goes a fifth of the way to `limit * gradient + 4`, spread over the work that
/// is under way. Other than there: the baseline is not an average of what is measured, which lets the
/// limit creep up under a mild overload for ever, but decays or is pinned; there is a slow start; and a
/// drop cuts the limit by a tenth, once for the work under way, so that steady time-outs are not taken
/// for steady times.
///
/// ```
/// use ironsys::limit::{AdaptiveLimit, Gradient2};
/// let limit = AdaptiveLimit::builder(Gradient2::default()).build().unwrap();
/// limit.try_acquire().unwrap().success();
/// assert!(limit.explain().contains("gradient"));
/// ```
#[derive(Debug, Clone)]
pub struct Gradient2 {
    baseline: Baseline,
    cut: Cut,
    slow_start: bool,
    gradient: f64,
}

impl Gradient2 {
    /// Makes one that has learned nothing yet.
    ///
    /// ```
    /// # use ironsys::limit::{AdaptiveLimit, Baseline, Gradient2};
    /// let gradient = Gradient2::new(Baseline::decaying(100));
    /// let limit = AdaptiveLimit::builder(gradient).build().unwrap();
    /// assert!(limit.explain().contains("gradient"));
    /// ```
    #[must_use]
    pub fn new(baseline: Baseline) -> Gradient2 {
        Gradient2 { baseline, cut: Cut::by(0.9), slow_start: true, gradient: 1.0 }
    }
}

impl Default for Gradient2 {
    /// With a baseline that decays over 2,000 samples.
    fn default() -> Self {
        Gradient2::new(Baseline::decaying(2_000))
    }
}

/// How much longer than the baseline is not a queue yet.
const TOLERANCE: f64 = 1.5;
/// Room for a queue.
const QUEUE: f64 = 4.0;
/// How far the limit goes in a round trip.
const PACE: f64 = 0.2;

impl Algorithm for Gradient2 {
    fn update(&mut self, limit: f64, sample: &Sample) -> f64 {
        if let Some(cut) = self.cut.after(limit, sample.dropped) {
            self.slow_start = false;
            return cut;
        }
        let base = match self.baseline.observe(sample.time, limit) {
            Ok(base) => base,
            Err(probing) => return probing,
        };
        self.gradient = (TOLERANCE * base / nanos(sample.time)).clamp(0.5, 1.0);
        if self.gradient < 1.0 {
            self.slow_start = false;
        }
        if self.slow_start {
            return limit + 1.0;
        }
        let goal = limit * self.gradient + QUEUE;
        limit + (goal - limit) * PACE / limit.max(1.0)
    }

    fn explain(&self) -> String {
        let phase = if self.slow_start { "slow start" } else { "steady" };
        let (base, gradient) = (self.baseline.time(), self.gradient);
        format!("gradient2, {phase}: baseline {base:?}, gradient {gradient:.2}")
    }
}
