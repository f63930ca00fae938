//! Making a rate limit step by step.

use super::bucket::Bucket;
use super::limiter::RateLimit;
use super::meter::Meter;
use super::spec::{Debts, Kind, Tokens};
use crate::error::BuildError;
use crate::sync::Arc;
use crate::time::Clock;
use std::fmt;

/// Makes a [`RateLimit`]. By default on the system's clock, without a name.
///
/// ```
/// use ironsys::limit::{Rate, TokenBucket};
/// let bucket = TokenBucket::builder(Rate::per_second(5), 10).initial(0).name("mails").build().unwrap();
/// assert_eq!(bucket.available(), 0);
/// let refused = TokenBucket::builder(Rate::per_second(5), 10).initial(11).build().unwrap_err();
/// assert_eq!(refused.field(), "initial");
/// ```
#[must_use = "a builder does nothing until `build`"]
pub struct RateLimitBuilder<K: Kind> {
    pub(in crate::limit) meter: K::Meter,
    pub(in crate::limit) clock: Option<Clock>,
    pub(in crate::limit) name: Option<Arc<str>>,
    initial: Option<u32>,
}

impl<K: Kind> RateLimitBuilder<K> {
    pub(super) fn new(meter: K::Meter) -> Self {
        RateLimitBuilder { meter, clock: None, name: None, initial: None }
    }

    /// Sets the clock: the one of the contexts that it is used with.
    ///
    /// ```
    /// # use ironsys::{limit::{Rate, TokenBucket}, time::VirtualClock};
    /// # use std::time::Duration;
    /// let time = VirtualClock::new();
    /// let bucket = TokenBucket::builder(Rate::per_second(1), 1).clock(time.clock()).build().unwrap();
    /// bucket.try_acquire(1).unwrap();
    /// time.advance(Duration::from_secs(1));
    /// assert_eq!(bucket.available(), 1);
    /// ```
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Sets the name under which waits show in [`observe::tasks`](crate::observe::tasks).
    ///
    /// ```
    /// # use ironsys::limit::{Rate, TokenBucket};
    /// let bucket = TokenBucket::builder(Rate::per_second(1), 1).name("mails").build().unwrap();
    /// assert!(format!("{bucket:?}").contains("mails"));
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into().into());
        self
    }

    /// Makes it.
    ///
    /// # Errors
    /// If it is to begin with more tokens than it holds.
    ///
    /// ```
    /// # use ironsys::limit::{Rate, TokenBucket};
    /// assert!(TokenBucket::builder(Rate::per_second(1), 1).initial(2).build().is_err());
    /// ```
    pub fn build(self) -> Result<RateLimit<K>, BuildError> {
        let burst = self.meter.capacity();
        if self.initial.is_some_and(|initial| initial > burst) {
            let problem = format!("is more than the burst of {burst}: take a number up to that");
            return Err(BuildError::new("rate limit", "initial", problem));
        }
        Ok(self.finish())
    }

    pub(super) fn finish(self) -> RateLimit<K> {
        RateLimit::make(self.meter, self.clock.unwrap_or_else(Clock::system), self.name)
    }
}

/// The tokens to begin with, for both token buckets.
fn begin_with<K: Kind<Meter = Bucket>>(
    mut builder: RateLimitBuilder<K>,
    tokens: u32,
) -> RateLimitBuilder<K> {
    let missing = builder.meter.capacity().saturating_sub(tokens);
    builder.initial = Some(tokens);
    builder.meter = builder.meter.with_missing(missing);
    builder
}

impl RateLimitBuilder<Tokens> {
    /// Sets how many tokens there are to begin with. By default it is full.
    ///
    /// ```
    /// # use ironsys::limit::{Rate, TokenBucket};
    /// let bucket = TokenBucket::builder(Rate::per_hour(1), 10).initial(3).build().unwrap();
    /// assert_eq!(bucket.available(), 3);
    /// ```
    pub fn initial(self, tokens: u32) -> Self {
        begin_with(self, tokens)
    }
}

impl RateLimitBuilder<Debts> {
    /// Sets how many tokens there are to begin with. By default it is full.
    ///
    /// ```
    /// # use ironsys::limit::{DebtBucket, Rate};
    /// let bucket = DebtBucket::builder(Rate::per_hour(1), 10).initial(3).build().unwrap();
    /// assert_eq!(bucket.available(), 3);
    /// ```
    pub fn initial(self, tokens: u32) -> Self {
        begin_with(self, tokens)
    }
}

impl<K: Kind> fmt::Debug for RateLimitBuilder<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitBuilder").field("name", &self.name).finish_non_exhaustive()
    }
}
