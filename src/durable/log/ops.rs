//! What the calls on a log do each time they look: under its lock, they get what they want, become the
//! leader, or are registered.

use super::frame::checksum;
use super::group::Log;
use super::line::Want;
use super::state::{Fed, Standing, Taken, Work};
use crate::context::Op;
use crate::sync::Arc;
use crate::wait::{Place, Waiter};

pub(super) struct Submit<'a> {
    pub(super) log: &'a Log,
    pub(super) body: &'a [u8],
    pub(super) sum: u32,
    pub(super) then: Then,
    pub(super) place: Place,
    /// What [`Then::Lead`] came to.
    pub(super) work: Option<Work>,
}

/// What is done in the same look that takes an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// A reader that waits is told: nobody else may be about to write the event.
    Announce,
    /// The caller leads, if nobody does.
    Lead,
    /// Nothing: the caller has more.
    GoOn,
}

impl<'a> Submit<'a> {
    pub(super) fn new(log: &'a Log, body: &'a [u8], then: Then) -> Self {
        let (sum, place) = (checksum(body), Place::default());
        Submit { log, body, sum, then, place, work: None }
    }

    /// Tries; with a waiter it is registered if it has to wait.
    pub(super) fn attempt(&mut self, waiter: Option<&Arc<Waiter>>) -> Taken {
        let Submit { log, body, sum, then, place, work } = self;
        log.with(|state, wakes| {
            let taken = state.take(body, *sum, wakes);
            match (&taken, waiter) {
                (Taken::Wait, Some(waiter)) => drop(state.room.enter(place, waiter)),
                (Taken::Wait, None) => {}
                (Taken::Lead(_), _) => state.room.leave(place),
                (Taken::No(_), _) => {
                    state.room.leave(place);
                    state.pass_room(wakes);
                }
                (Taken::Yes(_), _) => {
                    state.room.leave(place);
                    state.pass_room(wakes);
                    match then {
                        Then::Announce => state.call_a_reader(wakes),
                        Then::Lead => *work = state.lead(false, wakes),
                        Then::GoOn => {}
                    }
                }
            }
            taken
        })
    }
}

impl Op for Submit<'_> {
    type Out = Taken;

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<Taken> {
        Some(self.attempt(Some(waiter))).filter(|taken| !matches!(taken, Taken::Wait))
    }

    fn withdraw(&mut self) -> Option<Taken> {
        self.log.with(|state, wakes| {
            state.room.leave(&mut self.place);
            state.pass_room(wakes);
        });
        None
    }
}

pub(super) struct Safe<'a> {
    pub(super) log: &'a Log,
    pub(super) want: Want,
    pub(super) place: u64,
}

impl Op for Safe<'_> {
    type Out = Standing;

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<Standing> {
        let Safe { log, want, place } = self;
        let standing = log.with(|state, wakes| state.look(*want, place, waiter, wakes));
        Some(standing).filter(|standing| !matches!(standing, Standing::Wait))
    }

    fn withdraw(&mut self) -> Option<Standing> {
        let Safe { log, want, place } = self;
        let met = log.with(|state, wakes| state.give_up(*want, place, wakes));
        met.then_some(Standing::Done)
    }
}

pub(super) struct Feed<'a> {
    pub(super) log: &'a Log,
    pub(super) after: u64,
    pub(super) place: Place,
}

impl Op for Feed<'_> {
    type Out = Fed;

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<Fed> {
        let Feed { log, after, place } = self;
        log.with(|state, wakes| {
            let fed = state.feed(*after, wakes);
            match fed {
                Some(_) => {
                    state.feeds.leave(place);
                    state.call_a_reader(wakes); // This one may be busy for long.
                }
                None => drop(state.feeds.enter(place, waiter)),
            }
            fed
        })
    }

    fn withdraw(&mut self) -> Option<Fed> {
        self.log.with(|state, wakes| {
            state.feeds.leave(&mut self.place);
            state.call_a_reader(wakes);
        });
        None
    }
}

pub(super) struct Dirty<'a> {
    pub(super) log: &'a Log,
    pub(super) place: Place,
}

impl Op for Dirty<'_> {
    type Out = bool;

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<bool> {
        let Dirty { log, place } = self;
        log.with(|state, _| {
            let over = state.closed || state.failed.is_some();
            if over || state.synced < state.next {
                state.flusher.leave(place);
                return Some(!over);
            }
            state.flusher.enter(place, waiter);
            None
        })
    }

    fn withdraw(&mut self) -> Option<bool> {
        self.log.with(|state, _| state.flusher.leave(&mut self.place));
        None
    }
}
