//! When a job is due next, and which of its times have passed.

#[cfg(feature = "cron")]
use super::cron::Cron;
use super::errors::Refused;
use super::grid;
use super::plan::{Misfire, Plan, Repeat, Rules};
use std::time::{Duration, Instant, SystemTime};

/// The present, on both clocks. Read before any lock of the scheduler is taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) clock: Instant,
    pub(super) wall: SystemTime,
}

impl Now {
    /// When, as the clocks stand now, `due` comes. `None`: beyond the end of time.
    pub(super) fn instant_of(&self, due: Due) -> Option<Instant> {
        match due {
            Due::Clock(at) => Some(at),
            Due::Wall(at) => {
                let left = at.duration_since(self.wall).unwrap_or_default();
                self.clock.checked_add(left)
            }
        }
    }

    pub(super) fn is_past(&self, due: Due) -> bool {
        match due {
            Due::Clock(at) => at <= self.clock,
            Due::Wall(at) => at <= self.wall,
        }
    }

    /// How long `due` has passed.
    fn since(&self, due: Due) -> Duration {
        match due {
            Due::Clock(at) => self.clock.saturating_duration_since(at),
            Due::Wall(at) => self.wall.duration_since(at).unwrap_or_default(),
        }
    }
}

/// A time, on the clock that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Clock(Instant),
    Wall(SystemTime),
}

impl Due {
    fn later(self, by: Duration) -> Option<Due> {
        match self {
            Due::Clock(at) => at.checked_add(by).map(Due::Clock),
            Due::Wall(at) => at.checked_add(by).map(Due::Wall),
        }
    }
}

/// The next time of a job before jitter, and how the one after it is found.
#[derive(Debug)]
pub(super) enum Timing {
    Once(Due),
    Every {
        next: Instant,
        interval: Duration,
    },
    #[cfg(feature = "cron")]
    Cron {
        next: SystemTime,
        cron: Cron,
    },
}

/// What has passed of a job's times, by its misfire rule.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Passed {
    /// How often the job is to run.
    pub(super) runs: u64,
    /// Times that are left out.
    pub(super) missed: u64,
}

impl Timing {
    pub(super) fn of(plan: &Plan, now: Now) -> Result<Timing, Refused> {
        match &plan.repeat {
            Repeat::Every(interval) if interval.is_zero() => Err(Refused::ZeroInterval),
            Repeat::Every(interval) => {
                let first = now.clock.checked_add(plan.first.unwrap_or(*interval));
                let next = first.ok_or(Refused::NeverDue)?;
                Ok(Timing::Every { next, interval: *interval })
            }
            #[cfg(feature = "cron")]
            Repeat::Cron(cron) => {
                let next = cron.next_after(now.wall).ok_or(Refused::NeverDue)?;
                Ok(Timing::Cron { next, cron: cron.clone() })
            }
        }
    }

    /// The next time, before jitter.
    pub(super) fn nominal(&self) -> Due {
        match self {
            Timing::Once(due) => *due,
            Timing::Every { next, .. } => Due::Clock(*next),
            #[cfg(feature = "cron")]
            Timing::Cron { next, .. } => Due::Wall(*next),
        }
    }

    /// The next time with jitter; without it if that would be beyond the end of time.
    pub(super) fn due(&self, jitter: Duration) -> Due {
        let nominal = self.nominal();
        nominal.later(jitter).unwrap_or(nominal)
    }

    /// Leaves behind what has passed: the next time has. `None` in the second place: there is no
    /// other.
    pub(super) fn pass(self, now: Now, rules: &Rules) -> (Passed, Option<Timing>) {
        let grace = rules.grace.saturating_add(rules.jitter);
        let (count, last, next) = match self {
            Timing::Once(_) => return (Passed { runs: 1, missed: 0 }, None),
            Timing::Every { next, interval } => {
                let passed = grid::passed(next, interval, now.clock.max(next));
                let next = passed.next.map(|next| Timing::Every { next, interval });
                (passed.count, Due::Clock(passed.last), next)
            }
            #[cfg(feature = "cron")]
            Timing::Cron { next, cron } => {
                let (count, last, next) = cron.passed(next, now.wall);
                (count, Due::Wall(last), next.map(|next| Timing::Cron { next, cron }))
            }
        };
        let runs = match rules.misfire {
            Misfire::Skip => u64::from(now.since(last) <= grace),
            Misfire::RunOnce => 1,
            Misfire::CatchUp(most) => count.min(most.get().into()),
        };
        (Passed { runs, missed: count - runs }, next)
    }

    /// The same times from now on, as if what has passed had not been.
    pub(super) fn restarted(self, now: Now) -> Option<Timing> {
        match self {
            Timing::Once(_) => Some(self),
            Timing::Every { next, .. } if next > now.clock => Some(self),
            Timing::Every { next, interval } => {
                let next = grid::passed(next, interval, now.clock).next?;
                Some(Timing::Every { next, interval })
            }
            #[cfg(feature = "cron")]
            Timing::Cron { cron, .. } => {
                let next = cron.next_after(now.wall)?;
                Some(Timing::Cron { next, cron })
            }
        }
    }
}
