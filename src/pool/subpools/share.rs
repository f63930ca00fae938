//! Who may use the threads: the queues, what runs of each, and what is free for all.
//!
//! A job of a subpool that runs within its `least` takes nothing from the others. Beyond that it takes
//! one of the *spare* threads, of which there are as many as the sum of all `least` leaves.
//!
//! Invariants, whenever the lock is free:
//! 1. `running <= most` for each subpool, and the sum of what runs beyond `least` is `extra <= spare`.
//!    So at most as many jobs run as there are threads, and what is within `least` never waits for a
//!    job of another subpool.
//! 2. If a job waits that no turn has been given for, its subpool may not start one.

use super::settings::Share;
use crate::context::Stop;
use crate::observe::Ledger;
use crate::panics;
use crate::pool::job::{End, Run};
use crate::pool::lane::Lane;
use crate::pool::queued::Queued;
use crate::sync::{Arc, Mutex};
use crate::wait::{Place, WaitQueue, Waiter, Wakes};

pub(super) struct Shares {
    /// Guards all of it.
    state: Mutex<State>,
}

struct State {
    lanes: Vec<Sub>,
    /// What runs beyond `least`, of all subpools.
    extra: usize,
    /// How many threads are nobody's in particular.
    spare: usize,
    /// Whose turn it is to get the next spare thread.
    next: usize,
    closed: bool,
    draining: WaitQueue,
}

struct Sub {
    lane: Lane,
    share: Share,
    /// Turns that have been given and are not over.
    running: usize,
    /// Of these: turns that have not taken their job yet.
    called: usize,
    counts: Counts,
}

/// One subpool's counts.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) accepted: u64,
    pub(super) done: u64,
    pub(super) overran: u64,
    pub(super) failed: u64,
    pub(super) cancelled: u64,
    pub(super) handed_back: u64,
    pub(super) rejected: u64,
    pub(super) taken: u64,
    pub(super) peak: usize,
    pub(super) running: usize,
    pub(super) depth: usize,
    pub(super) blocked: usize,
}

/// What became of a job.
pub(super) enum Entered {
    /// It is queued; `true`: and its subpool is to get a turn.
    Queued(bool),
    Full(Queued),
    Closed(Queued),
}

impl Shares {
    pub(super) fn new(shares: impl Iterator<Item = Share>, threads: usize) -> Self {
        let sub = |share: Share| Sub {
            lane: Lane::new(share.queue),
            share,
            running: 0,
            called: 0,
            counts: Counts::default(),
        };
        let lanes: Vec<Sub> = shares.map(sub).collect();
        let least: usize = lanes.iter().map(|sub| sub.share.least()).sum();
        let draining = WaitQueue::default();
        let spare = threads.saturating_sub(least);
        let state = State { lanes, extra: 0, spare, next: 0, closed: false, draining };
        Shares { state: Mutex::new(state) }
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
        me: usize,
        job: Queued,
        place: &mut Place,
        waiter: Option<&Arc<Waiter>>,
    ) -> Entered {
        self.with(|state, wakes| {
            let sub = &mut state.lanes[me];
            if state.closed {
                sub.lane.leave(place, wakes);
                return Entered::Closed(job);
            }
            if !sub.lane.has_room(place) {
                match waiter {
                    Some(waiter) => sub.lane.enter(place, waiter),
                    None => sub.counts.rejected += 1,
                }
                return Entered::Full(job);
            }
            sub.lane.push(job, place, wakes);
            sub.counts.accepted += 1;
            sub.counts.peak = sub.counts.peak.max(sub.lane.len());
            let starts = state.may_start(me);
            if starts {
                state.start(me);
            }
            Entered::Queued(starts)
        })
    }

    pub(super) fn leave(&self, me: usize, place: &mut Place) {
        self.with(|state, wakes| state.lanes[me].lane.leave(place, wakes));
    }

    /// Takes the job for a turn.
    pub(super) fn next(&self, me: usize) -> Option<Queued> {
        self.with(|state, wakes| {
            let sub = &mut state.lanes[me];
            sub.called -= 1;
            sub.counts.taken += 1;
            sub.lane.pop(wakes)
        })
    }

    /// A turn has ended, so or so (`None`: it unwound). Adds to `turns` whose turn it is now.
    pub(super) fn over(&self, me: usize, end: Option<End>, turns: &mut Vec<usize>) {
        self.with(|state, wakes| {
            let sub = &mut state.lanes[me];
            sub.counts.add(end.unwrap_or(End::Failed));
            sub.running -= 1;
            if sub.running >= sub.share.least() {
                state.extra -= 1;
            }
            while let Some(next) = state.choose(me) {
                state.start(next);
                turns.push(next);
            }
            if state.is_idle() {
                state.draining.notify_all(wakes);
            }
        });
    }

