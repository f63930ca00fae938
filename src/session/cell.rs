//! One session: its mailbox, its state while nobody works on it, and whose turn it is.
//!
//! One lock guards all of it. The phases:
//!
//! | phase | who has the session | what is next |
//! |---|---|---|
//! | `Idle` | nobody; the mailbox is empty | a message or an order makes it `Ready` |
//! | `Ready` | exactly one run queue, or its own thread | a thread takes it: `Running` |
//! | `Running` | one thread, with the state | the end of the turn |
//! | `Resting` | nobody; it waits out a backoff | an alarm or an order to end makes it `Ready` |
//! | `Gone` | nobody, for good | nothing; messages are refused |
//!
//! Invariants, whenever the lock is free:
//! 1. The state is here if and only if the phase is `Idle`, or `Ready` after the first turn.
//! 2. Whoever makes it `Ready` puts it into a run queue, or tells its thread, after unlocking.
//! 3. `accepted = done + failed + dropped + in_hand + queue.len()`.

use super::directory::Totals;
use super::fifo::Fifo;
use super::model::{Reason, Session};
use super::policy::History;
use super::timers::{Slot, Timers};
use crate::channel::Overflow;
use crate::panics;
use crate::sync::{Arc, AtomicBool, LeakTrack, Mutex, Ordering};
use crate::wait::{Place, WaitQueue, Waiter, Wakes};
use std::collections::VecDeque;
use std::time::Duration;

pub(super) struct Cell<S: Session> {
    pub(super) id: S::Id,
    pub(super) hash: u64,
    mail: Mutex<Mail<S>>,
    /// Set before the order to abort is given: a turn looks at it between two messages. Whoever is
    /// woken by what happens after the order sees it.
    aborted: AtomicBool,
    _leak: LeakTrack,
}

/// What the lock of a cell guards.
pub(super) struct Mail<S: Session> {
    pub(super) queue: Fifo<S::Msg>,
    pub(super) state: Option<Box<Live<S>>>,
    /// What few sessions need.
    pub(super) more: Option<Box<More<S>>>,
    /// Why it is to stop; or, when it is gone, why it did. Here, since every session ends some day: a
    /// million that end at once need no memory for it.
    pub(super) reason: Option<Reason<S::Error>>,
    pub(super) accepted: u64,
    pub(super) done: u64,
    /// When its last turn ended, in nanoseconds of the manager's time, or began, while it is at work:
    /// kept if sessions are passivated, or watched for hanging.
    pub(super) used: u64,
    /// Messages taken out by the thread that works on it.
    pub(super) in_hand: u32,
    pub(super) phase: Phase,
    pub(super) order: Order,
    /// It has a thread of its own.
    pub(super) own: bool,
    /// It is in the list of sessions that may be passivated.
    pub(super) listed: bool,
    /// It has started at least once.
    pub(super) started: bool,
    /// It is over, is out of the directory, and everybody who watched has been told.
    pub(super) told: bool,
}

/// The state, and what goes with it. In this order: see [`Cell::warm`].
#[repr(C)]
pub(super) struct Live<S: Session> {
    pub(super) timers: Option<Box<Timers>>,
    pub(super) state: S,
}

pub(super) struct More<S: Session> {
    pub(super) failed: u64,
    pub(super) dropped: u64,
    /// Beside the queue, for `DropLowest` only.
    ranks: VecDeque<i64>,
    ranked: bool,
    /// Calls of `tell` that wait for room.
    senders: WaitQueue,
    /// Calls that wait for its start or end.
    pub(super) watching: WaitQueue,
    pub(super) watchers: Vec<Watcher<S>>,
    pub(super) history: History,
    /// Its own thread, while that is parked.
    pub(super) parked: Option<Arc<Waiter>>,
    /// Its own thread has been started.
    pub(super) has_thread: bool,
    /// Ends its rest after a failure.
    pub(super) rest: Slot,
}

/// Told once, when the session has ended.
pub(super) type Watcher<S> =
    Box<dyn FnOnce(&<S as Session>::Id, &Reason<<S as Session>::Error>) + Send>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Idle,
    Ready,
    Running,
    Resting,
    /// Ended for good; `Passivated` if it only left memory.
    Gone,
    Passivated,
}

/// What is to become of a session, besides its messages. Later ones outrank earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Order {
    None,
    /// Leave memory if nothing has come.
    Passivate,
    /// Handle what was accepted, then end.
    Drain,
    /// End after the message in hand; the rest is undelivered.
    Abort,
}

/// Whom a change of a cell concerns, once its lock is released.
#[must_use = "a session that is ready has to be scheduled"]
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) enum Then {
    Nothing,
    /// Put it into its shard's run queue.
    Schedule,
    /// Wake or start its own thread.
    Call,
}

/// What a push did.
pub(super) enum Pushed<M> {
    /// Taken. The value that the policy dropped for it, perhaps itself, is the caller's to dispose of.
    Taken(Then, Option<M>),
    Full(M),
    /// The session has been told to end, and still has something to do.
    Ending(M),
    /// The session has ended.
    Gone(M),
    /// The session has left memory: look it up again.
    Passivated(M),
}

