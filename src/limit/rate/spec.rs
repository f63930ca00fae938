//! The kinds of rate limits, as users name them.

use super::bucket::{Bucket, Rule};
use super::builder::RateLimitBuilder;
use super::limiter::RateLimit;
use super::meter::Meter;
use super::plan::TOKEN;
use super::quantity::Rate;
use super::window::Window;
use crate::error::BuildError;
use std::time::Duration;

/// A kind of rate limit. The kinds of the crate are all there are.
pub trait Kind: sealed::Sealed + Send + Sync + 'static {
    #[doc(hidden)]
    type Meter: Meter;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident: $meter:ty;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub enum $name {}
        impl sealed::Sealed for $name {}
        impl Kind for $name {
            type Meter = $meter;
        }
    )*};
}

kinds! {
    /// The kind of [`TokenBucket`].
    Tokens: Bucket;
    /// The kind of [`DebtBucket`].
    Debts: Bucket;
    /// The kind of [`LeakyBucket`].
    Leaks: Bucket;
    /// The kind of [`LeakyShaper`].
    Shaped: Bucket;
    /// The kind of [`Gcra`].
    Scheduled: Bucket;
    /// The kind of [`SlidingWindow`].
    Windowed: Window;
}

/// A token bucket: `burst` tokens at the most, refilled at a rate; passing takes tokens. It starts full.
///
/// In any stretch of time at most `rate * time + burst` pass. Asking for more than `burst` at once is
/// refused for good; where that is not what you want, take [`DebtBucket`].
///
/// ```
/// use ironsys::Context;
/// use ironsys::limit::{Rate, TokenBucket};
/// use ironsys::time::VirtualClock;
/// use std::time::Duration;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let time = VirtualClock::auto();
/// let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
/// let bucket = TokenBucket::builder(Rate::per_second(100), 10).clock(time.clock()).build()?;
/// bucket.try_acquire(10)?;
/// let refused = bucket.try_acquire(1).unwrap_err();
/// assert_eq!(refused.retry_after(), Some(Duration::from_millis(10)));
/// bucket.acquire(&ctx, 5)?; // 50 ms, which pass at once
/// let hurried = ctx.with_timeout(Duration::from_millis(20));
/// assert!(bucket.acquire(&hurried, 5).unwrap_err().is_too_late());
/// # Ok(()) }
/// ```
pub type TokenBucket = RateLimit<Tokens>;

/// A token bucket that lends: asking for more than `burst` is allowed, and waits until all of it has
/// come in.
///
/// In any stretch of time at most `rate * time + burst` pass, as with [`TokenBucket`]. At most 2^31
/// tokens are owed at a time; who would owe more is refused as backlog.
///
/// ```
/// use ironsys::Context;
/// use ironsys::limit::{DebtBucket, Rate};
/// use ironsys::time::VirtualClock;
/// use std::time::Duration;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let time = VirtualClock::auto();
/// let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
/// let bytes = DebtBucket::builder(Rate::per_second(1000), 100).clock(time.clock()).build()?;
/// let start = time.now();
/// bytes.acquire(&ctx, 5100)?;
/// assert_eq!(time.now() - start, Duration::from_secs(5));
/// # Ok(()) }
/// ```
pub type DebtBucket = RateLimit<Debts>;

/// A leaky bucket as a meter: passing pours into it, it leaks at a rate, and what would make it run
/// over does not pass. It starts empty.
///
/// The same as a [`TokenBucket`] seen from the other side: up to `capacity` pass at once. What differs
/// is a change of the capacity: a leaky bucket keeps its level, a token bucket its tokens. For an even
/// output take [`LeakyShaper`].
///
/// ```
/// use ironsys::limit::{LeakyBucket, Rate};
/// let meter = LeakyBucket::new(Rate::per_hour(1), 3);
/// meter.try_acquire(2).unwrap();
/// assert_eq!((meter.used(), meter.available(), meter.capacity()), (2, 1, 3));
/// meter.update_capacity(10);
/// assert_eq!((meter.used(), meter.available()), (2, 8));
/// ```
pub type LeakyBucket = RateLimit<Leaks>;

