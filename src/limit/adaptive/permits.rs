//! The adaptive limit: a semaphore whose size is learned.

use super::super::errors::{AcquireError, TryAcquireError};
use super::super::permit::Permit;
use super::super::semaphore::{Semaphore, SemaphoreStats};
use super::algorithm::{Algorithm, Outcome};
use super::brain::{Bounds, Brain, Lessons};
use crate::context::Context;
use crate::error::BuildError;
use crate::sync::Arc;
use crate::time::Clock;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// Lets as many work at a time as the service turns out to bear.
///
/// Each permit ends in a word on how it went, from which an [`Algorithm`] learns: a success with its
/// time, a drop (also a time-out: that is what overload looks like from here), or neither. A permit that
/// is dropped without a word counts as neither. The limit does not grow while less than half of it is
/// used, and stays within bounds.
///
/// # Fairness
/// As [`Semaphore`]: first come, first served. A limit that shrinks takes effect as permits end.
///
/// ```
/// use ironsys::Context;
/// use ironsys::limit::{AdaptiveLimit, Outcome, Vegas};
/// # fn call(_: &Context) -> Result<(), ironsys::Stop> { Ok(()) }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (ctx, _cancel) = Context::root();
/// let backend = AdaptiveLimit::builder(Vegas::default()).bounds(1..=200).build()?;
/// let permit = backend.acquire(&ctx)?;
/// match call(&ctx) {
///     Ok(_) => permit.success(),
///     Err(stop) => permit.end(Outcome::of(&stop)),
/// }
/// assert_eq!(backend.stats().successes, 1);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct AdaptiveLimit {
    shared: Arc<Shared>,
}

struct Shared {
    slots: Semaphore,
    brain: Brain,
    clock: Clock,
}

impl AdaptiveLimit {
    /// Makes one step by step: bounds, the limit to begin with, clock, name.
    ///
    /// ```
    /// # use ironsys::limit::{AdaptiveLimit, Vegas};
    /// let limit = AdaptiveLimit::builder(Vegas::default()).build().unwrap();
    /// assert_eq!(limit.limit(), 20);
    /// ```
    pub fn builder(algorithm: impl Algorithm) -> AdaptiveLimitBuilder {
        AdaptiveLimitBuilder {
            algorithm: Box::new(algorithm),
            bounds: 1..=200,
            initial: None,
            clock: None,
            name: None,
        }
    }

    /// Acquires one permit, waiting in line if need be.
    ///
    /// # Cancellation
    /// As [`Semaphore::acquire`].
    ///
    /// # Errors
    /// [`Closed`](AcquireError::Closed) or [`Stopped`](AcquireError::Stopped).
    ///
    /// ```
    /// # use ironsys::{Context, limit::{AdaptiveLimit, Vegas}};
    /// # let (ctx, _cancel) = Context::root();
    /// let limit = AdaptiveLimit::builder(Vegas::default()).build().unwrap();
    /// limit.acquire(&ctx).unwrap().success();
    /// assert_eq!(limit.stats().successes, 1);
    /// ```
    #[track_caller]
    pub fn acquire(&self, ctx: &Context) -> Result<AdaptivePermit, AcquireError> {
        Ok(self.begin(self.shared.slots.acquire(ctx, 1)?))
    }

    /// Acquires one permit if one is free and nobody waits.
    ///
    /// # Errors
    /// [`NoPermits`](TryAcquireError::NoPermits) or [`Closed`](TryAcquireError::Closed).
    ///
    /// ```
    /// # use ironsys::limit::{AdaptiveLimit, Vegas};
    /// let limit = AdaptiveLimit::builder(Vegas::default()).initial(1).build().unwrap();
    /// let _first = limit.try_acquire().unwrap();
    /// assert!(limit.try_acquire().is_err());
    /// ```
    pub fn try_acquire(&self) -> Result<AdaptivePermit, TryAcquireError> {
        Ok(self.begin(self.shared.slots.try_acquire(1)?))
    }

    fn begin(&self, permit: Permit) -> AdaptivePermit {
        let in_flight = self.shared.slots.in_use();
        let since = self.shared.clock.now();
        AdaptivePermit { of: self.clone(), permit: Some(permit), in_flight, since }
    }

    /// Returns the limit at present.
    ///
    /// ```
    /// # use ironsys::limit::{AdaptiveLimit, Vegas};
    /// let limit = AdaptiveLimit::builder(Vegas::default()).initial(10).build().unwrap();
    /// limit.try_acquire().unwrap().dropped();
    /// assert_eq!(limit.limit(), 9);
    /// ```
    #[must_use]
    pub fn limit(&self) -> usize {
        self.shared.brain.limit()
    }

    /// Closes the limit for good, as [`Semaphore::close`] does.
    ///
    /// ```
    /// # use ironsys::limit::{AdaptiveLimit, Vegas};
    /// let limit = AdaptiveLimit::builder(Vegas::default()).build().unwrap();
    /// assert!(limit.close());
    /// assert!(limit.try_acquire().unwrap_err().is_closed());
    /// ```
    pub fn close(&self) -> bool {
        self.shared.slots.close()
    }

