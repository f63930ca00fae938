//! The result of one task, and the handle that waits for it.

use crate::context::{Context, Op, Stop};
use crate::sync::{Arc, LeakTrack, Mutex};
use crate::wait::{On, Place, Site, WaitKind, WaitQueue, Waiter, Wakes, key};
use std::fmt;

/// Where a task leaves its value. Set once.
pub(super) struct Slot<T> {
    /// Guards the value and who waits for it.
    state: Mutex<State<T>>,
    name: Option<Arc<str>>,
    _leak: LeakTrack,
}

struct State<T> {
    /// The value, or why there is none.
    out: Option<Result<T, Stop>>,
    joiner: WaitQueue,
}

impl<T> Slot<T> {
    pub(super) fn new(name: Option<Arc<str>>) -> Self {
        let state = Mutex::new(State { out: None, joiner: WaitQueue::default() });
        Slot { state, name, _leak: LeakTrack::new() }
    }

    pub(super) fn set(&self, out: Result<T, Stop>) {
        let mut wakes = Wakes::default();
        let mut state = self.state.lock();
        state.out = Some(out);
        state.joiner.notify_one(&mut wakes);
        drop(state);
        wakes.wake();
    }
}

/// A task of a scope. Dropping the handle leaves the task to the scope.
#[must_use = "call `join` for the value, or drop it on purpose: the scope waits for the task either way"]
pub struct Task<T> {
    slot: Arc<Slot<T>>,
}

impl<T> Task<T> {
    pub(super) fn new(slot: Arc<Slot<T>>) -> Self {
        Task { slot }
    }

    /// Waits for the task and returns its value.
    ///
    /// # Cancellation
    /// Stops waiting; the task goes on until its own context stops. Inside a scope's body either
    /// context will do: when a sibling fails, this task ends soon, and so does the wait for it.
    ///
    /// # Errors
    /// Why there is no value: the task failed (the scope returns its error), never ran because the
    /// scope was stopped, or `ctx` stopped first.
    ///
    /// ```
    /// # use ironsys::{Context, Stop};
    /// # let (ctx, _cancel) = Context::root();
    /// let sum = ironsys::scope(&ctx, |s| {
    ///     let (a, b) = (s.spawn(|_| Ok::<_, Stop>(1)), s.spawn(|_| Ok(2)));
    ///     Ok(a.join(&ctx)? + b.join(&ctx)?)
    /// });
    /// assert_eq!(sum, Ok(3));
    /// ```
    #[track_caller]
    pub fn join(self, ctx: &Context) -> Result<T, Stop> {
        let mut op = Join { slot: &self.slot, place: Place::default() };
        let site = Site::new(WaitKind::Join, self.slot.name.clone());
        ctx.block(site.on(On::Thing(key(&*self.slot))), &mut op)?
    }

    /// Returns whether [`join`](Self::join) would not wait.
    ///
    /// ```
    /// # use ironsys::{Context, Stop};
    /// # let (ctx, _cancel) = Context::root();
    /// let task = ironsys::scope(&ctx, |s| Ok::<_, Stop>(s.spawn(|_| Ok(1)))).unwrap();
    /// assert!(task.is_finished());
    /// ```
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.slot.state.lock().out.is_some()
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("name", &self.slot.name).finish_non_exhaustive()
    }
}

struct Join<'a, T> {
    slot: &'a Slot<T>,
    place: Place,
}

impl<T> Op for Join<'_, T> {
    type Out = Result<T, Stop>;

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<Self::Out> {
        let mut state = self.slot.state.lock();
        match state.out.take() {
            Some(out) => {
                state.joiner.leave(&mut self.place);
                Some(out)
            }
            None => {
                state.joiner.enter(&mut self.place, waiter);
                None
            }
        }
    }

    fn withdraw(&mut self) -> Option<Self::Out> {
        self.slot.state.lock().joiner.leave(&mut self.place);
        None
    }
}