/// A leaky bucket as a shaper: what comes in, in bursts or not, goes out evenly, one in each interval.
///
/// At most `queue` wait, to within the one that went out last; more are refused as backlog. A call for
/// `n` goes out when its turn comes, and the next one `n` intervals later. 0 in the queue: nobody waits.
///
/// ```
/// use ironsys::Context;
/// use ironsys::limit::{LeakyShaper, Rate};
/// use ironsys::time::VirtualClock;
/// use std::time::Duration;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let time = VirtualClock::auto();
/// let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
/// let shaper = LeakyShaper::builder(Rate::per_second(10), 100).clock(time.clock()).build()?;
/// let start = time.now();
/// for _ in 0..5 {
///     shaper.acquire(&ctx, 1)?;
/// }
/// assert_eq!(time.now() - start, Duration::from_millis(400)); // at 0, 100, 200, 300 and 400
/// # Ok(()) }
/// ```
pub type LeakyShaper = RateLimit<Shaped>;

/// The generic cell rate algorithm of the ATM Forum, by virtual scheduling: one in each `interval`,
/// early by at most `tolerance`.
///
/// The same as a token bucket of `1 + tolerance / interval` tokens, which need not be a whole number.
///
/// ```
/// use ironsys::limit::Gcra;
/// use ironsys::time::VirtualClock;
/// use std::time::Duration;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let ms = Duration::from_millis;
/// let time = VirtualClock::new();
/// let cells = Gcra::builder(ms(10), ms(5))?.clock(time.clock()).build()?;
/// cells.try_acquire(1)?;
/// time.advance(ms(5));
/// cells.try_acquire(1)?; // 5 ms early
/// time.advance(ms(5));
/// assert_eq!(cells.try_acquire(1).unwrap_err().retry_after(), Some(ms(5)));
/// # Ok(()) }
/// ```
pub type Gcra = RateLimit<Scheduled>;

/// A sliding window: at most `limit` in any stretch of time as long as the window.
///
/// Exact for limits up to 1,024. Above, time is told apart to a 1024th of the window, and the error is
/// on the safe side: what has passed may count so much longer. A log is kept, so it takes memory for
/// up to 1,025 entries, and a lock for each call.
///
/// ```
/// use ironsys::limit::SlidingWindow;
/// use ironsys::time::VirtualClock;
/// use std::time::Duration;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let second = Duration::from_secs(1);
/// let time = VirtualClock::new();
/// let logins = SlidingWindow::builder(3, second * 60).clock(time.clock()).build()?;
/// logins.try_acquire(2)?;
/// time.advance(second * 40);
/// logins.try_acquire(1)?;
/// assert_eq!(logins.try_acquire(1).unwrap_err().retry_after(), Some(second * 20));
/// # Ok(()) }
/// ```
pub type SlidingWindow = RateLimit<Windowed>;

fn whole(tokens: u32) -> u64 {
    u64::from(tokens) * TOKEN
}

// ===== impl TokenBucket =====

impl RateLimit<Tokens> {
    /// Makes a full bucket of `burst` tokens on the system's clock. With a burst of 0 nothing passes
    /// until [`update_burst`](Self::update_burst).
    ///
    /// ```
    /// # use ironsys::limit::{Rate, TokenBucket};
    /// assert_eq!(TokenBucket::new(Rate::per_second(1), 5).available(), 5);
    /// ```
    #[must_use]
    pub fn new(rate: Rate, burst: u32) -> Self {
        Self::builder(rate, burst).finish()
    }

    /// Makes a bucket step by step: clock, name, tokens to begin with.
    pub fn builder(rate: Rate, burst: u32) -> RateLimitBuilder<Tokens> {
        RateLimitBuilder::new(Bucket::new(rate, whole(burst), Rule::Tokens { debt: false }))
    }

    /// Sets the burst. Tokens that are there stay, as many as fit.
    ///
    /// ```
    /// # use ironsys::limit::{Rate, TokenBucket};
    /// let bucket = TokenBucket::new(Rate::per_hour(1), 5);
    /// bucket.update_burst(3);
    /// assert_eq!((bucket.available(), bucket.capacity()), (3, 3));
    /// ```
    pub fn update_burst(&self, burst: u32) {
        self.change(|bucket, cell, t| bucket.change_capacity(cell, t, whole(burst)));
    }

    /// Sets the rate, from now on. Tokens that are there stay.
    ///
    /// ```
    /// # use ironsys::limit::{Rate, TokenBucket};
    /// let bucket = TokenBucket::new(Rate::per_hour(1), 5);
    /// bucket.update_rate(Rate::per_hour(2));
    /// assert_eq!(bucket.rate(), Rate::per_hour(2));
    /// ```
    pub fn update_rate(&self, rate: Rate) {
        self.change(|bucket, _, t| bucket.change_rate(t, rate));
    }

