//! How long calls take lately: a histogram that forgets.

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
        let wanted = ((count as f64 * q).ceil() as u64).max(1);
        let mut seen = 0;
        (0..BUCKETS).find_map(|i| {
            seen += self.halves.iter().map(|half| u64::from(half.buckets[i])).sum::<u64>();
            (seen >= wanted).then(|| upper(i))
        })
    }
}

/// The bucket of a latency: 8 for each power of two of nanoseconds, exact below 8.
fn bucket(took: Duration) -> usize {
    let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
    if nanos < 8 {
        return nanos as usize;
    }
    let power = 63 - nanos.leading_zeros();
    let eighth = (nanos >> (power - 3)) & 7;
    ((power - 2) * 8) as usize + eighth as usize
}

/// The longest latency of a bucket.
fn upper(bucket: usize) -> Duration {
    if bucket < 8 {
        return Duration::from_nanos(bucket as u64);
    }
    let (power, eighth) = ((bucket / 8 + 2) as u32, (bucket % 8) as u128);
    let first = (8 + eighth) << (power - 3);
    let last = first + (1 << (power - 3)) - 1;
    Duration::from_nanos(u64::try_from(last).unwrap_or(u64::MAX))
}

const BUCKETS: usize = 62 * 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_what_it_says() {
        for nanos in (0..5000).chain([u64::MAX - 1, u64::MAX, 1 << 40, (1 << 40) - 1]) {
            let i = bucket(Duration::from_nanos(nanos));
            let most = upper(i).as_nanos() as u64;
            assert!(i < BUCKETS && nanos <= most && most - nanos <= nanos / 8, "{nanos} {most}");
            assert!(i == 0 || upper(i - 1).as_nanos() < u128::from(nanos));
        }
    }
}
