//! The kinds of rate limits, as users name them.

use super::bucket::Bucket;
use super::limiter::RateLimit;
use super::meter::Meter;
use super::window::Window;

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