    /// Returns the limit's counts.
    ///
    /// ```
    /// # use ironsys::limit::{AdaptiveLimit, Vegas};
    /// let limit = AdaptiveLimit::builder(Vegas::default()).build().unwrap();
    /// let _permit = limit.try_acquire().unwrap();
    /// assert_eq!((limit.stats().limit, limit.stats().in_flight), (20, 1));
    /// ```
    #[must_use]
    pub fn stats(&self) -> AdaptiveStats {
        AdaptiveStats::of(self.shared.slots.stats(), self.limit(), self.shared.brain.lessons())
    }

    /// Returns in words what the limit is and why.
    ///
    /// ```
    /// use ironsys::limit::{AdaptiveLimit, Aimd};
    /// use std::time::Duration;
    /// let limit = AdaptiveLimit::builder(Aimd::new(Duration::MAX)).initial(20).build().unwrap();
    /// assert!(limit.explain().starts_with("limit 20 of 1 to 200, 0 at work, 0 wait; aimd"));
    /// ```
    #[must_use]
    pub fn explain(&self) -> String {
        let (stats, bounds) = (self.stats(), self.shared.brain.bounds());
        let why = self.shared.brain.explain().unwrap_or_else(|| "it is learning".into());
        format!(
            "limit {} of {} to {}, {} at work, {} wait; {why}; {} well, {} dropped, {} said nothing, {} not \
             counted since less than half was used",
            stats.limit,
            bounds.min,
            bounds.max,
            stats.in_flight,
            stats.waiting,
            stats.successes,
            stats.drops,
            stats.ignored,
            stats.app_limited
        )
    }
}

impl fmt::Debug for AdaptiveLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdaptiveLimit").field("limit", &self.limit()).finish_non_exhaustive()
    }
}

/// Makes an [`AdaptiveLimit`]. By default between 1 and 200, beginning with 20, on the system's clock.
#[must_use = "a builder does nothing until `build`"]
pub struct AdaptiveLimitBuilder {
    algorithm: Box<dyn Algorithm>,
    bounds: RangeInclusive<usize>,
    initial: Option<usize>,
    clock: Option<Clock>,
    name: Option<String>,
}

impl AdaptiveLimitBuilder {
    /// Sets the least and the most that the limit can be.
    ///
    /// ```
    /// # use ironsys::limit::{AdaptiveLimit, Vegas};
    /// let limit = AdaptiveLimit::builder(Vegas::default()).bounds(1..=8).build().unwrap();
    /// assert_eq!(limit.limit(), 8);
    /// ```
    pub fn bounds(mut self, bounds: RangeInclusive<usize>) -> Self {
        self.bounds = bounds;
        self
    }

    /// Sets the limit to begin with. By default 20, or the bound next to it.
    ///
    /// ```
    /// # use ironsys::limit::{AdaptiveLimit, Vegas};
    /// let limit = AdaptiveLimit::builder(Vegas::default()).initial(3).build().unwrap();
    /// assert_eq!(limit.limit(), 3);
    /// ```
    pub fn initial(mut self, limit: usize) -> Self {
        self.initial = Some(limit);
        self
    }

    /// Sets the clock that times are measured with.
    ///
    /// ```
    /// # use ironsys::{limit::{AdaptiveLimit, Vegas}, time::VirtualClock};
    /// # use std::time::Duration;
    /// let time = VirtualClock::new();
    /// let limit = AdaptiveLimit::builder(Vegas::default()).clock(time.clock()).build().unwrap();
    /// # let permit = limit.try_acquire().unwrap();
    /// time.advance(Duration::from_secs(1)); // it holds a permit meanwhile
    /// permit.success();
    /// assert_eq!(limit.stats().mean_time, Duration::from_secs(1));
    /// ```
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Sets the name under which waits show in [`observe::tasks`](crate::observe::tasks).
    ///
    /// ```
    /// # use ironsys::limit::{AdaptiveLimit, Vegas};
    /// let built = AdaptiveLimit::builder(Vegas::default()).name("backend").build();
    /// assert!(built.is_ok());
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Makes it.
    ///
    /// # Errors
    /// If the bounds are empty, begin with 0 or end above 2^32, or the limit to begin with is outside
    /// of them.
    ///
    /// ```
    /// # use ironsys::limit::{AdaptiveLimit, Vegas};
    /// let built = AdaptiveLimit::builder(Vegas::default()).bounds(1..=8).initial(9).build();
    /// assert_eq!(built.unwrap_err().field(), "initial");
    /// ```
    pub fn build(self) -> Result<AdaptiveLimit, BuildError> {
        let (bounds, initial) = check(&self.bounds, self.initial)?;
        let slots = match self.name {
            Some(name) => Semaphore::named(name, initial),
            None => Semaphore::new(initial),
        };
        let brain = Brain::new(self.algorithm, bounds, initial);
        let clock = self.clock.unwrap_or_else(Clock::system);
        Ok(AdaptiveLimit { shared: Arc::new(Shared { slots, brain, clock }) })
    }
}