impl<S: Session> Cell<S> {
    /// A session that has not started. The caller schedules it.
    pub(super) fn new(id: S::Id, hash: u64, own: bool) -> Self {
        Cell {
            id,
            hash,
            mail: Mutex::new(Mail {
                queue: Fifo::new(),
                state: None,
                more: None,
                reason: None,
                accepted: 0,
                done: 0,
                used: 0,
                in_hand: 0,
                phase: Phase::Ready,
                order: Order::None,
                own,
                listed: false,
                started: false,
                told: false,
            }),
            aborted: AtomicBool::new(false),
            _leak: LeakTrack::new(),
        }
    }

    /// Runs one critical section, then wakes whom it chose.
    #[inline]
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut Mail<S>, &mut Wakes) -> R) -> R {
        let mut wakes = Wakes::default();
        let mut mail = self.mail.lock();
        let out = f(&mut mail, &mut wakes);
        drop(mail);
        wakes.wake();
        out
    }

    /// Brings the lines of memory into the cache that its turn will need first: its own, and the
    /// beginning of the state.
    #[inline]
    pub(super) fn warm(&self) {
        let mail = self.mail.lock();
        std::hint::black_box(mail.state.as_ref().is_some_and(|live| live.timers.is_some()));
    }

    /// Puts a message of this [`rank`] into the mailbox by the rules of `overflow`.
    #[inline]
    pub(super) fn push(
        &self,
        msg: S::Msg,
        rank: Option<i64>,
        capacity: usize,
        overflow: &Overflow<S::Msg>,
    ) -> Pushed<S::Msg> {
        let mut mail = self.mail.lock();
        if rank.is_none() && mail.order < Order::Drain && mail.queue.len() < capacity {
            match mail.phase {
                Phase::Gone | Phase::Passivated => {}
                _ => {
                    mail.queue.push_back(msg);
                    mail.accepted += 1;
                    return Pushed::Taken(mail.rouse(), None);
                }
            }
        }
        mail.push_slow(msg, rank, capacity, overflow)
    }

    /// An order to abort is about to be given.
    pub(super) fn mark_aborted(&self) {
        self.aborted.store(true, Ordering::Relaxed);
    }

    /// Whether the messages that the thread has taken are to be given back.
    #[inline]
    pub(super) fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::Relaxed)
    }

    /// What it counted, for the ledger.
    pub(super) fn totals(&self) -> Totals {
        self.with(|mail, _| mail.totals())
    }
}

/// The priority of a message under `DropLowest`. The user's code: no lock is held.
#[inline]
pub(super) fn rank<M>(overflow: &Overflow<M>, msg: &M) -> Option<i64> {
    match overflow {
        Overflow::DropLowest(priority) => Some(priority(msg)),
        _ => None,
    }
}

/// Whoever happens to be the last to know of a session could not take the panic of a drop.
impl<S: Session> Drop for Mail<S> {
    fn drop(&mut self) {
        if let Some(reason) = self.reason.take() {
            panics::discard(reason);
        }
    }
}

impl<S: Session> Mail<S> {
    /// There is something to do: `Ready`, if nobody has the session.
    #[inline]
    pub(super) fn rouse(&mut self) -> Then {
        if self.phase == Phase::Idle { self.ready() } else { Then::Nothing }
    }

    /// Nobody has the session, and it is to have a turn.
    #[inline]
    pub(super) fn ready(&mut self) -> Then {
        self.phase = Phase::Ready;
        if self.own { Then::Call } else { Then::Schedule }
    }

    #[cold]
    fn push_slow(
        &mut self,
        msg: S::Msg,
        rank: Option<i64>,
        capacity: usize,
        overflow: &Overflow<S::Msg>,
    ) -> Pushed<S::Msg> {
        match self.phase {
            Phase::Passivated => return Pushed::Passivated(msg),
            Phase::Gone => return Pushed::Gone(msg),
            _ if self.order >= Order::Drain => return Pushed::Ending(msg),
            _ => {}
        }
        let victim = if self.queue.len() < capacity {
            None
        } else {
            let victim = match overflow {
                Overflow::Block | Overflow::Reject => return Pushed::Full(msg),
                Overflow::DropOldest => Some(0),
                Overflow::DropLowest(_) => self.lowest(rank.unwrap_or(i64::MIN)),
                _ => None,
            };
            let Some(victim) = victim else {
                self.accepted += 1;
                self.more().dropped += 1;
                return Pushed::Taken(Then::Nothing, Some(msg));
            };
            let more = self.more();
            more.dropped += 1;
            more.ranks.remove(victim);
            if victim == 0 {
                more.history.tries = 0;
            }
            self.queue.remove(victim)
        };
        self.push_past(msg, rank);
        Pushed::Taken(self.rouse(), victim)
    }

