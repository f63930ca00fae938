//! How long calls take lately: a histogram that forgets.

use crate::observe::{BUCKETS, bucket, quantile};
use std::time::{Duration, Instant};

/// Latencies in buckets of an eighth of a power of two, so that a quantile is at most an eighth too
/// long. Two halves: one fills, the other is from the time before.
pub(super) struct Latencies {
    halves: [Half; 2],
    /// When the older half goes.
    turn: Option<Instant>,
    every: Duration,
}

#[derive(Clone)]
struct Half {
    buckets: Box<[u32]>,
    count: u64,
}

impl Half {
    fn new() -> Self {
        Half { buckets: vec![0; BUCKETS].into(), count: 0 }
    }

    fn clear(&mut self) {
        self.buckets.fill(0);
        self.count = 0;
    }
}

impl Latencies {
    /// Remembers between `every` and twice that.
    pub(super) fn new(every: Duration) -> Self {
        Latencies { halves: [Half::new(), Half::new()], turn: None, every }
    }

    pub(super) fn add(&mut self, took: Duration, now: Instant) {
        self.forget(now);
        let newer = &mut self.halves[0];
        let bucket = &mut newer.buckets[bucket(took)];
        *bucket = bucket.saturating_add(1);
        newer.count += 1;
    }

    fn forget(&mut self, now: Instant) {
        match self.turn {
            None => self.turn = now.checked_add(self.every),
            Some(turn) if now >= turn => {
                self.halves.swap(0, 1);
                self.halves[0].clear();
                if now.saturating_duration_since(turn) >= self.every {
                    self.halves[1].clear(); // Both are from long ago.
                }
                self.turn = now.checked_add(self.every);
            }
            Some(_) => {}
        }
    }

    /// The latency that a share of `q` of the calls did not exceed, if there are `least` calls.
    pub(super) fn quantile(&mut self, q: f64, least: u64, now: Instant) -> Option<Duration> {
        self.forget(now);
        let count = self.halves.iter().map(|half| half.count).sum::<u64>();
        if count < least.max(1) {
            return None;
        }
        let count = |i: usize| self.halves.iter().map(|half| u64::from(half.buckets[i])).sum();
        quantile(q, BUCKETS, count)
    }
}