/// The bounds and the limit to begin with, if they make sense.
pub(in crate::limit) fn check(
    bounds: &RangeInclusive<usize>,
    initial: Option<usize>,
) -> Result<(Bounds, usize), BuildError> {
    let (min, max) = (*bounds.start(), *bounds.end());
    if min == 0 || min > max || max as u64 > 1 << 32 {
        let problem = format!("are {min} to {max}: take 1 or more, up to 2^32");
        return Err(BuildError::new("adaptive limit", "bounds", problem));
    }
    let initial = initial.unwrap_or(20.clamp(min, max));
    if !bounds.contains(&initial) {
        let problem = format!("is {initial}, outside of {min} to {max}");
        return Err(BuildError::new("adaptive limit", "initial", problem));
    }
    Ok((Bounds { min, max }, initial))
}

impl fmt::Debug for AdaptiveLimitBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdaptiveLimitBuilder").field("bounds", &self.bounds).finish_non_exhaustive()
    }
}

/// A permit of an [`AdaptiveLimit`]. Say how it ended; dropping it says nothing.
#[must_use = "dropping it gives the permit back and teaches nothing"]
pub struct AdaptivePermit {
    of: AdaptiveLimit,
    permit: Option<Permit>,
    in_flight: usize,
    since: Instant,
}

impl AdaptivePermit {
    /// Ends it: the work was served.
    ///
    /// ```
    /// # use ironsys::limit::{AdaptiveLimit, Vegas};
    /// let limit = AdaptiveLimit::builder(Vegas::default()).build().unwrap();
    /// limit.try_acquire().unwrap().success();
    /// assert_eq!(limit.stats().successes, 1);
    /// ```
    pub fn success(self) {
        self.end(Outcome::Success);
    }

    /// Ends it: the work was refused or timed out.
    ///
    /// ```
    /// # use ironsys::limit::{AdaptiveLimit, Vegas};
    /// let limit = AdaptiveLimit::builder(Vegas::default()).build().unwrap();
    /// limit.try_acquire().unwrap().dropped();
    /// assert_eq!(limit.stats().drops, 1);
    /// ```
    pub fn dropped(self) {
        self.end(Outcome::Dropped);
    }

    /// Ends it, and nothing is learned: as dropping does.
    ///
    /// ```
    /// # use ironsys::limit::{AdaptiveLimit, Vegas};
    /// let limit = AdaptiveLimit::builder(Vegas::default()).build().unwrap();
    /// limit.try_acquire().unwrap().ignore();
    /// assert_eq!(limit.stats().ignored, 1);
    /// ```
    pub fn ignore(self) {}

    /// Ends it with an outcome.
    ///
    /// ```
    /// # use ironsys::limit::{AdaptiveLimit, Outcome, Vegas};
    /// let limit = AdaptiveLimit::builder(Vegas::default()).build().unwrap();
    /// limit.try_acquire().unwrap().end(Outcome::Success);
    /// assert_eq!(limit.stats().successes, 1);
    /// ```
    pub fn end(mut self, outcome: Outcome) {
        self.finish(outcome);
    }

    fn finish(&mut self, outcome: Outcome) {
        let Some(permit) = self.permit.take() else { return };
        let Shared { slots, brain, clock } = &*self.of.shared;
        let time = clock.now().saturating_duration_since(self.since);
        brain.learn(outcome, time, self.in_flight, |limit| slots.resize(limit));
        drop(permit);
    }
}

impl Drop for AdaptivePermit {
    fn drop(&mut self) {
        self.finish(Outcome::Ignore);
    }
}

impl fmt::Debug for AdaptivePermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdaptivePermit").field("since", &self.since).finish_non_exhaustive()
    }
}

/// An adaptive limit at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdaptiveStats {
    /// The limit.
    pub limit: usize,
    /// How many are at work; more than the limit after it has shrunk.
    pub in_flight: usize,
    /// How many wait.
    pub waiting: usize,
    /// How many ended well.
    pub successes: u64,
    /// How many were refused or timed out.
    pub drops: u64,
    /// How many said nothing.
    pub ignored: u64,
    /// Samples by which the limit would have grown, had more than half of it been used.
    pub app_limited: u64,
    /// Samples that were lost because they came faster than they were learned from.
    pub lost: u64,
    /// How long those took on average that ended well: of these, and by their number.
    pub mean_time: Duration,
}

impl AdaptiveStats {
    fn of(slots: SemaphoreStats, limit: usize, lessons: Lessons) -> AdaptiveStats {
        let Lessons { successes, drops, ignored, app_limited, lost, time } = lessons;
        let mean = time.checked_div(u128::from(successes)).unwrap_or(0);
        AdaptiveStats {
            limit,
            in_flight: slots.in_use,
            waiting: slots.waiting,
            successes,
            drops,
            ignored,
            app_limited,
            lost,
            mean_time: Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX)),
        }
    }
}
