//! Building a pool.

use super::board::Board;
use super::crew::{Crew, Source};
use super::handle::Pool;
use super::intake::Intake;
use super::order::Order;
use super::size::{Sizer, Workers};
use super::staff::Staff;
use super::watch::{OnStuck, Stuck, Watch};
use crate::channel;
use crate::context::Context;
use crate::error::BuildError;
use crate::sync::{Arc, next_number, thread};
use std::fmt;
use std::panic::Location;
use std::time::Duration;

/// Builds a [`Pool`]. Made by [`Pool::builder`].
#[derive(Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    name: String,
    workers: Workers,
    queue: usize,
    order: Order,
    patience: Duration,
    keep_idle: Duration,
    heartbeat: Option<Duration>,
    replace_stuck: usize,
    on_stuck: Option<OnStuck>,
    parent: Option<Context>,
}

/// Above this a "number of workers" is a mistake.
const MAX_WORKERS: usize = 1 << 16;

impl Builder {
    pub(super) fn new(name: String) -> Self {
        Builder {
            name,
            workers: thread::available_parallelism().into(),
            queue: 256,
            order: Order::Fifo,
            patience: Duration::from_millis(10),
            keep_idle: Duration::from_secs(10),
            heartbeat: None,
            replace_stuck: 0,
            on_stuck: None,
            parent: None,
        }
    }

    /// Sets how many threads work: a number, or a range in which the pool adapts. The default is one
    /// for each processor.
    ///
    /// With a range it starts with the least. It grows when a job has waited for
    /// [`patience`](Self::patience), by as many workers as it takes to work off within that time what
    /// waits, judged by how long jobs take; at least one, and at most twofold. It shrinks by each
    /// worker that had nothing to do for [`keep_idle`](Self::keep_idle). Each change is logged, at
    /// level info, and kept in [`Stats::resizes`](super::Stats::resizes). A pool that idles at its
    /// least makes no wake-ups.
    ///
    /// ```
    /// use ironsys::{Context, pool::{Pool, Why}, time::VirtualClock};
    /// use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let time = VirtualClock::new();
    /// let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// let pool = Pool::builder("email").workers(1..=8).context(&ctx).build()?;
    /// let (begun, has_begun) = ironsys::channel::bounded(2);
    /// for _ in 0..2 {
    ///     let begun = begun.clone();
    ///     pool.execute(&ctx, move |job| {
    ///         let _ = begun.send(job, ());
    ///         job.wait_stopped();
    ///     })?;
    /// }
    /// has_begun.recv(&ctx)?;
    /// time.advance(Duration::from_millis(10)); // the second has waited for as long as it should
    /// has_begun.recv(&ctx)?;
    /// let resize = pool.stats().resizes[0];
    /// assert_eq!((resize.from, resize.to), (1, 2));
    /// assert!(matches!(resize.why, Why::Wait { depth: 1, .. }));
    /// # Ok(()) }
    /// ```
    pub fn workers(mut self, workers: impl Into<Workers>) -> Self {
        self.workers = workers.into();
        self
    }

    /// Sets how many jobs may wait. The default is 256. With 0 a job is accepted when a worker is
    /// there to take it; a pool that adapts or has an order needs at least 1.
    ///
    /// ```
    /// use ironsys::pool::Pool;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder("sums").workers(1).queue(8).build()?;
    /// assert_eq!(pool.stats().queue.capacity, 8);
    /// # Ok(()) }
    /// ```
    pub fn queue(mut self, jobs: usize) -> Self {
        self.queue = jobs;
        self
    }

    /// Sets in which order jobs are taken from the queue. The default is as they came.
    ///
    /// ```
    /// use ironsys::{Context, pool::{JobOptions, Order, Pool}};
    /// use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let order = Order::Priority { aging: Duration::from_secs(5) };
    /// let pool = Pool::builder("jobs").workers(1).order(order).build()?;
    /// let urgent = JobOptions::new().priority(3);
    /// let ticket = pool.submit_with(&ctx, urgent, |_| "at once")?;
    /// assert_eq!(ticket.join(&ctx)?, "at once");
    /// # Ok(()) }
    /// ```
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Sets how long a job may wait before a pool that adapts grows. The default is 10 ms; with zero
    /// it grows whenever a job waits and nobody is idle, with `Duration::MAX` never.
    ///
    /// ```
    /// use ironsys::pool::Pool;
    /// use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder("email").workers(1..=8).patience(Duration::MAX).build()?;
    /// assert_eq!(pool.stats().workers, 1); // and it stays at that
    /// # Ok(()) }
    /// ```
    pub fn patience(mut self, time: Duration) -> Self {
        self.patience = time;
        self
    }

