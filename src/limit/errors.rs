//! What a semaphore says when it gave no permits.

use crate::context::Stop;

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
