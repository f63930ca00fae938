//! Buckets for durations: 8 for each power of two of nanoseconds, so that a bucket is never wider than
//! an eighth of what it holds.
//!
//! A bucket holds what is longer than the bucket before it and at most [`upper`]; so the powers of two
//! are edges themselves. Bucket 0 is zero.

use std::time::Duration;

/// As many as there are for all durations of up to 2^64 nanoseconds.
pub(crate) const BUCKETS: usize = 62 * 8 + 1;

/// The bucket of a duration.
#[inline]
pub(crate) fn bucket(time: Duration) -> usize {
    let Some(below) = nanos(time).checked_sub(1) else { return 0 };
    if below < 8 {
        return below as usize + 1;
    }
    let power = 63 - below.leading_zeros();
    let eighth = (below >> (power - 3)) & 7;
    ((power - 2) * 8) as usize + eighth as usize + 1
}

/// The longest duration of a bucket.
pub(crate) fn upper(bucket: usize) -> Duration {
    let Some(below) = bucket.checked_sub(1) else { return Duration::ZERO };
    if below < 8 {
        return Duration::from_nanos(below as u64 + 1);
    }
    let (power, eighth) = ((below / 8 + 2) as u32, (below % 8) as u128);
    let last = (9 + eighth) << (power - 3);
    Duration::from_nanos(u64::try_from(last).unwrap_or(u64::MAX))
}

/// In nanoseconds: `u64::MAX` stands for everything longer than that, which is 584 years.
#[inline]
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

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

    #[test]
    fn powers_of_two_are_edges() {
        for power in 0..64 {
            let edge = Duration::from_nanos(1 << power);
            assert_eq!(upper(bucket(edge)), edge);
        }
    }
}
