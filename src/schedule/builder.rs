//! Building a scheduler.

use super::book::Book;
use super::core::Core;
use super::scheduler::Scheduler;
use crate::context::Context;
use crate::error::BuildError;
use crate::pool::{Pool, Submitter};
use crate::sync::{Arc, random_u64};
use std::time::Duration;

/// Builds a [`Scheduler`]. Made by [`Scheduler::builder`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    name: String,
    parent: Option<Context>,
    on: On,
    max_jobs: usize,
    wall_check: Duration,
    seed: Option<u64>,
}

/// Where the jobs run.
#[derive(Debug, Clone)]
enum On {
    Threads(usize),
    Pool(Submitter),
}

impl Builder {
    pub(super) fn new(name: String) -> Self {
        Builder {
            name,
            parent: None,
            on: On::Threads(2),
            max_jobs: 10_000,
            wall_check: Duration::from_secs(600),
            seed: None,
        }
    }

    /// Makes the scheduler stop with `ctx`, on its clock, under its registry, and on the threads of
    /// its `ThreadCache` if it has one. The default is a root of its own.
    ///
    /// ```
    /// # use ironsys::{Context, schedule::Scheduler};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, cancel) = Context::root();
    /// let scheduler = Scheduler::builder("jobs").context(&ctx).build()?;
    /// cancel.cancel();
    /// assert!(scheduler.run_now("report").is_err());
    /// # Ok(()) }
    /// ```
    pub fn context(mut self, ctx: &Context) -> Self {
        self.parent = Some(ctx.clone());
        self
    }

    /// Runs the jobs on so many threads of the scheduler. The default is 2.
    ///
    /// ```
    /// # use ironsys::schedule::Scheduler;
    /// assert!(Scheduler::builder("jobs").workers(0).build().is_err());
    /// ```
    pub fn workers(mut self, threads: usize) -> Self {
        self.on = On::Threads(threads);
        self
    }

    /// Runs the jobs on a pool, instead of [`workers`](Self::workers): of the two the last one called
    /// counts. A full pool delays the runs and nothing else; a closed one refuses them, and they count
    /// as cancelled. A job's context stops with the pool's as well.
    ///
    /// ```
    /// # use ironsys::{Context, pool::Pool, schedule::Scheduler};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// let pool = Pool::builder("jobs").workers(2).build()?;
    /// let scheduler = Scheduler::builder("jobs").pool(&pool.submitter()).build()?;
    /// scheduler.after("once", Duration::from_secs(3600), |_| ())?;
    /// scheduler.run_now("once")?;
    /// assert_eq!(scheduler.drain(&ctx).done, 1);
    /// # Ok(()) }
    /// ```
    pub fn pool(mut self, pool: &Submitter) -> Self {
        self.on = On::Pool(pool.clone());
        self
    }

    /// Sets how many jobs there may be. The default is 10,000.
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
    pub fn max_jobs(mut self, jobs: usize) -> Self {
        self.max_jobs = jobs;
        self
    }

    /// Sets how often the dispatch thread looks at the wall clock while a job goes by it: nobody tells
    /// when it is set, nor that the machine was suspended, and such a job runs late by this at the
    /// most. The default is ten minutes; `Duration::MAX` is never.
    ///
    /// ```
    /// # use ironsys::schedule::Scheduler;
    /// # use std::time::Duration;
    /// assert!(Scheduler::builder("jobs").wall_check(Duration::ZERO).build().is_err());
    /// ```
    pub fn wall_check(mut self, every: Duration) -> Self {
        self.wall_check = every;
        self
    }

    /// Fixes what jitter draws. The default is another seed each time.
    ///
    /// ```
    /// # use ironsys::schedule::Scheduler;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let scheduler = Scheduler::builder("jobs").seed(7).build()?;
    /// assert_eq!(scheduler.stats().jobs, 0);
    /// # Ok(()) }
    /// ```
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Starts the threads: one that dispatches, and those that run the jobs, or one that hands them to
    /// the pool.
    ///
    /// # Errors
    /// `name`: it holds a zero byte. `workers`: 0, or more than 65,535, or the system has no thread
    /// left to give. `max_jobs`, `wall_check`: zero.
    ///
    /// ```
    /// # use ironsys::schedule::Scheduler;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let scheduler = Scheduler::builder("jobs").build()?;
    /// assert_eq!(scheduler.name(), "jobs");
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn build(self) -> Result<Scheduler, BuildError> {
        let wrong = |field, problem: &str| Err(BuildError::new("scheduler", field, problem));
        if self.max_jobs == 0 {
            return wrong("max_jobs", "must not be zero");
        }
        if self.wall_check.is_zero() {
            return wrong("wall_check", "must not be zero");
        }
        let (runners, pool) = match self.on {
            On::Threads(0) => return wrong("workers", "must not be zero"),
            On::Threads(threads) => (threads, None),
            On::Pool(pool) => (1, Some(pool)),
        };
        let parent = self.parent.unwrap_or_else(|| Context::root().0);
        let (ctx, cancel) = parent.with_cancel();
        let jobs = runners.saturating_add(1);
        let threads = Pool::builder(&*self.name).workers(jobs).queue(jobs).context(&ctx).build()?;
        let seed = self.seed.unwrap_or_else(random_u64);
        let book = Book::new(self.max_jobs, self.wall_check, seed);
        let core = Arc::new(Core::new(self.name.into(), ctx.clone(), book));
        let mut started = {
            let core = core.clone();
            threads.execute(&ctx, move |ctx| core.dispatch(ctx)).is_ok()
        };
        for _ in 0..runners {
            let (core, pool) = (core.clone(), pool.clone());
            started &=
                threads.execute(&ctx, move |ctx| Core::serve(&core, ctx, pool.as_ref())).is_ok();
        }
        if !started {
            // The context has stopped: there is nothing to schedule under it.
            core.change(|book, fx| book.abandon(fx));
        }
        Ok(Scheduler::new(core, cancel, threads))
    }
}
