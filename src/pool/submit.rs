//! The handle that only submits.

use super::crew::Crew;
use super::errors::{SubmitError, TrySubmitError};
use super::group::Group;
use super::intake::Intake;
use super::job::Cell;
use super::options::JobOptions;
use super::queued::{Job, Once, Queued};
use super::report::Stats;
use super::ticket::Ticket;
use super::watch::Watch;
use crate::channel::{SendError, TrySendError};
use crate::context::{Context, Stop};
use crate::observe::Ledger;
use crate::sync::{Arc, Ordering};
use std::fmt;
use std::panic::Location;

/// Submits to a pool without keeping it alive. Cheap to clone.
#[derive(Clone)]
pub struct Submitter {
    pub(super) crew: Arc<Crew>,
    pub(super) intake: Intake,
}

impl Submitter {
    /// Submits a job, waiting for room in the queue.
    ///
    /// The job runs under the pool's context, not under `ctx`; see [`submit_with`](Self::submit_with)
    /// for jobs that are to stop with their submitter. A worker that submits to its own full pool
    /// runs the job at once, itself.
    ///
    /// # Cancellation
    /// Of the wait for room: the job has not been accepted, and the closure is in the error.
    ///
    /// # Errors
    /// The pool is closed, or `ctx` stopped; with the closure.
    ///
    /// ```
    /// use ironsys::{Context, pool::Pool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let pool = Pool::builder("sums").workers(2).build()?;
    /// let ticket = pool.submit(&ctx, |_| 2 + 2)?;
    /// assert_eq!(ticket.join(&ctx)?, 4);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn submit<F, R>(&self, ctx: &Context, job: F) -> Result<Ticket<R>, SubmitError<F>>
    where
        F: FnOnce(&Context) -> R + Send + 'static,
        R: Send + 'static,
    {
        self.submit_with(ctx, JobOptions::new(), job)
    }

    /// Submits a job with a name, a deadline counted from now, or a context of its own.
    ///
    /// # Cancellation
    /// As for [`submit`](Self::submit).
    ///
    /// # Errors
    /// As for [`submit`](Self::submit).
    ///
    /// ```
    /// use ironsys::{Context, pool::{JobOptions, Pool}};
    /// use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let pool = Pool::builder("jobs").workers(1).build()?;
    /// let late = JobOptions::new().name("report").timeout(Duration::ZERO);
    /// let ticket = pool.submit_with(&ctx, late, |_| "never")?;
    /// assert!(ticket.join(&ctx).unwrap_err().is_cancelled());
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn submit_with<F, R>(
        &self,
        ctx: &Context,
        options: JobOptions,
        job: F,
    ) -> Result<Ticket<R>, SubmitError<F>>
    where
        F: FnOnce(&Context) -> R + Send + 'static,
        R: Send + 'static,
    {
        let send = |job| self.intake.send(&self.crew, ctx, job);
        submit(send, &self.crew.ctx, self.intake.id(&self.crew), options, Location::caller(), job)
    }

    /// Runs a job of which nobody wants a result: like [`submit`](Self::submit) without a ticket, at
    /// half the price. Its panic is logged, and counted as `failed`.
    ///
    /// # Cancellation
    /// As for [`submit`](Self::submit).
    ///
    /// # Errors
    /// As for [`submit`](Self::submit).
    ///
    /// ```
    /// use ironsys::{Context, pool::Pool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let pool = Pool::builder("jobs").workers(1).build()?;
    /// pool.execute(&ctx, |_| ())?;
    /// assert_eq!(pool.drain(&ctx).done, 1);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn execute<F>(&self, ctx: &Context, job: F) -> Result<(), SubmitError<F>>
    where
        F: FnOnce(&Context) + Send + 'static,
    {
        execute(|job| self.intake.send(&self.crew, ctx, job), Location::caller(), job)
    }

    /// Submits a job if there is room in the queue now.
    ///
    /// # Errors
    /// The queue is full, or the pool closed; with the closure.
    ///
    /// ```
    /// use ironsys::{Context, pool::Pool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let pool = Pool::builder("sums").workers(1).queue(1).build()?;
    /// let (go, may_go) = ironsys::channel::bounded::<()>(1);
    /// let refused = (0..9).find_map(|n| {
    ///     let wait = may_go.clone();
    ///     pool.try_submit(move |job| (n, wait.recv(job).is_ok())).err()
    /// });
    /// assert!(refused.is_some_and(|e| e.is_full())); // One runs, one is queued.
    /// go.close();
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn try_submit<F, R>(&self, job: F) -> Result<Ticket<R>, TrySubmitError<F>>
    where
        F: FnOnce(&Context) -> R + Send + 'static,
        R: Send + 'static,
    {
        self.try_submit_with(JobOptions::new(), job)
    }

