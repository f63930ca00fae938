//! How long things take: a histogram that costs next to nothing to add to.

use super::buckets::{BUCKETS, bucket, nanos, upper};
use crate::sync::{AtomicU64, LeakTrack, MODEL, Ordering, thread_slot};
use std::fmt;
use std::time::Duration;

/// A histogram of durations with fixed buckets, eight for each power of two of nanoseconds: a quantile
/// is never more than an eighth too long, whatever was recorded.
///
/// Nothing is locked, sampled or forgotten. Put it into an `Arc` or a static place of your own and
/// [`record`](Self::record) from any thread.
///
/// # Cost
/// A record is some nanoseconds: the first 16 threads that are alive have counts of their own. A
/// histogram takes up 50 KiB; durations above 78 hours count as that long.
///
/// ```
/// use ironsys::observe::Histogram;
/// use std::time::Duration;
///
/// let latency = Histogram::new();
/// for ms in 1..=100 {
///     latency.record(Duration::from_millis(ms));
/// }
/// let seen = latency.snapshot();
/// assert_eq!(seen.count(), 100);
/// let median = seen.quantile(0.5).unwrap();
/// assert!(median >= Duration::from_millis(50) && median <= Duration::from_millis(57));
/// ```
pub struct Histogram {
    places: Box<[Place]>,
    shared: Place,
    _leak: LeakTrack,
}

/// The counts of one thread, or those of all that have no place of their own.
struct Place {
    buckets: Box<[AtomicU64]>,
    /// The sum of the durations, in nanoseconds.
    sum: AtomicU64,
}

impl Place {
    fn new() -> Self {
        let buckets = (0..KEPT).map(|_| AtomicU64::new(0)).collect();
        Place { buckets, sum: AtomicU64::new(0) }
    }
}

/// Up to 2^48 nanoseconds; in a model there are few, since each is a thing the checker follows.
const KEPT: usize = if MODEL { 4 } else { 8 + (48 - 3) * 8 + 1 };

impl Histogram {
    /// Makes an empty histogram.
    ///
    /// ```
    /// # use ironsys::observe::Histogram;
    /// assert_eq!(Histogram::new().snapshot().count(), 0);
    /// ```
    #[must_use]
    pub fn new() -> Self {
        // In a model there is no process-wide list of places, so all share.
        let places = if MODEL { 0 } else { thread_slot::COUNT };
        Histogram {
            places: (0..places).map(|_| Place::new()).collect(),
            shared: Place::new(),
            _leak: LeakTrack::new(),
        }
    }

    /// Adds a duration.
    ///
    /// ```
    /// # use ironsys::observe::Histogram;
    /// let latency = Histogram::new();
    /// latency.record(std::time::Duration::from_millis(5));
    /// assert_eq!(latency.snapshot().count(), 1);
    /// ```
    #[inline]
    pub fn record(&self, time: Duration) {
        let (i, nanos) = (bucket(time).min(KEPT - 1), nanos(time));
        match self.places.get(thread_slot::mine()) {
            Some(mine) => {
                // Only this thread writes it.
                let add = |to: &AtomicU64, more: u64| {
                    let so_far = to.load(Ordering::Relaxed); // loom: unreached: in a model all share.
                    to.store(so_far.wrapping_add(more), Ordering::Relaxed); // loom: unreached: in a model all share.
                };
                add(&mine.buckets[i], 1);
                add(&mine.sum, nanos);
            }
            None => {
                self.shared.buckets[i].fetch_add(1, Ordering::Relaxed);
                self.shared.sum.fetch_add(nanos, Ordering::Relaxed);
            }
        }
    }

