//! Who waits for a rate, in order of arrival, and who holds a reservation. Sequential: it lives inside
//! the lock of its owner.
//!
//! Invariants, after every operation at time `t`:
//! 1. The first in line is not due at `t`: else it would have been granted. So nobody overtakes.
//! 2. What waits has taken nothing; what was granted has taken what it asked for, once.
//! 3. The first call with a thread, the *keeper*, knows when it is due and has been told whenever that
//!    may have become earlier. The others sleep until they are told.
//! 4. `entered = used + cancelled + turned away + waiting + granted but unused`.
//!
//! A call that a thread waits for is granted at the time at which somebody looks, so what comes out keeps
//! to the limit however late a thread wakes. A reservation has no thread: it is granted at the time at
//! which it is due, since that time was promised.

use super::super::errors::{RateError, TryRateError};
use super::meter::Meter;
use crate::sync::{Arc, planted};
use crate::wait::{Waiter, Wakes};
use std::collections::VecDeque;

pub(crate) struct Queue<M: Meter> {
    /// In the order of `id`, which is the order of arrival.
    waiting: VecDeque<Call>,
    /// Granted, and neither used nor given back yet.
    granted: Vec<(u64, M::Taken)>,
    /// Turned away while they waited, and have not looked yet.
    away: Vec<(u64, RateError)>,
    next: u64,
    /// The last keeper that was told.
    keeper: u64,
    pub(super) counts: Counts,
}

struct Call {
    id: u64,
    n: u32,
    waiter: Option<Arc<Waiter>>,
}

/// What the calls that entered came to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(super) used: u64,
    pub(super) cancelled: u64,
    pub(super) turned_away: u64,
    pub(super) peak_waiting: usize,
}

/// How a call came in.
pub(crate) enum Entered {
    /// It has passed.
    Passed,
    /// It has a number.
    Number(u64),
}

/// What has become of a call that entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Look {
    /// It has passed, and is no longer in here.
    Passed,
    /// It waits, and is due then; the keeper has to wake by itself.
    Due { at: u64, keeper: bool },
    /// It was turned away, and is no longer in here.
    Refused(RateError),
}

impl Counts {
    /// Adds those of a queue that nobody is in any more.
    pub(crate) fn add<M: Meter>(&mut self, queue: &Queue<M>) {
        self.used += queue.counts.used;
        self.cancelled += queue.counts.cancelled;
        self.turned_away += queue.counts.turned_away;
        self.peak_waiting = self.peak_waiting.max(queue.counts.peak_waiting);
    }
}

impl<M: Meter> Default for Queue<M> {
    fn default() -> Self {
        Queue {
            waiting: VecDeque::new(),
            granted: Vec::new(),
            away: Vec::new(),
            next: 0,
            keeper: 0,
            counts: Counts::default(),
        }
    }
}

