//! When a session that has failed is started again.

use crate::schedule::{Backoff, Delays};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Which ends of a session are followed by a restart; the words are OTP's.
///
/// A session that somebody *stopped* stays stopped, whatever the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Restart {
    /// After a failure, and also when it ended itself.
    Permanent,
    /// After a failure only. The default.
    #[default]
    Transient,
    /// Never.
    Temporary,
}

impl Restart {
    pub(super) fn applies(self, failed: bool) -> bool {
        match self {
            Restart::Permanent => true,
            Restart::Transient => failed,
            Restart::Temporary => false,
        }
    }
}

/// How many restarts there may be within a period; one more, and it is given up.
///
/// OTP's `intensity` and `period`. The default is 5 in 30 seconds. 0 restarts: never. `u32::MAX`: as good
/// as always. More than 1000 are counted to a thousandth of the period, in memory that does not grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intensity {
    /// Restarts within the period.
    pub restarts: u32,
    /// The period: a sliding one. Zero counts nothing, so it never gives up; `Duration::MAX` forgets
    /// nothing.
    pub period: Duration,
}

impl Intensity {
    /// Makes the limit of `restarts` within `period`.
    ///
    /// ```
    /// # use ironsys::session::Intensity;
    /// let five = Intensity::new(5, std::time::Duration::from_secs(30));
    /// assert_eq!(five, Intensity::default());
    /// ```
    #[must_use]
    pub fn new(restarts: u32, period: Duration) -> Self {
        Intensity { restarts, period }
    }
}

impl Default for Intensity {
    fn default() -> Self {
        Intensity { restarts: 5, period: Duration::from_secs(30) }
    }
}

/// The restarts within the present period. Up to `EXACT` may be allowed, each is kept; above that those
/// within an `EXACT`th of the period count together from the first of them: so a limit of millions
/// needs no memory for millions.
#[derive(Debug, Default)]
pub(super) struct Recent {
    since: VecDeque<(Instant, u32)>,
    count: u64,
}

impl Recent {
    /// Counts a restart now; `false` if that is one too many.
    pub(super) fn allow(&mut self, intensity: Intensity, now: Instant) -> bool {
        self.forget(intensity, now);
        if intensity.restarts == 0 {
            return false;
        }
        if intensity.period.is_zero() {
            return true;
        }
        if self.count >= u64::from(intensity.restarts) {
            return false;
        }
        self.count += 1;
        let together =
            if intensity.restarts > EXACT { intensity.period / EXACT } else { Duration::ZERO };
        match self.since.back_mut() {
            Some((first, count)) if now.duration_since(*first) < together => *count += 1,
            _ => self.since.push_back((now, 1)),
        }
        true
    }

    /// Whether there was none for a whole period.
    pub(super) fn is_quiet(&mut self, intensity: Intensity, now: Instant) -> bool {
        self.forget(intensity, now);
        self.since.is_empty()
    }

    fn forget(&mut self, intensity: Intensity, now: Instant) {
        while let Some((first, count)) = self.since.front()
            && now.duration_since(*first) >= intensity.period
        {
            self.count -= u64::from(*count);
            self.since.pop_front();
        }
    }
}

/// What a session remembers of its failures.
#[derive(Default)]
pub(super) struct History {
    pub(super) recent: Recent,
    /// All restarts.
    pub(super) restarts: u64,
    delays: Option<Delays>,
    /// How often the first message in the queue has crashed the session.
    pub(super) tries: u32,
}

impl History {
    /// How long to wait before the next restart; `None`: no more.
    pub(super) fn next_restart(
        &mut self,
        intensity: Intensity,
        backoff: &Backoff,
        now: Instant,
    ) -> Option<Duration> {
        if self.recent.is_quiet(intensity, now) {
            self.delays = None; // It has been well for long enough.
        }
        if !self.recent.allow(intensity, now) {
            return None;
        }
        let delay = self.delays.get_or_insert_with(|| backoff.delays()).next()?;
        self.restarts += 1;
        Some(delay)
    }
}

const EXACT: u32 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(restarts: u32, period: Duration, apart: Duration, times: u32) -> (Recent, u32) {
        let (mut recent, mut now, mut allowed) =
            (Recent::default(), crate::time::Clock::system().now(), 0);
        for _ in 0..times {
            allowed += u32::from(recent.allow(Intensity::new(restarts, period), now));
            now += apart;
        }
        (recent, allowed)
    }

    #[test]
    fn the_largest_limits_need_little_memory() {
        let second = Duration::from_secs(1);
        for (period, apart) in [
            (Duration::MAX, second),
            (1_000_000 * second, second),
            (second, Duration::from_nanos(10)),
        ] {
            let (recent, allowed) = kept(u32::MAX, period, apart, 100_000);
            assert_eq!((allowed, recent.count), (100_000, 100_000));
            assert!(recent.since.len() <= 1001, "{}", recent.since.len());
        }
    }

    #[test]
    fn a_large_limit_is_one_and_slides() {
        let second = Duration::from_secs(1);
        let limit = Intensity::new(5000, 1000 * second);
        let (mut recent, allowed) = kept(5000, 1000 * second, second / 100, 6000);
        assert_eq!(allowed, 5000);
        let now = crate::time::Clock::system().now() + 60 * second;
        assert!(!recent.allow(limit, now));
        assert!(recent.allow(limit, now + 1000 * second));
        assert!(!recent.is_quiet(limit, now + 1001 * second));
        assert!(recent.is_quiet(limit, now + 2001 * second));
    }
}
