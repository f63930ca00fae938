//! The pool, and the handle that only submits.

use super::builder::Builder;
use super::errors::{SubmitError, TrySubmitError};
use super::group::Group;
use super::job::{Cell, Job, JobOptions, Once, Queued};
use super::ticket::Ticket;
use super::worker::{self, Crew, Helper};
use crate::channel::{self, SendError, Sender, TrySendError};
use crate::context::{Canceller, Context, Op};
use crate::observe::Ledger;
use crate::sync::{Arc, Ordering, thread};
use crate::threads::ThreadCache;
use crate::time::Token;
use crate::wait::{Place, Site, WaitKind, Waiter};
use std::fmt;
use std::io;
use std::ops::Deref;
use std::panic::Location;

/// Threads that run submitted jobs.
///
/// The pool owns its threads: [`drain`](Self::drain) finishes the jobs and joins them; dropping the
/// pool cancels the running jobs, drops the queued ones (their tickets say so) and joins. To submit
/// from elsewhere clone a [`Submitter`]; a `Pool` is one itself.
pub struct Pool {
    submitter: Submitter,
    cancel: Canceller,
    threads: Vec<thread::JoinHandle<()>>,
}

/// Submits to a pool without keeping it alive. Cheap to clone.
#[derive(Clone)]
pub struct Submitter {
    crew: Arc<Crew>,
    tx: Sender<Queued>,
}

/// What became of a pool's jobs.
#[derive(Debug)]
#[non_exhaustive]
pub struct Drained {
    /// Jobs that ran to their end.
    pub done: u64,
    /// Of these, jobs that ended after their deadline: they did not look at their context.
    pub overran: u64,
    /// Jobs that panicked.
    pub failed: u64,
    /// Jobs whose deadline or context stopped them before they began.
    pub cancelled: u64,
    /// Jobs that were accepted and not begun. Run them, hand them to another pool, or drop them.
    pub undelivered: Vec<Job>,
}

/// A pool at one moment.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Stats {
    /// What became of the jobs; exact when nothing is under way.
    pub ledger: Ledger,
    /// Threads.
    pub workers: usize,
    /// Jobs running now.
    pub running: u64,
    /// Jobs that ended after their deadline: they did not look at their context.
    pub overran: u64,
    /// The queue: depth, peak, and how long submitters waited for room or workers for jobs.
    pub queue: channel::Stats,
}

impl Pool {
    /// Starts to build a pool; the name is for threads, waits and the task tree.
    pub fn builder(name: impl Into<String>) -> Builder {
        Builder::new(name.into())
    }

    pub(super) fn new(crew: Arc<Crew>, tx: Sender<Queued>, cancel: Canceller) -> Self {
        Pool { submitter: Submitter { crew, tx }, cancel, threads: Vec::new() }
    }

    pub(super) fn crew(&self) -> &Arc<Crew> {
        &self.submitter.crew
    }

    pub(super) fn start(&mut self, me: usize, cache: Option<&ThreadCache>) -> io::Result<()> {
        let crew = self.crew().clone();
        // At work from now on, until it parks: an autojumping clock stands still until it is there.
        let token = Token::of(crew.ctx.clock());
        let work = move || crew.live(me, token);
        match cache {
            Some(cache) => cache.run(Box::new(work)),
            None => {
                let name = format!("{}-{me}", self.crew().name);
                self.threads.push(thread::spawn(&name, work)?);
                Ok(())
            }
        }
    }

