//! What a limit learns from.

use crate::context::Stop;
use std::time::Duration;

/// How a piece of work ended, as far as a limit learns from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Served: its time is a measurement.
    Success,
    /// Neither: it failed for a reason of its own, or was not needed any more. Nothing is learned.
    Ignore,
    /// Refused or timed out further on: there is too much.
    Dropped,
}

impl Outcome {
    /// What a stopped context says: a deadline that has passed is a drop, a cancel says nothing.
    ///
    /// ```
    /// use ironsys::{Stop, limit::Outcome};
    /// assert_eq!(Outcome::of(&Stop::DeadlineExceeded), Outcome::Dropped);
    /// ```
    #[must_use]
    pub fn of(stop: &Stop) -> Outcome {
        if stop.is_timeout() { Outcome::Dropped } else { Outcome::Ignore }
    }
}

/// A measurement. What is ignored is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// How long it took from the permit to the end; at least a nanosecond.
    pub time: Duration,
    /// How many were at work when it began, itself included.
    pub in_flight: usize,
    /// Whether it was refused or timed out.
    pub dropped: bool,
}

/// Finds a limit for the work at once. See [`Vegas`](super::Vegas), [`Gradient2`](super::Gradient2),
/// [`Aimd`](super::Aimd) and [`Fixed`].
///
/// It runs outside of all locks, one sample after the other. The limit that it returns is kept within
/// bounds, and not raised while less than half of it is used.
pub trait Algorithm: Send + 'static {
    /// Returns the limit after `sample`, if it was `limit`. Fractions are kept.
    fn update(&mut self, limit: f64, sample: &Sample) -> f64;

    /// Returns what it goes by at present, for a person.
    fn explain(&self) -> String;
}

/// A limit that does not learn.
///
/// ```
/// use ironsys::limit::{AdaptiveLimit, Fixed};
/// let limit = AdaptiveLimit::builder(Fixed).initial(7).build().unwrap();
/// limit.try_acquire().unwrap().dropped();
/// assert_eq!(limit.limit(), 7);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Fixed;

impl Algorithm for Fixed {
    fn update(&mut self, limit: f64, _: &Sample) -> f64 {
        limit
    }

    fn explain(&self) -> String {
        "fixed".into()
    }
}

/// Cuts the limit at a drop, once for the work that was under way then.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    factor: f64,
    /// Samples of work that began, about, before the last cut.
    old: f64,
}

impl Cut {
    pub(super) fn by(factor: f64) -> Cut {
        Cut { factor, old: 0.0 }
    }

    /// The limit after a sample that was a drop, or not.
    pub(super) fn after(&mut self, limit: f64, dropped: bool) -> Option<f64> {
        self.old = (self.old - 1.0).max(0.0);
        if !dropped {
            return None;
        }
        if self.old > 0.0 {
            return Some(limit);
        }
        self.old = limit;
        Some(limit * self.factor)
    }
}
