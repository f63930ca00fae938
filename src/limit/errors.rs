//! What a limit says when it let nobody pass.

use crate::context::Stop;
use std::time::Duration;

/// An [`acquire`](super::Semaphore::acquire) that got no permits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AcquireError {
    /// More was asked for than there are permits in all, so waiting would be in vain.
    #[error("{asked} permits asked for, {capacity} exist")]
    TooMany {
        /// How many permits were asked for.
        asked: usize,
        /// How many there were when the call was refused.
        capacity: usize,
    },
    /// The semaphore is closed.
    #[error("the semaphore is closed")]
    Closed,
    /// The context stopped first.
    #[error(transparent)]
    Stopped(#[from] Stop),
}

impl AcquireError {
    /// Returns whether more was asked for than exists.
    ///
    /// ```
    /// # use ironsys::{Context, limit::Semaphore};
    /// # let (ctx, _cancel) = Context::root();
    /// assert!(Semaphore::new(1).acquire(&ctx, 2).unwrap_err().is_too_many());
    /// ```
    #[must_use]
    pub fn is_too_many(&self) -> bool {
        matches!(self, AcquireError::TooMany { .. })
    }

    /// Returns whether the semaphore is closed.
    ///
    /// ```
    /// # use ironsys::{Context, limit::Semaphore};
    /// # let (ctx, _cancel) = Context::root();
    /// let slots = Semaphore::new(1);
    /// slots.close();
    /// assert!(slots.acquire(&ctx, 1).unwrap_err().is_closed());
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self, AcquireError::Closed)
    }

    /// Returns why the context stopped, if that is what happened.
    ///
    /// ```
    /// # use ironsys::{Context, limit::Semaphore};
    /// let (ctx, cancel) = Context::root();
    /// cancel.cancel();
    /// assert!(Semaphore::new(1).acquire(&ctx, 1).unwrap_err().stop().is_some());
    /// ```
    #[must_use]
    pub fn stop(&self) -> Option<&Stop> {
        match self {
            AcquireError::Stopped(stop) => Some(stop),
            _ => None,
        }
    }
}

/// A [`try_acquire`](super::Semaphore::try_acquire) that got no permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TryAcquireError {
    /// Too few permits are free, or others wait already.
    #[error("no permits are free")]
    NoPermits,
    /// More was asked for than there are permits in all.
    #[error("{asked} permits asked for, {capacity} exist")]
    TooMany {
        /// How many permits were asked for.
        asked: usize,
        /// How many there are.
        capacity: usize,
    },
    /// The semaphore is closed.
    #[error("the semaphore is closed")]
    Closed,
}

impl TryAcquireError {
    /// Returns whether a later try may succeed.
    ///
    /// ```
    /// # use ironsys::limit::Semaphore;
    /// let slots = Semaphore::new(1);
    /// let _taken = slots.try_acquire(1).unwrap();
    /// assert!(slots.try_acquire(1).unwrap_err().is_no_permits());
    /// ```
    #[must_use]
    pub fn is_no_permits(&self) -> bool {
        matches!(self, TryAcquireError::NoPermits)
    }

    /// Returns whether more was asked for than exists.
    ///
    /// ```
    /// # use ironsys::limit::Semaphore;
    /// assert!(Semaphore::new(1).try_acquire(2).unwrap_err().is_too_many());
    /// ```
    #[must_use]
    pub fn is_too_many(&self) -> bool {
        matches!(self, TryAcquireError::TooMany { .. })
    }

    /// Returns whether the semaphore is closed.
    ///
    /// ```
    /// # use ironsys::limit::Semaphore;
    /// let slots = Semaphore::new(1);
    /// slots.close();
    /// assert!(slots.try_acquire(1).unwrap_err().is_closed());
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self, TryAcquireError::Closed)
    }
}

/// An [`acquire`](super::RateLimit::acquire) that a rate limit did not let pass. Nothing was taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RateError {
    /// More was asked for than can ever pass at once, so waiting would be in vain.
    #[error("{asked} asked for, {capacity} pass at the most")]
    TooMany {
        /// How many were asked for.
        asked: u32,
        /// How many pass at once at the most.
        capacity: u32,
    },
    /// The rate is zero and too little is left, so waiting would be in vain.
    #[error("nothing comes in, and too little is left")]
    NoRefill,
    /// The turn would come after the context's deadline.
    #[error("the turn comes in {wait:?}, after the deadline")]
    TooLate {
        /// How long the wait would have been.
        wait: Duration,
    },
    /// Too many wait already.
    #[error("too many wait already")]
    Backlog,
    /// The key is new, and all keys that there is room for are in use.
    #[error("too many keys are in use")]
    TooManyKeys,
    /// The context stopped first.
    #[error(transparent)]
    Stopped(#[from] Stop),
}

