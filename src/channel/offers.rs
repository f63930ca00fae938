//! Blocked senders: each leaves its value here, in order, for a receiver to take.
//!
//! The value changes hands under the channel's lock, so a cancelled send knows exactly whether it
//! happened: its offer is still here, or it is not.

use crate::sync::{Arc, Mutex, next_number, planted};
use crate::wait::Waiter;
use std::collections::VecDeque;

pub(super) struct Offers<T> {
    /// In the order of `id`.
    waiting: VecDeque<Offer<T>>,
    next: u64,
}

struct Offer<T> {
    id: u64,
    value: T,
    waiter: Arc<Waiter>,
    claim: Option<Claim>,
}

impl<T> Offers<T> {
    pub(super) fn new() -> Self {
        Offers { waiting: VecDeque::new(), next: 0 }
    }

    pub(super) fn add(&mut self, value: T, waiter: &Arc<Waiter>, claim: Option<&Claim>) -> u64 {
        self.next += 1;
        let (id, waiter, claim) = (self.next, waiter.clone(), claim.cloned());
        self.waiting.push_back(Offer { id, value, waiter, claim });
        id
    }

    /// Takes the first offer that may be taken, together with the taker's own claim if it has one.
    /// An offer of a `select` that has gone another way is passed over; its owner takes it back.
    pub(super) fn accept(&mut self, taker: Option<&Claim>) -> Option<(T, Arc<Waiter>)> {
        let open = |offer: &Offer<T>| Claim::take_both(taker, offer.claim.as_ref());
        let i = self.waiting.iter().position(open)?;
        self.waiting.remove(i).map(|offer| (offer.value, offer.waiter))
    }

    /// Whether one can be taken: not those of a `select` that has gone another way.
    pub(super) fn any_open(&self) -> bool {
        let open = |offer: &Offer<T>| offer.claim.as_ref().is_none_or(|claim| !claim.is_taken());
        self.waiting.iter().any(open)
    }

    pub(super) fn contains(&self, id: u64) -> bool {
        self.find(id).is_some()
    }

    /// Takes an offer back; `None` if it was accepted.
    pub(super) fn withdraw(&mut self, id: u64) -> Option<T> {
        self.waiting.remove(self.find(id)?).map(|offer| offer.value)
    }

    pub(super) fn waiters(&self) -> impl Iterator<Item = &Arc<Waiter>> {
        self.waiting.iter().map(|offer| &offer.waiter)
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    fn find(&self, id: u64) -> Option<usize> {
        self.waiting.binary_search_by_key(&id, |offer| offer.id).ok()
    }
}

/// Decides which one arm of a `select` happens: whoever takes it first, the select itself or a
/// receiver that wants one of its offers.
#[derive(Clone)]
pub(super) struct Claim {
    /// Orders the locks when two selects meet at a rendezvous.
    id: u64,
    /// Guards whether an arm has happened. A leaf: no lock is taken under it but a later claim's.
    taken: Arc<Mutex<bool>>,
}

impl Claim {
    pub(super) fn new() -> Self {
        Claim { id: next_number(), taken: Arc::new(Mutex::new(false)) }
    }

    /// `true` for the one caller that gets it.
    pub(super) fn take(&self) -> bool {
        !std::mem::replace(&mut *self.taken.lock(), true)
    }

    pub(super) fn is_taken(&self) -> bool {
        *self.taken.lock()
    }

    /// Takes both or neither. Somebody without a claim has nothing to lose.
    fn take_both(a: Option<&Claim>, b: Option<&Claim>) -> bool {
        let (a, b) = match (a, b) {
            (None, None) => return true,
            (Some(one), None) | (None, Some(one)) => return one.take(),
            (Some(a), Some(b)) if a.id == b.id => return false, // A select does not meet itself.
            (Some(a), Some(b)) => (a, b),
        };
        let (first, second) = if a.id < b.id { (a, b) } else { (b, a) };
        let mut first = first.taken.lock();
        let mut second = second.taken.lock();
        let free = !*first && !*second;
        if free {
            *first = true;
            *second = !planted("one_claim_of_two");
        }
        free
    }
}