    /// A job has been run before its turn, or for want of room, on the thread of one that waits.
    pub(super) fn ran(&self, me: usize, end: End, unqueued: bool) {
        self.with(|state, _| {
            let counts = &mut state.lanes[me].counts;
            counts.accepted += u64::from(unqueued);
            counts.add(end);
        });
    }

    /// Takes no more jobs; blocked calls get theirs back. Returns the tickets of the jobs that wait, if
    /// this call closed it.
    pub(super) fn close(&self) -> Vec<(usize, Arc<dyn Run>)> {
        self.with(|state, wakes| {
            if std::mem::replace(&mut state.closed, true) {
                return Vec::new();
            }
            for sub in &mut state.lanes {
                sub.lane.tell_everybody(wakes);
            }
            let tickets = |(i, sub): (usize, &Sub)| -> Vec<_> {
                sub.lane.tickets().map(|job| (i, job)).collect()
            };
            state.lanes.iter().enumerate().flat_map(tickets).collect()
        })
    }

    /// The context has stopped: nobody will run what waits, and somebody may wait for it.
    pub(super) fn stopped(&self, stop: &Stop) {
        for (me, job) in self.close() {
            // No lock is held: the closure is dropped.
            if job.cancel(stop.clone()) {
                self.ran(me, End::Cancelled, false);
            }
            panics::discard(job);
        }
    }

    /// `true` if nothing waits or runs; else registers.
    pub(super) fn all_idle(&self, place: &mut Place, waiter: &Arc<Waiter>) -> bool {
        self.with(|state, _| {
            if state.is_idle() {
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

    /// Takes all that waits of one subpool, in order.
    pub(super) fn drain(&self, me: usize) -> Vec<Queued> {
        let left = self.with(|state, _| state.lanes[me].lane.drain());
        let left: Vec<Queued> = left.into_iter().filter(Queued::waits).collect();
        self.with(|state, _| state.lanes[me].counts.handed_back += left.len() as u64);
        left
    }

    pub(super) fn counts(&self, me: usize) -> Counts {
        self.with(|state, _| {
            let sub = &state.lanes[me];
            Counts {
                running: sub.running - sub.called,
                depth: sub.lane.len(),
                blocked: sub.lane.waiting(),
                ..sub.counts
            }
        })
    }
}

impl State {
    /// Whether a job of this subpool waits for a turn and may have one.
    fn may_start(&self, me: usize) -> bool {
        let sub = &self.lanes[me];
        let within = sub.running < sub.share.least();
        let beyond = sub.running < sub.share.most() && self.extra < self.spare;
        sub.lane.len() > sub.called && (within || beyond)
    }

    fn start(&mut self, me: usize) {
        let sub = &mut self.lanes[me];
        if sub.running >= sub.share.least() {
            self.extra += 1;
        }
        sub.running += 1;
        sub.called += 1;
    }

    /// Whose turn it is: the one whose job has ended, if it is within its `least`; else, by rotation,
    /// one that waits for a spare thread.
    fn choose(&mut self, ended: usize) -> Option<usize> {
        let sub = &self.lanes[ended];
        if sub.running < sub.share.least() && self.may_start(ended) {
            return Some(ended);
        }
        let n = self.lanes.len();
        let found = (0..n).map(|i| (self.next + i) % n).find(|&i| self.may_start(i))?;
        self.next = (found + 1) % n;
        Some(found)
    }

    fn is_idle(&self) -> bool {
        self.lanes.iter().all(|sub| sub.running == 0 && sub.lane.len() == 0)
    }
}

impl Counts {
    fn add(&mut self, end: End) {
        match end {
            End::Done => self.done += 1,
            End::Late => {
                self.done += 1;
                self.overran += 1;
            }
            End::Failed => self.failed += 1,
            End::Cancelled => self.cancelled += 1,
            End::Gone => {}
        }
    }

    pub(super) fn ledger(&self) -> Ledger {
        let ended = self.done + self.failed + self.cancelled + self.handed_back;
        Ledger {
            accepted: self.accepted,
            done: self.done,
            failed: self.failed,
            cancelled: self.cancelled,
            dropped: self.handed_back,
            in_flight: self.accepted.saturating_sub(ended),
        }
    }
}
