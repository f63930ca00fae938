//! What a guarded call says when it has no value: the call's own error, or which guard said no.

use super::breaker::Open;
use crate::context::Stop;
use crate::sync::Arc;
use std::panic::Location;
use std::time::Duration;

/// A call under a policy that has no value. The error of the call itself stays what it was.
///
/// ```
/// use ironsys::Context;
/// use ironsys::resilience::{Breaker, CallError};
/// # fn main() -> Result<(), ironsys::BuildError> {
/// let (ctx, _cancel) = Context::root();
/// let breaker = Breaker::builder("parser").build()?;
/// match breaker.call(&ctx, |_| "x".parse::<u32>()) {
///     Err(CallError::Failed(e)) => assert!(e.to_string().contains("invalid digit")),
///     other => unreachable!("{other:?}"),
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError<E> {
    /// The call failed.
    #[error("{0}")]
    Failed(E),
    /// A breaker is open: the call was not made.
    #[error(transparent)]
    Open(#[from] Open),
    /// A bulkhead is full: the call was not made.
    #[error(transparent)]
    Full(#[from] Full),
    /// There is too much load: the call was not made.
    #[error("overloaded: the call was shed")]
    Shed,
    /// The call took longer than a timeout allows, and said so itself or was held
    /// to it.
    #[error("timed out after {limit:?}")]
    TimedOut {
        /// How long it was allowed to take.
        limit: Duration,
        /// What the call returned after that, if it failed.
        failed: Option<E>,
    },
    /// The call panicked on a thread that others waited for.
    #[error(transparent)]
    Panicked(SharedPanic),
    /// The context stopped before the call was made.
    #[error(transparent)]
    Stopped(#[from] Stop),
}

/// A bulkhead has neither room nor a place to wait.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the bulkhead `{name}` is full: {running} calls run, {waiting} wait")]
#[non_exhaustive]
pub struct Full {
    /// The name of the bulkhead.
    pub name: Arc<str>,
    /// How many calls ran.
    pub running: usize,
    /// How many waited.
    pub waiting: usize,
}

/// A panic that several callers are told of. What it was thrown with is not shared, its text is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the call made at {at} panicked: {message}")]
#[non_exhaustive]
pub struct SharedPanic {
    /// The panic's text, or a stand-in if it is no string.
    pub message: Arc<str>,
    /// The call whose closure panicked.
    pub at: &'static Location<'static>,
}

impl<E> CallError<E> {
    /// Returns the call's own error, if it has one.
    ///
    /// ```
    /// # use ironsys::resilience::*;
    /// assert_eq!(CallError::Failed("no disk").failed(), Some(&"no disk"));
    /// ```
    #[must_use]
    pub fn failed(&self) -> Option<&E> {
        match self {
            CallError::Failed(e) | CallError::TimedOut { failed: Some(e), .. } => Some(e),
            _ => None,
        }
    }

    /// Returns the call's own error, by value.
    ///
    /// ```
    /// # use ironsys::resilience::*;
    /// assert_eq!(CallError::Failed("no disk").into_failed(), Some("no disk"));
    /// ```
    #[must_use]
    pub fn into_failed(self) -> Option<E> {
        match self {
            CallError::Failed(e) | CallError::TimedOut { failed: Some(e), .. } => Some(e),
            _ => None,
        }
    }

    /// Returns whether a guard refused, so that the call was not made: it is safe to make it
    /// elsewhere.
    ///
    /// ```
    /// # use ironsys::resilience::*;
    /// assert!(CallError::<()>::Shed.is_refusal());
    /// assert!(!CallError::Failed("no disk").is_refusal());
    /// ```
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, CallError::Open(_) | CallError::Full(_) | CallError::Shed)
    }

    /// Returns whether a timeout or a deadline ended the call.
    ///
    /// ```
    /// # use ironsys::resilience::*;
    /// # use ironsys::Stop;
    /// assert!(CallError::<()>::Stopped(Stop::DeadlineExceeded).is_timeout());
    /// ```
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        match self {
            CallError::TimedOut { .. } => true,
            CallError::Stopped(stop) => stop.is_timeout(),
            _ => false,
        }
    }

    /// Returns why the context stopped, if that is what happened.
    ///
    /// ```
    /// # use ironsys::resilience::*;
    /// # use ironsys::Stop;
    /// let error = CallError::<()>::Stopped(Stop::DeadlineExceeded);
    /// assert_eq!(error.stop(), Some(&Stop::DeadlineExceeded));
    /// ```
    #[must_use]
    pub fn stop(&self) -> Option<&Stop> {
        match self {
            CallError::Stopped(stop) => Some(stop),
            _ => None,
        }
    }

    /// Returns how long to wait before another try, if a breaker has said so.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*, time::VirtualClock};
    /// # use std::time::Duration;
    /// # let time = VirtualClock::auto();
    /// # let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// let breaker = Breaker::builder("db").open_for(Duration::from_secs(9)).clock(ctx.clock());
    /// let breaker = breaker.build()?;
    /// breaker.trip();
    /// let error = breaker.call(&ctx, |_| Ok::<_, ()>(())).unwrap_err();
    /// assert_eq!(error.retry_after(), Some(Duration::from_secs(9)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            CallError::Open(open) => open.retry_after,
            _ => None,
        }
    }

    /// Changes the call's own error.
    ///
    /// ```
    /// # use ironsys::resilience::*;
    /// assert_eq!(CallError::Failed(4).map(|n| n + 1), CallError::Failed(5));
    /// ```
    pub fn map<F>(self, f: impl FnOnce(E) -> F) -> CallError<F> {
        match self {
            CallError::Failed(e) => CallError::Failed(f(e)),
            CallError::Open(open) => CallError::Open(open),
            CallError::Full(full) => CallError::Full(full),
            CallError::Shed => CallError::Shed,
            CallError::TimedOut { limit, failed } => {
                CallError::TimedOut { limit, failed: failed.map(f) }
            }
            CallError::Panicked(panicked) => CallError::Panicked(panicked),
            CallError::Stopped(stop) => CallError::Stopped(stop),
        }
    }
}
