//! The queue of an admission. Sequential: it lives inside its owner's lock.
//!
//! Who waits stands in a line for its class and its tenant's lane. Lower classes are served when no
//! higher one waits; within a class the lanes take turns; within a lane the oldest is first, or, under
//! overload, the newest, which has the best chance to be answered in time.
//!
//! *Overload* is: the hall has not been empty for an interval. Then nobody waits longer than the target;
//! else than the interval. So a burst is smoothed, and a standing queue is not let stand.
//!
//! Invariants, after every operation:
//! 1. Somebody waits only while `in_flight >= limit`.
//! 2. No more than `places` wait.
//! 3. `entered = admitted + shed + refused + cancelled + waiting`.

use super::values::Priority;
use crate::context::Stop;
use crate::sync::Arc;
use crate::wait::{Waiter, Wakes};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A request that was not admitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdmissionError {
    /// As many wait as may, none of them less important.
    #[error("too many wait already")]
    Full,
    /// It made room for a more important one.
    #[error("it made room for a more important request")]
    Displaced,
    /// It has waited as long as one may.
    #[error("shed after a wait of {waited:?}")]
    Shed {
        /// How long it waited.
        waited: Duration,
    },
    /// The context stopped first.
    #[error(transparent)]
    Stopped(#[from] Stop),
}

impl AdmissionError {
    /// Returns whether it was turned away because of overload: the moment for a cheap answer.
    ///
    /// ```
    /// # use ironsys::limit::AdmissionError;
    /// assert!(AdmissionError::Full.is_overload());
    /// ```
    #[must_use]
    pub fn is_overload(&self) -> bool {
        !matches!(self, AdmissionError::Stopped(_))
    }

    /// Returns why the context stopped, if that is what happened.
    ///
    /// ```
    /// # use ironsys::{Context, limit::Admission};
    /// let (ctx, cancel) = Context::root();
    /// cancel.cancel();
    /// let gate = Admission::fixed(1).unwrap();
    /// assert!(gate.enter(&ctx).unwrap_err().stop().is_some());
    /// ```
    #[must_use]
    pub fn stop(&self) -> Option<&Stop> {
        match self {
            AdmissionError::Stopped(stop) => Some(stop),
            _ => None,
        }
    }
}

pub(super) struct Hall {
    pub(super) limit: usize,
    pub(super) in_flight: usize,
    /// One for each class and lane.
    lines: Vec<VecDeque<Call>>,
    lanes: usize,
    /// Which lane of each class is next.
    turns: [usize; Priority::ALL.len()],
    waiting: usize,
    rules: Rules,
    /// Since when somebody has been waiting all the time.
    standing_since: Option<Instant>,
    /// Decided, and have not looked yet.
    decided: Vec<(u64, Result<(), AdmissionError>)>,
    next: u64,
    pub(super) counts: Counts,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) places: usize,
    pub(super) target: Duration,
    pub(super) interval: Duration,
}

struct Call {
    id: u64,
    since: Instant,
    waiter: Arc<Waiter>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) admitted: u64,
    pub(super) shed: u64,
    pub(super) displaced: u64,
    pub(super) refused: u64,
    pub(super) cancelled: u64,
}

/// Where a call stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot {
    pub(super) id: u64,
    pub(super) line: usize,
}

