//! Times that are an interval apart, from start to start: how long a run took does not move the next.

use std::time::{Duration, Instant};

/// Counts the times of the grid `due + n × interval` that lie in `due ..= now`, and finds the last of
/// them and the first one after. `due` is not after `now`, the interval not zero. `None`: beyond what
/// an `Instant` can hold.
pub(super) fn passed(due: Instant, interval: Duration, now: Instant) -> Passed {
    let late = now.saturating_duration_since(due);
    let more = late.as_nanos() / interval.as_nanos().max(1);
    // Not more than `late`, so it is a Duration.
    let since = late.checked_sub(nanos(late.as_nanos() % interval.as_nanos().max(1)));
    let last = due + since.unwrap_or_default();
    Passed {
        count: u64::try_from(more).unwrap_or(u64::MAX).saturating_add(1),
        last,
        next: last.checked_add(interval),
    }
}

/// What [`passed`] finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Passed {
    pub(super) count: u64,
    pub(super) last: Instant,
    pub(super) next: Option<Instant>,
}

/// Nanoseconds as a `Duration`; those beyond the longest are the longest.
pub(super) fn nanos(nanos: u128) -> Duration {
    const SECOND: u128 = 1_000_000_000;
    match u64::try_from(nanos / SECOND) {
        Ok(seconds) => Duration::new(seconds, (nanos % SECOND) as u32),
        Err(_) => Duration::MAX,
    }
}
