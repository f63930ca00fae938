//! What is behind a channel: one lock over the queue, both waiting lines and the counts.
//!
//! One critical section tests a condition and registers, or changes it and chooses whom to tell. So
//! nothing is lost between a test and a wait, and the counts always agree with the queue.
//!
//! Invariants, whenever the lock is free:
//! 1. `queue.len() <= capacity`; for a rendezvous, `<= committed` (receivers bound to take).
//! 2. If an offer that may be taken waits, the queue is full.
//! 3. If something can be received and receivers wait, one of them is on its way.
//! 4. `sent = received + dropped + queue.len()`.

use super::offers::{Claim, Offers};
use super::stats::Counts;
use crate::sync::{Arc, planted};
use crate::wait::{Place, WaitQueue, Waiter, Wakes};
use std::collections::VecDeque;

pub(super) struct State<T> {
    pub(super) queue: VecDeque<T>,
    /// As `places`, but 0 unless nobody waits, every message counts the same, and both sides are
    /// there: while there are some, a send or receive is a push or pop, and nothing else. Kept by
    /// whoever changes any of that, before the lock is released.
    pub(super) calm: usize,
    pub(super) counts: Counts,
    /// Beside the queue, for `DropLowest` only.
    pub(super) ranks: VecDeque<i64>,
    pub(super) capacity: usize,
    /// How many values may be queued now: the capacity, or the committed receivers of a rendezvous;
    /// none once no value could be received.
    pub(super) places: usize,
    pub(super) offers: Offers<T>,
    pub(super) receivers: WaitQueue,
    /// Receivers blocked in `recv`, not in a `select`: a rendezvous may count on them.
    pub(super) committed: usize,
    pub(super) closed: bool,
    pub(super) sender_handles: usize,
    pub(super) receiver_handles: usize,
    ranked: bool,
}

impl<T> State<T> {
    pub(super) fn new(capacity: usize, ranked: bool) -> Self {
        State {
            queue: VecDeque::new(),
            calm: 0,
            counts: Counts::default(),
            ranks: VecDeque::new(),
            capacity,
            places: capacity,
            offers: Offers::new(),
            receivers: WaitQueue::default(),
            committed: 0,
            closed: false,
            sender_handles: 1,
            receiver_handles: 1,
            ranked,
        }
    }

    /// Whether a value sent now could never be received.
    pub(super) fn refuses(&self) -> bool {
        self.closed || self.receiver_handles == 0
    }

