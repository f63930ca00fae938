//! A job: a closure before it runs, its result after.

use super::errors::JoinError;
use super::options::{JobOptions, Rank};
use crate::context::{Context, Stop};
use crate::observe::{Mark, TaskId, TaskKind};
use crate::panics::{self, Panicked};
use crate::sync::{Arc, LeakTrack, Mutex, catch_unwind};
use crate::wait::{Place, WaitQueue, Waiter, Wakes, key};
use std::panic::Location;

/// A job and its result: one allocation, shared by the queue and the ticket.
pub(super) struct Cell<F, R> {
    /// Guards what has become of the job, and who waits for it.
    state: Mutex<State<F, R>>,
    name: Option<Arc<str>>,
    at: &'static Location<'static>,
    priority: u8,
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
    /// Drops the closure and tells whoever waits. `false` if it has begun or ended already.
    fn cancel(&self, stop: Stop) -> bool;
    /// Whether it has neither begun nor been cancelled.
    fn waits(&self) -> bool;
    fn name(&self) -> Option<&str>;
    fn at(&self) -> &'static Location<'static>;
    /// Where it stands in a queue with an order.
    fn rank(&self) -> Rank;
    /// The worker that ran it is unwinding: whoever waits must learn of it.
    fn lost(&self);
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
        let priority = options.priority;
        Cell { state, name: options.name, at, priority, ctx, _leak: LeakTrack::new() }
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
        mark.set(ctx.registry(), TaskKind::Job, self.name.clone(), self.at, worker, key(self));
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

    fn cancel(&self, stop: Stop) -> bool {
        let Some(work) = self.state.lock().work.take() else { return false };
        panics::discard(work);
        self.finish(Err(JoinError::Cancelled(stop)));
        true
    }

    fn waits(&self) -> bool {
        self.state.lock().work.is_some()
    }

    fn rank(&self) -> Rank {
        Rank { priority: self.priority, deadline: self.ctx.as_ref().and_then(Context::deadline) }
    }

    #[cold]
    fn lost(&self) {
        let known = {
            let state = self.state.lock(); // loom: unreached: no model has a logger that panics.
            state.work.is_some() || state.out.is_some() || state.taken
        };
        if !known {
            let name = self.name.as_deref().unwrap_or("job");
            let payload = Box::new("the worker panicked outside of the job");
            self.finish(Err(Panicked::new(name, self.at, payload).into()));
        }
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
