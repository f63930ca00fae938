//! The handle that adds jobs and looks after them.

use super::core::Core;
use super::errors::{AddError, Refused, RunNowError};
use super::job::{Job, Work};
use super::plan::{Plan, Rules};
use super::timing::{Due, Now, Timing};
use super::view::{JobResult, JobView, Stats};
use crate::context::Context;
use crate::sync::Arc;
use std::fmt;
use std::panic::Location;
use std::time::{Duration, SystemTime};

/// Adds jobs to a [`Scheduler`](super::Scheduler), and looks after them, without keeping it alive.
/// Cheap to clone; a job may hold one.
///
/// A job is known by its id: 1 to 255 bytes, unique among the jobs in the list.
#[derive(Clone)]
pub struct Handle {
    pub(super) core: Arc<Core>,
}

impl Handle {
    /// Adds a job that runs by a plan.
    ///
    /// It returns nothing, or a `Result` whose error is kept as text for [`list`](Self::list). Its
    /// context stops with the scheduler, at the plan's timeout, and when the job is cancelled.
    ///
    /// # Errors
    /// With the closure: the id is empty, too long or taken; the interval is zero; the job would never
    /// be due; there is no room for it; or the scheduler is closed.
    ///
    /// ```
    /// use ironsys::{Context, channel, schedule::{Plan, Scheduler}, time::VirtualClock};
    /// use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let time = VirtualClock::auto();
    /// let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// let scheduler = Scheduler::builder("jobs").context(&ctx).build()?;
    /// let (tx, rx) = channel::bounded(1);
    /// let start = time.now();
    /// let _me = time.participate(); // so that the time waits for us, too
    /// scheduler.add("tick", Plan::every(Duration::from_secs(60)), move |ctx| {
    ///     tx.send(ctx, ctx.clock().now()).map_err(|e| e.to_string())
    /// })?;
    /// for n in 1..=3 {
    ///     assert_eq!(rx.recv(&ctx)?, start + n * Duration::from_secs(60));
    /// }
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn add<F, R>(&self, id: &str, plan: Plan, job: F) -> Result<(), AddError<F>>
    where
        F: Fn(&Context) -> R + Send + Sync + 'static,
        R: JobResult,
    {
        let now = self.core.now();
        let timing = match Timing::of(&plan, now) {
            Ok(timing) => timing,
            Err(why) => return Err(AddError { why, job }),
        };
        let work = |job: F| Work::Many(Arc::new(move |ctx: &Context| job(ctx).into_result()));
        self.insert(id, timing, plan.rules, now, Location::caller(), job, work)
    }

    /// Adds a job that runs once, in `delay` from now; zero is at once.
    ///
    /// # Errors
    /// As for [`add`](Self::add); a delay beyond the end of time is never due.
    ///
    /// ```
    /// # use ironsys::{Context, schedule::Scheduler};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let scheduler = Scheduler::builder("jobs").workers(1).context(&ctx).build()?;
    /// let (tx, rx) = ironsys::channel::bounded(1);
    /// scheduler.after("once", Duration::ZERO, move |ctx| drop(tx.send(ctx, "ran")))?;
    /// assert_eq!(rx.recv(&ctx)?, "ran");
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn after<F, R>(&self, id: &str, delay: Duration, job: F) -> Result<(), AddError<F>>
    where
        F: FnOnce(&Context) -> R + Send + 'static,
        R: JobResult,
    {
        let now = self.core.now();
        match now.clock.checked_add(delay) {
            Some(at) => self.insert_once(id, Due::Clock(at), now, Location::caller(), job),
            None => Err(AddError { why: Refused::NeverDue, job }),
        }
    }

    /// Adds a job that runs once, when the wall clock shows `time`; at once if it has passed.
    ///
    /// # Errors
    /// As for [`add`](Self::add).
    ///
    /// ```
    /// # use ironsys::{Context, schedule::Scheduler};
    /// # use std::time::SystemTime;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let scheduler = Scheduler::builder("jobs").workers(1).context(&ctx).build()?;
    /// let (tx, rx) = ironsys::channel::bounded(1);
    /// scheduler.at("once", SystemTime::UNIX_EPOCH, move |ctx| drop(tx.send(ctx, "ran")))?;
    /// assert_eq!(rx.recv(&ctx)?, "ran"); // its time has passed
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn at<F, R>(&self, id: &str, time: SystemTime, job: F) -> Result<(), AddError<F>>
    where
        F: FnOnce(&Context) -> R + Send + 'static,
        R: JobResult,
    {
        self.insert_once(id, Due::Wall(time), self.core.now(), Location::caller(), job)
    }