    /// Sets how long a worker has nothing to do before a pool that adapts can do without it. The
    /// default is 10 s; with `Duration::MAX` the pool never shrinks.
    ///
    /// ```
    /// use ironsys::pool::Pool;
    /// use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder("email").workers(1..=8).keep_idle(Duration::from_secs(60)).build()?;
    /// assert!(pool.stats().resizes.is_empty());
    /// # Ok(()) }
    /// ```
    pub fn keep_idle(mut self, time: Duration) -> Self {
        self.keep_idle = time;
        self
    }

    /// Sets a limit for each job: one that has neither ended nor called [`beat`](super::beat) for that
    /// long is reported once, as a warning in the log and to [`on_stuck`](Self::on_stuck), with what
    /// it waits for, and counted in [`Stats::stuck`](super::Stats::stuck). The job goes on: to stop
    /// jobs give them a [`timeout`](super::JobOptions::timeout). The default is no limit;
    /// `Duration::MAX` is none either, zero is refused.
    ///
    /// ```
    /// use ironsys::pool::Pool;
    /// use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder("jobs").heartbeat(Duration::from_secs(60)).build()?;
    /// assert_eq!(pool.stats().stuck, 0);
    /// let refused = Pool::builder("jobs").heartbeat(Duration::ZERO).build();
    /// assert!(refused.unwrap_err().to_string().contains("heartbeat"));
    /// # Ok(()) }
    /// ```
    pub fn heartbeat(mut self, limit: Duration) -> Self {
        self.heartbeat = Some(limit);
        self
    }

    /// Lets another worker take the place of one whose job is past the limit of
    /// [`heartbeat`](Self::heartbeat), for at most `max` at a time: so the pool keeps its strength.
    /// When the job that was stuck ends, its worker leaves. The default is 0: nobody is replaced.
    ///
    /// ```
    /// use ironsys::{Context, pool::Pool, time::VirtualClock};
    /// use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let time = VirtualClock::new();
    /// let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// let minute = Duration::from_secs(60);
    /// let pool = Pool::builder("jobs").workers(1).context(&ctx).heartbeat(minute).replace_stuck(1);
    /// let pool = pool.on_stuck(|stuck| eprintln!("{stuck}")).build()?;
    /// let (begun, has_begun) = ironsys::channel::bounded(1);
    /// pool.execute(&ctx, move |job| {
    ///     let _ = begun.send(job, ());
    ///     job.wait_stopped();
    /// })?;
    /// has_begun.recv(&ctx)?;
    /// time.advance(minute);
    /// assert_eq!(pool.submit(&ctx, |_| "goes on")?.join(&ctx)?, "goes on");
    /// assert_eq!((pool.stats().stuck, pool.stats().replaced), (1, 1));
    /// # Ok(()) }
    /// ```
    pub fn replace_stuck(mut self, max: usize) -> Self {
        self.replace_stuck = max;
        self
    }

    /// Sets what is called for each job past the limit of [`heartbeat`](Self::heartbeat). It runs on
    /// the clock's timer thread, so it must be short; its panic goes no further.
    ///
    /// ```
    /// use ironsys::{Context, pool::Pool, time::VirtualClock};
    /// use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let time = VirtualClock::new();
    /// let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// let (told, is_told) = ironsys::channel::bounded(1);
    /// let pool = Pool::builder("jobs").context(&ctx).heartbeat(Duration::from_secs(60));
    /// let pool = pool.on_stuck(move |stuck| drop(told.try_send(stuck.to_string()))).build()?;
    /// # let (begun, has_begun) = ironsys::channel::bounded(1);
    /// pool.execute(&ctx, move |job| {
    /// #   let _ = begun.send(job, ());
    ///     job.wait_stopped();
    /// })?;
    /// # has_begun.recv(&ctx)?;
    /// time.advance(Duration::from_secs(60));
    /// assert!(is_told.recv(&ctx)?.contains("jobs"));
    /// # Ok(()) }
    /// ```
    pub fn on_stuck(mut self, tell: impl Fn(&Stuck) + Send + Sync + 'static) -> Self {
        self.on_stuck = Some(Arc::new(tell));
        self
    }

