//! What is behind the lock of a link.
//!
//! Invariants, whenever the lock is free:
//! 1. With a capacity, `queue.len() + held <= limit` for every lane; the rest of the capacity is for
//!    the chunks that the writers collect.
//! 2. If something is queued and readers wait, one of them is on its way.
//! 3. If a lane has room worth a wake-up and writers of it wait, one of them is on its way.
//! 4. `accepted = done + dropped + held + queued`.

use super::super::monitor::LinkMeter;
use crate::wait::{WaitQueue, Wakes};
use std::collections::VecDeque;

/// How a link is laid out.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Lanes {
    /// How many ways in there are.
    pub(in super::super) count: usize,
    /// How many items each holds at most; 0 hands over only to a reader that waits.
    pub(in super::super) capacity: usize,
    /// Which one is taken from next.
    pub(in super::super) order: Order,
    /// How many write into each.
    pub(in super::super) writers: usize,
}

/// From which lane a reader takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Order {
    /// In turns.
    Fair,
    /// From the first that has something.
    Priority,
}

/// The most items in a chunk. Beyond that the lock is a small part of the cost.
const MAX_CHUNK: usize = 128;
/// The most items taken from one of several lanes in its turn.
const MAX_TURN: usize = 16;

impl Lanes {
    /// One way in, one writer, one reader.
    pub(in super::super) fn one(capacity: usize) -> Self {
        Lanes { count: 1, capacity, order: Order::Fair, writers: 1 }
    }

    /// How many items a writer collects at most: together at most an eighth of the capacity.
    pub(super) fn chunk(&self) -> usize {
        (self.capacity / 8 / self.writers.max(1)).clamp(1, MAX_CHUNK)
    }

    /// How many may be queued or held: the rest of the capacity is in the chunks.
    fn limit(&self) -> usize {
        self.capacity.saturating_sub((self.chunk() - 1) * self.writers)
    }
}

pub(super) struct State<T> {
    pub(super) lanes: Vec<Lane<T>>,
    capacity: usize,
    order: Order,
    /// The lane whose turn it is.
    turn: usize,
    /// Runs that one of several readers has given back, with the number of their first item. They
    /// count as held.
    pub(super) returned: Vec<(u64, VecDeque<T>)>,
    /// Reader handles; with none left nobody takes anything.
    pub(super) readers: usize,
    pub(super) waiting: WaitQueue,
    /// A writer has gone without finishing.
    pub(super) broken: bool,
    /// What is held, now and later, will not be used.
    pub(super) abandoned: bool,
    pub(super) dropped: u64,
    /// What the hint outside says.
    pub(super) was_hungry: bool,
}

pub(super) struct Lane<T> {
    pub(super) queue: VecDeque<T>,
    limit: usize,
    /// Taken by readers and not used yet.
    pub(super) held: usize,
    /// Writers that have not finished.
    pub(super) writers: usize,
    pub(super) waiting: WaitQueue,
    pub(super) accepted: u64,
    /// How many were taken: the number of the first in the queue.
    taken: u64,
}

/// What a reader found.
pub(super) enum Took {
    /// A run, now in the reader's hands.
    Run,
    Nothing,
    End,
    Broken,
}

impl<T> Lane<T> {
    /// Half of what it takes.
    pub(super) fn half(&self) -> usize {
        self.limit.div_ceil(2).max(1)
    }
}

impl<T> State<T> {
    pub(super) fn new(lanes: Lanes) -> Self {
        let lane = || Lane {
            queue: VecDeque::new(),
            limit: lanes.limit(),
            held: 0,
            writers: lanes.writers,
            waiting: WaitQueue::default(),
            accepted: 0,
            taken: 0,
        };
        State {
            lanes: (0..lanes.count).map(|_| lane()).collect(),
            capacity: lanes.capacity,
            order: lanes.order,
            turn: 0,
            returned: Vec::new(),
            readers: 1,
            waiting: WaitQueue::default(),
            broken: false,
            abandoned: false,
            dropped: 0,
            was_hungry: false,
        }
    }

