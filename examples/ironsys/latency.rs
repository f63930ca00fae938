//! How long requests take lately.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Seconds that are remembered.
const SECONDS: u64 = 10;
const BUCKETS: usize = 256;

/// Times in microseconds to within an eighth, of the last ten seconds.
pub(crate) struct Recent {
    start: Instant,
    seconds: [Second; SECONDS as usize],
}

struct Second {
    number: AtomicU64,
    counts: [AtomicU64; BUCKETS],
}

impl Default for Recent {
    fn default() -> Self {
        let second = || Second {
            number: AtomicU64::new(u64::MAX),
            counts: [const { AtomicU64::new(0) }; BUCKETS],
        };
        Recent { start: Instant::now(), seconds: std::array::from_fn(|_| second()) }
    }
}

impl Recent {
    pub(crate) fn add(&self, took: Duration) {
        let now = self.start.elapsed().as_secs();
        let second = &self.seconds[(now % SECONDS) as usize];
        // Who changes the number clears the counts. A time counted meanwhile may be lost: it is a view.
        if second.number.swap(now, Relaxed) != now {
            second.counts.iter().for_each(|count| count.store(0, Relaxed));
        }
        second.counts[bucket(took)].fetch_add(1, Relaxed);
    }

    /// What so large a part of the requests took at most; `None` if there were none.
    pub(crate) fn quantiles<const N: usize>(&self, parts: [f64; N]) -> Option<[Duration; N]> {
        let now = self.start.elapsed().as_secs();
        let mut sums = [0; BUCKETS];
        let recent = |second: &&Second| now.saturating_sub(second.number.load(Relaxed)) < SECONDS;
        for second in self.seconds.iter().filter(recent) {
            for (sum, count) in sums.iter_mut().zip(&second.counts) {
                *sum += count.load(Relaxed);
            }
        }
        quantiles(&sums, parts)
    }
}

/// The bucket of a time.
pub(crate) fn bucket(took: Duration) -> usize {
    let us = (took.as_micros() as u64).max(1);
    let log = us.ilog2();
    let eighth = (us << 3 >> log) & 7;
    (log as usize * 8 + eighth as usize).min(BUCKETS - 1)
}

/// Quantiles of counts by bucket.
pub(crate) fn quantiles<const N: usize>(counts: &[u64], parts: [f64; N]) -> Option<[Duration; N]> {
    let all: u64 = counts.iter().sum();
    let of = |part: f64| {
        let wanted = ((all as f64 * part).ceil() as u64).max(1);
        let mut sum = 0;
        let at = counts.iter().position(|count| {
            sum += count;
            sum >= wanted
        });
        let at = at.unwrap_or(counts.len() - 1) as u64;
        Duration::from_micros((8 + at % 8 + 1) << (at / 8) >> 3)
    };
    (all > 0).then(|| parts.map(of))
}
