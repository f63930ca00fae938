//! The calls that wait: for room, for a flush, and the thread's for something to do.

use super::errors::WriteError;
use super::state::{Shared, Task, Timer};
use crate::context::Op;
use crate::sync::{Arc, planted};
use crate::wait::{Place, Waiter};

/// A write that waits for room.
pub(super) struct Write<'a> {
    shared: &'a Shared,
    bytes: &'a [u8],
    place: Place,
}

impl<'a> Write<'a> {
    pub(super) fn new(shared: &'a Shared, bytes: &'a [u8]) -> Self {
        Write { shared, bytes, place: Place::default() }
    }
}

impl Op for Write<'_> {
    type Out = Result<(), WriteError>;

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<Self::Out> {
        let Write { shared, bytes, place } = self;
        shared.with(|state, wakes| {
            let refused = state.refusal(bytes.len());
            // A newcomer goes to the end of the line, whatever room there is.
            let my_turn = place.is_taken() || state.room.len() == 0;
            if refused.is_none() && !(my_turn && state.fits(bytes.len())) {
                state.room.enter(place, waiter);
                state.thread.notify_one(wakes); // It need not wait for more.
                return None;
            }
            state.room.leave(place);
            if refused.is_none() {
                state.accept(bytes, wakes);
            } else {
                state.counts.rejected += 1;
            }
            state.pass_on(wakes);
            Some(refused.map_or(Ok(()), Err))
        })
    }

    fn withdraw(&mut self) -> Option<Self::Out> {
        let Write { shared, place, .. } = self;
        shared.with(|state, wakes| {
            state.room.leave(place);
            if !planted("room_no_baton") {
                state.pass_on(wakes);
            }
        });
        None
    }
}

/// A flush under way.
pub(super) struct Flush<'a> {
    shared: &'a Shared,
    /// Up to where; not known before the first look.
    position: Option<u64>,
    place: Place,
}

impl<'a> Flush<'a> {
    pub(super) fn new(shared: &'a Shared) -> Self {
        Flush { shared, position: None, place: Place::default() }
    }
}

impl Op for Flush<'_> {
    type Out = Result<(), WriteError>;

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<Self::Out> {
        let Flush { shared, position, place } = self;
        shared.with(|state, wakes| {
            let position = *position.get_or_insert_with(|| state.want_flush(wakes));
            let out = state.is_flushed(position);
            if out.is_some() {
                state.flushers.leave(place);
            } else {
                state.flushers.enter(place, waiter);
            }
            out
        })
    }

    fn withdraw(&mut self) -> Option<Self::Out> {
        let Flush { shared, place, .. } = self;
        shared.with(|state, _| state.flushers.leave(place));
        None
    }
}

/// The thread's wait for something to do.
pub(super) struct Next<'a> {
    pub(super) shared: &'a Shared,
    /// What it takes goes in here; empty.
    pub(super) hand: &'a mut Vec<u8>,
    pub(super) timer: Timer,
    pub(super) place: Place,
}

impl Op for Next<'_> {
    type Out = Task;

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<Task> {
        let Next { shared, hand, timer, place } = self;
        shared.with(|state, _| {
            let task = state.next(hand, *timer);
            if task.is_some() {
                state.thread.leave(place);
            } else {
                state.thread.enter(place, waiter);
            }
            task
        })
    }

    fn withdraw(&mut self) -> Option<Task> {
        let Next { shared, place, .. } = self;
        shared.with(|state, _| state.thread.leave(place));
        None
    }
}