    /// Copies the counts. While others record, it may miss the latest.
    ///
    /// ```
    /// # use ironsys::observe::Histogram;
    /// let latency = Histogram::new();
    /// let before = latency.snapshot();
    /// latency.record(std::time::Duration::from_millis(5));
    /// assert_eq!((before.count(), latency.snapshot().count()), (0, 1));
    /// ```
    #[must_use]
    pub fn snapshot(&self) -> HistogramSnapshot {
        let mut buckets = vec![0; KEPT];
        let mut sum = 0u64;
        for place in self.places.iter().chain([&self.shared]) {
            for (all, one) in buckets.iter_mut().zip(&place.buckets) {
                *all += one.load(Ordering::Relaxed);
            }
            sum = sum.wrapping_add(place.sum.load(Ordering::Relaxed));
        }
        HistogramSnapshot { buckets, sum: Duration::from_nanos(sum) }
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram::new()
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram").field("count", &self.snapshot().count()).finish_non_exhaustive()
    }
}

/// A histogram at one moment. Made by [`Histogram::snapshot`].
#[derive(Clone, PartialEq, Eq)]
pub struct HistogramSnapshot {
    buckets: Vec<u64>,
    sum: Duration,
}

impl HistogramSnapshot {
    /// Returns how many durations were recorded.
    ///
    /// ```
    /// # use ironsys::observe::Histogram;
    /// let latency = Histogram::new();
    /// latency.record(std::time::Duration::from_millis(5));
    /// assert_eq!(latency.snapshot().count(), 1);
    /// ```
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Returns the sum of the durations; it starts again at zero after 584 years.
    ///
    /// ```
    /// # use ironsys::observe::Histogram;
    /// # use std::time::Duration;
    /// let latency = Histogram::new();
    /// latency.record(Duration::from_millis(5));
    /// latency.record(Duration::from_millis(6));
    /// assert_eq!(latency.snapshot().sum(), Duration::from_millis(11));
    /// ```
    #[must_use]
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// Returns how many durations were at most `edge`. It is exact for the powers of two of
    /// nanoseconds; in between, those of the bucket around `edge` do not count.
    ///
    /// ```
    /// # use ironsys::observe::Histogram;
    /// # use std::time::Duration;
    /// let latency = Histogram::new();
    /// latency.record(Duration::from_nanos(1000));
    /// latency.record(Duration::from_nanos(3000));
    /// assert_eq!(latency.snapshot().count_up_to(Duration::from_nanos(2048)), 1);
    /// ```
    #[must_use]
    pub fn count_up_to(&self, edge: Duration) -> u64 {
        let of = bucket(edge);
        let whole = if upper(of) <= edge { of + 1 } else { of };
        self.buckets.iter().take(whole).sum()
    }

    /// Returns the duration that a share `q` of the records did not exceed: at most an eighth too
    /// long. `None` if nothing was recorded. 0 and less is the shortest, 1 and more the longest.
    ///
    /// ```
    /// # use ironsys::observe::Histogram;
    /// # use std::time::Duration;
    /// let latency = Histogram::new();
    /// assert_eq!(latency.snapshot().quantile(0.5), None);
    /// latency.record(Duration::from_millis(8));
    /// let median = latency.snapshot().quantile(0.5).unwrap();
    /// assert!(median >= Duration::from_millis(8) && median <= Duration::from_millis(9));
    /// ```
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        quantile(q, self.buckets.len(), |i| self.buckets[i])
    }
}

impl fmt::Debug for HistogramSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HistogramSnapshot")
            .field("count", &self.count())
            .field("p50", &self.quantile(0.5))
            .field("p99", &self.quantile(0.99))
            .finish_non_exhaustive()
    }
}

/// The upper edge of the bucket that holds the share `q` of what is in `buckets`.
pub(crate) fn quantile(q: f64, buckets: usize, count: impl Fn(usize) -> u64) -> Option<Duration> {
    let all: u64 = (0..buckets).map(&count).sum();
    if all == 0 {
        return None;
    }
    let wanted = ((all as f64 * q).ceil() as u64).clamp(1, all);
    let mut seen = 0;
    let found = (0..buckets).find(|&i| {
        seen += count(i);
        seen >= wanted
    });
    found.map(upper)
}

const _: () = assert!(KEPT <= BUCKETS);
