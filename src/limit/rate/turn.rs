//! A blocked call: it comes in, waits for its turn, passes or goes away.
//!
//! Whoever owns the queue is behind [`Turns`], so that one limiter and a shard of a keyed one share this.

use super::super::errors::RateError;
use super::queue::{Entered, Look};
use crate::context::{Context, Op};
use crate::sync::Arc;
use crate::wait::{Site, WaitKind, Waiter};
use std::time::{Duration, Instant};

/// What owns a queue: one critical section a call, at the present time.
pub(crate) trait Turns: Send + Sync {
    /// See `Queue::enter`; due within `within`.
    fn enter(&self, n: u32, within: Option<Duration>, reserving: bool) -> Result<Entry, RateError>;
    /// What has become of a call. `waiter`: its thread waits from now on. What was granted is used,
    /// unless it is only looked at.
    fn look(&self, id: u64, waiter: Option<&Waiting<'_>>, peek: bool) -> Seen;
    /// The call goes away; `true`: it had been granted, and has passed.
    fn withdraw(&self, id: u64) -> bool;
    /// The call is given back.
    fn cancel(&self, id: u64);
    /// The name under which waits are seen.
    fn name(&self) -> Option<Arc<str>>;
}

/// A number in the queue; 0: it has passed.
pub(crate) type Entry = u64;

/// The parked thread.
pub(crate) struct Waiting<'a>(pub(crate) &'a Arc<Waiter>);

/// What is seen of a call, with times as durations from now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It has passed.
    Passed,
    /// It waits: so long, and until then in nanoseconds of the limiter.
    Due { wait: Duration, at: u64, keeper: bool },
    /// It was turned away.
    Refused(RateError),
}

impl Seen {
    pub(crate) fn of(look: Look, t: u64) -> Seen {
        match look {
            Look::Passed => Seen::Passed,
            Look::Refused(why) => Seen::Refused(why),
            Look::Due { at, keeper } => {
                Seen::Due { wait: Duration::from_nanos(at.saturating_sub(t)), at, keeper }
            }
        }
    }
}

impl From<Entered> for Entry {
    fn from(entered: Entered) -> Entry {
        match entered {
            Entered::Passed => 0,
            Entered::Number(id) => id,
        }
    }
}

/// Waits until call `id` has passed.
///
/// The wait ends at once if the context's deadline comes before the turn, also when a change of the
/// limit has put the turn off.
#[track_caller]
pub(crate) fn take_turn(turns: &dyn Turns, ctx: &Context, id: u64) -> Result<(), RateError> {
    let site = Site::new(WaitKind::Rate, turns.name());
    let mut turn = Turn { turns, id, until: None };
    let mut until: Option<Instant> = None;
    loop {
        let seen = ctx.block_until(until, site.clone(), &mut turn);
        match seen {
            Ok(Some(Seen::Passed)) => return Ok(()),
            Ok(Some(Seen::Refused(why))) => return Err(why),
            Ok(Some(Seen::Due { wait, at, keeper })) => {
                if ctx.remaining().is_some_and(|left| wait > left) {
                    return if turns.withdraw(id) {
                        Ok(())
                    } else {
                        Err(RateError::TooLate { wait })
                    };
                }
                turn.until = keeper.then_some(at);
                until = if keeper { ctx.clock().now().checked_add(wait) } else { None };
            }
            // It was time, but not on the limiter's clock: look again.
            Ok(None) => turn.until = None,
            Err(stop) => {
                // What has happened has happened.
                return if turns.withdraw(id) { Ok(()) } else { Err(stop.into()) };
            }
        }
    }
}

/// A wait for a turn that is thought to come at `until`, or to be told.
struct Turn<'a> {
    turns: &'a dyn Turns,
    id: u64,
    until: Option<u64>,
}

impl Op for Turn<'_> {
    type Out = Seen;

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<Seen> {
        let seen = self.turns.look(self.id, Some(&Waiting(waiter)), false);
        match seen {
            Seen::Due { at, keeper, .. } if keeper.then_some(at) == self.until => None,
            seen => Some(seen),
        }
    }

    /// Stays in the queue: the call is taken out, or goes on, by who called.
    fn withdraw(&mut self) -> Option<Seen> {
        None
    }
}
