//! What is behind a broadcast: one lock over the queue, both waiting lines and the counts.
//!
//! Messages are numbered. A subscriber keeps the number of the next it will read; an entry counts
//! how many have yet to read it.
//!
//! Invariants, whenever the lock is free:
//! 1. `queue[i]` has the number `first + i`, and `queue.len() <= capacity`.
//! 2. `left` of an entry is the number of subscribers whose next number is not after it; so it never
//!    falls from one entry to the next, and an entry with nobody left is at the front.
//! 3. No entry has nobody left: the last reader takes it out.
//! 4. If there is room and senders wait, one of them is on its way.
//! 5. deliveries: `accepted = read + dropped + the sum of left`.
//!
//! What leaves the queue is handed out and dropped outside of the lock: it is the user's.

use super::SlowReceiver;
use crate::observe::Ledger;
use crate::sync::Arc;
use crate::wait::{WaitQueue, Wakes};
use std::collections::VecDeque;

pub(super) struct State<T> {
    queue: VecDeque<Entry<T>>,
    first: u64,
    capacity: usize,
    slow: SlowReceiver,
    pub(super) closed: bool,
    pub(super) senders: usize,
    pub(super) subscribers: usize,
    pub(super) readers: WaitQueue,
    pub(super) writers: WaitQueue,
    counts: Counts,
}

struct Entry<T> {
    value: Arc<T>,
    left: usize,
}

#[derive(Default)]
struct Counts {
    sent: u64,
    accepted: u64,
    read: u64,
    dropped: u64,
    lagged: u64,
    peak: usize,
}

/// What a subscriber finds.
pub(super) enum Read<T> {
    Message(Arc<T>),
    Lagged(u64),
    Nothing,
    Over,
}

impl<T> State<T> {
    pub(super) fn new(capacity: usize, slow: SlowReceiver) -> Self {
        State {
            queue: VecDeque::new(),
            first: 0,
            capacity,
            slow,
            closed: false,
            senders: 1,
            subscribers: 1,
            readers: WaitQueue::default(),
            writers: WaitQueue::default(),
            counts: Counts::default(),
        }
    }

    /// The number of the next message.
    pub(super) fn end(&self) -> u64 {
        self.first + self.queue.len() as u64
    }

    pub(super) fn unread(&self, next: u64) -> usize {
        (self.end() - next.max(self.first)) as usize
    }

    pub(super) fn has_room(&self) -> bool {
        self.queue.len() < self.capacity || self.slow == SlowReceiver::Lag || self.subscribers == 0
    }

    /// Puts a message in; there is room. Returns how many will see it, and what is to be dropped:
    /// the oldest message, or the message itself if nobody is there to see it.
    pub(super) fn push(&mut self, value: T, wakes: &mut Wakes) -> (usize, Dropped<T>) {
        self.counts.sent += 1;
        if self.subscribers == 0 {
            return (0, Dropped::Unsent(value));
        }
        let mut oldest = None;
        if self.queue.len() >= self.capacity
            && let Some(entry) = self.queue.pop_front()
        {
            self.first += 1;
            self.counts.dropped += entry.left as u64;
            self.counts.lagged += entry.left as u64;
            oldest = Some(entry.value);
        }
        self.counts.accepted += self.subscribers as u64;
        self.queue.push_back(Entry { value: Arc::new(value), left: self.subscribers });
        self.counts.peak = self.counts.peak.max(self.queue.len());
        self.readers.notify_all(wakes);
        (self.subscribers, oldest.map_or(Dropped::Nothing, Dropped::Oldest))
    }

    /// Reads the message with the number `next`, or what is there instead.
    pub(super) fn read(&mut self, next: &mut u64, wakes: &mut Wakes) -> Read<T> {
        if *next < self.first {
            let missed = self.first - *next;
            *next = self.first;
            return Read::Lagged(missed);
        }
        let Some(entry) = self.queue.get_mut((*next - self.first) as usize) else {
            return if self.closed || self.senders == 0 { Read::Over } else { Read::Nothing };
        };
        *next += 1;
        self.counts.read += 1;
        entry.left -= 1;
        let value = entry.value.clone();
        if entry.left == 0 {
            // By invariant 2 it is the first. The value is not dropped here: the reader has it.
            self.queue.pop_front();
            self.first += 1;
            self.writers.notify_one(wakes);
        }
        Read::Message(value)
    }

    /// A subscriber goes, with everything it has not read. Returns what nobody is left to read.
    pub(super) fn unsubscribe(&mut self, next: u64, wakes: &mut Wakes) -> Vec<Arc<T>> {
        self.subscribers -= 1;
        let skip = next.saturating_sub(self.first) as usize;
        for entry in self.queue.iter_mut().skip(skip) {
            entry.left -= 1;
            self.counts.dropped += 1;
        }
        let mut gone = Vec::new();
        while self.queue.front().is_some_and(|entry| entry.left == 0)
            && let Some(entry) = self.queue.pop_front()
        {
            self.first += 1;
            gone.push(entry.value);
        }
        self.pass_on(wakes);
        gone
    }

    /// Tells a sender if there is room: the baton.
    pub(super) fn pass_on(&mut self, wakes: &mut Wakes) {
        if self.has_room() {
            self.writers.notify_one(wakes);
        }
    }

    /// Something ended for all: everybody looks again.
    pub(super) fn tell_everybody(&mut self, wakes: &mut Wakes) {
        self.readers.notify_all(wakes);
        self.writers.notify_all(wakes);
    }

    pub(super) fn stats(&self) -> BroadcastStats {
        BroadcastStats {
            ledger: Ledger {
                accepted: self.counts.accepted,
                done: self.counts.read,
                dropped: self.counts.dropped,
                in_flight: self.queue.iter().map(|entry| entry.left as u64).sum(),
                ..Ledger::default()
            },
            sent: self.counts.sent,
            lagged: self.counts.lagged,
            capacity: self.capacity,
            depth: self.queue.len(),
            peak: self.counts.peak,
            blocked_senders: self.writers.len(),
            blocked_receivers: self.readers.len(),
            senders: self.senders,
            subscribers: self.subscribers,
        }
    }
}

/// What a push leaves to be dropped outside of the lock.
#[expect(dead_code, reason = "held only to be dropped")]
pub(super) enum Dropped<T> {
    Nothing,
    Oldest(Arc<T>),
    Unsent(T),
}

/// A broadcast at one moment, taken under its lock: the numbers agree with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BroadcastStats {
    /// Deliveries, one for each message and subscriber: `accepted` to be made; `done` were read;
    /// `dropped` were missed by a slow subscriber or left when one went; `in_flight` are unread.
    pub ledger: Ledger,
    /// Messages sent, also to nobody.
    pub sent: u64,
    /// Deliveries missed by slow subscribers; a part of `ledger.dropped`.
    pub lagged: u64,
    /// How many messages it keeps at most.
    pub capacity: usize,
    /// How many are kept: what the slowest subscriber has not read.
    pub depth: usize,
    /// How many were kept at the most.
    pub peak: usize,
    /// Senders blocked now.
    pub blocked_senders: usize,
    /// Subscribers blocked now.
    pub blocked_receivers: usize,
    /// Sender handles.
    pub senders: usize,
    /// Subscribers.
    pub subscribers: usize,
}
