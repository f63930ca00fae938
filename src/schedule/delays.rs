//! The delays of a [`Backoff`], one after the other. All sums are nanoseconds in 128 bits: the longest
//! `Duration` takes 94, so three times it does not overflow.

use super::backoff::{Backoff, Jitter, Shape};
use super::grid;
use crate::sync::random_u64;
use std::iter::FusedIterator;
use std::time::Duration;

/// The delays of a [`Backoff`]. Made by [`Backoff::delays`].
///
/// ```
/// use ironsys::schedule::Backoff;
/// use std::time::Duration;
/// let mut delays = Backoff::fixed(Duration::from_secs(1)).max_attempts(2).delays();
/// assert_eq!(delays.next(), Some(Duration::from_secs(1)));
/// assert_eq!(delays.next(), None); // the second attempt was the last
/// ```
#[derive(Debug, Clone)]
pub struct Delays {
    of: Backoff,
    /// The next delay before ceiling and jitter; for a decorrelated one, the delay before.
    next: u128,
    /// The one after, of a Fibonacci sequence.
    then: u128,
    /// Delays left to give.
    left: Option<u32>,
    /// The sum of the delays given.
    given: Duration,
    random: SplitMix,
    ended: bool,
}

impl Delays {
    pub(super) fn new(of: Backoff) -> Self {
        let first = of.first.as_nanos();
        Delays {
            next: first,
            then: first,
            left: of.max_attempts.map(|attempts| attempts.saturating_sub(1)),
            given: Duration::ZERO,
            random: SplitMix(of.seed.unwrap_or_else(random_u64)),
            ended: false,
            of,
        }
    }

    /// Returns the next delay if it ends within [`max_elapsed`](Backoff::max_elapsed), given that
    /// `elapsed` have passed since the first attempt began. `None` is for good.
    ///
    /// ```
    /// use ironsys::schedule::Backoff;
    /// use std::time::Duration;
    /// let second = Duration::from_secs(1);
    /// let mut delays = Backoff::fixed(second).max_elapsed(second * 10).delays();
    /// assert_eq!(delays.next_after(second * 9), Some(second));
    /// assert_eq!(delays.next_after(second * 10), None);
    /// ```
    pub fn next_after(&mut self, elapsed: Duration) -> Option<Duration> {
        if self.ended || self.left == Some(0) {
            return None;
        }
        let delay = self.draw();
        let whole = elapsed.checked_add(delay);
        if self.of.max_elapsed.is_some_and(|max| whole.is_none_or(|whole| whole > max)) {
            self.ended = true;
            return None;
        }
        self.left = self.left.map(|left| left - 1);
        self.given = self.given.saturating_add(delay);
        Some(delay)
    }

    fn draw(&mut self) -> Duration {
        let ceiling = self.of.max_delay.as_nanos();
        let next = self.next;
        let plain = match self.of.shape {
            Shape::Fixed => next,
            Shape::Exponential { factor } => {
                self.next = times(next, factor).min(LONGEST);
                next
            }
            Shape::Fibonacci => {
                self.next = self.then;
                self.then = (next + self.then).min(LONGEST);
                next
            }
            Shape::Decorrelated => {
                let base = self.of.first.as_nanos();
                let most = (next * 3).min(ceiling);
                // A ceiling below the base leaves nothing to draw from.
                self.next = base.min(ceiling) + self.random.up_to(most.saturating_sub(base));
                self.next
            }
        };
        let delay = plain.min(ceiling);
        grid::nanos(match self.of.jitter {
            Jitter::None => delay,
            Jitter::Full => self.random.up_to(delay),
            Jitter::Equal => delay - self.random.up_to(delay / 2),
        })
    }
}

impl Iterator for Delays {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.next_after(self.given)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let most = if self.ended { Some(0) } else { self.left.map(|left| left as usize) };
        let least = if self.of.max_elapsed.is_some() { Some(0) } else { most };
        (least.unwrap_or(usize::MAX), most)
    }
}

impl FusedIterator for Delays {}

/// The longest `Duration`, in nanoseconds.
const LONGEST: u128 = Duration::MAX.as_nanos();

fn times(nanos: u128, factor: f64) -> u128 {
    let whole = factor as u32;
    if f64::from(whole) == factor {
        return nanos * u128::from(whole);
    }
    (nanos as f64 * factor) as u128 // A cast saturates, and makes 0 of what is no number.
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and any seed is a good one.
#[derive(Debug, Clone)]
pub(super) struct SplitMix(pub(super) u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from 0 to `most`. Of 128 random bits, so what is uneven is below one in 2³³.
    pub(super) fn up_to(&mut self, most: u128) -> u128 {
        let bits = u128::from(self.next()) << 64 | u128::from(self.next());
        bits % (most + 1)
    }
}
