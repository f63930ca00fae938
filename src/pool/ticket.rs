//! The handle that waits for a job.

use super::errors::JoinError;
use super::job::Await;
use super::worker;
use crate::context::{Context, Op, Stop};
use crate::sync::Arc;
use crate::wait::{On, Place, Site, WaitKind, Waiter, key};
use std::fmt;

/// A job that was accepted. Dropping the ticket leaves the job to the pool.
#[must_use = "call `join` for the value, or drop it on purpose: the job runs either way"]
pub struct Ticket<R> {
    pub(super) job: Arc<dyn Await<R>>,
    pub(super) pool: u64,
}

impl<R: Send + 'static> Ticket<R> {
    /// Waits for the job and returns its value.
    ///
    /// A worker that waits for a job of its own pool which has not begun runs it at once, itself.
    ///
    /// # Cancellation
    /// Stops waiting; the job goes on.
    ///
    /// # Errors
    /// The job panicked or never ran, or `ctx` stopped first.
    ///
    /// ```
    /// use ironsys::{Context, pool::Pool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let pool = Pool::builder("sums").workers(2).build()?;
    /// let bad = pool.submit(&ctx, |_| -> u32 { panic!("no sum") })?;
    /// assert!(bad.join(&ctx).unwrap_err().is_panicked());
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn join(mut self, ctx: &Context) -> Result<R, JoinError> {
        match self.wait(ctx) {
            Ok(out) => out,
            Err(stop) => Err(JoinError::Stopped(stop)),
        }
    }

    /// Waits for the job like [`join`](Self::join), and keeps the ticket if `ctx` stops first. After
    /// it has returned the result once there is none left: a later call returns
    /// [`JoinError::Taken`].
    ///
    /// # Cancellation
    /// Stops waiting; the job goes on, and the ticket can wait again.
    ///
    /// # Errors
    /// Why `ctx` stopped; the result of the job is inside the `Ok`.
    ///
    /// ```
    /// use ironsys::{Context, pool::Pool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let pool = Pool::builder("sums").workers(2).build()?;
    /// let (go, may_go) = ironsys::channel::bounded(1);
    /// let mut ticket = pool.submit(&ctx, move |job| may_go.recv(job).unwrap_or(0))?;
    /// let soon = ctx.with_timeout(std::time::Duration::from_millis(1));
    /// assert!(ticket.wait(&soon).is_err()); // It goes on, and the ticket is still good.
    /// go.send(&ctx, 7)?;
    /// assert_eq!(ticket.wait(&ctx)??, 7);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn wait(&mut self, ctx: &Context) -> Result<Result<R, JoinError>, Stop> {
        ctx.check()?;
        if let Some(helper) = worker::helper(self.pool) {
            helper.run_early(&*self.job);
        }
        let mut op = Join { job: &*self.job, place: Place::default() };
        let site = Site::new(WaitKind::Join, self.job.shared_name());
        ctx.block(site.on(On::Thing(key(&*self.job))), &mut op)
    }

    /// Returns whether [`join`](Self::join) would not wait.
    ///
    /// ```
    /// # use ironsys::{Context, pool::Pool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let pool = Pool::builder("jobs").workers(1).build()?;
    /// let ticket = pool.submit(&ctx, |_| 7)?;
    /// pool.drain(&ctx);
    /// assert!(ticket.is_finished());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.job.is_finished()
    }
}

impl<R> fmt::Debug for Ticket<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("name", &self.job.shared_name()).finish_non_exhaustive()
    }
}

struct Join<'a, R> {
    job: &'a dyn Await<R>,
    place: Place,
}

impl<R> Op for Join<'_, R> {
    type Out = Result<R, JoinError>;

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<Self::Out> {
        self.job.poll(&mut self.place, waiter)
    }

    fn withdraw(&mut self) -> Option<Self::Out> {
        self.job.leave(&mut self.place);
        None
    }
}
