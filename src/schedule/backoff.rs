//! How long to wait between attempts, as a value.
//!
//! A [`Backoff`] says it, [`Delays`] counts along. Nothing here waits: retries, flows, supervisors and
//! relays take the same value and sleep by their own context.

use super::delays::Delays;
use std::time::Duration;

/// A sequence of delays: a shape, a ceiling, jitter, and when to give up.
///
/// An *attempt* is a call of whatever is tried; between two attempts there is one delay. Sums and
/// products saturate at the ceiling, so no argument overflows. Without
/// [`max_attempts`](Self::max_attempts) and [`max_elapsed`](Self::max_elapsed) the sequence has no end.
///
/// ```
/// use ironsys::schedule::{Backoff, Jitter};
/// use std::time::Duration;
///
/// let ms = Duration::from_millis;
/// let backoff = Backoff::exponential(ms(50)).max_delay(ms(300)).max_attempts(6);
/// assert!(backoff.delays().eq([50, 100, 200, 300, 300].map(ms)));
///
/// let spread = backoff.jitter(Jitter::Full).seed(7);
/// assert!(spread.delays().eq(spread.delays())); // a seed repeats itself
/// assert!(spread.delays().all(|delay| delay <= ms(300)));
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Backoff {
    pub(super) shape: Shape,
    pub(super) first: Duration,
    pub(super) max_delay: Duration,
    pub(super) jitter: Jitter,
    pub(super) max_attempts: Option<u32>,
    pub(super) max_elapsed: Option<Duration>,
    pub(super) seed: Option<u64>,
}

/// How the delays grow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Shape {
    Fixed,
    Exponential { factor: f64 },
    Fibonacci,
    Decorrelated,
}

/// What chance does to a delay, so that those who failed together do not come back together.
///
/// The names are those of the AWS Architecture Blog, "Exponential Backoff And Jitter".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Jitter {
    /// The delay as it is.
    #[default]
    None,
    /// Anything from zero to the delay: spreads best.
    Full,
    /// Anything from half of the delay to the delay: keeps a minimum.
    Equal,
}

impl Backoff {
    fn of(shape: Shape, first: Duration) -> Backoff {
        Backoff {
            shape,
            first,
            max_delay: Duration::MAX,
            jitter: Jitter::None,
            max_attempts: None,
            max_elapsed: None,
            seed: None,
        }
    }

    /// Makes the sequence whose delays are all `delay`. Zero retries at once.
    ///
    /// ```
    /// use ironsys::schedule::Backoff;
    /// use std::time::Duration;
    /// let ms = Duration::from_millis;
    /// let delays: Vec<_> = Backoff::fixed(ms(5)).delays().take(3).collect();
    /// assert_eq!(delays, [ms(5), ms(5), ms(5)]);
    /// ```
    pub fn fixed(delay: Duration) -> Backoff {
        Backoff::of(Shape::Fixed, delay)
    }

    /// Makes the sequence that begins with `first` and doubles, or multiplies by another
    /// [`factor`](Self::factor). Zero stays zero.
    ///
    /// ```
    /// use ironsys::schedule::Backoff;
    /// use std::time::Duration;
    /// let ms = Duration::from_millis;
    /// let delays: Vec<_> = Backoff::exponential(ms(10)).delays().take(4).collect();
    /// assert_eq!(delays, [ms(10), ms(20), ms(40), ms(80)]);
    /// ```
    pub fn exponential(first: Duration) -> Backoff {
        Backoff::of(Shape::Exponential { factor: 2.0 }, first)
    }

    /// Makes the sequence `first` × 1, 1, 2, 3, 5, 8, …: it grows slower than by doubling.
    ///
    /// ```
    /// use ironsys::schedule::Backoff;
    /// use std::time::Duration;
    /// let ms = Duration::from_millis;
    /// let delays: Vec<_> = Backoff::fibonacci(ms(10)).delays().take(5).collect();
    /// assert_eq!(delays, [ms(10), ms(10), ms(20), ms(30), ms(50)]);
    /// ```
    pub fn fibonacci(first: Duration) -> Backoff {
        Backoff::of(Shape::Fibonacci, first)
    }

    /// Makes the sequence whose delays are each drawn between `base` and three times the one before
    /// (*decorrelated jitter*, AWS). It is random by itself; [`jitter`](Self::jitter) comes on top.
    ///
    /// ```
    /// use ironsys::schedule::Backoff;
    /// use std::time::Duration;
    /// let ms = Duration::from_millis;
    /// let first = Backoff::decorrelated(ms(10)).delays().next().unwrap();
    /// assert!(ms(10) <= first && first <= ms(30));
    /// ```
    pub fn decorrelated(base: Duration) -> Backoff {
        Backoff::of(Shape::Decorrelated, base)
    }

