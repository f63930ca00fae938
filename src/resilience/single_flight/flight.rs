//! One call that several callers wait for: who is interested, and what came of it. `README.md` has the
//! protocol.

use crate::context::{Canceller, Context, Op, Stop};
use crate::resilience::CallError;
use crate::sync::{Arc, LeakTrack, Mutex, planted};
use crate::wait::{Place, WaitQueue, Waiter, Wakes};

/// What came of a call, shared by all who waited.
pub(super) type Landed<T, E> = Arc<Result<T, CallError<E>>>;

pub(super) struct Flight<T, E> {
    /// What the call runs under: nobody's child, stopped when nobody is interested any more.
    pub(super) ctx: Context,
    cancel: Canceller,
    /// Guards who is interested, and the outcome.
    state: Mutex<State<T, E>>,
    _leak: LeakTrack,
}

struct State<T, E> {
    /// Callers that have not left.
    interested: usize,
    /// Nobody can join any more: it has landed, or everybody has left.
    over: bool,
    landed: Option<Landed<T, E>>,
    waiting: WaitQueue,
}

impl<T, E> Flight<T, E> {
    /// Begins, with its first caller on board.
    pub(super) fn new(first: &Context) -> Self {
        let (ctx, cancel) = first.detached();
        let state =
            State { interested: 1, over: false, landed: None, waiting: WaitQueue::default() };
        Flight { ctx, cancel, state: Mutex::new(state), _leak: LeakTrack::new() }
    }

    /// One more is interested; `false` if it is too late.
    pub(super) fn join(&self) -> bool {
        let mut state = self.state.lock();
        let late =
            if planted("stale_flight_is_joined") { state.landed.is_some() } else { state.over };
        if late {
            return false;
        }
        state.interested += 1;
        true
    }

    /// One has lost interest. The last one cancels the call.
    pub(super) fn leave(&self) {
        let mut state = self.state.lock();
        let last = state.leave();
        drop(state);
        self.cancel_if(last);
    }

    fn cancel_if(&self, last: bool) {
        if last {
            self.cancel.cancel_with("nobody waits for the call any more");
        }
    }

    pub(super) fn has_landed(&self) -> bool {
        self.state.lock().landed.is_some()
    }

    /// The call has come back. Call it once.
    pub(super) fn land(&self, landed: Landed<T, E>) {
        let mut wakes = Wakes::default();
        let mut state = self.state.lock();
        state.over = true;
        state.landed = Some(landed);
        state.waiting.notify_all(&mut wakes);
        drop(state);
        wakes.wake();
    }
}

impl<T, E> State<T, E> {
    /// `true` if that was the last one and the call is still under way.
    fn leave(&mut self) -> bool {
        self.interested -= 1;
        let last = self.interested == 0 && !self.over;
        self.over |= last;
        last
    }
}

/// A caller's wait for the outcome.
pub(super) struct Wait<'a, T, E> {
    pub(super) flight: &'a Flight<T, E>,
    pub(super) place: Place,
}

impl<T, E> Op for Wait<'_, T, E> {
    type Out = Landed<T, E>;

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<Self::Out> {
        let mut state = self.flight.state.lock();
        match state.landed.clone() {
            Some(landed) => {
                state.waiting.leave(&mut self.place);
                Some(landed)
            }
            None => {
                state.waiting.enter(&mut self.place, waiter);
                None
            }
        }
    }

    fn withdraw(&mut self) -> Option<Self::Out> {
        let mut state = self.flight.state.lock();
        state.waiting.leave(&mut self.place);
        let landed = state.landed.clone(); // At the last moment: then it is the answer.
        let last = landed.is_none() && state.leave();
        drop(state);
        self.flight.cancel_if(last);
        landed
    }
}

/// What a caller gets; the last one to take it does not clone.
pub(super) fn outcome<T: Clone, E: Clone>(
    waited: Result<Landed<T, E>, Stop>,
) -> Result<T, CallError<E>> {
    match waited {
        Ok(landed) => Arc::try_unwrap(landed).unwrap_or_else(|shared| (*shared).clone()),
        Err(stop) => Err(CallError::Stopped(stop)),
    }
}
