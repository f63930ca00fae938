//! When a job runs again, and what happens if it cannot run then.

#[cfg(feature = "cron")]
use super::cron::Cron;
use std::num::NonZeroU32;
use std::time::Duration;

/// When a job runs, again and again, and by which rules.
///
/// ```
/// use ironsys::schedule::{Misfire, Overlap, Plan};
/// use std::time::Duration;
///
/// let plan = Plan::every(Duration::from_secs(60))
///     .first_after(Duration::ZERO) // the first run at once
///     .overlap(Overlap::Skip)
///     .misfire(Misfire::RunOnce)
///     .jitter(Duration::from_secs(5))
///     .stop_after_panics(3)
///     .timeout(Duration::from_secs(50));
/// # let _ = plan;
/// ```
#[derive(Debug, Clone)]
#[must_use = "a plan does nothing until a job is added with it"]
pub struct Plan {
    pub(super) repeat: Repeat,
    pub(super) first: Option<Duration>,
    pub(super) rules: Rules,
}

#[derive(Debug, Clone)]
pub(super) enum Repeat {
    Every(Duration),
    #[cfg(feature = "cron")]
    Cron(Cron),
}

/// The rules of a job.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) overlap: Overlap,
    pub(super) misfire: Misfire,
    pub(super) grace: Duration,
    pub(super) jitter: Duration,
    pub(super) stop_after_panics: Option<u32>,
    pub(super) timeout: Option<Duration>,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            overlap: Overlap::Skip,
            misfire: Misfire::RunOnce,
            grace: Duration::from_secs(60),
            jitter: Duration::ZERO,
            stop_after_panics: None,
            timeout: None,
        }
    }
}

/// What happens when a job is due and an earlier run of it has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Overlap {
    /// It does not run this time; counted as `skipped`.
    #[default]
    Skip,
    /// It runs when the earlier run has ended. At most so many wait; what comes on top is skipped.
    Queue(NonZeroU32),
    /// It runs at the same time as the earlier ones, at most so many at once; what comes on top is
    /// skipped.
    Allow(NonZeroU32),
    /// The earlier run is cancelled, by its context, and it runs when that has ended. Never two at
    /// once, so a run that does not look at its context holds up the next.
    Replace,
}

/// What happens to the times a job has missed: the scheduler did not run, the machine was suspended, or
/// the wall clock was set forward.
///
/// A time is missed if a later one has passed too, or if it is more than the
/// [`grace`](Plan::grace) late. A job that runs only once always runs, however late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Misfire {
    /// Missed times are left out.
    Skip,
    /// One run for all of them.
    #[default]
    RunOnce,
    /// A run for each of them, one after the other, but at most so many at a time.
    CatchUp(NonZeroU32),
}

impl Plan {
    fn of(repeat: Repeat) -> Plan {
        Plan { repeat, first: None, rules: Rules::default() }
    }

    /// Runs every `interval`, from start to start on the monotonic clock: neither the length of a run
    /// nor a late wake-up moves the later ones, and no change of the date does. The first run comes
    /// after one interval. Zero is refused when the job is added.
    ///
    /// ```
    /// # use ironsys::{Context, schedule::{Plan, Scheduler}, time::VirtualClock};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let time = VirtualClock::new();
    /// # let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// # let scheduler = Scheduler::builder("jobs").workers(1).context(&ctx).build()?;
    /// # let hour = Duration::from_secs(3600);
    /// scheduler.add("report", Plan::every(hour), |_| ())?;
    /// assert_eq!(scheduler.list()[0].due_in, Some(hour));
    /// # Ok(()) }
    /// ```
    pub fn every(interval: Duration) -> Plan {
        Plan::of(Repeat::Every(interval))
    }

