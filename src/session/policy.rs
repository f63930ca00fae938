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
/// OTP's `intensity` and `period`. The default is 5 in 30 seconds. 0 restarts: never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intensity {
    /// Restarts within the period.
    pub restarts: u32,
    /// The period: a sliding one. Zero counts nothing, so it never gives up.
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

/// The restarts within the present period.
#[derive(Debug, Default)]
pub(super) struct Recent(VecDeque<Instant>);

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
        if self.0.len() >= intensity.restarts as usize {
            return false;
        }
        self.0.push_back(now);
        true
    }

    /// Whether there was none for a whole period.
    pub(super) fn is_quiet(&mut self, intensity: Intensity, now: Instant) -> bool {
        self.forget(intensity, now);
        self.0.is_empty()
    }

    fn forget(&mut self, intensity: Intensity, now: Instant) {
        while self.0.front().is_some_and(|at| now.duration_since(*at) >= intensity.period) {
            self.0.pop_front();
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