    /// Publishes the counts.
    #[inline]
    pub(super) fn publish(&self, meter: &LinkMeter) {
        let (mut depth, mut dropped) = (0, self.dropped);
        for (i, lane) in self.lanes.iter().enumerate() {
            depth += lane.queue.len();
            if self.abandoned {
                dropped += lane.held as u64;
            } else {
                depth += lane.held;
            }
            meter.accepted(i, lane.accepted);
        }
        meter.level(depth, dropped);
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.lanes.iter().all(|lane| lane.queue.is_empty()) && self.returned.is_empty()
    }

    /// Whether a reader waits that nothing is there for.
    #[inline]
    pub(super) fn is_hungry(&self) -> bool {
        self.waiting.len() != 0 && self.is_empty()
    }

    /// Whether a reader has no reason to wait.
    #[inline]
    pub(super) fn is_ready(&self) -> bool {
        !self.is_empty() || self.broken || self.lanes.iter().all(|lane| lane.writers == 0)
    }

    /// Whether a writer has no reason to wait.
    #[inline]
    pub(super) fn is_roomy(&self) -> bool {
        self.readers == 0 || (0..self.lanes.len()).any(|lane| self.is_worth_it(lane))
    }

    /// How many items lane `i` takes now.
    #[inline]
    pub(super) fn room(&self, i: usize) -> usize {
        let lane = &self.lanes[i];
        let limit = if self.capacity == 0 { self.waiting.len() } else { lane.limit };
        limit.saturating_sub(lane.queue.len() + lane.held)
    }

    /// Whether lane `i` has so much room that a writer is woken for it. As soon as a reader has
    /// nothing to do, any room is worth it.
    #[inline]
    fn is_worth_it(&self, i: usize) -> bool {
        let room = self.room(i);
        room > 0 && (room >= self.lanes[i].limit.div_ceil(4) || self.waiting.len() != 0)
    }

    /// Tells a writer of lane `i` if there is room for it.
    #[inline]
    pub(super) fn admit(&mut self, i: usize, wakes: &mut Wakes) {
        if self.is_worth_it(i) {
            self.lanes[i].waiting.notify_one(wakes);
        }
    }

    /// Tells a reader if there is something to take: the baton.
    #[inline]
    pub(super) fn pass_on(&mut self, wakes: &mut Wakes) {
        if !self.is_empty() {
            self.waiting.notify_one(wakes);
        }
    }

    /// Takes a run into `run`, which is empty, and returns its lane and the number of its first item.
    /// At most `claim` items, and no more than this reader's share.
    pub(super) fn take(
        &mut self,
        run: &mut VecDeque<T>,
        claim: usize,
    ) -> Result<(usize, u64), Took> {
        if self.broken {
            return Err(Took::Broken);
        }
        if let Some((first, mut items)) = self.returned.pop() {
            if items.len() > claim {
                let rest = items.split_off(claim);
                self.returned.push((first + claim as u64, rest));
            }
            *run = items;
            self.lanes[0].held -= run.len();
            return Ok((0, first));
        }
        let count = self.lanes.len();
        let start = if self.order == Order::Fair { self.turn } else { 0 };
        let found =
            (0..count).map(|i| (start + i) % count).find(|i| !self.lanes[*i].queue.is_empty());
        let Some(i) = found else {
            let over = self.lanes.iter().all(|lane| lane.writers == 0);
            return Err(if over { Took::End } else { Took::Nothing });
        };
        self.turn = (i + 1) % count;
        let most = match self.order {
            Order::Fair if count == 1 => usize::MAX,
            Order::Fair => MAX_TURN,
            Order::Priority if i == 0 => usize::MAX,
            Order::Priority => 1,
        };
        let readers = self.readers.max(1);
        let lane = &mut self.lanes[i];
        let available = lane.queue.len();
        // One reader takes all, and gives back half of it half way.
        let share =
            if readers == 1 { available } else { available.div_ceil(readers).min(lane.half()) };
        let k = share.min(most).min(claim.max(1));
        if k == available {
            std::mem::swap(run, &mut lane.queue);
        } else {
            run.extend(lane.queue.drain(..k));
        }
        let first = lane.taken;
        lane.taken += k as u64;
        Ok((i, first))
    }
}