impl<M: Meter> Queue<M> {
    /// Whether anybody waits or holds something.
    #[inline]
    pub(crate) fn is_busy(&self) -> bool {
        !self.waiting.is_empty() || !self.granted.is_empty() || !self.away.is_empty()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn in_flight(&self) -> u64 {
        (self.waiting.len() + self.granted.len()) as u64
    }

    /// Brings everything up to `t`, before anything else at that time.
    #[inline]
    pub(crate) fn settle(&mut self, meter: &mut M, cell: &mut M::Cell, t: u64, wakes: &mut Wakes) {
        if self.is_busy() {
            self.settle_busy(meter, cell, t, wakes);
        }
        meter.advance(t);
        meter.settle(cell, t);
    }

    fn settle_busy(&mut self, meter: &M, cell: &mut M::Cell, t: u64, wakes: &mut Wakes) {
        while let Some(first) = self.waiting.front() {
            let due = match meter.too_many(first.n) {
                Ok(()) => meter.due(cell, std::iter::empty(), first.n).ok_or(RateError::NoRefill),
                Err(too_many) => Err(too_many),
            };
            if due.as_ref().is_ok_and(|at| *at > t) {
                break;
            }
            let Some(call) = self.waiting.pop_front() else { break };
            match due {
                Ok(at) => {
                    let at = if call.waiter.is_some() { t } else { at };
                    self.age(meter, cell, at);
                    self.granted.push((call.id, meter.take(cell, at, call.n)));
                }
                Err(why) => self.away.push((call.id, why)),
            }
            call.waiter.into_iter().for_each(|waiter| wakes.add(waiter));
        }
        self.age(meter, cell, t);
        meter.settle(cell, t);
        self.tell_keeper(false, wakes);
    }

    fn age(&mut self, meter: &M, cell: &M::Cell, t: u64) {
        for (_, taken) in &mut self.granted {
            meter.age(cell, t, taken);
        }
    }

    /// Tells the keeper, if it is a new one or if it may be due earlier.
    fn tell_keeper(&mut self, earlier: bool, wakes: &mut Wakes) {
        let keeper = self.waiting.iter().find(|call| call.waiter.is_some());
        let id = keeper.map_or(0, |call| call.id);
        if earlier || id != self.keeper {
            self.keeper = id;
            keeper.into_iter().flat_map(|call| &call.waiter).for_each(|w| wakes.add(w.clone()));
        }
    }

    /// Lets `n` pass if they fit now and nobody waits; else says when they are due.
    #[inline]
    pub(crate) fn pass(
        &mut self,
        meter: &M,
        cell: &mut M::Cell,
        t: u64,
        n: u32,
    ) -> Result<Result<M::Taken, u64>, RateError> {
        meter.too_many(n)?;
        if self.waiting.is_empty() && meter.fits(cell, t, n) {
            return Ok(Ok(meter.take(cell, t, n)));
        }
        let ahead = self.waiting.iter().map(|call| call.n);
        meter.due(cell, ahead, n).map(Err).ok_or(RateError::NoRefill)
    }

    /// Lets `n` pass, or says when they are due.
    #[cold]
    pub(crate) fn try_busy(
        &mut self,
        meter: &mut M,
        cell: &mut M::Cell,
        t: u64,
        n: u32,
        wakes: &mut Wakes,
    ) -> Result<(), TryRateError> {
        self.settle(meter, cell, t, wakes);
        match self.pass(meter, cell, t, n).map_err(TryRateError::of)? {
            Ok(_) => Ok(()),
            Err(at) => Err(TryRateError::not_yet(at.saturating_sub(t).max(1))),
        }
    }

    /// A call that does not turn round: passes, or gets a number, unless it is due after `latest`.
    /// Reserving, it gets a number in any case, and keeps what it was granted until it is used.
    pub(crate) fn enter(
        &mut self,
        meter: &M,
        cell: &mut M::Cell,
        t: u64,
        n: u32,
        latest: Option<u64>,
        reserving: bool,
    ) -> Result<Entered, RateError> {
        match self.pass(meter, cell, t, n)? {
            Ok(_) if !reserving => return Ok(Entered::Passed),
            Ok(taken) => {
                self.next += 1;
                self.granted.push((self.next, taken));
            }
            Err(at) if latest.is_some_and(|latest| at > latest) => {
                return Err(RateError::too_late(at.saturating_sub(t)));
            }
            Err(_) => {
                let ahead = self.waiting.iter().map(|call| u64::from(call.n)).sum();
                meter.has_room(cell, t, ahead, n)?;
                self.next += 1;
                self.waiting.push_back(Call { id: self.next, n, waiter: None });
                self.counts.peak_waiting = self.counts.peak_waiting.max(self.waiting.len());
            }
        }
        Ok(Entered::Number(self.next))
    }

    /// What has become of the call. `waiter`: its thread waits from now on. `peek`: what was granted
    /// stays here.
    pub(crate) fn look(
        &mut self,
        meter: &M,
        cell: &M::Cell,
        id: u64,
        waiter: Option<&Arc<Waiter>>,
        peek: bool,
    ) -> Look {
        if let Some(i) = self.granted.iter().position(|(granted, _)| *granted == id) {
            if !peek {
                drop(self.granted.swap_remove(i));
                self.counts.used += 1;
            }
            return Look::Passed;
        }
        let Ok(i) = self.waiting.binary_search_by_key(&id, |call| call.id) else {
            return Look::Refused(self.why_away(id, waiter.is_some()));
        };
        let n = self.waiting[i].n;
        let Some(at) = meter.due(cell, self.waiting.iter().take(i).map(|call| call.n), n) else {
            if waiter.is_some() {
                drop(self.waiting.remove(i));
                self.counts.turned_away += 1;
            }
            return Look::Refused(RateError::NoRefill);
        };
        if let Some(waiter) = waiter {
            self.waiting[i].waiter = Some(waiter.clone());
        }
        let keeper = self.waiting.iter().take(i).all(|call| call.waiter.is_none());
        if keeper && waiter.is_some() {
            self.keeper = id;
        }
        Look::Due { at, keeper }
    }

    /// A blocked call looks once and is gone; a reservation may ask again, until it is dropped.
    fn why_away(&mut self, id: u64, for_good: bool) -> RateError {
        match self.away.iter().position(|(away, _)| *away == id) {
            Some(i) if for_good => {
                self.counts.turned_away += 1;
                self.away.swap_remove(i).1
            }
            Some(i) => self.away[i].1.clone(),
            None => RateError::NoRefill,
        }
    }

    /// A call that waits goes away; `true`: it had been granted, and has passed.
    pub(crate) fn withdraw(&mut self, id: u64, wakes: &mut Wakes) -> bool {
        if let Some(i) = self.granted.iter().position(|(granted, _)| *granted == id) {
            drop(self.granted.swap_remove(i));
            self.counts.used += 1;
            // It did happen: what it took is not given back.
            return !planted("lost_turn");
        }
        self.leave(id);
        self.tell_keeper(true, wakes);
        false
    }

    /// A reservation is given back, whatever has become of it.
    pub(crate) fn cancel(
        &mut self,
        meter: &M,
        cell: &mut M::Cell,
        t: u64,
        id: u64,
        wakes: &mut Wakes,
    ) {
        match self.granted.iter().position(|(granted, _)| *granted == id) {
            Some(i) => {
                let (_, taken) = self.granted.swap_remove(i);
                meter.refund(cell, taken);
                self.counts.cancelled += 1;
            }
            None => self.leave(id),
        }
        // Those behind move up.
        self.settle_busy(meter, cell, t, wakes);
        self.tell_keeper(true, wakes);
    }

    fn leave(&mut self, id: u64) {
        if let Ok(i) = self.waiting.binary_search_by_key(&id, |call| call.id) {
            drop(self.waiting.remove(i));
            self.counts.cancelled += 1;
        } else if let Some(i) = self.away.iter().position(|(away, _)| *away == id) {
            drop(self.away.swap_remove(i));
            self.counts.turned_away += 1;
        }
    }

    /// After a change of the limit: everybody who waits looks again.
    pub(crate) fn changed(&mut self, meter: &M, cell: &mut M::Cell, t: u64, wakes: &mut Wakes) {
        if self.is_busy() {
            self.settle_busy(meter, cell, t, wakes);
            self.waiting.iter().filter_map(|c| c.waiter.clone()).for_each(|w| wakes.add(w));
        }
    }
}