    /// Sets by what an exponential sequence multiplies; the default is 2. The other shapes have no
    /// factor and ignore it.
    ///
    /// Whole factors are exact. A factor below 1 makes the delays shrink; what cannot be a product
    /// counts as a cast would have it: negative and NaN as 0, infinite as the ceiling.
    ///
    /// ```
    /// use ironsys::schedule::Backoff;
    /// use std::time::Duration;
    /// let ms = Duration::from_millis;
    /// let delays: Vec<_> = Backoff::exponential(ms(10)).factor(3.0).delays().take(3).collect();
    /// assert_eq!(delays, [ms(10), ms(30), ms(90)]);
    /// ```
    pub fn factor(mut self, by: f64) -> Backoff {
        if let Shape::Exponential { factor } = &mut self.shape {
            *factor = by;
        }
        self
    }

    /// Sets the ceiling of a delay. The default is `Duration::MAX`, no ceiling; zero makes every delay
    /// zero. Jitter comes after it and only shortens, so no delay is longer.
    ///
    /// ```
    /// use ironsys::schedule::Backoff;
    /// use std::time::Duration;
    /// let ms = Duration::from_millis;
    /// let delays: Vec<_> = Backoff::exponential(ms(10)).max_delay(ms(25)).delays().take(4).collect();
    /// assert_eq!(delays, [ms(10), ms(20), ms(25), ms(25)]);
    /// ```
    pub fn max_delay(mut self, ceiling: Duration) -> Backoff {
        self.max_delay = ceiling;
        self
    }

    /// Sets what chance does to each delay. The default is [`Jitter::None`].
    ///
    /// ```
    /// use ironsys::schedule::{Backoff, Jitter};
    /// use std::time::Duration;
    /// let ms = Duration::from_millis;
    /// let delays = Backoff::fixed(ms(10)).jitter(Jitter::Equal);
    /// assert!(delays.delays().take(9).all(|delay| ms(5) <= delay && delay <= ms(10)));
    /// ```
    pub fn jitter(mut self, jitter: Jitter) -> Backoff {
        self.jitter = jitter;
        self
    }

    /// Sets how many attempts there may be, the first one included: one delay fewer. 0 and 1 have no
    /// delay. The default is no limit.
    ///
    /// ```
    /// use ironsys::schedule::Backoff;
    /// use std::time::Duration;
    /// let ms = Duration::from_millis;
    /// let delays: Vec<_> = Backoff::fixed(ms(5)).max_attempts(3).delays().take(9).collect();
    /// assert_eq!(delays, [ms(5), ms(5)]);
    /// ```
    pub fn max_attempts(mut self, attempts: u32) -> Backoff {
        self.max_attempts = Some(attempts);
        self
    }

    /// Sets how long all may take: the sequence ends before the delay that would go beyond it. Zero
    /// leaves only delays of zero. The default is no limit.
    ///
    /// The iterator knows of its own delays only. Who also measures the attempts asks with
    /// [`Delays::next_after`].
    ///
    /// ```
    /// use ironsys::schedule::Backoff;
    /// use std::time::Duration;
    /// let ms = Duration::from_millis;
    /// let delays: Vec<_> = Backoff::fixed(ms(5)).max_elapsed(ms(12)).delays().take(9).collect();
    /// assert_eq!(delays, [ms(5), ms(5)]);
    /// ```
    pub fn max_elapsed(mut self, time: Duration) -> Backoff {
        self.max_elapsed = Some(time);
        self
    }

    /// Fixes what chance does: every [`delays`](Self::delays) draws the same. The default is another
    /// seed each time.
    ///
    /// ```
    /// use ironsys::schedule::Backoff;
    /// use std::time::Duration;
    /// let ms = Duration::from_millis;
    /// let delays = Backoff::decorrelated(ms(10)).seed(7);
    /// assert!(delays.delays().take(9).eq(delays.delays().take(9)));
    /// ```
    pub fn seed(mut self, seed: u64) -> Backoff {
        self.seed = Some(seed);
        self
    }

    pub(crate) fn elapsed_limit(&self) -> Option<Duration> {
        self.max_elapsed
    }

    /// Says in a few words what it does.
    pub(crate) fn explain(&self) -> String {
        let attempts = self.max_attempts.map(|n| format!("{n} attempts")).unwrap_or("again".into());
        let shape = match self.shape {
            Shape::Fixed => "each time",
            Shape::Exponential { .. } => "exponentially",
            Shape::Fibonacci => "by Fibonacci",
            Shape::Decorrelated => "decorrelated",
        };
        let within = self.max_elapsed.map(|t| format!(", within {t:?}")).unwrap_or_default();
        format!("{attempts}, {:?} {shape}{within}", self.first)
    }

    /// Returns the delays from the beginning.
    ///
    /// ```
    /// use ironsys::schedule::Backoff;
    /// use std::time::Duration;
    /// let ms = Duration::from_millis;
    /// let delays: Vec<_> = Backoff::exponential(ms(10)).delays().take(2).collect();
    /// assert_eq!(delays, [ms(10), ms(20)]);
    /// ```
    #[must_use]
    pub fn delays(&self) -> Delays {
        Delays::new(self.clone())
    }
}
