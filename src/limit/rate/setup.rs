//! How each kind of rate limit is made and changed.

use super::bucket::{Bucket, Rule};
use super::builder::RateLimitBuilder;
use super::limiter::RateLimit;
use super::plan::TOKEN;
use super::quantity::Rate;
use super::spec::{Debts, Leaks, Scheduled, Shaped, Tokens, Windowed};
use super::window::Window;
use crate::error::BuildError;
use std::time::Duration;

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
    ///
    /// ```
    /// # use ironsys::limit::{Rate, TokenBucket};
    /// let bucket = TokenBucket::builder(Rate::per_hour(1), 10).initial(2).build()?;
    /// assert_eq!((bucket.available(), bucket.capacity()), (2, 10));
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
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
    ///
    /// ```
    /// # use ironsys::limit::{Rate, TokenBucket};
    /// assert_eq!(TokenBucket::new(Rate::per_second(7), 5).rate(), Rate::per_second(7));
    /// ```
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.ask(Bucket::rate)
    }
}

// ===== impl DebtBucket =====

impl RateLimit<Debts> {
    /// Makes a full bucket of `burst` tokens on the system's clock.
    ///
    /// ```
    /// # use ironsys::limit::{DebtBucket, Rate};
    /// let bytes = DebtBucket::new(Rate::per_hour(1), 100);
    /// bytes.try_acquire(60).unwrap();
    /// assert_eq!(bytes.available(), 40);
    /// ```
    #[must_use]
    pub fn new(rate: Rate, burst: u32) -> Self {
        Self::builder(rate, burst).finish()
    }

    /// Makes a bucket step by step: clock, name, tokens to begin with.
    ///
    /// ```
    /// # use ironsys::limit::{DebtBucket, Rate};
    /// let bytes = DebtBucket::builder(Rate::per_hour(1), 100).initial(0).build()?;
    /// assert_eq!(bytes.available(), 0);
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
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
    ///
    /// ```
    /// # use ironsys::limit::{DebtBucket, Rate};
    /// assert_eq!(DebtBucket::new(Rate::per_second(7), 5).rate(), Rate::per_second(7));
    /// ```
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.ask(Bucket::rate)
    }
}

// ===== impl LeakyBucket =====

impl RateLimit<Leaks> {
    /// Makes an empty bucket on the system's clock.
    ///
    /// ```
    /// # use ironsys::limit::{LeakyBucket, Rate};
    /// let meter = LeakyBucket::new(Rate::per_hour(1), 3);
    /// assert!(meter.try_acquire(3).is_ok() && meter.try_acquire(1).is_err());
    /// ```
    #[must_use]
    pub fn new(leak: Rate, capacity: u32) -> Self {
        Self::builder(leak, capacity).finish()
    }

    /// Makes a bucket step by step: clock, name.
    ///
    /// ```
    /// # use ironsys::{limit::{LeakyBucket, Rate}, time::VirtualClock};
    /// # use std::time::Duration;
    /// let time = VirtualClock::new();
    /// let meter = LeakyBucket::builder(Rate::per_second(1), 3).clock(time.clock()).build()?;
    /// meter.try_acquire(3).unwrap();
    /// time.advance(Duration::from_secs(2));
    /// assert_eq!(meter.used(), 1);
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn builder(leak: Rate, capacity: u32) -> RateLimitBuilder<Leaks> {
        RateLimitBuilder::new(Bucket::new(leak, whole(capacity), Rule::Level))
    }

    /// Sets the capacity. The level stays; above the capacity nothing passes until enough has leaked.
    ///
    /// ```
    /// # use ironsys::limit::{LeakyBucket, Rate};
    /// let meter = LeakyBucket::new(Rate::per_hour(1), 3);
    /// meter.try_acquire(2).unwrap();
    /// meter.update_capacity(1);
    /// assert!(meter.try_acquire(1).is_err());
    /// assert_eq!((meter.used(), meter.capacity()), (2, 1));
    /// ```
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
    ///
    /// ```
    /// # use ironsys::limit::{LeakyBucket, Rate};
    /// assert_eq!(LeakyBucket::new(Rate::per_second(7), 5).rate(), Rate::per_second(7));
    /// ```
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.ask(Bucket::rate)
    }
}

// ===== impl LeakyShaper =====

