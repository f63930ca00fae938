//! The attempts of one hedged call: how many run, and which answer counts. One lock; no two are ever held.

use crate::context::Op;
use crate::resilience::CallError;
use crate::sync::{Arc, LeakTrack, Mutex};
use crate::wait::{Place, WaitQueue, Waiter, Wakes};

pub(super) struct Race<T, E> {
    /// Guards the attempts, the answer, and who waits for it.
    state: Mutex<State<T, E>>,
    _leak: LeakTrack,
}

struct State<T, E> {
    running: usize,
    /// Decided: no attempt may begin any more.
    over: bool,
    /// The first value, or else the first error.
    answer: Option<Result<T, CallError<E>>>,
    waiting: WaitQueue,
}

/// What the end of an attempt means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Finished {
    /// The race is decided by it: its value is the answer, or nobody else runs who could have one.
    pub(super) decides: bool,
    /// Its value is the answer.
    pub(super) wins: bool,
}

impl<T, E> Race<T, E> {
    /// Begins, with the first attempt under way.
    pub(super) fn new() -> Self {
        let state = State { running: 1, over: false, answer: None, waiting: WaitQueue::default() };
        Race { state: Mutex::new(state), _leak: LeakTrack::new() }
    }

    pub(super) fn is_over(&self) -> bool {
        self.state.lock().over
    }

    /// One more attempt begins; `false` if it need not.
    pub(super) fn enter(&self) -> bool {
        let mut state = self.state.lock();
        let enters = !state.over;
        state.running += usize::from(enters);
        enters
    }

    /// An attempt has ended.
    pub(super) fn finish(&self, out: Result<T, CallError<E>>) -> Finished {
        let mut wakes = Wakes::default();
        let mut state = self.state.lock();
        state.running -= 1;
        let counts = match (&out, &state.answer) {
            (_, None) | (Ok(_), Some(Err(_))) => !state.over,
            (_, Some(_)) => false,
        };
        let wins = out.is_ok() && counts;
        let unused = if counts { state.answer.replace(out) } else { Some(out) };
        let decides = !state.over && (wins || state.running == 0);
        if decides {
            state.over = true;
            state.waiting.notify_all(&mut wakes);
        }
        drop(state);
        wakes.wake();
        drop(unused); // The user's: no lock is held.
        Finished { decides, wins }
    }

    /// What the call comes to; nothing if no attempt has ended. No attempt counts afterwards.
    pub(super) fn take_answer(&self) -> Option<Result<T, CallError<E>>> {
        let mut state = self.state.lock();
        state.over = true;
        state.answer.take()
    }
}

/// A wait until the race is decided.
pub(super) struct Decided<'a, T, E> {
    pub(super) race: &'a Race<T, E>,
    pub(super) place: Place,
}

impl<T, E> Op for Decided<'_, T, E> {
    type Out = ();

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<()> {
        let mut state = self.race.state.lock();
        if state.over {
            state.waiting.leave(&mut self.place);
            return Some(());
        }
        state.waiting.enter(&mut self.place, waiter);
        None
    }

    fn withdraw(&mut self) -> Option<()> {
        let mut state = self.race.state.lock();
        state.waiting.leave(&mut self.place);
        state.over.then_some(())
    }
}