    /// Puts a message at the end, whether there is room or not.
    pub(super) fn push_past(&mut self, msg: S::Msg, rank: Option<i64>) {
        self.queue.push_back(msg);
        self.accepted += 1;
        if let Some(rank) = rank {
            let more = self.more();
            more.ranks.push_back(rank);
            more.ranked = true;
        }
    }

    /// Puts a message that was taken out back to the front.
    pub(super) fn push_front(&mut self, msg: S::Msg) {
        self.queue.push_front(msg);
        if let Some(more) = &mut self.more
            && more.ranked
        {
            more.ranks.push_front(i64::MAX); // It was about to be handled.
        }
    }

    /// Where the lowest rank is, the newest of equals; `None` if that is the new message's.
    fn lowest(&mut self, new: i64) -> Option<usize> {
        let ranks = &self.more().ranks;
        let (i, rank) = ranks.iter().enumerate().rev().min_by_key(|(_, rank)| **rank)?;
        (*rank < new).then_some(i)
    }

    pub(super) fn more(&mut self) -> &mut More<S> {
        self.more.get_or_insert_with(Box::default)
    }

    /// The session's thread takes up to `most` messages.
    #[inline]
    pub(super) fn take(&mut self, most: usize, into: &mut VecDeque<S::Msg>, wakes: &mut Wakes) {
        let n = self.queue.len().min(most);
        self.queue.take(n, into);
        self.in_hand = n as u32;
        if let Some(more) = &mut self.more {
            more.ranks.drain(..n.min(more.ranks.len()));
            if n > 0 {
                more.senders.notify_one(wakes);
            }
        }
    }

    /// Registers a call that found no room. It leaves by [`leave_senders`](Self::leave_senders).
    pub(super) fn enter_senders(&mut self, place: &mut Place, waiter: &Arc<Waiter>) {
        self.more().senders.enter(place, waiter);
    }

    /// A call of `tell` goes, served or not, and passes the baton if there is room for another.
    pub(super) fn leave_senders(&mut self, place: &mut Place, capacity: usize, wakes: &mut Wakes) {
        if !place.is_taken() {
            return;
        }
        let room = self.queue.len() < capacity;
        let senders = &mut self.more().senders;
        senders.leave(place);
        if room {
            senders.notify_one(wakes);
        }
    }

    /// It is over from now on: senders look it up again, and its own thread goes.
    pub(super) fn leave(&mut self, phase: Phase, wakes: &mut Wakes) {
        self.phase = phase;
        if let Some(more) = &mut self.more {
            more.senders.notify_all(wakes);
            if let Some(parked) = more.parked.take() {
                wakes.add(parked);
            }
        }
    }

    /// Everybody has been told of its end: whoever waits for that goes on.
    pub(super) fn told(&mut self, wakes: &mut Wakes) {
        self.told = true;
        if let Some(more) = &mut self.more {
            more.watching.notify_all(wakes);
        }
    }

    /// It is to end. `Nothing` too if it has ended, or was told so before.
    pub(super) fn order(
        &mut self,
        order: Order,
        reason: impl FnOnce() -> Reason<S::Error>,
        wakes: &mut Wakes,
    ) -> Then {
        if self.is_over() || self.order >= order {
            return Then::Nothing;
        }
        self.order = order;
        if order >= Order::Drain && self.reason.is_none() {
            self.reason = Some(reason());
        }
        if let Some(more) = &mut self.more {
            more.senders.notify_all(wakes); // They are refused now.
        }
        // Leaving memory can wait until the rest is over.
        let ends = order >= Order::Drain && self.phase == Phase::Resting;
        if ends { self.ready() } else { self.rouse() }
    }

    /// Whether its turn began `limit` ago or earlier, which it says once for a turn; and whether it has
    /// said so.
    pub(super) fn hangs(&mut self, now: u64, limit: Duration) -> (bool, bool) {
        let runs = self.phase == Phase::Running;
        let hangs = runs && u128::from(now.saturating_sub(self.used)) >= limit.as_nanos();
        if hangs {
            self.used = u64::MAX;
        }
        (hangs, runs && self.used == u64::MAX)
    }

    /// Somebody is to be told of its end.
    pub(super) fn is_watched(&self) -> bool {
        self.more.as_ref().is_some_and(|more| !more.watchers.is_empty())
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Gone | Phase::Passivated)
    }

    pub(super) fn totals(&self) -> Totals {
        let more = self.more.as_deref();
        Totals {
            accepted: self.accepted,
            done: self.done,
            failed: more.map_or(0, |m| m.failed),
            dropped: more.map_or(0, |m| m.dropped),
            restarts: more.map_or(0, |m| m.history.restarts),
            queued: self.queue.len() as u64,
            deepest: self.queue.len(),
        }
    }
}

impl<S: Session> Default for More<S> {
    fn default() -> Self {
        More {
            failed: 0,
            dropped: 0,
            ranks: VecDeque::new(),
            ranked: false,
            senders: WaitQueue::default(),
            watching: WaitQueue::default(),
            watchers: Vec::new(),
            history: History::default(),
            parked: None,
            has_thread: false,
            rest: Slot::default(),
        }
    }
}