    /// Takes no more jobs, finishes those that are queued, and joins the workers.
    ///
    /// # Cancellation
    /// When `ctx` stops, the running jobs are cancelled, the workers leave the queue where it is, and
    /// what they did not begin is handed back. The call then still waits for the running jobs: one
    /// that neither blocks in this library nor checks its context holds it up.
    ///
    /// Called by one of the pool's own jobs, it runs what is queued on the spot, waits for the other
    /// workers under `ctx`, and counts everything but the job that called it.
    ///
    /// ```
    /// use ironsys::{Context, pool::Pool};
    /// use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let pool = Pool::builder("slow").workers(1).build()?;
    /// let (begun, has_begun) = ironsys::channel::bounded(1);
    /// let _a = pool.submit(&ctx, move |job| { let _ = begun.try_send(()); job.wait_stopped() })?;
    /// let b = pool.submit(&ctx, |_| "late")?;
    /// has_begun.recv(&ctx)?;
    /// let mut report = pool.drain(&ctx.with_timeout(Duration::ZERO));
    /// assert_eq!((report.done, report.undelivered.len()), (1, 1));
    /// report.undelivered.remove(0).run(&ctx); // finish it here
    /// assert_eq!(b.join(&ctx)?, "late");
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn drain(mut self, ctx: &Context) -> Drained {
        self.submitter.tx.close();
        let me = worker::helper(self.crew().id);
        while me.as_ref().is_some_and(|me| !ctx.is_stopped() && me.run_queued()) {}
        let site = Site::new(WaitKind::Join, Some(self.crew().name.clone()));
        let but = usize::from(me.is_some());
        let mut op = AllLeft { crew: self.crew(), but, place: Place::default() };
        let finished = ctx.block(site, &mut op);
        if let Err(stop) = finished {
            self.cancel.cancel_with(format!("the pool was to drain, but was stopped: {stop}"));
        }
        let undelivered = self.join();
        let sum = self.crew().sum();
        let (done, overran) = (sum.done, sum.overran);
        Drained { done, overran, failed: sum.failed, cancelled: sum.cancelled, undelivered }
    }

    /// Waits for the workers to end, and takes what is left in the queue.
    fn join(&mut self) -> Vec<Job> {
        if worker::helper(self.crew().id).is_some() {
            // Dropped by one of its own jobs: that worker ends after the job.
            self.threads.clear();
        } else {
            let mut op = AllLeft { crew: self.crew(), but: 0, place: Place::default() };
            let site = Site::new(WaitKind::Join, Some(self.crew().name.clone()));
            self.crew().ctx.block_to_the_end(site, &mut op);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join(); // Workers do not unwind.
        }
        let left = self.crew().queue.drain().into_iter().filter(Queued::waits);
        let left: Vec<Job> = left.map(|job| Job(Some(job))).collect();
        self.crew().handed_back.fetch_add(left.len() as u64, Ordering::Release);
        left
    }

    /// Returns a handle that submits to this pool and does not keep it alive.
    #[must_use]
    pub fn submitter(&self) -> Submitter {
        self.submitter.clone()
    }
}

impl Deref for Pool {
    type Target = Submitter;

