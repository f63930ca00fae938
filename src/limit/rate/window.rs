//! The sliding window: never more than so many in any stretch of time of one length.
//!
//! A log of what passed and when. Exact while the limit is at most [`EVENTS`]; above, what passes within
//! a 1024th of the window is one entry, which counts until its latest has left. So memory is bounded,
//! and the error is on the safe side.

use super::super::errors::RateError;
use super::meter::{Meter, Tried};
use super::quantity::Rate;
use std::collections::VecDeque;
use std::time::Duration;

/// Entries of a log, about.
const EVENTS: u32 = 1024;

#[derive(Debug, Clone)]
pub struct Window {
    limit: u32,
    span: Duration,
    nanos: u64,
}

/// What passed, oldest first.
#[derive(Debug, Default)]
pub struct Log {
    events: VecDeque<Event>,
    total: u64,
    next: u64,
}

#[derive(Debug)]
struct Event {
    id: u64,
    first: u64,
    last: u64,
    n: u64,
}

impl Window {
    pub(super) fn new(limit: u32, span: Duration) -> Window {
        Window { limit, span, nanos: u64::try_from(span.as_nanos()).unwrap_or(u64::MAX) }
    }

    pub(super) fn rate(&self) -> Rate {
        Rate::new(self.limit, self.span)
    }

    /// What of the time of an event is not told apart.
    fn grain(&self) -> u64 {
        if self.limit > EVENTS { self.nanos / u64::from(EVENTS) } else { 0 }
    }
}

impl Meter for Window {
    type Cell = Log;
    /// The entry, and how much of it.
    type Taken = (u64, u32);
    type Fast = ();

    fn fresh(&self, _: u64) -> Log {
        Log::default()
    }

    fn too_many(&self, n: u32) -> Result<(), RateError> {
        if n <= self.limit {
            return Ok(());
        }
        Err(RateError::TooMany { asked: n, capacity: self.limit })
    }

    fn has_room(&self, _: &Log, _: u64, ahead: u64, _: u32) -> Result<(), RateError> {
        if ahead < 1 << 31 { Ok(()) } else { Err(RateError::Backlog) }
    }

    fn advance(&mut self, _: u64) {}

    fn settle(&self, log: &mut Log, t: u64) {
        while let Some(oldest) = log.events.front()
            && oldest.last.saturating_add(self.nanos) <= t
        {
            log.total -= oldest.n;
            log.events.pop_front();
        }
    }

    fn fits(&self, log: &Log, _: u64, n: u32) -> bool {
        log.total + u64::from(n) <= u64::from(self.limit)
    }

    fn due(&self, log: &Log, ahead: impl Iterator<Item = u32>, n: u32) -> Option<u64> {
        // Played forward: what is in the log leaves, those ahead come in and leave in their turn.
        let mut total = log.total;
        let mut at = log.events.back().map_or(0, |event| event.last);
        let mut leaving = log.events.iter().map(|event| (event.last, event.n));
        let mut played = VecDeque::new();
        for ask in ahead.chain([n]).filter(|ask| *ask <= self.limit || *ask == n) {
            let ask = u64::from(ask);
            while total + ask > u64::from(self.limit) {
                let (last, n) = leaving.next().or_else(|| played.pop_front())?;
                total -= n;
                at = at.max(last.saturating_add(self.nanos));
            }
            total += ask;
            played.push_back((at, ask));
        }
        Some(at)
    }

    fn take(&self, log: &mut Log, at: u64, n: u32) -> (u64, u32) {
        let (grain, amount) = (self.grain(), u64::from(n));
        // Somebody may have looked at the clock before the last one did.
        let at = log.events.back().map_or(at, |last| at.max(last.last));
        log.total += amount;
        match log.events.back_mut() {
            Some(last) if last.last == at || at.saturating_sub(last.first) < grain => {
                last.last = at;
                last.n += amount;
            }
            _ => {
                log.next += 1;
                log.events.push_back(Event { id: log.next, first: at, last: at, n: amount });
            }
        }
        (log.next, n)
    }

    fn age(&self, _: &Log, _: u64, _: &mut (u64, u32)) {
        // What is over is not in the log any more, and cannot be given back.
    }

    fn refund(&self, log: &mut Log, (id, n): (u64, u32)) {
        if let Ok(i) = log.events.binary_search_by_key(&id, |event| event.id) {
            log.events[i].n -= u64::from(n);
            log.total -= u64::from(n);
            if log.events[i].n == 0 {
                log.events.remove(i);
            }
        }
    }

    fn idle_at(&self, log: &Log) -> Option<u64> {
        Some(log.events.back().map_or(0, |event| event.last.saturating_add(self.nanos)))
    }

    fn level(&self, log: &Log, _: u64) -> (i64, u64) {
        (i64::from(self.limit) - log.total as i64, log.total)
    }

    fn capacity(&self) -> u32 {
        self.limit
    }

    fn become_like<'a>(&mut self, like: &Self, _: u64, _: impl Iterator<Item = &'a mut Log>) {
        *self = like.clone();
    }

    fn fast(&self, _: &Log) {}

    fn try_fast((): &(), _: u32, _: impl Fn() -> u64) -> Tried {
        Tried::Slow
    }

    fn open(&self, (): &(), _: &mut Log) {}

    fn close(&self, (): &(), _: &Log, _: bool) {}
}