    /// Submits a job if there is room in the queue now, with a name, a deadline, a priority, or a
    /// context of its own.
    ///
    /// # Errors
    /// As for [`try_submit`](Self::try_submit).
    ///
    /// ```
    /// # use ironsys::{Context, pool::{JobOptions, Pool}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let pool = Pool::builder("jobs").workers(1).build()?;
    /// let ticket = pool.try_submit_with(JobOptions::new().name("sum"), |_| 2 + 2)?;
    /// assert_eq!(ticket.join(&ctx)?, 4);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn try_submit_with<F, R>(
        &self,
        options: JobOptions,
        job: F,
    ) -> Result<Ticket<R>, TrySubmitError<F>>
    where
        F: FnOnce(&Context) -> R + Send + 'static,
        R: Send + 'static,
    {
        let send = |job| self.intake.try_send(&self.crew, job);
        try_submit(
            send,
            &self.crew.ctx,
            self.intake.id(&self.crew),
            options,
            Location::caller(),
            job,
        )
    }

    /// Returns why the pool is over, in the words of its context: it was drained, or dropped, or was to
    /// drain and was stopped at that, or the context that it was built under was cancelled or reached its
    /// deadline. `None` while it takes jobs, and while it drains.
    ///
    /// ```
    /// # use ironsys::{Context, pool::Pool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// let pool = Pool::builder("jobs").workers(1).build()?;
    /// let submitter = pool.submitter();
    /// assert!(submitter.over().is_none());
    /// pool.drain(&ctx);
    /// assert!(submitter.submit(&ctx, |_| ()).unwrap_err().is_closed());
    /// assert!(submitter.over().unwrap().to_string().contains("the pool was drained"));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn over(&self) -> Option<Stop> {
        self.crew.ctx.check().err()
    }

    /// Hands a job on that another pool did not run.
    ///
    /// Its ticket belongs to that pool: a job of this one that waits for it does not run it early.
    ///
    /// # Cancellation
    /// Of the wait for room: the job is in the error.
    ///
    /// # Errors
    /// The pool is closed, or `ctx` stopped; with the job.
    ///
    /// ```
    /// # use ironsys::{Context, pool::Pool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let pool = Pool::builder("jobs").workers(1).build()?;
    /// # let other = Pool::builder("other").workers(1).build()?;
    /// # let (begun, has_begun) = ironsys::channel::bounded(1);
    /// # pool.execute(&ctx, move |job| { let _ = begun.try_send(()); job.wait_stopped(); })?;
    /// # has_begun.recv(&ctx)?;
    /// let ticket = pool.submit(&ctx, |_| "late")?;
    /// let mut report = pool.drain(&ctx.with_timeout(std::time::Duration::ZERO));
    /// other.resubmit(&ctx, report.undelivered.remove(0))?;
    /// assert_eq!(ticket.join(&ctx)?, "late");
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn resubmit(&self, ctx: &Context, mut job: Job) -> Result<(), SubmitError<Job>> {
        let Some(inner) = job.0.take() else { return Ok(()) };
        self.intake.send(&self.crew, ctx, inner).map_err(|e| match e {
            SendError::Stopped { value, stop } => {
                SubmitError::Stopped { job: Job(Some(value)), stop }
            }
            e => SubmitError::Closed(Job(Some(e.into_inner()))),
        })
    }

    /// Opens a group: jobs that are waited for, and cancelled, together.
    ///
    /// ```
    /// # use ironsys::pool::Pool;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pool = Pool::builder("jobs").workers(1).build()?;
    /// assert_eq!(pool.group::<u32>().len(), 0);
    /// # Ok(()) }
    /// ```
    pub fn group<R: Send + 'static>(&self) -> Group<R> {
        Group::new(self.clone(), &self.crew.ctx)
    }

    /// Returns the counts of the pool.
    ///
    /// ```
    /// use ironsys::{Context, pool::Pool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let pool = Pool::builder("sums").workers(2).build()?;
    /// pool.submit(&ctx, |_| ())?.join(&ctx)?;
    /// assert_eq!(pool.stats().ledger.accepted, 1);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        if let Intake::Lane(shared, me) = &self.intake {
            return shared.stats(*me);
        }
        // The ends first: what ends in between then still counts as accepted.
        let sum = self.crew.sum();
        let (queue, resizes) = self.intake.queue_stats();
        let ended = sum.done + sum.failed + sum.cancelled;
        let running = sum.taken - ended - sum.gone;
        let accepted = queue.ledger.accepted + sum.unqueued;
        let dropped = queue.ledger.dropped + self.crew.handed_back.load(Ordering::Acquire);
        let ledger = Ledger {
            accepted,
            done: sum.done,
            failed: sum.failed,
            cancelled: sum.cancelled + sum.unbegun,
            dropped,
            // Not the depth of the queue: a job may be on its way from there to a worker, and what
            // is left there may have been run before its turn.
            in_flight: accepted.saturating_sub(ended + sum.unbegun + dropped),
        };
        let (stuck, replaced) = self.crew.watch.as_ref().map_or((0, 0), Watch::counts);
        Stats {
            ledger,
            workers: self.crew.staff.alive(),
            running,
            overran: sum.overran,
            stuck,
            replaced,
            revived: sum.deaths,
            resizes,
            queue,
        }
    }

    /// Returns the name of the pool.
    ///
    /// ```
    /// # use ironsys::pool::Pool;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// assert_eq!(Pool::builder("jobs").workers(1).build()?.name(), "jobs");
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        self.intake.name(&self.crew)
    }
}

