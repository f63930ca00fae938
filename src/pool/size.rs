//! How many workers a pool has, and when that changes.
//!
//! Plain arithmetic under the lock of the [`Board`](super::board::Board): it reads no clock, starts no
//! thread and logs nothing itself.

use std::collections::VecDeque;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// How many workers a pool has: one number, or a range in which it adapts.
///
/// ```
/// use ironsys::pool::Workers;
/// assert_eq!(Workers::from(8), Workers::from(8..=8));
/// assert_eq!(Workers::from(4..=32).min(), 4);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workers {
    min: usize,
    max: usize,
}

impl Workers {
    /// Returns how many there are at least.
    ///
    /// ```
    /// # use ironsys::pool::Workers;
    /// assert_eq!(Workers::from(4..=32).min(), 4);
    /// ```
    #[must_use]
    pub fn min(&self) -> usize {
        self.min
    }

    /// Returns how many there are at most.
    ///
    /// ```
    /// # use ironsys::pool::Workers;
    /// assert_eq!(Workers::from(4..=32).max(), 32);
    /// ```
    #[must_use]
    pub fn max(&self) -> usize {
        self.max
    }
}

impl From<usize> for Workers {
    fn from(workers: usize) -> Self {
        Workers { min: workers, max: workers }
    }
}

impl From<RangeInclusive<usize>> for Workers {
    fn from(workers: RangeInclusive<usize>) -> Self {
        Workers { min: *workers.start(), max: *workers.end() }
    }
}

/// One change of the number of workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resize {
    /// When, on the clock of the pool.
    pub at: Instant,
    /// How many workers there were.
    pub from: usize,
    /// How many there are from then on.
    pub to: usize,
    /// Why.
    pub why: Why,
}

/// Why a pool has changed its number of workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// Jobs had to wait for too long.
    Wait {
        /// How long the oldest job had waited.
        waited: Duration,
        /// How many jobs waited.
        depth: usize,
        /// How long a job takes: the mean of the last, or `None` as long as none has ended.
        service: Option<Duration>,
    },
    /// A worker had nothing to do for so long.
    Idle(Duration),
    /// The system had no thread to give; the growth before this is taken back.
    NoThread,
}

impl fmt::Display for Resize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {} workers: ", self.from, self.to)?;
        match self.why {
            Why::Wait { waited, depth, service } => {
                write!(f, "{depth} jobs wait, the oldest for {waited:?}; ")?;
                match service {
                    Some(service) => write!(f, "a job takes {service:?}"),
                    None => f.write_str("no job has ended yet"),
                }
            }
            Why::Idle(time) => write!(f, "one had nothing to do for {time:?}"),
            Why::NoThread => f.write_str("the system has no thread to give"),
        }
    }
}

/// Decides.
///
/// *Grow* when the oldest job has waited for `patience`, counted anew from the last change: by as many
/// workers as would work off what waits within `patience`, at the mean time of a job; at least one, at
/// most as many as there are. *Shrink* by each worker that was idle for `idle` in one piece. The two
/// are far apart, a job that waits and a worker that has nothing to do, so the size does not swing.
pub(super) struct Sizer {
    /// Those that work, and those that are to come.
    size: usize,
    /// Of these: not started yet. They may turn out not to come, so nobody leaves on their account.
    coming: usize,
    bounds: Workers,
    patience: Duration,
    idle: Duration,
    /// The mean time of a job in nanoseconds: an eighth of it is the last job's.
    service: Option<f64>,
    grown: Option<Instant>,
    last: VecDeque<Resize>,
}

impl Sizer {
    pub(super) fn new(bounds: Workers, patience: Duration, idle: Duration) -> Self {
        let last = VecDeque::new();
        Sizer {
            size: bounds.min,
            coming: 0,
            bounds,
            patience,
            idle,
            service: None,
            grown: None,
            last,
        }
    }

