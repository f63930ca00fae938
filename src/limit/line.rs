//! What is behind a semaphore: one lock over the count and the waiting line.
//!
//! Whoever gives permits back hands them out to the line in the same critical section, so a free
//! permit is never up for grabs while somebody waits.
//!
//! Invariants, whenever the lock is free:
//! 1. The first call in the line asks for more than is free: else it would have been granted.
//! 2. No call in the line asks for more than the capacity, and none is there once closed.
//! 3. `in_use` is the sum of all permits and of the grants whose callers have not looked yet.
//! 4. `entered = granted + refused + cancelled + line.len()`.
//!
//! There is no count of free permits here: what is free is `capacity - in_use`, or nothing while a shrink
//! has left a debt. So a resize cannot mint any.
//!
//! While there is neither line nor debt, all of it that a call changes is in one word beside the lock, see
//! [`Line::word`], so that a call needs no lock. `in_use` and `counts.granted` are then out of date.

use super::errors::{AcquireError, TryAcquireError};
use crate::sync::Arc;
use crate::wait::{Waiter, Wakes};
use std::collections::VecDeque;

pub(super) struct Line {
    pub(super) capacity: usize,
    pub(super) in_use: usize,
    pub(super) closed: bool,
    /// In the order of `id`, which is the order of arrival.
    waiting: VecDeque<Call>,
    /// Turned away while they waited, and have not looked yet.
    turned_away: Vec<(u64, AcquireError)>,
    next: u64,
    pub(super) counts: Counts,
}

/// A blocked call.
struct Call {
    id: u64,
    asked: usize,
    waiter: Arc<Waiter>,
}

/// What the calls came to. `entered` is the sum of these and of those that wait.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) granted: u64,
    pub(super) refused: u64,
    pub(super) cancelled: u64,
    /// Calls that neither got permits nor waited.
    pub(super) rejected: u64,
    pub(super) peak_waiting: usize,
}

impl Line {
    pub(super) fn new(capacity: usize) -> Self {
        Line {
            capacity,
            in_use: 0,
            closed: false,
            waiting: VecDeque::new(),
            turned_away: Vec::new(),
            next: 0,
            counts: Counts::default(),
        }
    }

    /// What a call may do without the lock, as a word: in bits 32 to 62 how many permits are free, below
    /// how many calls have been granted by way of the word. `None`: nothing, it has to see the line.
    pub(super) fn word(&self) -> Option<u64> {
        let alone = self.waiting.is_empty() && !self.closed && self.capacity < 1 << 31;
        let free = self.capacity.checked_sub(self.in_use).filter(|_| alone)?;
        Some((free as u64) << 32)
    }

    /// Takes over what calls have done by way of the word.
    pub(super) fn collect(&mut self, word: u64) {
        self.in_use = self.capacity - (word >> 32) as usize;
        self.counts.granted += word & GRANTS;
    }

