//! Additive increase, multiplicative decrease.

use super::algorithm::{Algorithm, Cut, Sample};
use std::time::Duration;

/// Grows by one in a round trip, and is cut at a drop: Chiu and Jain (1989), as in TCP.
///
/// What takes longer than `too_slow` counts as a drop. Before the first drop the limit doubles in a round
/// trip. A drop cuts the limit once for the work that is under way.
///
/// ```
/// use ironsys::limit::{AdaptiveLimit, Aimd};
/// use std::time::Duration;
/// let limit = AdaptiveLimit::builder(Aimd::new(Duration::from_secs(5))).initial(10).build().unwrap();
/// limit.try_acquire().unwrap().dropped();
/// assert_eq!(limit.limit(), 9);
/// ```
#[derive(Debug, Clone)]
pub struct Aimd {
    too_slow: Duration,
    cut: Cut,
    slow_start: bool,
}

impl Aimd {
    /// Makes one that has learned nothing yet. `Duration::MAX`: only drops are drops.
    ///
    /// ```
    /// # use ironsys::limit::{AdaptiveLimit, Aimd};
    /// # use std::time::Duration;
    /// let limit = AdaptiveLimit::builder(Aimd::new(Duration::MAX)).initial(10).build().unwrap();
    /// assert!(limit.explain().contains("aimd"));
    /// ```
    #[must_use]
    pub fn new(too_slow: Duration) -> Aimd {
        Aimd { too_slow, cut: Cut::by(0.9), slow_start: true }
    }

    /// Sets what the limit is multiplied by at a drop: 0.9 by default, kept between 0.1 and 0.99.
    ///
    /// ```
    /// # use ironsys::limit::{AdaptiveLimit, Aimd};
    /// # use std::time::Duration;
    /// let half = Aimd::new(Duration::MAX).factor(0.5);
    /// let limit = AdaptiveLimit::builder(half).initial(10).build().unwrap();
    /// limit.try_acquire().unwrap().dropped();
    /// assert_eq!(limit.limit(), 5);
    /// ```
    #[must_use]
    pub fn factor(mut self, factor: f64) -> Aimd {
        self.cut = Cut::by(if factor.is_nan() { 0.9 } else { factor.clamp(0.1, 0.99) });
        self
    }
}

impl Algorithm for Aimd {
    fn update(&mut self, limit: f64, sample: &Sample) -> f64 {
        let dropped = sample.dropped || sample.time > self.too_slow;
        if let Some(cut) = self.cut.after(limit, dropped) {
            self.slow_start = false;
            return cut;
        }
        if self.slow_start { limit + 1.0 } else { limit + 1.0 / limit.max(1.0) }
    }

    fn explain(&self) -> String {
        let phase = if self.slow_start { "slow start" } else { "steady" };
        format!("aimd, {phase}: above {:?} is a drop", self.too_slow)
    }
}
