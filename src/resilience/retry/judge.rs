//! What a result means for whether to try again.

use crate::resilience::CallError;
use std::time::Duration;

/// What is to be done about a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It is what was asked for.
    Done,
    /// It may be better next time.
    Transient,
    /// The same, but not before so much time has passed: the server has said so.
    TransientAfter(Duration),
    /// It will be the same next time.
    Permanent,
}

/// Says what results mean. Closures given to [`Retry::when`](super::Retry::when) and
/// [`Retry::judge`](super::Retry::judge) become one.
pub trait Judge<T, E> {
    /// Says what a value means.
    fn value(&self, value: &T) -> Verdict;

    /// Says what an error means.
    fn error(&self, error: &CallError<E>) -> Verdict;
}

/// Every value is what was asked for, every failure and timeout transient. A refusal by another guard
/// is permanent: it is there to spare what is behind it.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct AnyFailure;

impl<T, E> Judge<T, E> for AnyFailure {
    #[inline]
    fn value(&self, _: &T) -> Verdict {
        Verdict::Done
    }

    fn error(&self, error: &CallError<E>) -> Verdict {
        match error {
            CallError::Failed(_) | CallError::TimedOut { .. } => Verdict::Transient,
            _ => Verdict::Permanent,
        }
    }
}

/// Failures of which a closure says `true`; timeouts.
#[derive(Debug, Clone, Copy)]
pub struct When<F>(pub(super) F);

impl<T, E, F: Fn(&E) -> bool> Judge<T, E> for When<F> {
    #[inline]
    fn value(&self, _: &T) -> Verdict {
        Verdict::Done
    }

    fn error(&self, error: &CallError<E>) -> Verdict {
        match error {
            CallError::Failed(e) | CallError::TimedOut { failed: Some(e), .. } => {
                if (self.0)(e) {
                    Verdict::Transient
                } else {
                    Verdict::Permanent
                }
            }
            CallError::TimedOut { .. } => Verdict::Transient,
            _ => Verdict::Permanent,
        }
    }
}

/// Values and failures by a closure; timeouts are transient.
#[derive(Debug, Clone, Copy)]
pub struct Judged<F>(pub(super) F);

impl<T, E, F: Fn(Result<&T, &E>) -> Verdict> Judge<T, E> for Judged<F> {
    #[inline]
    fn value(&self, value: &T) -> Verdict {
        (self.0)(Ok(value))
    }

    fn error(&self, error: &CallError<E>) -> Verdict {
        match error {
            CallError::Failed(e) | CallError::TimedOut { failed: Some(e), .. } => (self.0)(Err(e)),
            CallError::TimedOut { .. } => Verdict::Transient,
            _ => Verdict::Permanent,
        }
    }
}

/// What another judge says, but a refusal by another guard is transient too.
#[derive(Debug, Clone, Copy)]
pub struct Refusals<J>(pub(super) J);

impl<T, E, J: Judge<T, E>> Judge<T, E> for Refusals<J> {
    #[inline]
    fn value(&self, value: &T) -> Verdict {
        self.0.value(value)
    }

    fn error(&self, error: &CallError<E>) -> Verdict {
        match error.retry_after() {
            Some(after) => Verdict::TransientAfter(after),
            None if error.is_refusal() => Verdict::Transient,
            None => self.0.error(error),
        }
    }
}