    /// Makes the pool stop with `ctx`, on its clock, under its registry, and on the threads of its
    /// [`ThreadCache`](crate::threads::ThreadCache) if it has one. The default is a root of its own.
    ///
    /// When it stops, the pool is closed: calls that wait for room get their closures back, and jobs that
    /// have not begun are cancelled, as their tickets say. Those without a ticket are handed back by
    /// [`drain`](Pool::drain).
    ///
    /// ```
    /// use ironsys::{Context, pool::Pool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, cancel) = Context::root();
    /// let pool = Pool::builder("jobs").context(&ctx).build()?;
    /// cancel.cancel();
    /// let (caller, _cancel) = Context::root();
    /// assert!(pool.submit(&caller, |_| ()).is_err_and(|e| e.is_closed()));
    /// # Ok(()) }
    /// ```
    pub fn context(mut self, ctx: &Context) -> Self {
        self.parent = Some(ctx.clone());
        self
    }

    /// Starts the workers.
    ///
    /// # Errors
    /// `name`: it holds a zero byte. `workers`: 0, an empty range, or more than 65,536 with those of
    /// `replace_stuck`, or the system has no thread left to give; those that were started are stopped
    /// and joined. `queue`: 0, if the pool adapts or has an order. `order`: `aging` is zero.
    /// `heartbeat`: zero. `replace_stuck`: there is no `heartbeat` to go by, or it is too large.
    ///
    /// ```
    /// use ironsys::pool::Pool;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder("jobs").workers(2).build()?;
    /// assert_eq!(pool.stats().workers, 2);
    /// assert!(Pool::builder("none").workers(0).build().is_err());
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn build(self) -> Result<Pool, BuildError> {
        self.check()?;
        let parent = self.parent.unwrap_or_else(|| Context::root().0);
        let (ctx, cancel) = parent.with_cancel();
        let name: Arc<str> = self.name.into();
        let (least, most) = (self.workers.min(), self.workers.max());
        let (source, intake) = if least == most && self.order == Order::Fifo {
            let (tx, rx) = channel::builder(self.queue).name(&*name).build()?;
            (Source::Channel(rx), Intake::Channel(tx))
        } else {
            let sizer = Sizer::new(self.workers, self.patience, self.keep_idle);
            let clock = ctx.clock().clone();
            let board = Arc::new(Board::new(name.clone(), clock, self.queue, self.order, sizer));
            (Source::Board(board.clone()), Intake::Board(board))
        };
        let places = most + self.replace_stuck;
        let watch = self
            .heartbeat
            .map(|limit| Watch::new(limit, self.replace_stuck, self.on_stuck, places));
        let (staff, hired) = Staff::new(places, least);
        let (id, at) = (next_number(), Location::caller());
        let crew = Crew::new(id, name, at, ctx, source, places, staff, watch);
        let pool = Pool::new(Arc::new(crew), intake, cancel);
        for (me, &worker) in hired.iter().enumerate() {
            if let Err(e) = pool.crew().start(worker, None) {
                for &missing in &hired[me..] {
                    pool.crew().staff.left(missing, true);
                }
                let problem = format!("{me} of {least} could be started: {e}");
                // Dropping the pool joins them.
                return Err(BuildError::new("pool", "workers", problem));
            }
        }
        Ok(pool)
    }

    pub(super) fn has_order(&self, order: Order) -> bool {
        self.order == order
    }

    /// How many jobs run at a time at the most.
    pub(super) fn most(&self) -> usize {
        self.workers.max()
    }

    fn check(&self) -> Result<(), BuildError> {
        let wrong = |field, problem: String| Err(BuildError::new("pool", field, problem));
        let (least, most) = (self.workers.min(), self.workers.max());
        let plain = least == most && self.order == Order::Fifo;
        if self.name.contains('\0') {
            return wrong("name", "holds a zero byte".into());
        }
        if least == 0 || most > MAX_WORKERS {
            let found = if least == most { most.to_string() } else { format!("{least}..={most}") };
            return wrong("workers", format!("must be between 1 and {MAX_WORKERS}, not {found}"));
        }
        if least > most {
            return wrong("workers", format!("from {least} to {most} there is nothing"));
        }
        if self.queue == 0 && !plain {
            return wrong(
                "queue",
                "must be at least 1 for a pool that adapts or has an order".into(),
            );
        }
        if matches!(self.order, Order::Priority { aging: Duration::ZERO }) {
            return wrong("order", "ages in no time".into());
        }
        if self.heartbeat == Some(Duration::ZERO) {
            return wrong("heartbeat", "must be longer than zero".into());
        }
        if self.replace_stuck > 0 && self.heartbeat.is_none() {
            return wrong("replace_stuck", "needs a heartbeat to go by".into());
        }
        if self.replace_stuck > MAX_WORKERS - most {
            return wrong("replace_stuck", format!("makes more than {MAX_WORKERS} workers"));
        }
        Ok(())
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("name", &self.name)
            .field("workers", &self.workers)
            .field("queue", &self.queue)
            .field("order", &self.order)
            .finish_non_exhaustive()
    }
}
