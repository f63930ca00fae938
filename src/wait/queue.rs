//! Threads waiting for one condition.
//!
//! The queue has no lock of its own: it lives inside the lock that guards the condition. So a thread
//! tests and registers in one critical section, and a change and the choice of whom to tell are one
//! critical section too. Waking happens after the lock is released.

use super::waiter::Waiter;
use crate::sync::Arc;
use std::collections::VecDeque;

/// A FIFO of waiting threads. At most one is on its way at a time: the next is told when that one
/// has looked, by the baton. One wake-up then serves a burst, and a crowd is never woken for one item.
#[derive(Default)]
pub(crate) struct WaitQueue {
    /// In the order of `id`.
    entries: VecDeque<Entry>,
    next: u64,
    /// How many were told and have not looked yet.
    on_their_way: usize,
}

struct Entry {
    id: u64,
    waiter: Arc<Waiter>,
}

/// A blocked call's place in a queue. It keeps its number when it has to wait again, so that a
/// thread that was told in vain does not go to the back.
#[derive(Default)]
pub(crate) struct Place {
    id: u64,
}

impl Place {
    pub(crate) fn is_taken(&self) -> bool {
        self.id != 0
    }
}

impl WaitQueue {
    /// Registers a call that has found its condition false. May be called again after a wake-up.
    /// `true` if the call had been told, in vain.
    pub(crate) fn enter(&mut self, place: &mut Place, waiter: &Arc<Waiter>) -> bool {
        if place.id == 0 {
            self.next += 1;
            place.id = self.next;
            self.entries.push_back(Entry { id: place.id, waiter: waiter.clone() });
        } else if let Err(i) = self.find(place.id) {
            self.on_their_way -= 1;
            self.entries.insert(i, Entry { id: place.id, waiter: waiter.clone() });
            return true;
        }
        false
    }

    /// Takes the place back, told or not. The caller then passes the baton: it calls
    /// [`notify_one`](Self::notify_one) if the condition is still true for somebody else.
    pub(crate) fn leave(&mut self, place: &mut Place) {
        match std::mem::take(&mut place.id) {
            0 => {}
            id => match self.find(id) {
                Ok(i) => drop(self.entries.remove(i)),
                Err(_) => self.on_their_way -= 1,
            },
        }
    }

    /// Tells the first thread, unless one is on its way already. Wake what it adds after unlocking.
    #[inline]
    pub(crate) fn notify_one(&mut self, wakes: &mut Wakes) {
        if self.on_their_way == 0
            && let Some(entry) = self.entries.pop_front()
        {
            self.on_their_way += 1;
            wakes.add(entry.waiter);
        }
    }

    /// Like [`notify_one`](Self::notify_one), but not the call at `place`: what made the condition
    /// true is of no use to it.
    pub(crate) fn notify_other(&mut self, place: &Place, wakes: &mut Wakes) {
        if self.on_their_way == 0
            && let Some(i) = self.entries.iter().position(|e| e.id != place.id)
            && let Some(entry) = self.entries.remove(i)
        {
            self.on_their_way += 1;
            wakes.add(entry.waiter);
        }
    }

    /// Like [`notify_one`](Self::notify_one), but the thread that came last: the others may be idle
    /// for long enough to be sent home.
    pub(crate) fn notify_last(&mut self, wakes: &mut Wakes) {
        if self.on_their_way == 0
            && let Some(entry) = self.entries.pop_back()
        {
            self.on_their_way += 1;
            wakes.add(entry.waiter);
        }
    }

    /// Tells everybody, the whole list at once.
    pub(crate) fn notify_all(&mut self, wakes: &mut Wakes) {
        self.on_their_way += self.entries.len();
        for entry in self.entries.drain(..) {
            wakes.add(entry.waiter);
        }
    }

    /// How many wait: parked, about to park, or on their way.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() + self.on_their_way
    }

    fn find(&self, id: u64) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&id, |e| e.id)
    }
}

/// Threads to wake once the lock is released. The first needs no allocation.
#[derive(Default)]
#[must_use = "a thread that is not woken sleeps for ever"]
pub(crate) struct Wakes {
    first: Option<Arc<Waiter>>,
    rest: Vec<Arc<Waiter>>,
}

impl Wakes {
    pub(crate) fn add(&mut self, waiter: Arc<Waiter>) {
        if self.first.is_none() {
            self.first = Some(waiter);
        } else {
            self.rest.push(waiter);
        }
    }

    /// Wakes them. No lock may be held.
    #[inline]
    pub(crate) fn wake(self) {
        if let Some(first) = self.first {
            first.wake();
            for waiter in self.rest {
                waiter.wake();
            }
        }
    }
}