impl Hall {
    pub(super) fn new(limit: usize, lanes: usize, rules: Rules) -> Hall {
        let lines = (0..lanes * Priority::ALL.len()).map(|_| VecDeque::new()).collect();
        Hall {
            limit,
            in_flight: 0,
            lines,
            lanes,
            turns: [0; Priority::ALL.len()],
            waiting: 0,
            rules,
            standing_since: None,
            decided: Vec::new(),
            next: 0,
            counts: Counts::default(),
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn is_overloaded(&self, now: Instant) -> bool {
        self.standing_since
            .is_some_and(|since| now.saturating_duration_since(since) >= self.rules.interval)
    }

    /// Admits at once, if nobody waits and there is room.
    pub(super) fn pass(&mut self) -> bool {
        let passes = self.waiting == 0 && self.in_flight < self.limit;
        if passes {
            self.in_flight += 1;
            self.counts.admitted += 1;
        }
        passes
    }

    /// A call that did not pass: takes its stand in line, if need be in the place of a lesser one.
    pub(super) fn enter(
        &mut self,
        class: Priority,
        lane: usize,
        now: Instant,
        waiter: &Arc<Waiter>,
        wakes: &mut Wakes,
    ) -> Result<Spot, AdmissionError> {
        if self.waiting >= self.rules.places && !self.displace(class, wakes) {
            self.counts.refused += 1;
            return Err(AdmissionError::Full);
        }
        self.next += 1;
        let (id, line) = (self.next, class as usize * self.lanes + lane);
        self.lines[line].push_back(Call { id, since: now, waiter: waiter.clone() });
        self.waiting += 1;
        self.standing_since.get_or_insert(now);
        Ok(Spot { id, line })
    }

    /// Turns away the oldest of the least important that are less important than `class`.
    fn displace(&mut self, class: Priority, wakes: &mut Wakes) -> bool {
        let lesser = (class as usize + 1) * self.lanes..self.lines.len();
        let classes = self.lines[lesser.clone()].chunks(self.lanes).enumerate().rev();
        let oldest = |lanes: &[VecDeque<Call>]| {
            let firsts = lanes.iter().enumerate().filter_map(|(i, l)| Some((l.front()?.id, i)));
            firsts.min().map(|(_, lane)| lane)
        };
        let found = classes.filter_map(|(i, lanes)| Some(i * self.lanes + oldest(lanes)?)).next();
        let Some(call) = found.and_then(|line| self.lines[lesser.start + line].pop_front()) else {
            return false;
        };
        self.decide(call, Err(AdmissionError::Displaced), wakes);
        self.counts.displaced += 1;
        true
    }

    fn decide(&mut self, call: Call, how: Result<(), AdmissionError>, wakes: &mut Wakes) {
        self.decided.push((call.id, how));
        self.left();
        wakes.add(call.waiter);
    }

    /// One fewer waits.
    fn left(&mut self) {
        self.waiting -= 1;
        if self.waiting == 0 {
            self.standing_since = None;
        }
    }

    /// How long a call may wait in all, as things stand.
    fn patience(&self, now: Instant) -> Duration {
        if self.is_overloaded(now) { self.rules.target } else { self.rules.interval }
    }

    /// What has become of a call. `Err`: it waits, and is to look again then.
    pub(super) fn look(
        &mut self,
        spot: Spot,
        now: Instant,
    ) -> Result<Result<(), AdmissionError>, Instant> {
        if let Some(i) = self.decided.iter().position(|(id, _)| *id == spot.id) {
            return Ok(self.decided.swap_remove(i).1);
        }
        let patience = self.patience(now);
        let overload_at =
            self.standing_since.and_then(|since| since.checked_add(self.rules.interval));
        let line = &mut self.lines[spot.line];
        let Ok(i) = line.binary_search_by_key(&spot.id, |call| call.id) else {
            return Ok(Err(AdmissionError::Full));
        };
        let since = line[i].since;
        let waited = now.saturating_duration_since(since);
        if waited >= patience {
            drop(line.remove(i));
            self.left();
            self.counts.shed += 1;
            return Ok(Err(AdmissionError::Shed { waited }));
        }
        // When its patience ends; or when the overload begins, if it is too old for that then.
        let far = now + Duration::from_secs(86_400 * 365);
        let end = since.checked_add(patience).unwrap_or(far);
        let strict = since.checked_add(self.rules.target).zip(overload_at);
        let strict = strict.map(|(end, overload)| end.max(overload)).filter(|at| *at > now);
        Err(strict.map_or(end, |strict| end.min(strict)))
    }

    /// A call gives up; `true`: it had been admitted.
    pub(super) fn leave(&mut self, spot: Spot) -> Option<Result<(), AdmissionError>> {
        if let Some(i) = self.decided.iter().position(|(id, _)| *id == spot.id) {
            return Some(self.decided.swap_remove(i).1);
        }
        let line = &mut self.lines[spot.line];
        if let Ok(i) = line.binary_search_by_key(&spot.id, |call| call.id) {
            drop(line.remove(i));
            self.left();
            self.counts.cancelled += 1;
        }
        None
    }

    /// One has ended.
    pub(super) fn ended(&mut self, now: Instant, wakes: &mut Wakes) {
        self.in_flight -= 1;
        self.admit(now, wakes);
    }

    pub(super) fn resize(&mut self, limit: usize, now: Instant, wakes: &mut Wakes) {
        self.limit = limit;
        self.admit(now, wakes);
    }

    /// Admits as many as there is room for; who has waited too long by then is shed.
    fn admit(&mut self, now: Instant, wakes: &mut Wakes) {
        while self.in_flight < self.limit {
            let (patience, newest) = (self.patience(now), self.is_overloaded(now));
            let Some(call) = self.pick(newest) else { return };
            let waited = now.saturating_duration_since(call.since);
            if waited >= patience {
                self.counts.shed += 1;
                self.decide(call, Err(AdmissionError::Shed { waited }), wakes);
            } else {
                self.counts.admitted += 1;
                self.in_flight += 1;
                self.decide(call, Ok(()), wakes);
            }
        }
    }

    /// Takes out who is next.
    fn pick(&mut self, newest: bool) -> Option<Call> {
        for (class, turn) in self.turns.iter_mut().enumerate() {
            for i in 0..self.lanes {
                let lane = (*turn + i) % self.lanes;
                let line = &mut self.lines[class * self.lanes + lane];
                let call = if newest { line.pop_back() } else { line.pop_front() };
                if call.is_some() {
                    *turn = (lane + 1) % self.lanes;
                    return call;
                }
            }
        }
        None
    }
}