    pub(super) fn can_grow(&self) -> bool {
        self.size < self.bounds.max
    }

    /// When a worker that becomes idle now ends; `None`: it stays.
    pub(super) fn idle_until(&self, now: Instant) -> Option<Instant> {
        if self.size > self.bounds.min { now.checked_add(self.idle) } else { None }
    }

    /// When the pool grows if `oldest` still waits; `None`: never.
    pub(super) fn due(&self, oldest: Instant) -> Option<Instant> {
        if !self.can_grow() {
            return None;
        }
        self.grown.map_or(oldest, |grown| grown.max(oldest)).checked_add(self.patience)
    }

    /// A job took so long.
    pub(super) fn served(&mut self, time: Duration) {
        let time = time.as_nanos() as f64;
        self.service = Some(self.service.map_or(time, |mean| mean + (time - mean) / 8.0));
    }

    /// Grows if it is time to: `depth` jobs wait, one of them since `oldest`, and nobody is idle.
    pub(super) fn grow(&mut self, now: Instant, oldest: Instant, depth: usize) -> Option<Resize> {
        if now < self.due(oldest)? {
            return None;
        }
        let wanted = match self.service {
            None => self.size.saturating_add(depth),
            Some(mean) => {
                let patience = (self.patience.as_nanos() as f64).max(1.0);
                (depth as f64 * mean / patience).ceil() as usize // Saturates.
            }
        };
        let add = wanted.saturating_sub(self.size).clamp(1, self.size);
        let to = self.size.saturating_add(add).min(self.bounds.max);
        let waited = now.saturating_duration_since(oldest);
        let service = self.service.map(|mean| Duration::from_nanos(mean as u64));
        self.grown = Some(now);
        self.coming += to - self.size;
        Some(self.resize(now, to, Why::Wait { waited, depth, service }))
    }

    /// A worker was idle for long enough: it ends, if the least are left without it.
    pub(super) fn shrink(&mut self, now: Instant) -> Option<Resize> {
        let spare = self.size - self.coming > self.bounds.min;
        spare.then(|| self.resize(now, self.size - 1, Why::Idle(self.idle)))
    }

    /// Of the workers that were to come, `missed` do not.
    pub(super) fn came(&mut self, now: Instant, asked: usize, missed: usize) -> Option<Resize> {
        self.coming -= asked;
        (missed > 0).then(|| self.resize(now, self.size - missed, Why::NoThread))
    }

    pub(super) fn last(&self) -> Vec<Resize> {
        self.last.iter().copied().collect()
    }

    fn resize(&mut self, at: Instant, to: usize, why: Why) -> Resize {
        // Who decides looks at the clock before it has the lock.
        let at = self.last.back().map_or(at, |last| at.max(last.at));
        let resize = Resize { at, from: self.size, to, why };
        self.size = to;
        if self.last.len() == REMEMBERED {
            self.last.pop_front();
        }
        self.last.push_back(resize);
        resize
    }
}

/// How many changes are remembered.
const REMEMBERED: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::VirtualClock;

    /// Found by loom: two retire on account of one that is to come, and that one does not.
    #[test]
    fn nobody_leaves_on_account_of_a_worker_still_to_come() {
        let now = VirtualClock::new().now();
        let mut sizer = Sizer::new(Workers::from(1..=2), Duration::ZERO, Duration::ZERO);
        assert!(sizer.grow(now, now, 1).is_some());
        assert!(sizer.came(now, 1, 0).is_none());
        assert!(sizer.shrink(now).is_some(), "one of two");
        assert!(sizer.grow(now, now, 1).is_some());
        assert!(sizer.shrink(now).is_none(), "the other may not come");
        let resize = sizer.came(now, 1, 1).unwrap();
        assert_eq!((resize.from, resize.to, resize.why), (2, 1, Why::NoThread));
        assert!(sizer.shrink(now).is_none() && sizer.can_grow());
    }
}