    fn insert_once<F, R>(
        &self,
        id: &str,
        due: Due,
        now: Now,
        at: &'static Location<'static>,
        job: F,
    ) -> Result<(), AddError<F>>
    where
        F: FnOnce(&Context) -> R + Send + 'static,
        R: JobResult,
    {
        let work = |job: F| Work::Once(Some(Box::new(move |ctx: &Context| job(ctx).into_result())));
        self.insert(id, Timing::Once(due), Rules::default(), now, at, job, work)
    }

    #[expect(clippy::too_many_arguments, reason = "the one place where a job is put together")]
    fn insert<F>(
        &self,
        id: &str,
        timing: Timing,
        rules: Rules,
        now: Now,
        at: &'static Location<'static>,
        job: F,
        work: impl FnOnce(F) -> Work,
    ) -> Result<(), AddError<F>> {
        if self.core.ctx.is_stopped() {
            return Err(AddError { why: Refused::Closed, job });
        }
        self.core.change(|book, fx| match book.admits(id) {
            Err(why) => Err(AddError { why, job }),
            Ok(()) => {
                book.add(Job::new(id.into(), at, work(job), rules, timing), now, fx);
                Ok(())
            }
        })
    }

    /// Takes a job off the schedule; `false` if there is none of that id. When it returns no run of
    /// the job begins any more; one that is at work goes on.
    ///
    /// ```
    /// # use ironsys::{Context, schedule::{Plan, Scheduler}};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let scheduler = Scheduler::builder("jobs").workers(1).context(&ctx).build()?;
    /// # let hour = Duration::from_secs(3600);
    /// scheduler.add("report", Plan::every(hour), |_| ())?;
    /// assert!(scheduler.remove("report"));
    /// assert!(scheduler.job("report").is_none());
    /// # Ok(()) }
    /// ```
    pub fn remove(&self, id: &str) -> bool {
        self.core.change(|book, fx| book.remove(id, None, fx))
    }

    /// Takes a job off the schedule like [`remove`](Self::remove), and cancels the context of its
    /// runs. It does not wait for them.
    ///
    /// ```
    /// # use ironsys::{Context, schedule::{Plan, Scheduler}};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let scheduler = Scheduler::builder("jobs").workers(1).context(&ctx).build()?;
    /// # let hour = Duration::from_secs(3600);
    /// scheduler.add("report", Plan::every(hour), |_| ())?;
    /// assert!(scheduler.cancel("report") && !scheduler.cancel("report"));
    /// # Ok(()) }
    /// ```
    pub fn cancel(&self, id: &str) -> bool {
        self.core.change(|book, fx| book.remove(id, Some(CANCELLED), fx))
    }

    /// Cancels every job, as [`cancel`](Self::cancel) does; returns how many there were.
    ///
    /// ```
    /// # use ironsys::{Context, schedule::{Plan, Scheduler}};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let scheduler = Scheduler::builder("jobs").workers(1).context(&ctx).build()?;
    /// # let hour = Duration::from_secs(3600);
    /// scheduler.add("report", Plan::every(hour), |_| ())?;
    /// assert_eq!(scheduler.cancel_all(), 1);
    /// # Ok(()) }
    /// ```
    pub fn cancel_all(&self) -> usize {
        self.core.change(|book, fx| book.remove_all(Some(CANCELLED), fx))
    }

