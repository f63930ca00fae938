//! What submitting and joining say when they did not succeed.

use crate::context::Stop;
use crate::panics::Panicked;
use std::fmt;

/// A job that was not accepted, with the closure.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError<F> {
    /// The pool takes no more jobs: it was shut down, or its context has stopped.
    /// [`Submitter::over`](super::Submitter::over) says which.
    #[error("the pool is closed")]
    Closed(F),
    /// The queue is full, and it is one of its own jobs that submits to it: it would wait for itself.
    /// A plain [`Pool`](super::Pool) never says so; there the job runs at once.
    #[error("the queue is full, and a job of the pool would wait for itself")]
    Full(F),
    /// The context stopped before there was room in the queue.
    #[error("submit stopped: {stop}")]
    Stopped {
        /// The closure.
        job: F,
        /// Why the context stopped.
        stop: Stop,
    },
}

impl<F> SubmitError<F> {
    /// Takes the closure back.
    ///
    /// ```
    /// # use ironsys::pool::SubmitError;
    /// assert_eq!(SubmitError::Closed("the job").into_inner(), "the job");
    /// ```
    #[must_use]
    pub fn into_inner(self) -> F {
        match self {
            SubmitError::Closed(job)
            | SubmitError::Full(job)
            | SubmitError::Stopped { job, .. } => job,
        }
    }

    /// Returns whether the pool is closed.
    ///
    /// ```
    /// # use ironsys::{Context, pool::Pool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// let pool = Pool::builder("jobs").workers(1).build()?;
    /// let submitter = pool.submitter();
    /// drop(pool);
    /// assert!(submitter.submit(&ctx, |_| ()).unwrap_err().is_closed());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self, SubmitError::Closed(_))
    }
}

impl<F> fmt::Debug for SubmitError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SubmitError::Closed(_) => f.write_str("Closed(..)"),
            SubmitError::Full(_) => f.write_str("Full(..)"),
            SubmitError::Stopped { stop, .. } => write!(f, "Stopped({stop:?}, ..)"),
        }
    }
}

/// A job that was not accepted at once, with the closure.
#[derive(thiserror::Error)]
pub enum TrySubmitError<F> {
    /// The queue is full now.
    #[error("the pool's queue is full")]
    Full(F),
    /// The pool takes no more jobs.
    #[error("the pool is closed")]
    Closed(F),
}

impl<F> TrySubmitError<F> {
    /// Takes the closure back.
    ///
    /// ```
    /// # use ironsys::pool::TrySubmitError;
    /// assert_eq!(TrySubmitError::Full("the job").into_inner(), "the job");
    /// ```
    #[must_use]
    pub fn into_inner(self) -> F {
        match self {
            TrySubmitError::Full(job) | TrySubmitError::Closed(job) => job,
        }
    }

    /// Returns whether the queue was full.
    ///
    /// ```
    /// # use ironsys::pool::TrySubmitError;
    /// assert!(TrySubmitError::Full(()).is_full() && !TrySubmitError::Closed(()).is_full());
    /// ```
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, TrySubmitError::Full(_))
    }
}

impl<F> fmt::Debug for TrySubmitError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TrySubmitError::Full(_) => "Full(..)",
            TrySubmitError::Closed(_) => "Closed(..)",
        })
    }
}

/// Why a ticket has no value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The job panicked.
    #[error(transparent)]
    Panicked(#[from] Panicked),
    /// The job never ran: its deadline passed in the queue, or the pool's context stopped, or the pool
    /// was shut down.
    #[error("the job never ran: {0}")]
    Cancelled(Stop),
    /// An earlier [`Ticket::wait`](super::Ticket::wait) has returned the result.
    #[error("the result has been taken")]
    Taken,
    /// The context of the wait stopped; the job goes on. The ticket is gone with this call; use
    /// [`Ticket::wait`](super::Ticket::wait) to keep it.
    #[error("join stopped: {0}")]
    Stopped(Stop),
}

impl JoinError {
    /// Returns whether the job panicked.
    ///
    /// ```
    /// # use ironsys::{Context, pool::Pool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let pool = Pool::builder("jobs").workers(1).build()?;
    /// let ticket = pool.submit(&ctx, |_| panic!("no sum"))?;
    /// let failed: Result<(), _> = ticket.join(&ctx);
    /// assert!(failed.unwrap_err().is_panicked());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_panicked(&self) -> bool {
        matches!(self, JoinError::Panicked(_))
    }

    /// Returns whether the job never ran.
    ///
    /// ```
    /// # use ironsys::{Context, pool::{JobOptions, Pool}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let pool = Pool::builder("jobs").workers(1).build()?;
    /// let late = JobOptions::new().timeout(std::time::Duration::ZERO);
    /// let ticket = pool.submit_with(&ctx, late, |_| ())?;
    /// assert!(ticket.join(&ctx).unwrap_err().is_cancelled());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self, JoinError::Cancelled(_))
    }
}