    fn deref(&self) -> &Submitter {
        &self.submitter
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.submitter.tx.close();
        self.cancel.cancel_with("the pool was dropped");
        drop(self.join());
    }
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
        let cell = Arc::new(Cell::new(job, options, &self.crew.ctx, Location::caller()));
        let ticket = Ticket { job: cell.clone(), pool: self.crew.id };
        match self.enqueue(ctx, Queued::Shared(cell.clone())) {
            Ok(()) => Ok(ticket),
            Err(SendError::Stopped { stop, .. }) => {
                Err(SubmitError::Stopped { job: refused(&cell), stop })
            }
            Err(_) => Err(SubmitError::Closed(refused(&cell))),
        }
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
        let once = Once::new(job, Location::caller());
        self.enqueue(ctx, Queued::Once(Box::new(once))).map_err(|e| {
            let stop = e.stop().cloned();
            let job = Once::take_back(e.into_inner())
                .unwrap_or_else(|| unreachable!("what was refused is what was sent"));
            match stop {
                Some(stop) => SubmitError::Stopped { job, stop },
                None => SubmitError::Closed(job),
            }
        })
    }

    #[track_caller]
    fn enqueue(&self, ctx: &Context, job: Queued) -> Result<(), SendError<Queued>> {
        match worker::helper(self.crew.id) {
            Some(me) => self.enqueue_from_worker(&me, ctx, job),
            None => self.tx.send(ctx, job),
        }
    }

    /// A worker never blocks on the queue that it is to empty.
    fn enqueue_from_worker(
        &self,
        me: &Helper,
        ctx: &Context,
        job: Queued,
    ) -> Result<(), SendError<Queued>> {
        if let Err(stop) = ctx.check() {
            return Err(SendError::Stopped { value: job, stop });
        }
        match self.tx.try_send(job) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(job)) => Err(SendError::Closed(job)),
            Err(TrySendError::Full(job)) => {
                me.run_unqueued(job);
                Ok(())
            }
        }
    }

    /// Submits a job if there is room in the queue now.
    ///
    /// # Errors
    /// The queue is full, or the pool closed; with the closure.
    #[track_caller]
    pub fn try_submit<F, R>(&self, job: F) -> Result<Ticket<R>, TrySubmitError<F>>
    where
        F: FnOnce(&Context) -> R + Send + 'static,
        R: Send + 'static,
    {
        let at = Location::caller();
        let cell = Arc::new(Cell::new(job, JobOptions::new(), &self.crew.ctx, at));
        match self.tx.try_send(Queued::Shared(cell.clone())) {
            Ok(()) => Ok(Ticket { job: cell, pool: self.crew.id }),
            Err(TrySendError::Full(_)) => Err(TrySubmitError::Full(refused(&cell))),
            Err(TrySendError::Closed(_)) => Err(TrySubmitError::Closed(refused(&cell))),
        }
    }

    /// Hands a job on that another pool did not run.
    ///
    /// # Cancellation
    /// Of the wait for room: the job is in the error.
    ///
    /// # Errors
    /// The pool is closed, or `ctx` stopped; with the job.
    #[track_caller]
    pub fn resubmit(&self, ctx: &Context, mut job: Job) -> Result<(), SubmitError<Job>> {
        let Some(inner) = job.0.take() else { return Ok(()) };
        self.tx.send(ctx, inner).map_err(|e| match e {
            SendError::Stopped { value, stop } => {
                SubmitError::Stopped { job: Job(Some(value)), stop }
            }
            e => SubmitError::Closed(Job(Some(e.into_inner()))),
        })
    }

    /// Opens a group: jobs that are waited for, and cancelled, together.
    pub fn group<R: Send + 'static>(&self) -> Group<R> {
        Group::new(self.clone(), &self.crew.ctx)
    }

    /// Returns the counts of the pool.
    #[must_use]
    pub fn stats(&self) -> Stats {
        // The ends first: what ends in between then still counts as accepted.
        let sum = self.crew.sum();
        let queue = self.tx.stats();
        let ended = sum.done + sum.failed + sum.cancelled;
        let running = sum.taken - ended - sum.gone;
        let accepted = queue.ledger.accepted + sum.unqueued;
        let dropped = queue.ledger.dropped + self.crew.handed_back.load(Ordering::Acquire);
        let ledger = Ledger {
            accepted,
            done: sum.done,
            failed: sum.failed,
            cancelled: sum.cancelled,
            dropped,
            // Not the depth of the queue: a job may be on its way from there to a worker, and what
            // is left there may have been run before its turn.
            in_flight: accepted.saturating_sub(ended + dropped),
        };
        Stats { ledger, workers: self.crew.workers(), running, overran: sum.overran, queue }
    }

    /// Returns the name of the pool.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.crew.name
    }
}

/// The closure of a job that was not accepted; nobody else has taken it.
fn refused<F, R>(cell: &Arc<Cell<F, R>>) -> F
where
    F: FnOnce(&Context) -> R + Send + 'static,
    R: Send + 'static,
{
    cell.take_back().unwrap_or_else(|| unreachable!("a job that was refused has not run"))
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("name", &self.name()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Submitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submitter").field("pool", &self.name()).finish_non_exhaustive()
    }
}

/// The wait for the last worker to leave.
struct AllLeft<'a> {
    crew: &'a Crew,
    /// 1 on a worker of the pool: it cannot wait for itself.
    but: usize,
    place: Place,
}

impl Op for AllLeft<'_> {
    type Out = ();

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<()> {
        self.crew.alive.all_left(self.but, &mut self.place, waiter).then_some(())
    }

    fn withdraw(&mut self) -> Option<()> {
        self.crew.alive.stop_waiting(&mut self.place);
        None
    }
}
