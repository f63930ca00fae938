//! What a rule remembers: plain data, under the breaker's lock.

use super::trip::{Kind, Trip};
use std::time::{Duration, Instant};

/// The calls that one rule looks at, each good or bad.
pub(super) struct Window {
    rule: Trip,
    seen: Seen,
}

enum Seen {
    /// Bad ones since the last good one.
    Run(u32),
    Last(Last),
    Within(Within),
}

impl Window {
    pub(super) fn new(rule: &Trip) -> Self {
        let seen = match rule.kind {
            Kind::Consecutive(_) => Seen::Run(0),
            Kind::Last { calls, .. } => Seen::Last(Last::new(calls)),
            Kind::Within { time, .. } => Seen::Within(Within::new(time)),
        };
        Window { rule: rule.clone(), seen }
    }

    pub(super) fn looks_at_slow(&self) -> bool {
        self.rule.slow
    }

    /// Whether the rule needs to know when a call ended.
    pub(super) fn is_timed(&self) -> bool {
        self.rule.slow || matches!(self.seen, Seen::Within(_))
    }

    /// Adds a call; `true` if the rule now says that the breaker opens.
    pub(super) fn add(&mut self, bad: bool, now: Option<Instant>) -> bool {
        match &mut self.seen {
            Seen::Run(run) => *run = if bad { run.saturating_add(1) } else { 0 },
            Seen::Last(last) => last.add(bad),
            Seen::Within(within) => within.add(bad, now),
        }
        self.trips()
    }

    fn trips(&self) -> bool {
        let (calls, bad) = self.counts();
        match self.rule.kind {
            Kind::Consecutive(limit) => bad >= u64::from(limit),
            Kind::Last { calls: size, ratio } => {
                calls >= u64::from(self.rule.min_calls.unwrap_or(size))
                    && share(bad, calls) >= ratio
            }
            Kind::Within { ratio, .. } => {
                let min = self.rule.min_calls.unwrap_or(DEFAULT_MIN_CALLS);
                calls >= u64::from(min) && share(bad, calls) >= ratio
            }
        }
    }

    /// Whether one more good call would change nothing.
    pub(super) fn is_quiet(&self) -> bool {
        match &self.seen {
            Seen::Run(run) => *run == 0,
            Seen::Last(last) => last.bad == 0 && last.filled == last.size,
            Seen::Within(_) => false,
        }
    }

    /// How many calls it holds, and how many of them are bad.
    pub(super) fn counts(&self) -> (u64, u64) {
        match &self.seen {
            Seen::Run(run) => (u64::from(*run), u64::from(*run)),
            Seen::Last(last) => (u64::from(last.filled), u64::from(last.bad)),
            Seen::Within(within) => (within.sum.calls, within.sum.bad),
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Window::new(&self.rule);
    }
}

/// A division of two whole numbers is the nearest fraction, so 3 of 10 is not less than 0.3.
fn share(bad: u64, calls: u64) -> f64 {
    bad as f64 / calls as f64
}

/// The last so many calls, a bit each.
struct Last {
    bits: Box<[u64]>,
    size: u32,
    /// Where the next one goes; the oldest is there once the ring is full.
    at: u32,
    filled: u32,
    bad: u32,
}

impl Last {
    fn new(size: u32) -> Self {
        let words = size.div_ceil(64) as usize;
        Last { bits: vec![0; words].into(), size, at: 0, filled: 0, bad: 0 }
    }

    fn add(&mut self, bad: bool) {
        let word = &mut self.bits[(self.at / 64) as usize];
        let bit = 1 << (self.at % 64);
        if self.filled < self.size {
            self.filled += 1;
        } else if *word & bit != 0 {
            self.bad -= 1;
        }
        if bad {
            *word |= bit;
            self.bad += 1;
        } else {
            *word &= !bit;
        }
        self.at = (self.at + 1) % self.size;
    }
}

/// The calls of the last while, in ten slices.
struct Within {
    /// Nanoseconds a slice.
    slice: u128,
    start: Option<Instant>,
    /// The number of the present slice; it sits at this number modulo ten.
    last: u128,
    slices: [Slice; SLICES as usize],
    sum: Slice,
}

#[derive(Default, Clone, Copy)]
struct Slice {
    calls: u64,
    bad: u64,
}

impl Within {
    fn new(time: Duration) -> Self {
        let slice = time.as_nanos().div_ceil(SLICES);
        let slices = [Slice::default(); SLICES as usize];
        Within { slice, start: None, last: 0, slices, sum: Slice::default() }
    }

    fn add(&mut self, bad: bool, now: Option<Instant>) {
        if let Some(now) = now {
            let start = *self.start.get_or_insert(now);
            // The clock was read before the lock was taken: what comes late counts as now.
            self.move_to(now.saturating_duration_since(start).as_nanos() / self.slice);
        }
        for slice in [&mut self.slices[(self.last % SLICES) as usize], &mut self.sum] {
            slice.calls += 1;
            slice.bad += u64::from(bad);
        }
    }

    fn move_to(&mut self, to: u128) {
        for skipped in 1..=to.saturating_sub(self.last).min(SLICES) {
            let old = std::mem::take(&mut self.slices[((self.last + skipped) % SLICES) as usize]);
            self.sum.calls -= old.calls;
            self.sum.bad -= old.bad;
        }
        self.last = self.last.max(to);
    }
}

const SLICES: u128 = 10;
const DEFAULT_MIN_CALLS: u32 = 10;
