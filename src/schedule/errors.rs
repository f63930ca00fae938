//! What the scheduler says when it does not do what was asked.

use std::fmt;

/// Why a job was not added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The id is empty.
    #[error("the id is empty")]
    EmptyId,
    /// The id is too long.
    #[error("the id has {0} bytes, of at most 255")]
    LongId(usize),
    /// Another job has this id: it is scheduled, or its last run has not ended.
    #[error("there is a job with this id")]
    Taken,
    /// There are as many jobs as the scheduler may have.
    #[error("there are {0} jobs, which is the limit")]
    Full(usize),
    /// The interval is zero.
    #[error("the interval is zero")]
    ZeroInterval,
    /// The time never comes: it is beyond the end of time, or no date fits the expression.
    #[error("the job would never be due")]
    NeverDue,
    /// The scheduler is closed, or its context has stopped.
    #[error("the scheduler is closed")]
    Closed,
}

/// A job that was not added, with the closure.
#[derive(thiserror::Error)]
#[error("{why}")]
pub struct AddError<F> {
    /// Why.
    pub why: Refused,
    /// The closure.
    pub job: F,
}

impl<F> AddError<F> {
    /// Takes the closure back.
    ///
    /// ```
    /// # use ironsys::schedule::{AddError, Refused};
    /// let refused = AddError { why: Refused::NeverDue, job: "the job" };
    /// assert_eq!(refused.into_inner(), "the job");
    /// ```
    #[must_use]
    pub fn into_inner(self) -> F {
        self.job
    }

    /// Returns whether the scheduler is closed.
    ///
    /// ```
    /// # use ironsys::schedule::{AddError, Refused};
    /// assert!(AddError { why: Refused::Closed, job: () }.is_closed());
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.why == Refused::Closed
    }

    /// Returns whether the scheduler has no place for one more job.
    ///
    /// ```
    /// # use ironsys::schedule::Scheduler;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (scheduler, hour) = (Scheduler::builder("jobs").max_jobs(1).build()?, Duration::from_secs(3600));
    /// scheduler.after("a", hour, |_| ())?;
    /// assert!(scheduler.after("b", hour, |_| ()).unwrap_err().is_full());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self.why, Refused::Full(_))
    }
}

impl<F> fmt::Debug for AddError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AddError({:?}, ..)", self.why)
    }
}

/// Why a job was not run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunNowError {
    /// There is no job with this id.
    #[error("there is no job with this id")]
    NotFound,
    /// A run of it has not ended, and its overlap rule has no place for another.
    #[error("an earlier run of the job has not ended")]
    Overlaps,
    /// The scheduler is closed.
    #[error("the scheduler is closed")]
    Closed,
}
