//! A breaker in numbers.

use super::BreakerState;
use super::builder::Config;
use super::core::{Inner, Phase};
use std::time::{Duration, Instant};

/// A breaker at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerStats {
    /// The state.
    pub state: BreakerState,
    /// Its number; each transition adds one.
    pub generation: u64,
    /// Calls that ended well, whenever they were admitted.
    pub succeeded: u64,
    /// Calls that failed or panicked.
    pub failed: u64,
    /// Calls whose answer said nothing.
    pub ignored: u64,
    /// Answers that came after the state they were for; those of successes are in `succeeded` too.
    pub stale: u64,
    /// Calls turned away.
    pub rejected: u64,
    /// Calls that were slow, if a rule looks at that.
    pub slow: u64,
    /// How often it opened; not by [`force_open`](super::Breaker::force_open).
    pub opened: u64,
    /// Probes that have not answered.
    pub probes_out: u32,
    /// Calls of [`admit`](super::Breaker::admit) that wait.
    pub waiting: usize,
    /// How long until it is worth another try, as in [`Open`](super::Open).
    pub retry_after: Option<Duration>,
    /// What each rule sees; of an open breaker, what it saw when it opened.
    pub windows: Vec<WindowStats>,
    /// Transitions that the listeners were too slow to be told.
    pub untold: u64,
}

/// What one rule of a breaker sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WindowStats {
    /// Calls in its window, as of the last call; of a consecutive rule, the bad ones in a row.
    pub calls: u64,
    /// Of these, those that failed, or were slow.
    pub bad: u64,
}

impl BreakerStats {
    pub(super) fn of(inner: &Inner, _: &Config, succeeded: u64, now: Instant) -> Self {
        let (probes_out, until) = match inner.phase {
            Phase::HalfOpen { out, until, .. } => (out, until),
            Phase::Open { until } => (0, until),
            _ => (0, None),
        };
        let counts = &inner.counts;
        let window = |(calls, bad)| WindowStats { calls, bad };
        BreakerStats {
            state: inner.state(),
            generation: inner.generation,
            succeeded,
            failed: counts.failed,
            ignored: counts.ignored,
            stale: counts.stale,
            rejected: counts.rejected,
            slow: counts.slow,
            opened: counts.opened,
            probes_out,
            waiting: inner.waiting.len(),
            retry_after: until.map(|until| until.saturating_duration_since(now)),
            windows: inner.windows.iter().map(|w| window(w.counts())).collect(),
            untold: inner.news.untold,
        }
    }
}
