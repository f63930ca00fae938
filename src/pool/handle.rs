//! The pool: the handle that owns its threads.

use super::builder::Builder;
use super::crew::Crew;
use super::intake::Intake;
use super::queued::{Job, Queued};
use super::report::Drained;
use super::submit::Submitter;
use super::worker;
use crate::context::{Canceller, Context, OnStop, Op};
use crate::sync::{Arc, Ordering};
use crate::wait::{Place, Site, WaitKind, Waiter};
use std::fmt;
use std::ops::Deref;

/// Threads that run submitted jobs.
///
/// The pool owns its threads: [`drain`](Self::drain) finishes the jobs and joins them; dropping the
/// pool cancels the running jobs, drops the queued ones (their tickets say so) and joins. To submit
/// from elsewhere clone a [`Submitter`]; a `Pool` is one itself.
pub struct Pool {
    submitter: Submitter,
    cancel: Canceller,
    /// Closes the pool when its context stops.
    on_stop: Option<OnStop>,
}

impl Pool {
    /// Starts to build a pool; the name is for threads, waits and the task tree.
    ///
    /// ```
    /// # use ironsys::pool::Pool;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder("jobs").workers(2).build()?;
    /// assert_eq!(pool.name(), "jobs");
    /// # Ok(()) }
    /// ```
    pub fn builder(name: impl Into<String>) -> Builder {
        Builder::new(name.into())
    }

    pub(super) fn new(crew: Arc<Crew>, intake: Intake, cancel: Canceller) -> Self {
        let stopped = crew.clone();
        let on_stop = Some(crew.ctx.on_stop(move |stop| stopped.stopped(&stop)));
        Pool { submitter: Submitter { crew, intake }, cancel, on_stop }
    }

    pub(super) fn crew(&self) -> &Arc<Crew> {
        &self.submitter.crew
    }

    /// Takes no more jobs, finishes those that are queued, and joins the workers.
    ///
    /// # Cancellation
    /// When `ctx` stops, the running jobs are cancelled, the workers leave the queue where it is, and
    /// what they did not begin is handed back. The call then still waits for the running jobs: one
    /// that neither blocks in this library nor checks its context holds it up.
    ///
    /// If the pool's own context has stopped before, jobs with a ticket have been cancelled by that; those
    /// without one are handed back.
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
        self.submitter.intake.close();
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
        // All have left. What comes too late learns from it what became of the pool.
        self.cancel.cancel_with("the pool was drained");
        let sum = self.crew().sum();
        let (done, overran, cancelled) = (sum.done, sum.overran, sum.cancelled + sum.unbegun);
        Drained { done, overran, failed: sum.failed, cancelled, undelivered }
    }

    /// Waits for the workers to end, and takes what is left in the queue.
    fn join(&mut self) -> Vec<Job> {
        self.on_stop = None;
        if worker::helper(self.crew().id).is_some() {
            self.crew().staff.abandon();
        } else {
            let mut op = AllLeft { crew: self.crew(), but: 0, place: Place::default() };
            let site = Site::new(WaitKind::Join, Some(self.crew().name.clone()));
            self.crew().ctx.block_to_the_end(site, &mut op);
        }
        if let Some(watch) = &self.crew().watch {
            watch.stop();
        }
        for thread in self.crew().staff.threads() {
            let _ = thread.join(); // Workers do not unwind.
        }
        let left = self.crew().source.drain().into_iter().filter(Queued::waits);
        let left: Vec<Job> = left.map(|job| Job(Some(job))).collect();
        self.crew().handed_back.fetch_add(left.len() as u64, Ordering::Release);
        left
    }

    /// Returns a handle that submits to this pool and does not keep it alive.
    ///
    /// ```
    /// # use ironsys::{Context, pool::Pool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let pool = Pool::builder("jobs").workers(1).build()?;
    /// let submitter = pool.submitter();
    /// assert_eq!(submitter.submit(&ctx, |_| 7)?.join(&ctx)?, 7);
    /// # Ok(()) }
    /// ```
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
        self.submitter.intake.close();
        self.cancel.cancel_with("the pool was dropped");
        drop(self.join());
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("name", &self.name()).finish_non_exhaustive()
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
        self.crew.staff.all_left(self.but, &mut self.place, waiter).then_some(())
    }

    fn withdraw(&mut self) -> Option<()> {
        self.crew.staff.stop_waiting(&mut self.place);
        None
    }
}
