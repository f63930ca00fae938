//! The operations that wait: one send, one receive.

use super::errors::{SendError, TrySendError};
use super::offers::Claim;
use super::shared::Shared;
use crate::context::Op;
use crate::sync::{Arc, planted};
use crate::wait::{Place, Waiter};

/// The channel is closed (and, for a receive, empty).
#[derive(Debug)]
pub(super) struct Closed;

/// A receive under way.
pub(super) struct RecvOp<'a, T> {
    shared: &'a Shared<T>,
    place: Place,
    /// Set inside a `select`: then this is one arm of several.
    claim: Option<Claim>,
}

impl<'a, T> RecvOp<'a, T> {
    pub(super) fn new(shared: &'a Shared<T>, claim: Option<Claim>) -> Self {
        RecvOp { shared, place: Place::default(), claim }
    }
}

impl<T> Op for RecvOp<'_, T> {
    type Out = Result<T, Closed>;

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<Self::Out> {
        let RecvOp { shared, place, claim } = self;
        let commits = claim.is_none();
        if planted("test_before_register") && shared.with(|state, _| state.ready()) == 0 {
            shared.with(|state, wakes| state.enter(place, waiter, commits, wakes));
            return None;
        }
        shared.with(|state, wakes| {
            let out = match state.pop(claim.as_ref(), wakes) {
                Some(value) => Ok(value),
                None if state.is_over() && claim.as_ref().is_none_or(Claim::take) => Err(Closed),
                None => {
                    state.enter(place, waiter, commits, wakes);
                    return None;
                }
            };
            state.leave(place, commits);
            state.pass_on(wakes);
            Some(out)
        })
    }

    fn withdraw(&mut self) -> Option<Self::Out> {
        let RecvOp { shared, place, claim } = self;
        let commits = claim.is_none();
        shared.with(|state, wakes| {
            state.leave(place, commits);
            // A rendezvous sender counted on this receiver: take what it left.
            let bound = commits && state.capacity == 0 && state.queue.len() > state.committed;
            let takes = bound && !planted("bound_receiver_leaves");
            let out = if takes { state.pop(None, wakes).map(Ok) } else { None };
            state.pass_on(wakes);
            out
        })
    }
}

/// A wait for something to receive, which takes nothing.
pub(super) struct ReadyOp<'a, T> {
    shared: &'a Shared<T>,
    place: Place,
}

impl<'a, T> ReadyOp<'a, T> {
    pub(super) fn new(shared: &'a Shared<T>) -> Self {
        ReadyOp { shared, place: Place::default() }
    }
}

impl<T> Op for ReadyOp<'_, T> {
    type Out = ();

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<()> {
        let ReadyOp { shared, place } = self;
        shared.with(|state, wakes| {
            if !state.can_receive() && !state.is_over() {
                state.enter(place, waiter, false, wakes);
                return None;
            }
            // What is there is told to the next one too: this call may come too late to take it.
            state.leave(place, false);
            state.pass_on(wakes);
            Some(())
        })
    }

    fn withdraw(&mut self) -> Option<()> {
        let ReadyOp { shared, place } = self;
        shared.with(|state, wakes| {
            state.leave(place, false);
            state.pass_on(wakes);
        });
        None
    }
}

/// A send under way: before its offer is out, or waiting for it to be taken.
pub(super) struct SendOp<'a, T> {
    shared: &'a Shared<T>,
    /// `None` while the value is out as an offer.
    value: Option<T>,
    offer: u64,
    claim: Option<Claim>,
    rank: Option<i64>,
    /// What the overflow policy dropped for it.
    victim: Option<T>,
}

impl<'a, T> SendOp<'a, T> {
    pub(super) fn new(shared: &'a Shared<T>, value: T, claim: Option<Claim>) -> Self {
        let rank = shared.rank(&value);
        SendOp { shared, value: Some(value), offer: 0, claim, rank, victim: None }
    }

    /// Hands what was dropped to `on_drop`. No lock is held, and the operation is over.
    pub(super) fn finish(self) {
        if let Some(victim) = self.victim {
            self.shared.dropped(victim);
        }
    }

    /// The value of a send that was withdrawn.
    pub(super) fn into_value(self) -> Option<T> {
        self.value
    }
}

impl<T> Op for SendOp<'_, T> {
    type Out = Result<(), SendError<T>>;

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<Self::Out> {
        let SendOp { shared, value, offer, claim, rank, victim } = self;
        shared.with(|state, wakes| {
            let mine = |claim: &Option<Claim>| claim.as_ref().is_none_or(Claim::take);
            let Some(unsent) = value.take() else {
                if !state.offers.contains(*offer) {
                    return Some(Ok(())); // A receiver took it.
                }
                if !state.refuses() || !mine(claim) {
                    return None;
                }
                return state.take_back(*offer).map(|value| Err(SendError::Closed(value)));
            };
            if state.refuses() || state.has_room() || !shared.blocks() {
                if !mine(claim) {
                    *value = Some(unsent); // Another arm has happened.
                    return None;
                }
                return Some(match shared.put(state, unsent, *rank, wakes) {
                    Ok(dropped) => {
                        *victim = dropped;
                        Ok(())
                    }
                    Err(TrySendError::Closed(value)) => Err(SendError::Closed(value)),
                    Err(TrySendError::Full(value)) => {
                        state.counts.rejected += 1;
                        Err(SendError::Full(value))
                    }
                });
            }
            *offer = state.offer(unsent, waiter, claim.as_ref(), wakes);
            None
        })
    }

    fn withdraw(&mut self) -> Option<Self::Out> {
        let SendOp { shared, value, offer, .. } = self;
        if value.is_some() {
            return None;
        }
        *value = shared.with(|state, _| state.take_back(*offer));
        if value.is_none() { Some(Ok(())) } else { None }
    }
}
