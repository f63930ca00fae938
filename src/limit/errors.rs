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
    #[must_use]
    pub fn is_too_many(&self) -> bool {
        matches!(self, AcquireError::TooMany { .. })
    }

    /// Returns whether the semaphore is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self, AcquireError::Closed)
    }

    /// Returns why the context stopped, if that is what happened.
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
    #[must_use]
    pub fn is_no_permits(&self) -> bool {
        matches!(self, TryAcquireError::NoPermits)
    }

    /// Returns whether more was asked for than exists.
    #[must_use]
    pub fn is_too_many(&self) -> bool {
        matches!(self, TryAcquireError::TooMany { .. })
    }

    /// Returns whether the semaphore is closed.
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
    #[must_use]
    pub fn is_for_ever(&self) -> bool {
        matches!(self, RateError::TooMany { .. } | RateError::NoRefill)
    }

    /// Returns whether the deadline was nearer than the turn.
    #[must_use]
    pub fn is_too_late(&self) -> bool {
        matches!(self, RateError::TooLate { .. })
    }

    /// Returns why the context stopped, if that is what happened.
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
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            TryRateError::NotYet { wait } => Some(*wait),
            _ => None,
        }
    }

    /// Returns whether no later call can succeed unless the limit is changed.
    #[must_use]
    pub fn is_for_ever(&self) -> bool {
        matches!(self, TryRateError::TooMany { .. } | TryRateError::NoRefill)
    }
}