    /// Whether no value will come any more.
    pub(super) fn is_over(&self) -> bool {
        (self.closed || self.sender_handles == 0) && self.queue.is_empty()
    }

    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.queue.len() < self.places
    }

    /// After anything that `places` depends on has changed.
    pub(super) fn count_places(&mut self) {
        self.places = match self.capacity {
            _ if self.refuses() => 0,
            0 => self.committed,
            capacity => capacity,
        };
    }

    /// Before the lock is released, unless nothing was done but a push or pop in the calm.
    pub(super) fn settle(&mut self) {
        let waits = self.offers.len() != 0 || self.receivers.len() != 0;
        let calm = !waits && !self.ranked && self.sender_handles != 0;
        self.calm = if calm { self.places } else { 0 };
    }

    /// Puts a value at the end; there is room.
    #[inline]
    pub(super) fn push(&mut self, value: T, wakes: &mut Wakes) {
        self.queue.push_back(value);
        self.counts.on_sent(self.queue.len());
        self.receivers.notify_one(wakes);
    }

    /// Takes the next value, from the queue or straight from a blocked sender, and lets the next
    /// blocked sender into the room. Inside a `select`, only together with its claim.
    #[inline]
    pub(super) fn pop(&mut self, claim: Option<&Claim>, wakes: &mut Wakes) -> Option<T> {
        let offers = self.offers.len();
        let value = if self.queue.is_empty() {
            if offers == 0 || self.closed {
                return None;
            }
            let (value, sender) = self.offers.accept(claim)?;
            self.counts.on_sent(1);
            wakes.add(sender);
            value
        } else {
            if claim.is_some_and(|claim| !claim.take()) {
                return None;
            }
            self.ranks.pop_front();
            self.queue.pop_front()?
        };
        if offers != 0 {
            self.admit(wakes);
        }
        Some(value)
    }

    /// Lets blocked senders into the room there is.
    pub(super) fn admit(&mut self, wakes: &mut Wakes) {
        while !self.closed && self.queue.len() < self.capacity {
            let Some((value, sender)) = self.offers.accept(None) else { break };
            wakes.add(sender);
            self.push(value, wakes);
        }
        if self.offers.len() == 0 {
            self.counts.not_full();
        }
    }

    /// Tells a receiver if there is something to receive: the baton.
    pub(super) fn pass_on(&mut self, wakes: &mut Wakes) {
        let more = !self.queue.is_empty() || (self.offers.len() != 0 && !self.closed);
        if more && !planted("no_baton") {
            self.receivers.notify_one(wakes);
        }
    }

    /// Leaves a value with the blocked senders.
    pub(super) fn offer(
        &mut self,
        value: T,
        waiter: &Arc<Waiter>,
        claim: Option<&Claim>,
        wakes: &mut Wakes,
    ) -> u64 {
        self.counts.full();
        let id = self.offers.add(value, waiter, claim);
        if self.capacity == 0 {
            self.receivers.notify_one(wakes); // A `select` that waits to receive.
        }
        id
    }

    /// Gives a blocked sender its value back; `None` if it was accepted.
    pub(super) fn take_back(&mut self, offer: u64) -> Option<T> {
        let value = self.offers.withdraw(offer);
        if self.offers.len() == 0 {
            self.counts.not_full();
        }
        value
    }

    /// Registers a receiver that found nothing.
    pub(super) fn enter(
        &mut self,
        place: &mut Place,
        waiter: &Arc<Waiter>,
        commits: bool,
        wakes: &mut Wakes,
    ) {
        if commits && !place.is_taken() {
            self.committed += 1;
            self.count_places();
        }
        self.counts.empty();
        let in_vain = self.receivers.enter(place, waiter);
        // A `select` may have been told of its own offer, which is of use to others only.
        if in_vain && self.offers.len() != 0 && !self.closed && self.offers.any_open() {
            self.receivers.notify_other(place, wakes);
        }
    }

    /// Takes a receiver off the list; the caller passes the baton.
    pub(super) fn leave(&mut self, place: &mut Place, commits: bool) {
        if !place.is_taken() {
            return;
        }
        if commits {
            self.committed -= 1;
            self.count_places();
        }
        self.receivers.leave(place);
        if self.receivers.len() == 0 {
            self.counts.not_empty();
        }
    }

    /// Closes for senders; what is queued stays to be received. `false` if it was closed before.
    pub(super) fn close(&mut self, wakes: &mut Wakes) -> bool {
        if std::mem::replace(&mut self.closed, true) {
            return false;
        }
        self.count_places();
        self.tell_everybody(wakes);
        true
    }

    /// Something ended for all: senders take their offers back, receivers look again.
    pub(super) fn tell_everybody(&mut self, wakes: &mut Wakes) {
        self.receivers.notify_all(wakes);
        for sender in self.offers.waiters() {
            wakes.add(sender.clone());
        }
    }

    /// Whether a receive that does not wait would find a value.
    pub(super) fn can_receive(&self) -> bool {
        let offers = self.offers.len() != 0 && !self.closed && self.offers.any_open();
        !self.queue.is_empty() || offers
    }

    /// What a receiver could take now without waiting, for spinning.
    pub(super) fn ready(&self) -> usize {
        let over = self.closed || self.sender_handles == 0;
        self.queue.len() + self.offers.len() + usize::from(over)
    }
}
