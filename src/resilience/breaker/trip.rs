//! When a breaker opens: a rule, as a value.

use crate::error::BuildError;
use std::fmt;
use std::time::Duration;

/// A rule by which a [`Breaker`](super::Breaker) opens. It looks at the calls that failed or, with
/// [`slow`](Self::slow), at those that took too long.
///
/// A breaker may have several; it opens when one of them says so.
///
/// ```
/// use ironsys::resilience::{Breaker, Trip};
/// use std::time::Duration;
/// # fn main() -> Result<(), ironsys::BuildError> {
/// let breaker = Breaker::builder("payments")
///     .trip(Trip::consecutive(5))
///     .trip(Trip::within(Duration::from_secs(60), 0.5).min_calls(100))
///     .trip(Trip::last(50, 0.9).slow())
///     .slow_after(Duration::from_secs(2))
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use = "a rule does nothing until a breaker has it"]
pub struct Trip {
    pub(super) kind: Kind,
    pub(super) slow: bool,
    pub(super) min_calls: Option<u32>,
}

/// Over which calls the rule looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Consecutive(u32),
    Last { calls: u32, ratio: f64 },
    Within { time: Duration, ratio: f64 },
}

impl Trip {
    /// Makes the rule: so many failures with no success between them. 1 opens on the first; 0 is
    /// refused.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let breaker = Breaker::builder("db").trip(Trip::consecutive(2)).build()?;
    /// breaker.call(&ctx, |_| Err::<(), _>("down")).unwrap_err();
    /// assert_eq!(breaker.state(), BreakerState::Closed);
    /// breaker.call(&ctx, |_| Err::<(), _>("down")).unwrap_err();
    /// assert_eq!(breaker.state(), BreakerState::Open);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn consecutive(failures: u32) -> Trip {
        Trip { kind: Kind::Consecutive(failures), slow: false, min_calls: None }
    }

    /// Makes the rule: a share of at least `ratio` of the last `calls` calls failed. It is looked at
    /// from [`min_calls`](Self::min_calls) calls on, by default when there are `calls`.
    ///
    /// `calls` is from 1 to 1,048,576, a bit each; `ratio` is above 0 and at most 1.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let breaker = Breaker::builder("db").trip(Trip::last(2, 0.5)).build()?;
    /// breaker.call(&ctx, |_| Err::<(), _>("down")).unwrap_err();
    /// breaker.call(&ctx, |_| Ok::<_, ()>(())).unwrap();
    /// assert_eq!(breaker.state(), BreakerState::Open); // one of two
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn last(calls: u32, ratio: f64) -> Trip {
        Trip { kind: Kind::Last { calls, ratio }, slow: false, min_calls: None }
    }

    /// Makes the rule: a share of at least `ratio` of the calls that ended within the last `time`
    /// failed. It is looked at from [`min_calls`](Self::min_calls) calls on, by default 10.
    ///
    /// The window moves in steps of a tenth of `time`, so it covers between nine tenths of it and
    /// all. Any `time` but zero is exact to the nanosecond; `Duration::MAX` forgets nothing.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let rule = Trip::within(std::time::Duration::MAX, 0.5).min_calls(1);
    /// let breaker = Breaker::builder("db").trip(rule).build()?;
    /// breaker.call(&ctx, |_| Err::<(), _>("down")).unwrap_err();
    /// assert_eq!(breaker.state(), BreakerState::Open);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn within(time: Duration, ratio: f64) -> Trip {
        Trip { kind: Kind::Within { time, ratio }, slow: false, min_calls: None }
    }

    /// Sets how many calls the window must hold before its share counts. A consecutive rule has no
    /// window, and ignores it.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let breaker = Breaker::builder("db").trip(Trip::last(9, 0.5).min_calls(1)).build()?;
    /// breaker.call(&ctx, |_| Err::<(), _>("down")).unwrap_err();
    /// assert_eq!(breaker.state(), BreakerState::Open);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn min_calls(mut self, calls: u32) -> Trip {
        self.min_calls = Some(calls);
        self
    }

    /// Makes the rule look at calls that took longer than the breaker's
    /// [`slow_after`](super::BreakerBuilder::slow_after), however they ended, instead of failures.
    ///
    /// ```
    /// # use ironsys::resilience::*;
    /// let no_limit = Breaker::builder("db").trip(Trip::consecutive(1).slow()).build();
    /// assert!(no_limit.unwrap_err().to_string().contains("slow_after"));
    /// ```
    pub fn slow(mut self) -> Trip {
        self.slow = true;
        self
    }

    pub(super) fn check(&self, slow_after: Option<Duration>) -> Result<(), BuildError> {
        let wrong = |problem: &str| Err(BuildError::new("breaker", "trip", problem));
        let min = self.min_calls;
        match self.kind {
            _ if self.slow && slow_after.is_none() => {
                wrong("looks at slow calls without slow_after")
            }
            _ if min == Some(0) => wrong("has min_calls 0: there is no share of nothing"),
            Kind::Consecutive(0) => wrong("wants 0 consecutive failures: 1 is the least"),
            Kind::Last { calls: 0, .. } => wrong("looks at the last 0 calls: 1 is the least"),
            Kind::Last { calls, .. } if calls > MAX_CALLS => wrong("looks at more than 2^20 calls"),
            Kind::Last { calls, .. } if min > Some(calls) => wrong("has more min_calls than calls"),
            Kind::Within { time: Duration::ZERO, .. } => wrong("looks at no time"),
            Kind::Last { ratio, .. } | Kind::Within { ratio, .. }
                if !(ratio > 0.0 && ratio <= 1.0) =>
            {
                wrong("has a ratio that is not above 0 and at most 1")
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Trip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.slow { "slow calls" } else { "failures" };
        match self.kind {
            Kind::Consecutive(n) => write!(f, "{n} {what} in a row"),
            Kind::Last { calls, ratio } => write!(f, "{ratio} {what} of the last {calls}"),
            Kind::Within { time, ratio } => write!(f, "{ratio} {what} within {time:?}"),
        }
    }
}

const MAX_CALLS: u32 = 1 << 20;
