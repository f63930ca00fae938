//! The live keys: which have jobs, whose turn is on, and who waits for room.
//!
//! Invariants, whenever the lock is free:
//! 1. A key is live if and only if a turn of it is on, a job of it waits, or somebody waits for room
//!    in its queue. There are at most `max` live keys.
//! 2. A key has one turn, or none; it has one if a job of it waits.
//! 3. If another key may become live and somebody waits for that, one of them is on its way.
//! 4. Whoever waits for a key to become live that is live is on its way.

use crate::context::Stop;
use crate::panics;
use crate::pool::job::Run;
use crate::pool::lane::Lane;
use crate::pool::queued::Queued;
use crate::sync::{Arc, Mutex};
use crate::wait::{Place, WaitQueue, Waiter, Wakes};
use std::collections::HashMap;

/// How many keys may be live, and how many jobs of one may wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) keys: usize,
    pub(super) queue: usize,
}

pub(super) struct Keys {
    limits: Limits,
    /// Guards all of it.
    state: Mutex<State>,
}

struct State {
    live: HashMap<u64, Key>,
    closed: bool,
    /// Calls that wait for one more key to be allowed.
    waiting: WaitQueue,
    /// How many of these wait for which key.
    wanted: HashMap<u64, usize>,
    /// Calls that wait for the last key to go.
    draining: WaitQueue,
    accepted: u64,
    rejected: u64,
    handed_back: u64,
    /// In the queue, since the context had stopped.
    cancelled: u64,
}

struct Key {
    lane: Lane,
    /// A turn of this key is queued or at work.
    turn: bool,
}

/// Where a call waits: for its key to become live, or for room in the queue of its key.
#[derive(Default)]
pub(super) struct Places {
    key: Place,
    lane: Place,
}

/// What became of a job.
pub(super) enum Entered {
    /// It is queued, and its key needs a turn.
    First,
    /// It is queued behind others.
    Behind,
    Full(Queued),
    Closed(Queued),
}

/// The keys at one moment.
pub(super) struct Counts {
    pub(super) accepted: u64,
    pub(super) handed_back: u64,
    pub(super) cancelled: u64,
    pub(super) rejected: u64,
    pub(super) live: usize,
    pub(super) waiting: usize,
    pub(super) blocked: usize,
}

impl Keys {
    pub(super) fn new(limits: Limits) -> Self {
        let state = State {
            live: HashMap::new(),
            closed: false,
            waiting: WaitQueue::default(),
            wanted: HashMap::new(),
            draining: WaitQueue::default(),
            accepted: 0,
            rejected: 0,
            handed_back: 0,
            cancelled: 0,
        };
        Keys { limits, state: Mutex::new(state) }
    }

    /// Runs one critical section, then wakes whom it chose.
    fn with<R>(&self, f: impl FnOnce(&mut State, &mut Wakes) -> R) -> R {
        let mut wakes = Wakes::default();
        let mut state = self.state.lock();
        let out = f(&mut state, &mut wakes);
        drop(state);
        wakes.wake();
        out
    }

    /// Queues a job, or registers the call for room.
    pub(super) fn enter(
        &self,
        key: u64,
        job: Queued,
        places: &mut Places,
        waiter: Option<&Arc<Waiter>>,
    ) -> Entered {
        let limits = self.limits;
        self.with(|state, wakes| {
            if state.closed {
                state.leave(key, places, limits, wakes);
                return Entered::Closed(job);
            }
            if !state.live.contains_key(&key) {
                let before = if places.key.is_taken() { 0 } else { state.waiting.len() };
                if state.live.len().saturating_add(before) >= limits.keys {
                    match waiter {
                        Some(waiter) => state.enter_line(key, places, waiter),
                        None => state.rejected += 1,
                    }
                    return Entered::Full(job);
                }
                state.live.insert(key, Key { lane: Lane::new(limits.queue), turn: false });
                // Before its own place is given up: it may be the only one that waits for this key.
                if state.wanted.get(&key).is_some_and(|n| *n > usize::from(places.key.is_taken())) {
                    state.waiting.notify_all(wakes);
                }
            }
            state.leave_line(key, places, limits, wakes);
            let Some(Key { lane, turn }) = state.live.get_mut(&key) else {
                unreachable!("it was put in just now");
            };
            if !lane.has_room(&places.lane) {
                match waiter {
                    Some(waiter) => lane.enter(&mut places.lane, waiter),
                    None => state.rejected += 1,
                }
                return Entered::Full(job);
            }
            lane.push(job, &mut places.lane, wakes);
            state.accepted += 1;
            if std::mem::replace(turn, true) { Entered::Behind } else { Entered::First }
        })
    }

    /// A call leaves without its job being queued.
    pub(super) fn leave(&self, key: u64, places: &mut Places) {
        self.with(|state, wakes| state.leave(key, places, self.limits, wakes));
    }

