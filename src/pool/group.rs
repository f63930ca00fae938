//! Jobs that belong together.

use super::errors::{JoinError, SubmitError};
use super::options::JobOptions;
use super::submit::Submitter;
use super::ticket::Ticket;
use crate::context::{Canceller, Context, Stop};
use std::fmt;
use std::time::Duration;

/// Several jobs on one pool, waited for and cancelled together.
///
/// Dropping it cancels the jobs that are left; it does not wait for them, the pool does.
///
/// ```
/// use ironsys::{Context, pool::Pool};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (ctx, _cancel) = Context::root();
/// let pool = Pool::builder("jobs").workers(2).build()?;
/// let mut group = pool.group();
/// for n in 1..=3 {
///     group.submit(&ctx, move |_| n * n)?;
/// }
/// let squares: Result<Vec<i32>, _> = group.join(&ctx)?.into_iter().collect();
/// assert_eq!(squares?, [1, 4, 9]);
/// # Ok(()) }
/// ```
#[must_use = "dropping a group cancels its jobs"]
pub struct Group<R> {
    pool: Submitter,
    ctx: Context,
    cancel: Canceller,
    tickets: Vec<Ticket<R>>,
}

impl<R: Send + 'static> Group<R> {
    pub(super) fn new(pool: Submitter, pool_ctx: &Context) -> Self {
        // Not below the pool's own: the jobs may be handed back when that has stopped.
        let (ctx, cancel) = pool_ctx.shielded(Duration::MAX).with_cancel();
        Group { pool, ctx, cancel, tickets: Vec::new() }
    }

    /// Submits a job to the group, waiting for room in the pool's queue.
    ///
    /// # Cancellation
    /// Of the wait for room: the closure is in the error.
    ///
    /// # Errors
    /// The pool is closed, or `ctx` stopped; with the closure.
    ///
    /// ```
    /// use ironsys::{Context, pool::Pool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let pool = Pool::builder("sums").workers(2).build()?;
    /// let mut group = pool.group();
    /// group.submit(&ctx, |_| 2 + 2)?;
    /// assert_eq!(group.join(&ctx)?.remove(0)?, 4);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn submit<F>(&mut self, ctx: &Context, job: F) -> Result<(), SubmitError<F>>
    where
        F: FnOnce(&Context) -> R + Send + 'static,
    {
        let options = JobOptions::new().under(&self.ctx);
        self.tickets.push(self.pool.submit_with(ctx, options, job)?);
        Ok(())
    }

    /// Returns how many jobs the group has.
    ///
    /// ```
    /// use ironsys::{Context, pool::Pool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let pool = Pool::builder("sums").workers(2).build()?;
    /// let mut group = pool.group();
    /// group.submit(&ctx, |_| 2 + 2)?;
    /// assert_eq!(group.len(), 1);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.tickets.len()
    }

    /// Returns whether the group has no job.
    ///
    /// ```
    /// use ironsys::pool::Pool;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder("sums").workers(2).build()?;
    /// assert!(pool.group::<u32>().is_empty());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tickets.is_empty()
    }

    /// Stops the jobs of this group: those that run find their context stopped, the rest never run.
    ///
    /// ```
    /// use ironsys::{Context, pool::Pool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let pool = Pool::builder("pages").workers(1).build()?;
    /// let mut group = pool.group();
    /// group.submit(&ctx, |job| job.wait_stopped())?;
    /// group.submit(&ctx, |job| job.wait_stopped())?;
    /// group.cancel();
    /// assert!(group.join(&ctx)?[1].is_err()); // It never ran.
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn cancel(&self) {
        self.cancel.cancel_with("the group was cancelled");
    }

    /// Waits for every job and returns the results in the order of submission.
    ///
    /// # Cancellation
    /// Cancels what is left of the group, and does not wait for it.
    ///
    /// # Errors
    /// Why `ctx` stopped.
    ///
    /// ```
    /// use ironsys::{Context, pool::Pool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let pool = Pool::builder("sums").workers(2).build()?;
    /// let mut squares = pool.group();
    /// for n in 1..4 {
    ///     squares.submit(&ctx, move |_| n * n)?;
    /// }
    /// let squares: Result<Vec<_>, _> = squares.join(&ctx)?.into_iter().collect();
    /// assert_eq!(squares?, [1, 4, 9]);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn join(mut self, ctx: &Context) -> Result<Vec<Result<R, JoinError>>, Stop> {
        let mut results = Vec::with_capacity(self.tickets.len());
        for mut ticket in std::mem::take(&mut self.tickets) {
            results.push(ticket.wait(ctx)?);
        }
        Ok(results)
    }
}

impl<R> Drop for Group<R> {
    fn drop(&mut self) {
        self.cancel.cancel_with("the group was dropped");
    }
}

impl<R> fmt::Debug for Group<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("jobs", &self.tickets.len()).finish_non_exhaustive()
    }
}