    /// Runs a job now, by its overlap rule, besides its own times. A job that runs once has had its
    /// run then. A job that is paused or stopped runs too, and stays so.
    ///
    /// # Errors
    /// There is no such job, an earlier run leaves no room for this one, or the scheduler is closed.
    ///
    /// ```
    /// # use ironsys::{Context, schedule::{Plan, Scheduler}};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let scheduler = Scheduler::builder("jobs").workers(1).context(&ctx).build()?;
    /// # let hour = Duration::from_secs(3600);
    /// scheduler.add("report", Plan::every(hour), |_| ())?;
    /// scheduler.run_now("report")?;
    /// assert_eq!(scheduler.drain(&ctx).done, 1);
    /// # Ok(()) }
    /// ```
    pub fn run_now(&self, id: &str) -> Result<(), RunNowError> {
        if self.core.ctx.is_stopped() {
            return Err(RunNowError::Closed);
        }
        self.core.change(|book, fx| book.run_now(id, fx))
    }

    /// Lets a job run no more by itself until it is [resumed](Self::resume); `false` if there is none
    /// of that id or it does not run by itself anyway. Runs that were accepted are not affected.
    ///
    /// ```
    /// # use ironsys::{Context, schedule::{JobState, Plan, Scheduler}};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let scheduler = Scheduler::builder("jobs").workers(1).context(&ctx).build()?;
    /// # let hour = Duration::from_secs(3600);
    /// scheduler.add("report", Plan::every(hour), |_| ())?;
    /// assert!(scheduler.pause("report"));
    /// assert_eq!(scheduler.list()[0].state, JobState::Paused);
    /// # Ok(()) }
    /// ```
    pub fn pause(&self, id: &str) -> bool {
        self.core.change(|book, _| book.pause(id))
    }

    /// Lets a job run again that was paused or had panicked too often; `false` if it was neither.
    /// Times that have passed meanwhile are not made up for, but a job that runs once and is overdue
    /// runs at once.
    ///
    /// ```
    /// # use ironsys::{Context, schedule::{Plan, Scheduler}};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let scheduler = Scheduler::builder("jobs").workers(1).context(&ctx).build()?;
    /// # let hour = Duration::from_secs(3600);
    /// scheduler.add("report", Plan::every(hour), |_| ())?;
    /// scheduler.pause("report");
    /// assert!(scheduler.resume("report") && !scheduler.resume("report"));
    /// # Ok(()) }
    /// ```
    pub fn resume(&self, id: &str) -> bool {
        let now = self.core.now();
        self.core.change(|book, fx| book.resume(id, now, fx))
    }

    /// Returns the jobs, those that are due first in front.
    ///
    /// ```
    /// # use ironsys::{Context, schedule::{Plan, Scheduler}};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let scheduler = Scheduler::builder("jobs").workers(1).context(&ctx).build()?;
    /// # let hour = Duration::from_secs(3600);
    /// scheduler.add("report", Plan::every(hour), |_| ())?;
    /// assert_eq!(&*scheduler.list()[0].id, "report");
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn list(&self) -> Vec<JobView> {
        let now = self.core.now();
        self.core.book().views(now)
    }

    /// Returns one job.
    ///
    /// ```
    /// # use ironsys::{Context, schedule::{Plan, Scheduler}};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let scheduler = Scheduler::builder("jobs").workers(1).context(&ctx).build()?;
    /// # let hour = Duration::from_secs(3600);
    /// scheduler.add("report", Plan::every(hour), |_| ())?;
    /// assert!(scheduler.job("report").is_some_and(|job| job.runs == 0));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn job(&self, id: &str) -> Option<JobView> {
        let now = self.core.now();
        self.core.book().view(id, now)
    }

    /// Returns the counts.
    ///
    /// ```
    /// # use ironsys::{Context, schedule::{Plan, Scheduler}};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let scheduler = Scheduler::builder("jobs").workers(1).context(&ctx).build()?;
    /// # let hour = Duration::from_secs(3600);
    /// scheduler.add("report", Plan::every(hour), |_| ())?;
    /// assert_eq!(scheduler.stats().jobs, 1);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.core.book().stats()
    }

    /// Returns the name of the scheduler.
    ///
    /// ```
    /// # use ironsys::schedule::Scheduler;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let scheduler = Scheduler::builder("jobs").build()?;
    /// assert_eq!(scheduler.handle().name(), "jobs");
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        &self.core.name
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("scheduler", &self.name()).finish_non_exhaustive()
    }
}

const CANCELLED: &str = "the job was cancelled";