    /// Returns the rate.
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.ask(Bucket::rate)
    }
}

// ===== impl DebtBucket =====

impl RateLimit<Debts> {
    /// Makes a full bucket of `burst` tokens on the system's clock.
    #[must_use]
    pub fn new(rate: Rate, burst: u32) -> Self {
        Self::builder(rate, burst).finish()
    }

    /// Makes a bucket step by step: clock, name, tokens to begin with.
    pub fn builder(rate: Rate, burst: u32) -> RateLimitBuilder<Debts> {
        RateLimitBuilder::new(Bucket::new(rate, whole(burst), Rule::Tokens { debt: true }))
    }

    /// Sets the burst. Tokens that are there stay, as many as fit, and so does what is owed.
    ///
    /// ```
    /// # use ironsys::limit::{DebtBucket, Rate};
    /// let bucket = DebtBucket::new(Rate::per_hour(1), 5);
    /// bucket.update_burst(3);
    /// assert_eq!(bucket.available(), 3);
    /// ```
    pub fn update_burst(&self, burst: u32) {
        self.change(|bucket, cell, t| bucket.change_capacity(cell, t, whole(burst)));
    }

    /// Sets the rate, from now on. Tokens that are there stay, and so does what is owed.
    ///
    /// ```
    /// # use ironsys::limit::{DebtBucket, Rate};
    /// let bucket = DebtBucket::new(Rate::per_hour(1), 5);
    /// bucket.update_rate(Rate::per_hour(2));
    /// assert_eq!(bucket.rate(), Rate::per_hour(2));
    /// ```
    pub fn update_rate(&self, rate: Rate) {
        self.change(|bucket, _, t| bucket.change_rate(t, rate));
    }

    /// Returns the rate.
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.ask(Bucket::rate)
    }
}

// ===== impl LeakyBucket =====

impl RateLimit<Leaks> {
    /// Makes an empty bucket on the system's clock.
    #[must_use]
    pub fn new(leak: Rate, capacity: u32) -> Self {
        Self::builder(leak, capacity).finish()
    }

    /// Makes a bucket step by step: clock, name.
    pub fn builder(leak: Rate, capacity: u32) -> RateLimitBuilder<Leaks> {
        RateLimitBuilder::new(Bucket::new(leak, whole(capacity), Rule::Level))
    }

    /// Sets the capacity. The level stays; above the capacity nothing passes until enough has leaked.
    pub fn update_capacity(&self, capacity: u32) {
        self.change(|bucket, cell, t| bucket.change_capacity(cell, t, whole(capacity)));
    }

    /// Sets the rate, from now on. The level stays.
    ///
    /// ```
    /// # use ironsys::limit::{LeakyBucket, Rate};
    /// let bucket = LeakyBucket::new(Rate::per_hour(1), 5);
    /// bucket.update_rate(Rate::per_hour(2));
    /// assert_eq!(bucket.rate(), Rate::per_hour(2));
    /// ```
    pub fn update_rate(&self, leak: Rate) {
        self.change(|bucket, _, t| bucket.change_rate(t, leak));
    }

    /// Returns the rate at which it leaks.
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.ask(Bucket::rate)
    }
}

// ===== impl LeakyShaper =====

impl RateLimit<Shaped> {
    /// Makes a shaper on the system's clock.
    #[must_use]
    pub fn new(rate: Rate, queue: u32) -> Self {
        Self::builder(rate, queue).finish()
    }

    /// Makes a shaper step by step: clock, name.
    pub fn builder(rate: Rate, queue: u32) -> RateLimitBuilder<Shaped> {
        RateLimitBuilder::new(Bucket::new(rate, TOKEN, Rule::Shaper { queue }))
    }

    /// Sets how many may wait. Those who do go on waiting.
    ///
    /// ```
    /// # use ironsys::limit::{LeakyShaper, Rate};
    /// let shaper = LeakyShaper::new(Rate::per_hour(1), 5);
    /// shaper.update_queue(3);
    /// assert_eq!(shaper.queue(), 3);
    /// ```
    pub fn update_queue(&self, queue: u32) {
        self.change(|bucket, _, _| bucket.change_queue(queue));
    }

