//! The scheduler: its threads, and its end.

use super::builder::Builder;
use super::core::Core;
use super::handle::Handle;
use super::job::{Call, Work};
use super::view::JobView;
use crate::context::{Canceller, Context};
use crate::panics;
use crate::pool::Pool;
use crate::sync::Arc;
use std::fmt;
use std::ops::Deref;

/// Runs jobs when they are due: once, at intervals, or by cron.
///
/// A dispatch thread sleeps until the next job is due; nothing else wakes it, so any number of jobs
/// costs nothing while none is due. Jobs run on threads of the scheduler, or on a pool, and one that is
/// slow or blocks never delays the dispatch.
///
/// The scheduler owns its threads. [`drain`](Self::drain) ends the schedule, finishes the runs that
/// were accepted and joins; dropping it cancels the runs, drops the jobs and joins. To reach it from
/// elsewhere, from a job for instance, clone its [`Handle`]; a `Scheduler` is one itself.
///
/// ```
/// use ironsys::{Context, schedule::{Plan, Scheduler}};
/// use std::time::Duration;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (ctx, _cancel) = Context::root();
/// let scheduler = Scheduler::builder("jobs").context(&ctx).workers(1).build()?;
/// scheduler.add("report", Plan::every(Duration::from_secs(3600)), |_| ())?;
/// scheduler.run_now("report")?;
/// let report = scheduler.drain(&ctx);
/// assert_eq!((report.done, report.left.len()), (1, 1));
/// # Ok(()) }
/// ```
pub struct Scheduler {
    handle: Handle,
    cancel: Canceller,
    /// The threads: the dispatch thread and the runners are its jobs.
    threads: Option<Pool>,
}

/// What became of a scheduler's runs and jobs.
#[derive(Debug)]
#[non_exhaustive]
pub struct Drained {
    /// Runs that ended well.
    pub done: u64,
    /// Runs that returned an error or panicked.
    pub failed: u64,
    /// Runs that were stopped, or accepted and not begun.
    pub cancelled: u64,
    /// The jobs that had not had their last run, those that would have been due first in front.
    pub left: Vec<Left>,
}

/// A job that a scheduler hands back.
#[must_use = "dropping it drops the job"]
pub struct Left {
    view: JobView,
    work: Work,
}

impl Scheduler {
    /// Starts to build a scheduler; the name is for threads, waits and the log.
    ///
    /// ```
    /// # use ironsys::schedule::Scheduler;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let scheduler = Scheduler::builder("jobs").workers(1).build()?;
    /// assert_eq!(scheduler.name(), "jobs");
    /// # Ok(()) }
    /// ```
    pub fn builder(name: impl Into<String>) -> Builder {
        Builder::new(name.into())
    }

    pub(super) fn new(core: Arc<Core>, cancel: Canceller, threads: Pool) -> Self {
        Scheduler { handle: Handle { core }, cancel, threads: Some(threads) }
    }

    /// Returns a handle that adds jobs and looks after them.
    ///
    /// ```
    /// # use ironsys::{Context, schedule::{Plan, Scheduler}};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let scheduler = Scheduler::builder("jobs").workers(1).context(&ctx).build()?;
    /// # let hour = Duration::from_secs(3600);
    /// let handle = scheduler.handle();
    /// handle.add("report", Plan::every(hour), |_| ())?;
    /// assert_eq!(scheduler.stats().jobs, 1);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Ends the schedule, waits for the runs that were accepted, joins the threads, and hands back the
    /// jobs that are left.
    ///
    /// Called by one of its own jobs, it does not wait for that run, gives up the runs of that job which
    /// wait for its end, and begins what else is ready on the spot.
    ///
    /// # Cancellation
    /// When `ctx` stops, the runs that have not begun are given up and those at work are cancelled;
    /// the call then still waits for these: one that neither blocks in this library nor checks its
    /// context holds it up.
    ///
    /// ```
    /// # use ironsys::{Context, schedule::{Plan, Scheduler}};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let scheduler = Scheduler::builder("jobs").workers(1).context(&ctx).build()?;
    /// # let hour = Duration::from_secs(3600);
    /// scheduler.add("report", Plan::every(hour), |_| ())?;
    /// assert_eq!(scheduler.drain(&ctx).left.len(), 1);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn drain(mut self, ctx: &Context) -> Drained {
        self.shut(Some(ctx));
        let core = &self.handle.core;
        let now = core.now();
        let (left, ledger) = {
            let mut book = core.book();
            (book.left(now), book.stats().ledger)
        };
        Drained {
            done: ledger.done,
            failed: ledger.failed,
            cancelled: ledger.cancelled,
            left: left.into_iter().map(|(view, work)| Left { view, work }).collect(),
        }
    }

    fn shut(&mut self, ctx: Option<&Context>) {
        let Some(threads) = self.threads.take() else { return };
        let core = self.handle.core.clone();
        core.change(|book, fx| book.close(fx));
        let wait = |ctx: &Context| {
            Core::help(&core, ctx);
            core.wait_for_ends(ctx)
        };
        let why = match ctx.map(wait) {
            Some(Ok(())) => None,
            Some(Err(stop)) => Some(format!("the scheduler was to drain, but was stopped: {stop}")),
            None => Some("the scheduler was dropped".into()),
        };
        if let Some(why) = why {
            core.change(|book, fx| book.abandon(fx));
            self.cancel.cancel_with(why);
            core.wait_for_running();
        }
        drop(threads);
    }
}

impl Deref for Scheduler {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.shut(None);
        let core = &self.handle.core;
        let now = core.now();
        let left = core.book().left(now);
        for job in left {
            panics::discard(job);
        }
    }
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler").field("name", &self.name()).finish_non_exhaustive()
    }
}

impl Left {
    /// Returns what was known of the job at the end.
    ///
    /// ```
    /// # use ironsys::{Context, schedule::{Plan, Scheduler}};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let scheduler = Scheduler::builder("jobs").workers(1).context(&ctx).build()?;
    /// # let hour = Duration::from_secs(3600);
    /// scheduler.add("report", Plan::every(hour), |_| ())?;
    /// let left = scheduler.drain(&ctx).left;
    /// assert_eq!(&*left[0].view().id, "report");
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn view(&self) -> &JobView {
        &self.view
    }

    /// Runs the job here and now, under `ctx`. Its panic is the caller's.
    ///
    /// # Cancellation
    /// The job decides: it is given `ctx`.
    ///
    /// # Errors
    /// The text of the job's error.
    ///
    /// ```
    /// # use ironsys::{Context, schedule::{Plan, Scheduler}};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let scheduler = Scheduler::builder("jobs").workers(1).context(&ctx).build()?;
    /// # let hour = Duration::from_secs(3600);
    /// scheduler.add("report", Plan::every(hour), |ctx| ctx.check().map_err(|e| e.to_string()))?;
    /// let mut left = scheduler.drain(&ctx).left;
    /// assert!(left.remove(0).run(&ctx).is_ok());
    /// # Ok(()) }
    /// ```
    pub fn run(mut self, ctx: &Context) -> Result<(), String> {
        match self.work.call() {
            Some(Call::Once(work)) => work(ctx),
            Some(Call::Many(work)) => work(ctx),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Left").field("id", &self.view.id).finish_non_exhaustive()
    }
}
