//! A job: a closure before it runs, its result after.

use super::errors::JoinError;
use crate::context::{Cause, Context, Stop};
use crate::observe::{self, Mark, TaskId, TaskKind};
use crate::panics::{self, Panicked};
use crate::sync::{Arc, LeakTrack, Mutex, catch_unwind};
use crate::wait::{Place, WaitQueue, Waiter, Wakes};
use std::any::Any;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

/// How a job is run. The default has no name, no deadline, and runs under the pool's own context.
#[derive(Debug, Clone, Default)]
#[must_use = "options do nothing until a job is submitted with them"]
pub struct JobOptions {
    pub(super) name: Option<Arc<str>>,
    pub(super) timeout: Option<Duration>,
    pub(super) under: Option<Context>,
}

impl JobOptions {
    /// Makes the default options.
    pub fn new() -> Self {
        JobOptions::default()
    }

    /// Names the job, for panics and the task tree.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into().into());
        self
    }

    /// Gives the job a deadline, counted from its submission: a job that has not begun by then is
    /// cancelled, one that runs finds its context stopped.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Runs the job under `ctx` as well as under the pool: it carries `ctx`'s values and stops with
    /// either.
    pub fn under(mut self, ctx: &Context) -> Self {
        self.under = Some(ctx.clone());
        self
    }

    /// The context that goes with the job, whoever runs it in the end: its deadline counts from now.
    fn context(&self, pool: &Context) -> Option<Context> {
        match (&self.under, self.timeout) {
            (None, None) => None,
            (Some(under), None) => Some(under.clone()),
            (Some(under), Some(timeout)) => Some(under.with_timeout(timeout)),
            // Not below the pool's: the job may be handed back when that has stopped.
            (None, Some(timeout)) => Some(pool.shielded(timeout)),
        }
    }
}

/// A job and its result: one allocation, shared by the queue and the ticket.
pub(super) struct Cell<F, R> {
    /// Guards what has become of the job, and who waits for it.
    state: Mutex<State<F, R>>,
    name: Option<Arc<str>>,
    at: &'static Location<'static>,
    /// The job stops with it as well as with whoever runs it.
    ctx: Option<Context>,
    _leak: LeakTrack,
}

struct State<F, R> {
    work: Option<F>,
    out: Option<Result<R, JoinError>>,
    /// The result has been taken: there is no other.
    taken: bool,
    waiters: WaitQueue,
}

/// How a job ended, for the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Done,
    /// Done, after its deadline: it did not look at its context.
    Late,
    Failed,
    Cancelled,
    /// Nothing was left to do: a worker that waits for it has run it before its turn.
    Gone,
}

/// The side of a job that the queue sees, if somebody holds a ticket.
pub(super) trait Run: Send + Sync {
    fn run(&self, pool: &Context, worker: Option<TaskId>, mark: &mut Mark) -> End;
    fn cancel(&self, stop: Stop);
    /// Whether it has neither begun nor been cancelled.
    fn waits(&self) -> bool;
    fn name(&self) -> Option<&str>;
    fn at(&self) -> &'static Location<'static>;
}

/// The side of a job that the ticket sees.
pub(super) trait Await<R>: Run {
    /// Takes the result, or registers for it.
    fn poll(&self, place: &mut Place, waiter: &Arc<Waiter>) -> Option<Result<R, JoinError>>;
    fn leave(&self, place: &mut Place);
    fn is_finished(&self) -> bool;
    fn shared_name(&self) -> Option<Arc<str>>;
}

impl<F, R> Cell<F, R>
where
    F: FnOnce(&Context) -> R + Send + 'static,
    R: Send + 'static,
{
    pub(super) fn new(
        work: F,
        options: JobOptions,
        pool: &Context,
        at: &'static Location<'static>,
    ) -> Self {
        let state = Mutex::new(State {
            work: Some(work),
            out: None,
            taken: false,
            waiters: WaitQueue::default(),
        });
        let ctx = options.context(pool);
        Cell { state, name: options.name, at, ctx, _leak: LeakTrack::new() }
    }

    /// Takes the closure back from a job that was not accepted.
    pub(super) fn take_back(&self) -> Option<F> {
        self.state.lock().work.take()
    }

    fn finish(&self, out: Result<R, JoinError>) {
        let mut wakes = Wakes::default();
        let mut state = self.state.lock();
        state.out = Some(out);
        state.waiters.notify_all(&mut wakes);
        drop(state);
        wakes.wake();
    }
}