    /// Sets the rate, from now on: also for those who wait.
    ///
    /// ```
    /// # use ironsys::limit::{LeakyShaper, Rate};
    /// let shaper = LeakyShaper::new(Rate::per_hour(1), 5);
    /// shaper.update_rate(Rate::per_hour(2));
    /// assert_eq!(shaper.rate(), Rate::per_hour(2));
    /// ```
    pub fn update_rate(&self, rate: Rate) {
        self.change(|bucket, _, t| bucket.change_rate(t, rate));
    }

    /// Returns the rate.
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.ask(Bucket::rate)
    }

    /// Returns how many may wait.
    #[must_use]
    pub fn queue(&self) -> u32 {
        self.ask(Bucket::queue)
    }
}

// ===== impl Gcra =====

/// `1 + tolerance / interval` tokens in units.
fn tolerant(interval: Duration, tolerance: Duration) -> Result<u64, BuildError> {
    let most = u128::from(u32::MAX) * u128::from(TOKEN);
    let early = match interval.as_nanos() {
        0 => 0,
        interval => (tolerance.as_nanos() * u128::from(TOKEN)).checked_div(interval).unwrap_or(0),
    };
    let capacity = early + u128::from(TOKEN);
    let capacity = u64::try_from(capacity).ok().filter(|capacity| u128::from(*capacity) <= most);
    capacity.ok_or_else(|| {
        BuildError::new(
            "gcra",
            "tolerance",
            "is more than 4,294,967,294 intervals: make it shorter",
        )
    })
}

impl RateLimit<Scheduled> {
    /// Makes one on the system's clock. An interval of zero is no limit.
    ///
    /// # Errors
    /// If the tolerance is 2^32 - 1 intervals or more.
    pub fn new(interval: Duration, tolerance: Duration) -> Result<Self, BuildError> {
        Ok(Self::builder(interval, tolerance)?.finish())
    }

    /// Makes one step by step: clock, name.
    ///
    /// # Errors
    /// If the tolerance is 2^32 - 1 intervals or more.
    pub fn builder(
        interval: Duration,
        tolerance: Duration,
    ) -> Result<RateLimitBuilder<Scheduled>, BuildError> {
        let capacity = tolerant(interval, tolerance)?;
        Ok(RateLimitBuilder::new(Bucket::new(Rate::every(interval), capacity, Rule::Level)))
    }

    /// Sets both, from now on. The arrivals that are owed stay.
    ///
    /// # Errors
    /// If the tolerance is 2^32 - 1 intervals or more; nothing has changed then.
    ///
    /// ```
    /// # use ironsys::limit::Gcra;
    /// # use std::time::Duration;
    /// let cells = Gcra::new(Duration::from_millis(10), Duration::ZERO).unwrap();
    /// cells.update(Duration::from_millis(20), Duration::ZERO).unwrap();
    /// assert_eq!(cells.interval(), Duration::from_millis(20));
    /// ```
    pub fn update(&self, interval: Duration, tolerance: Duration) -> Result<(), BuildError> {
        let capacity = tolerant(interval, tolerance)?;
        self.change(|bucket, cell, t| {
            bucket.change_rate(t, Rate::every(interval));
            bucket.change_capacity(cell, t, capacity);
        });
        Ok(())
    }

    /// Returns the interval.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.ask(|bucket| bucket.rate().per())
    }
}

// ===== impl SlidingWindow =====

impl RateLimit<Windowed> {
    /// Makes an empty window on the system's clock. With a window of zero only more than `limit` at
    /// once is refused.
    #[must_use]
    pub fn new(limit: u32, window: Duration) -> Self {
        Self::builder(limit, window).finish()
    }

    /// Makes a window step by step: clock, name.
    pub fn builder(limit: u32, window: Duration) -> RateLimitBuilder<Windowed> {
        RateLimitBuilder::new(Window::new(limit, window))
    }

    /// Sets both, from now on. What has passed, and is still known, counts by the new window: what had
    /// left the old one is not known any more.
    ///
    /// ```
    /// # use ironsys::limit::SlidingWindow;
    /// # use std::time::Duration;
    /// let logins = SlidingWindow::new(3, Duration::from_secs(60));
    /// logins.update(5, Duration::from_secs(60));
    /// assert_eq!(logins.available(), 5);
    /// ```
    pub fn update(&self, limit: u32, window: Duration) {
        self.change(|meter, _, _| *meter = Window::new(limit, window));
    }

    /// Returns the limit in the window, as a rate.
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.ask(Window::rate)
    }
}
