//! A job as the queue and the workers see it, and as it is handed back.

use super::job::{End, Run};
use super::options::Rank;
use crate::context::{Cause, Context, Stop};
use crate::observe::{self, Mark, TaskId, TaskKind};
use crate::panics;
use crate::sync::{Arc, catch_unwind};
use std::any::Any;
use std::fmt;
use std::panic::Location;

/// A job in the queue, or handed back from it.
pub(super) enum Queued {
    Shared(Arc<dyn Run>),
    Once(Box<dyn RunOnce>),
}

impl Queued {
    pub(super) fn run(self, pool: &Context, worker: Option<TaskId>, mark: &mut Mark) -> End {
        match self {
            Queued::Shared(job) => {
                let unwinds = Lost(&*job);
                let end = job.run(pool, worker, mark);
                std::mem::forget(unwinds);
                panics::discard(job); // With a result that nobody wants any more.
                end
            }
            Queued::Once(job) => job.run(pool, worker, mark),
        }
    }

    /// The side of it that somebody may wait for.
    pub(super) fn ticket(&self) -> Option<Arc<dyn Run>> {
        match self {
            Queued::Shared(job) => Some(job.clone()),
            Queued::Once(_) => None,
        }
    }

    /// Whether there is something left to run.
    pub(super) fn waits(&self) -> bool {
        match self {
            Queued::Shared(job) => job.waits(),
            Queued::Once(_) => true,
        }
    }

    /// Where it stands in a queue with an order.
    pub(super) fn rank(&self) -> Rank {
        match self {
            Queued::Shared(job) => job.rank(),
            Queued::Once(_) => Rank::default(),
        }
    }

    fn name(&self) -> Option<&str> {
        match self {
            Queued::Shared(job) => job.name(),
            Queued::Once(_) => None,
        }
    }

    fn at(&self) -> &'static Location<'static> {
        match self {
            Queued::Shared(job) => job.at(),
            Queued::Once(job) => job.at(),
        }
    }
}

/// Dropped only when the run of a job unwinds, which the job itself never does: a logger panicked.
struct Lost<'a>(&'a dyn Run);

impl Drop for Lost<'_> {
    fn drop(&mut self) {
        self.0.lost();
    }
}

/// The side of a job that the queue sees, if nobody waits for it.
pub(super) trait RunOnce: Send {
    fn run(self: Box<Self>, pool: &Context, worker: Option<TaskId>, mark: &mut Mark) -> End;
    fn at(&self) -> &'static Location<'static>;
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;
}

/// A job without a ticket.
pub(super) struct Once<F> {
    pub(super) work: F,
    at: &'static Location<'static>,
}

impl<F> Once<F>
where
    F: FnOnce(&Context) + Send + 'static,
{
    pub(super) fn new(work: F, at: &'static Location<'static>) -> Self {
        Once { work, at }
    }

    /// Takes the closure back from a job that was not accepted.
    pub(super) fn take_back(job: Queued) -> Option<F> {
        match job {
            Queued::Once(job) => job.into_any().downcast::<Once<F>>().ok().map(|job| job.work),
            Queued::Shared(_) => None,
        }
    }
}

impl<F> RunOnce for Once<F>
where
    F: FnOnce(&Context) + Send + 'static,
{
    fn run(self: Box<Self>, pool: &Context, worker: Option<TaskId>, mark: &mut Mark) -> End {
        let Once { work, at } = *self;
        if pool.is_stopped() {
            panics::discard(work);
            return End::Cancelled;
        }
        mark.set_anonymous(pool.registry(), TaskKind::Job, at, worker);
        match catch_unwind(|| work(pool)) {
            Ok(()) => End::Done,
            Err(payload) => {
                let text = panics::message(&*payload);
                log::error!("ironsys: the job submitted at {at} panicked: {text}");
                panics::discard(payload);
                End::Failed
            }
        }
    }

    fn at(&self) -> &'static Location<'static> {
        self.at
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

/// A job that a pool accepted and did not run: handed back by value. Run it, or give it to another
/// pool; its ticket learns of the result. Dropping it cancels it, and its ticket says so.
#[must_use = "dropping a job cancels it"]
pub struct Job(pub(super) Option<Queued>);

impl Job {
    /// Runs the job here and now, under `ctx`. Its panic goes to its ticket.
    ///
    /// # Cancellation
    /// The job decides: it is given `ctx`.
    ///
    /// ```
    /// # use ironsys::{Context, pool::{Job, Pool}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let pool = Pool::builder("jobs").workers(1).build()?;
    /// # let (begun, has_begun) = ironsys::channel::bounded(1);
    /// # pool.execute(&ctx, move |job| { let _ = begun.try_send(()); job.wait_stopped(); })?;
    /// # has_begun.recv(&ctx)?;
    /// let ticket = pool.submit(&ctx, |_| "late")?;
    /// let report = pool.drain(&ctx.with_timeout(std::time::Duration::ZERO));
    /// report.undelivered.into_iter().for_each(|job: Job| job.run(&ctx));
    /// assert_eq!(ticket.join(&ctx)?, "late");
    /// # Ok(()) }
    /// ```
    pub fn run(mut self, ctx: &Context) {
        if let Some(job) = self.0.take() {
            job.run(ctx, observe::current(), &mut Mark::default());
        }
    }

    /// Returns the name of the job.
    ///
    /// ```
    /// # use ironsys::{Context, pool::{JobOptions, Pool}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let pool = Pool::builder("jobs").workers(1).build()?;
    /// # let (begun, has_begun) = ironsys::channel::bounded(1);
    /// # pool.execute(&ctx, move |job| { let _ = begun.try_send(()); job.wait_stopped(); })?;
    /// # has_begun.recv(&ctx)?;
    /// let _ticket = pool.submit_with(&ctx, JobOptions::new().name("report"), |_| ())?;
    /// let left = pool.drain(&ctx.with_timeout(std::time::Duration::ZERO)).undelivered;
    /// assert_eq!(left[0].name(), Some("report"));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.as_ref().and_then(|job| job.name())
    }

    /// Returns the place that submitted the job.
    ///
    /// ```
    /// # use ironsys::{Context, pool::Pool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let pool = Pool::builder("jobs").workers(1).build()?;
    /// # let (begun, has_begun) = ironsys::channel::bounded(1);
    /// # pool.execute(&ctx, move |job| { let _ = begun.try_send(()); job.wait_stopped(); })?;
    /// # has_begun.recv(&ctx)?;
    /// let _ticket = pool.submit(&ctx, |_| "late")?;
    /// let left = pool.drain(&ctx.with_timeout(std::time::Duration::ZERO)).undelivered;
    /// assert!(left[0].submitted_at().is_some());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn submitted_at(&self) -> Option<&'static Location<'static>> {
        self.0.as_ref().map(|job| job.at())
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        match self.0.take() {
            Some(Queued::Shared(job)) => {
                let why = "the pool was shut down before the job began";
                let _ = job.cancel(Stop::Cancelled(Cause::new(why.into(), job.at())));
            }
            once => panics::discard(once),
        }
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("name", &self.name()).finish_non_exhaustive()
    }
}