/// Makes a job with a ticket and sends it. `pool` is the id by which its workers know that they may
/// run it before its turn.
pub(super) fn submit<F, R>(
    send: impl FnOnce(Queued) -> Result<(), SendError<Queued>>,
    ctx: &Context,
    pool: u64,
    options: JobOptions,
    at: &'static Location<'static>,
    job: F,
) -> Result<Ticket<R>, SubmitError<F>>
where
    F: FnOnce(&Context) -> R + Send + 'static,
    R: Send + 'static,
{
    let cell = Arc::new(Cell::new(job, options, ctx, at));
    match send(Queued::Shared(cell.clone())) {
        Ok(()) => Ok(Ticket { job: cell, pool }),
        Err(SendError::Stopped { stop, .. }) => {
            Err(SubmitError::Stopped { job: refused(&cell), stop })
        }
        Err(SendError::Full(_)) => Err(SubmitError::Full(refused(&cell))),
        Err(_) => Err(SubmitError::Closed(refused(&cell))),
    }
}

/// The same without waiting for room.
pub(super) fn try_submit<F, R>(
    send: impl FnOnce(Queued) -> Result<(), TrySendError<Queued>>,
    ctx: &Context,
    pool: u64,
    options: JobOptions,
    at: &'static Location<'static>,
    job: F,
) -> Result<Ticket<R>, TrySubmitError<F>>
where
    F: FnOnce(&Context) -> R + Send + 'static,
    R: Send + 'static,
{
    let cell = Arc::new(Cell::new(job, options, ctx, at));
    match send(Queued::Shared(cell.clone())) {
        Ok(()) => Ok(Ticket { job: cell, pool }),
        Err(TrySendError::Full(_)) => Err(TrySubmitError::Full(refused(&cell))),
        Err(TrySendError::Closed(_)) => Err(TrySubmitError::Closed(refused(&cell))),
    }
}

/// Makes a job without a ticket and sends it.
pub(super) fn execute<F>(
    send: impl FnOnce(Queued) -> Result<(), SendError<Queued>>,
    at: &'static Location<'static>,
    job: F,
) -> Result<(), SubmitError<F>>
where
    F: FnOnce(&Context) + Send + 'static,
{
    let take_back = |job| {
        Once::take_back(job).unwrap_or_else(|| unreachable!("what was refused is what was sent"))
    };
    send(Queued::Once(Box::new(Once::new(job, at)))).map_err(|e| match e {
        SendError::Stopped { value, stop } => SubmitError::Stopped { job: take_back(value), stop },
        SendError::Full(job) => SubmitError::Full(take_back(job)),
        SendError::Closed(job) => SubmitError::Closed(take_back(job)),
    })
}

/// The closure of a job that was not accepted; nobody else has taken it.
fn refused<F, R>(cell: &Arc<Cell<F, R>>) -> F
where
    F: FnOnce(&Context) -> R + Send + 'static,
    R: Send + 'static,
{
    cell.take_back().unwrap_or_else(|| unreachable!("a job that was refused has not run"))
}

impl fmt::Debug for Submitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submitter").field("pool", &self.name()).finish_non_exhaustive()
    }
}