impl RateError {
    pub(super) fn too_late(nanos: u64) -> RateError {
        RateError::TooLate { wait: Duration::from_nanos(nanos) }
    }

    /// Returns whether no later call can succeed unless the limit is changed.
    ///
    /// ```
    /// # use ironsys::{Context, limit::{Rate, TokenBucket}};
    /// # let (ctx, _cancel) = Context::root();
    /// let bucket = TokenBucket::new(Rate::per_second(1), 5);
    /// assert!(bucket.acquire(&ctx, 6).unwrap_err().is_for_ever()); // it never holds six
    /// ```
    #[must_use]
    pub fn is_for_ever(&self) -> bool {
        matches!(self, RateError::TooMany { .. } | RateError::NoRefill)
    }

    /// Returns whether the deadline was nearer than the turn.
    ///
    /// ```
    /// # use ironsys::{Context, limit::{Rate, TokenBucket}};
    /// # use std::time::Duration;
    /// # let (ctx, _cancel) = Context::root();
    /// let bucket = TokenBucket::new(Rate::per_hour(1), 1);
    /// bucket.try_acquire(1).unwrap();
    /// let soon = ctx.with_timeout(Duration::from_secs(60));
    /// assert!(bucket.acquire(&soon, 1).unwrap_err().is_too_late());
    /// ```
    #[must_use]
    pub fn is_too_late(&self) -> bool {
        matches!(self, RateError::TooLate { .. })
    }

    /// Returns why the context stopped, if that is what happened.
    ///
    /// ```
    /// # use ironsys::{Context, limit::{Rate, TokenBucket}};
    /// let (ctx, cancel) = Context::root();
    /// cancel.cancel();
    /// let bucket = TokenBucket::new(Rate::per_hour(1), 1);
    /// assert!(bucket.acquire(&ctx, 1).unwrap_err().stop().is_some());
    /// ```
    #[must_use]
    pub fn stop(&self) -> Option<&Stop> {
        match self {
            RateError::Stopped(stop) => Some(stop),
            _ => None,
        }
    }
}

/// A [`try_acquire`](super::RateLimit::try_acquire) that a rate limit did not let pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TryRateError {
    /// Not now; if nobody else comes, `wait` from now.
    #[error("not for another {wait:?}")]
    NotYet {
        /// How long until it could pass.
        wait: Duration,
    },
    /// More was asked for than can ever pass at once.
    #[error("{asked} asked for, {capacity} pass at the most")]
    TooMany {
        /// How many were asked for.
        asked: u32,
        /// How many pass at once at the most.
        capacity: u32,
    },
    /// The rate is zero and too little is left.
    #[error("nothing comes in, and too little is left")]
    NoRefill,
    /// The key is new, and all keys that there is room for are in use.
    #[error("too many keys are in use")]
    TooManyKeys,
}

impl TryRateError {
    pub(super) fn not_yet(nanos: u64) -> TryRateError {
        TryRateError::NotYet { wait: Duration::from_nanos(nanos) }
    }

    /// What a lasting refusal is to a call that does not wait.
    pub(super) fn of(why: RateError) -> TryRateError {
        match why {
            RateError::TooMany { asked, capacity } => TryRateError::TooMany { asked, capacity },
            RateError::TooManyKeys => TryRateError::TooManyKeys,
            _ => TryRateError::NoRefill,
        }
    }

    /// Returns how long until it could pass, if time is all that it takes: what a service answers in
    /// `Retry-After`.
    ///
    /// ```
    /// # use ironsys::limit::{Rate, TokenBucket};
    /// let bucket = TokenBucket::new(Rate::per_hour(1), 1);
    /// bucket.try_acquire(1).unwrap();
    /// assert!(bucket.try_acquire(1).unwrap_err().retry_after().is_some());
    /// ```
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            TryRateError::NotYet { wait } => Some(*wait),
            _ => None,
        }
    }

    /// Returns whether no later call can succeed unless the limit is changed.
    ///
    /// ```
    /// # use ironsys::limit::{Rate, TokenBucket};
    /// let bucket = TokenBucket::new(Rate::per_hour(1), 1);
    /// assert!(bucket.try_acquire(2).unwrap_err().is_for_ever());
    /// ```
    #[must_use]
    pub fn is_for_ever(&self) -> bool {
        matches!(self, TryRateError::TooMany { .. } | TryRateError::NoRefill)
    }
}