impl<F, R> Run for Cell<F, R>
where
    F: FnOnce(&Context) -> R + Send + 'static,
    R: Send + 'static,
{
    fn run(&self, pool: &Context, worker: Option<TaskId>, mark: &mut Mark) -> End {
        let Some(work) = self.state.lock().work.take() else { return End::Gone };
        let merged = self.ctx.as_ref().map(|ctx| Context::merge(ctx, pool));
        let ctx = merged.as_ref().unwrap_or(pool);
        if let Err(stop) = ctx.check() {
            panics::discard(work);
            self.finish(Err(JoinError::Cancelled(stop)));
            return End::Cancelled;
        }
        mark.set(ctx.registry(), TaskKind::Job, self.name.clone(), self.at, worker);
        let result = catch_unwind(|| work(ctx));
        match result {
            Ok(value) => {
                let late = ctx.deadline().filter(|deadline| ctx.clock().now() > *deadline);
                self.finish(Ok(value));
                if late.is_none() {
                    return End::Done;
                }
                let name = self.name.as_deref().unwrap_or("job");
                log::warn!("ironsys: {name}, submitted at {}, overran its deadline", self.at);
                End::Late
            }
            Err(payload) => {
                let name = self.name.as_deref().unwrap_or("job");
                self.finish(Err(Panicked::new(name, self.at, payload).into()));
                End::Failed
            }
        }
    }

    fn cancel(&self, stop: Stop) {
        let Some(work) = self.state.lock().work.take() else { return };
        panics::discard(work);
        self.finish(Err(JoinError::Cancelled(stop)));
    }

    fn waits(&self) -> bool {
        self.state.lock().work.is_some()
    }

    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn at(&self) -> &'static Location<'static> {
        self.at
    }
}

impl<F, R> Await<R> for Cell<F, R>
where
    F: FnOnce(&Context) -> R + Send + 'static,
    R: Send + 'static,
{
    fn poll(&self, place: &mut Place, waiter: &Arc<Waiter>) -> Option<Result<R, JoinError>> {
        let mut state = self.state.lock();
        match state.out.take() {
            Some(out) => {
                state.taken = true;
                state.waiters.leave(place);
                Some(out)
            }
            None if state.taken => Some(Err(JoinError::Taken)),
            None => {
                state.waiters.enter(place, waiter);
                None
            }
        }
    }

    fn leave(&self, place: &mut Place) {
        self.state.lock().waiters.leave(place);
    }

    fn is_finished(&self) -> bool {
        let state = self.state.lock();
        state.taken || state.out.is_some()
    }

    fn shared_name(&self) -> Option<Arc<str>> {
        self.name.clone()
    }
}

/// A job in the queue, or handed back from it.
pub(super) enum Queued {
    Shared(Arc<dyn Run>),
    Once(Box<dyn RunOnce>),
}

impl Queued {
    pub(super) fn run(self, pool: &Context, worker: Option<TaskId>, mark: &mut Mark) -> End {
        match self {
            Queued::Shared(job) => {
                let end = job.run(pool, worker, mark);
                panics::discard(job); // With a result that nobody wants any more.
                end
            }
            Queued::Once(job) => job.run(pool, worker, mark),
        }
    }

    /// Whether there is something left to run.
    pub(super) fn waits(&self) -> bool {
        match self {
            Queued::Shared(job) => job.waits(),
            Queued::Once(_) => true,
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
    pub fn run(mut self, ctx: &Context) {
        if let Some(job) = self.0.take() {
            job.run(ctx, observe::current(), &mut Mark::default());
        }
    }

    /// Returns the name of the job.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.as_ref().and_then(|job| job.name())
    }

    /// Returns the place that submitted the job.
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
                job.cancel(Stop::Cancelled(Cause::new(why.into(), job.at())));
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
