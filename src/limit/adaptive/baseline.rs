//! How long the work takes when nobody waits.

use std::time::Duration;

/// How long the work takes when nothing is queued: what measurements are compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Baseline {
    nanos: f64,
    /// After how many samples it is measured anew. 0: it is pinned.
    every: u32,
    since: u32,
    probe: Option<Probe>,
}

/// The limit is halved for a while, so that the queue drains.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Probe {
    /// Samples until its end, and how many of them count: before those came what began earlier.
    left: u32,
    count: u32,
    shortest: f64,
    /// The limit to go back to.
    back: f64,
}

impl Baseline {
    /// It is known, and does not change.
    ///
    /// ```
    /// # use ironsys::limit::{AdaptiveLimit, Baseline, Vegas};
    /// # use std::time::Duration;
    /// let vegas = Vegas::new(Baseline::pinned(Duration::from_millis(10)));
    /// let limit = AdaptiveLimit::builder(vegas).build().unwrap();
    /// assert!(limit.explain().contains("10ms"));
    /// ```
    #[must_use]
    pub fn pinned(time: Duration) -> Baseline {
        Baseline { nanos: nanos(time), every: 0, since: 0, probe: None }
    }

    /// It is the shortest time seen in the last `samples` or so, and then forgotten: the limit is halved
    /// for about one round trip, and the shortest time in that is the next baseline. 0 counts as 1.
    ///
    /// So it follows a service that has become slower for good, and a queue does not become the norm,
    /// however long it stands. The probe is that of BBR's `ProbeRTT`.
    ///
    /// ```
    /// # use ironsys::limit::{AdaptiveLimit, Baseline, Vegas};
    /// let vegas = Vegas::new(Baseline::decaying(100));
    /// let limit = AdaptiveLimit::builder(vegas).build().unwrap();
    /// assert!(limit.explain().contains("baseline None")); // nothing was measured yet
    /// ```
    #[must_use]
    pub fn decaying(samples: u32) -> Baseline {
        Baseline { nanos: f64::INFINITY, every: samples.max(1), since: 0, probe: None }
    }

    /// Takes a measurement in, and returns the baseline in nanoseconds; `Err`: it is being measured, and
    /// this is the limit meanwhile.
    pub(super) fn observe(&mut self, time: Duration, limit: f64) -> Result<f64, f64> {
        let time = nanos(time);
        if self.every == 0 {
            return Ok(self.nanos);
        }
        if let Some(probe) = &mut self.probe {
            probe.left -= 1;
            if probe.left < probe.count {
                probe.shortest = probe.shortest.min(time);
            }
            if probe.left != 0 {
                return Err(limit);
            }
            self.nanos = probe.shortest;
            let back = probe.back;
            self.probe = None;
            return Err(back);
        }
        self.nanos = self.nanos.min(time);
        self.since += 1;
        if self.since < self.every {
            return Ok(self.nanos);
        }
        self.since = 0;
        let half = (limit / 2.0).ceil().clamp(1.0, f64::from(u32::MAX / 4));
        let count = half as u32;
        self.probe = Some(Probe { left: 3 * count, count, shortest: f64::INFINITY, back: limit });
        Err(half)
    }

    /// The baseline, if there is one yet.
    pub(super) fn time(&self) -> Option<Duration> {
        self.nanos.is_finite().then(|| Duration::from_nanos(self.nanos as u64))
    }
}

pub(super) fn nanos(time: Duration) -> f64 {
    (time.as_nanos() as f64).max(1.0)
}