impl RateLimit<Shaped> {
    /// Makes a shaper on the system's clock.
    ///
    /// ```
    /// # use ironsys::limit::{LeakyShaper, Rate};
    /// let shaper = LeakyShaper::new(Rate::per_hour(1), 100);
    /// assert!(shaper.try_acquire(1).is_ok() && shaper.try_acquire(1).is_err()); // one in an hour
    /// ```
    #[must_use]
    pub fn new(rate: Rate, queue: u32) -> Self {
        Self::builder(rate, queue).finish()
    }

    /// Makes a shaper step by step: clock, name.
    ///
    /// ```
    /// # use ironsys::{limit::{LeakyShaper, Rate}, time::VirtualClock};
    /// # use std::time::Duration;
    /// let time = VirtualClock::new();
    /// let shaper = LeakyShaper::builder(Rate::per_second(10), 0).clock(time.clock()).build()?;
    /// shaper.try_acquire(1).unwrap();
    /// let refused = shaper.try_acquire(1).unwrap_err();
    /// assert_eq!(refused.retry_after(), Some(Duration::from_millis(100)));
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
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
    ///
    /// ```
    /// # use ironsys::limit::{LeakyShaper, Rate};
    /// assert_eq!(LeakyShaper::new(Rate::per_second(7), 5).rate(), Rate::per_second(7));
    /// ```
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.ask(Bucket::rate)
    }

    /// Returns how many may wait.
    ///
    /// ```
    /// # use ironsys::limit::{LeakyShaper, Rate};
    /// assert_eq!(LeakyShaper::new(Rate::per_second(7), 5).queue(), 5);
    /// ```
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
    ///
    /// ```
    /// # use ironsys::limit::Gcra;
    /// # use std::time::Duration;
    /// let hour = Duration::from_secs(3600);
    /// let cells = Gcra::new(hour, hour)?; // one in an hour, or two if none came before
    /// assert!(cells.try_acquire(2).is_ok() && cells.try_acquire(1).is_err());
    /// assert!(Gcra::new(Duration::from_nanos(1), hour).is_err());
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn new(interval: Duration, tolerance: Duration) -> Result<Self, BuildError> {
        Ok(Self::builder(interval, tolerance)?.finish())
    }

    /// Makes one step by step: clock, name.
    ///
    /// # Errors
    /// If the tolerance is 2^32 - 1 intervals or more.
    ///
    /// ```
    /// # use ironsys::{limit::Gcra, time::VirtualClock};
    /// # use std::time::Duration;
    /// let (time, ms) = (VirtualClock::new(), Duration::from_millis);
    /// let cells = Gcra::builder(ms(10), ms(0))?.clock(time.clock()).build()?;
    /// cells.try_acquire(1).unwrap();
    /// assert_eq!(cells.try_acquire(1).unwrap_err().retry_after(), Some(ms(10)));
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
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
    ///
    /// ```
    /// # use ironsys::limit::Gcra;
    /// # use std::time::Duration;
    /// let interval = Duration::from_millis(10);
    /// assert_eq!(Gcra::new(interval, Duration::ZERO)?.interval(), interval);
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.ask(|bucket| bucket.rate().per())
    }
}

// ===== impl SlidingWindow =====

impl RateLimit<Windowed> {
    /// Makes an empty window on the system's clock. With a window of zero only more than `limit` at
    /// once is refused.
    ///
    /// ```
    /// # use ironsys::limit::SlidingWindow;
    /// # use std::time::Duration;
    /// let logins = SlidingWindow::new(3, Duration::from_secs(60));
    /// assert!(logins.try_acquire(3).is_ok() && logins.try_acquire(1).is_err());
    /// ```
    #[must_use]
    pub fn new(limit: u32, window: Duration) -> Self {
        Self::builder(limit, window).finish()
    }

    /// Makes a window step by step: clock, name.
    ///
    /// ```
    /// # use ironsys::{limit::SlidingWindow, time::VirtualClock};
    /// # use std::time::Duration;
    /// let (time, minute) = (VirtualClock::new(), Duration::from_secs(60));
    /// let logins = SlidingWindow::builder(3, minute).clock(time.clock()).build()?;
    /// logins.try_acquire(3).unwrap();
    /// assert_eq!(logins.try_acquire(1).unwrap_err().retry_after(), Some(minute));
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
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
    ///
    /// ```
    /// # use ironsys::limit::{Rate, SlidingWindow};
    /// # use std::time::Duration;
    /// let logins = SlidingWindow::new(3, Duration::from_secs(60));
    /// assert_eq!(logins.rate(), Rate::new(3, Duration::from_secs(60)));
    /// ```
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.ask(Window::rate)
    }
}