    /// Runs at the times of a cron expression, by the wall clock.
    ///
    /// ```
    /// # use ironsys::{Context, schedule::{Plan, Scheduler}, time::VirtualClock};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let time = VirtualClock::new();
    /// # let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// # let scheduler = Scheduler::builder("jobs").workers(1).context(&ctx).build()?;
    /// # let hour = Duration::from_secs(3600);
    /// scheduler.add("report", Plan::cron("@hourly".parse()?), |_| ())?;
    /// assert!(scheduler.list()[0].due_at.is_some());
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "cron")]
    pub fn cron(cron: Cron) -> Plan {
        Plan::of(Repeat::Cron(cron))
    }

    /// Sets how long after it is added the first run of [`every`](Self::every) comes; zero is at once.
    /// Cron has its own times and ignores it.
    ///
    /// ```
    /// # use ironsys::{Context, schedule::{Plan, Scheduler}, time::VirtualClock};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let time = VirtualClock::new();
    /// # let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// # let scheduler = Scheduler::builder("jobs").workers(1).context(&ctx).build()?;
    /// # let hour = Duration::from_secs(3600);
    /// scheduler.add("report", Plan::every(hour).first_after(hour / 2), |_| ())?;
    /// assert_eq!(scheduler.list()[0].due_in, Some(hour / 2));
    /// # Ok(()) }
    /// ```
    pub fn first_after(mut self, delay: Duration) -> Plan {
        self.first = Some(delay);
        self
    }

    /// Sets what happens when an earlier run has not ended. The default is [`Overlap::Skip`].
    ///
    /// ```
    /// # use ironsys::{Context, schedule::{Plan, Scheduler, Overlap}, time::VirtualClock};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let time = VirtualClock::new();
    /// # let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// # let scheduler = Scheduler::builder("jobs").workers(1).context(&ctx).build()?;
    /// # let hour = Duration::from_secs(3600);
    /// let plan = Plan::every(hour).overlap(Overlap::Skip);
    /// scheduler.add("report", plan, |ctx| drop(ctx.wait_stopped()))?;
    /// scheduler.run_now("report")?;
    /// assert!(scheduler.run_now("report").is_err()); // the first has not ended
    /// # Ok(()) }
    /// ```
    pub fn overlap(mut self, overlap: Overlap) -> Plan {
        self.rules.overlap = overlap;
        self
    }

    /// Sets what becomes of missed times. The default is [`Misfire::RunOnce`].
    ///
    /// ```
    /// # use ironsys::{Context, schedule::{Plan, Scheduler, Misfire}, time::VirtualClock};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let time = VirtualClock::new();
    /// # let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// # let scheduler = Scheduler::builder("jobs").workers(1).context(&ctx).build()?;
    /// # let hour = Duration::from_secs(3600);
    /// let plan = Plan::every(hour).misfire(Misfire::Skip);
    /// assert!(scheduler.add("report", plan, |_| ()).is_ok());
    /// # Ok(()) }
    /// ```
    pub fn misfire(mut self, misfire: Misfire) -> Plan {
        self.rules.misfire = misfire;
        self
    }

    /// Sets how late a run may begin without having missed its time. The default is a minute;
    /// `Duration::MAX` is never too late.
    ///
    /// ```
    /// # use ironsys::{Context, schedule::{Plan, Scheduler}, time::VirtualClock};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let time = VirtualClock::new();
    /// # let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// # let scheduler = Scheduler::builder("jobs").workers(1).context(&ctx).build()?;
    /// # let hour = Duration::from_secs(3600);
    /// let plan = Plan::every(hour).grace(Duration::MAX); // never too late
    /// assert!(scheduler.add("report", plan, |_| ()).is_ok());
    /// # Ok(()) }
    /// ```
    pub fn grace(mut self, grace: Duration) -> Plan {
        self.rules.grace = grace;
        self
    }

    /// Delays every run by a random time up to `most`, so that many with one plan do not come at the
    /// same moment. The times themselves do not move. It should be shorter than the interval: times
    /// that pass during the delay are missed. The default is none.
    ///
    /// ```
    /// # use ironsys::{Context, schedule::{Plan, Scheduler}, time::VirtualClock};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let time = VirtualClock::new();
    /// # let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// # let scheduler = Scheduler::builder("jobs").workers(1).context(&ctx).build()?;
    /// # let hour = Duration::from_secs(3600);
    /// let plan = Plan::every(hour).jitter(Duration::from_secs(5));
    /// assert!(scheduler.add("report", plan, |_| ()).is_ok());
    /// # Ok(()) }
    /// ```
    pub fn jitter(mut self, most: Duration) -> Plan {
        self.rules.jitter = most;
        self
    }

    /// Stops the job when so many runs in a row have panicked, 0 as 1: it stays in the list and
    /// [`resume`](super::Handle::resume) revives it. The default is never: a job that panics keeps
    /// its schedule.
    ///
    /// ```
    /// # use ironsys::{Context, schedule::{Plan, Scheduler, JobState}, time::VirtualClock};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let time = VirtualClock::new();
    /// # let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// # let scheduler = Scheduler::builder("jobs").workers(1).context(&ctx).build()?;
    /// # let hour = Duration::from_secs(3600);
    /// scheduler.add("report", Plan::every(hour).stop_after_panics(3), |_| ())?;
    /// assert_eq!(scheduler.list()[0].state, JobState::Scheduled); // it has not panicked yet
    /// # Ok(()) }
    /// ```
    pub fn stop_after_panics(mut self, runs: u32) -> Plan {
        self.rules.stop_after_panics = Some(runs.max(1));
        self
    }

    /// Gives every run a deadline, counted from its beginning. The default is none.
    ///
    /// ```
    /// # use ironsys::{Context, schedule::{Plan, Scheduler}, time::VirtualClock};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let time = VirtualClock::new();
    /// # let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// # let scheduler = Scheduler::builder("jobs").workers(1).context(&ctx).build()?;
    /// # let hour = Duration::from_secs(3600);
    /// let (tx, rx) = ironsys::channel::bounded(1);
    /// let plan = Plan::every(hour).timeout(hour / 2);
    /// scheduler.add("report", plan, move |ctx| drop(tx.send(ctx, ctx.remaining())))?;
    /// scheduler.run_now("report")?;
    /// assert_eq!(rx.recv(&ctx)?, Some(hour / 2));
    /// # Ok(()) }
    /// ```
    pub fn timeout(mut self, timeout: Duration) -> Plan {
        self.rules.timeout = Some(timeout);
        self
    }
}