    pub(super) fn free(&self) -> usize {
        self.capacity.saturating_sub(self.in_use)
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Takes permits if they are free and nobody waits for them.
    #[inline]
    pub(super) fn take(&mut self, asked: usize) -> Result<(), TryAcquireError> {
        let fits = asked <= self.free() && self.waiting.is_empty();
        if (fits || asked == 0) && !self.closed {
            self.in_use += asked;
            self.counts.granted += 1;
            return Ok(());
        }
        Err(self.why_not(asked))
    }

    #[cold]
    fn why_not(&self, asked: usize) -> TryAcquireError {
        if self.closed {
            TryAcquireError::Closed
        } else if asked > self.capacity {
            TryAcquireError::TooMany { asked, capacity: self.capacity }
        } else {
            TryAcquireError::NoPermits
        }
    }

    /// Puts a call that found no permits at the end, and returns its number.
    pub(super) fn enter(&mut self, asked: usize, waiter: &Arc<Waiter>) -> u64 {
        self.next += 1;
        self.waiting.push_back(Call { id: self.next, asked, waiter: waiter.clone() });
        self.counts.peak_waiting = self.counts.peak_waiting.max(self.waiting.len());
        self.next
    }

    /// What has become of a call that entered; `None`: it waits.
    pub(super) fn look(&mut self, id: u64) -> Option<Result<(), AcquireError>> {
        if self.find(id).is_some() {
            return None;
        }
        let away = self.turned_away.iter().position(|(away, _)| *away == id);
        Some(away.map_or(Ok(()), |i| Err(self.turned_away.swap_remove(i).1)))
    }

    /// Takes a call out. If it still waited, the next ones may now fit; if not, its fate was decided
    /// before and is returned.
    pub(super) fn leave(&mut self, id: u64, wakes: &mut Wakes) -> Option<Result<(), AcquireError>> {
        let Some(i) = self.find(id) else { return self.look(id) };
        let gone = self.waiting.remove(i);
        drop(gone);
        self.counts.cancelled += 1;
        self.grant(wakes);
        None
    }

    /// Takes permits back.
    #[inline]
    pub(super) fn give_back(&mut self, permits: usize, wakes: &mut Wakes) {
        self.in_use -= permits;
        if !self.waiting.is_empty() {
            self.grant(wakes);
        }
    }

    /// Hands out what is free, in order; the first call that does not fit holds up the rest.
    fn grant(&mut self, wakes: &mut Wakes) {
        while let Some(first) = self.waiting.front()
            && first.asked <= self.free()
            && let Some(call) = self.waiting.pop_front()
        {
            self.in_use += call.asked;
            self.counts.granted += 1;
            wakes.add(call.waiter);
        }
    }

    pub(super) fn resize(&mut self, capacity: usize, wakes: &mut Wakes) {
        self.capacity = capacity;
        self.turn_away(
            |call| call.asked > capacity,
            wakes,
            |asked| AcquireError::TooMany { asked, capacity },
        );
        self.grant(wakes);
    }

    /// `false` if it was closed before.
    pub(super) fn close(&mut self, wakes: &mut Wakes) -> bool {
        if std::mem::replace(&mut self.closed, true) {
            return false;
        }
        self.turn_away(|_| true, wakes, |_| AcquireError::Closed);
        true
    }

    fn turn_away(
        &mut self,
        whom: impl Fn(&Call) -> bool,
        wakes: &mut Wakes,
        why: impl Fn(usize) -> AcquireError,
    ) {
        for call in std::mem::take(&mut self.waiting) {
            if whom(&call) {
                self.counts.refused += 1;
                self.turned_away.push((call.id, why(call.asked)));
                wakes.add(call.waiter);
            } else {
                self.waiting.push_back(call);
            }
        }
    }

    fn find(&self, id: u64) -> Option<usize> {
        self.waiting.binary_search_by_key(&id, |call| call.id).ok()
    }
}

/// In the place of a word: ask the line.
pub(super) const BUSY: u64 = 1 << 63;
const GRANTS: u64 = (1 << 32) - 1;

/// The word once a call has taken permits; `None`: it has to ask the line.
#[inline]
pub(super) fn less(word: u64, permits: usize) -> Option<u64> {
    let free = word >> 32;
    let there = word < BUSY && permits as u64 <= free && word & GRANTS != GRANTS;
    there.then(|| word - ((permits as u64) << 32) + 1)
}

/// The word once permits have come back; `None`: the line has to be asked.
#[inline]
pub(super) fn more(word: u64, permits: usize) -> Option<u64> {
    (word < BUSY).then(|| word + ((permits as u64) << 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_can_count_no_more_grants_goes_to_the_line() {
        let mut line = Line::new(3);
        let word = line.word().unwrap() | (GRANTS - 1);
        let full = less(word, 2).unwrap();
        assert_eq!((less(full, 1), less(full, 0)), (None, None));
        line.collect(more(full, 1).unwrap());
        assert_eq!((line.in_use, line.counts.granted, line.word()), (1, GRANTS, Some(2 << 32)));
    }
}