    /// Takes the job whose turn it is.
    pub(super) fn next(&self, key: u64) -> Option<Queued> {
        self.with(|state, wakes| state.live.get_mut(&key)?.lane.pop(wakes))
    }

    /// A turn has ended. `true`: the key has another, at the end of the line.
    pub(super) fn over(&self, key: u64) -> bool {
        self.with(|state, wakes| {
            let Some(of) = state.live.get_mut(&key) else { return false };
            of.turn = of.lane.len() != 0;
            let again = of.turn;
            state.forget(key, self.limits, wakes);
            again
        })
    }

    /// Takes no more jobs; blocked calls get theirs back. Returns the tickets of the jobs that wait, if
    /// this call closed it.
    pub(super) fn close(&self) -> Vec<Arc<dyn Run>> {
        self.with(|state, wakes| {
            if std::mem::replace(&mut state.closed, true) {
                return Vec::new();
            }
            state.waiting.notify_all(wakes);
            for key in state.live.values_mut() {
                key.lane.tell_everybody(wakes);
            }
            state.live.values().flat_map(|key| key.lane.tickets()).collect()
        })
    }

    /// `true` if no key is live; else registers.
    pub(super) fn all_idle(&self, place: &mut Place, waiter: &Arc<Waiter>) -> bool {
        self.with(|state, _| {
            if state.live.is_empty() {
                state.draining.leave(place);
                return true;
            }
            state.draining.enter(place, waiter);
            false
        })
    }

    pub(super) fn stop_waiting(&self, place: &mut Place) {
        self.with(|state, _| state.draining.leave(place));
    }

    /// Takes all that waits: the jobs of one key in their order.
    pub(super) fn drain(&self) -> Vec<Queued> {
        self.with(|state, _| {
            let mut left = Vec::new();
            for key in state.live.values_mut() {
                left.extend(key.lane.drain());
            }
            left
        })
    }

    /// So many were handed back.
    pub(super) fn handed_back(&self, jobs: usize) {
        self.with(|state, _| state.handed_back += jobs as u64);
    }

    /// The context has stopped: nobody will run what waits, and somebody may wait for it.
    pub(super) fn stopped(&self, stop: &Stop) {
        let left = self.close();
        // No lock is held: the closures are dropped.
        let cancelled = left.iter().filter(|job| job.cancel(stop.clone())).count();
        self.with(|state, _| state.cancelled += cancelled as u64);
        panics::discard(left);
    }

    pub(super) fn counts(&self) -> Counts {
        self.with(|state, _| Counts {
            accepted: state.accepted,
            handed_back: state.handed_back,
            cancelled: state.cancelled,
            rejected: state.rejected,
            live: state.live.len(),
            waiting: state.live.values().map(|key| key.lane.len()).sum(),
            blocked: state.waiting.len()
                + state.live.values().map(|key| key.lane.waiting()).sum::<usize>(),
        })
    }
}

impl State {
    fn leave(&mut self, key: u64, places: &mut Places, limits: Limits, wakes: &mut Wakes) {
        self.leave_line(key, places, limits, wakes);
        if let Some(of) = self.live.get_mut(&key) {
            of.lane.leave(&mut places.lane, wakes);
            self.forget(key, limits, wakes);
        }
    }

    /// Waits in the line for a new key, or goes on doing so.
    fn enter_line(&mut self, key: u64, places: &mut Places, waiter: &Arc<Waiter>) {
        if !places.key.is_taken() {
            *self.wanted.entry(key).or_default() += 1;
        }
        self.waiting.enter(&mut places.key, waiter);
    }

    /// Leaves the line for a new key, and passes the baton.
    fn leave_line(&mut self, key: u64, places: &mut Places, limits: Limits, wakes: &mut Wakes) {
        if places.key.is_taken() {
            self.waiting.leave(&mut places.key);
            if let Some(wanted) = self.wanted.get_mut(&key) {
                *wanted -= 1;
                if *wanted == 0 {
                    self.wanted.remove(&key);
                }
            }
            self.pass_on(limits, wakes);
        }
    }

    fn pass_on(&mut self, limits: Limits, wakes: &mut Wakes) {
        if self.live.len() < limits.keys {
            self.waiting.notify_one(wakes);
        }
    }

    /// Forgets a key of which nothing is left.
    fn forget(&mut self, key: u64, limits: Limits, wakes: &mut Wakes) {
        let live = |of: &Key| of.turn || of.lane.len() != 0 || of.lane.waiting() != 0;
        if self.live.get(&key).is_none_or(live) {
            return;
        }
        self.live.remove(&key);
        self.pass_on(limits, wakes);
        if self.live.is_empty() {
            self.draining.notify_all(wakes);
        }
    }
}
