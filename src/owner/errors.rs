//! What became of a call that brought no answer.

use crate::context::Stop;
use crate::panics::Panicked;
use std::fmt;

/// A [`call`](super::Caller::call) without an answer. `F` is the closure, given back whenever it has not
/// been begun.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum CallError<F> {
    /// The owner is gone, or went before the call's turn.
    #[error("the owner is closed")]
    Closed(F),
    /// The call comes from the owner's own thread, which would wait for itself.
    #[error("the owner's thread would wait for itself")]
    WouldDeadlock(F),
    /// The context stopped before the call's turn: it has not happened, and will not.
    #[error("call stopped: {stop}")]
    Stopped {
        /// What was to be called.
        call: F,
        /// Why the context stopped.
        stop: Stop,
    },
    /// The context stopped while the call was running: it runs to its end, and nobody gets the answer.
    #[error("call abandoned: {0}")]
    Abandoned(Stop),
    /// The call panicked.
    #[error(transparent)]
    Panicked(Panicked),
}

impl<F> CallError<F> {
    /// Takes the closure back, if it has not been begun.
    ///
    /// ```
    /// # use ironsys::{Context, owner::Owner};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let sum = Owner::start("sum", |_| 7)?;
    /// sum.close(&ctx)?;
    /// assert!(sum.call(&ctx, |n| *n).unwrap_err().into_call().is_some());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn into_call(self) -> Option<F> {
        match self {
            CallError::Closed(call) | CallError::WouldDeadlock(call) => Some(call),
            CallError::Stopped { call, .. } => Some(call),
            CallError::Abandoned(_) | CallError::Panicked(_) => None,
        }
    }

    /// Returns whether the owner is gone.
    ///
    /// ```
    /// # use ironsys::{Context, owner::Owner};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let sum = Owner::start("sum", |_| 7)?;
    /// sum.close(&ctx)?;
    /// assert!(sum.call(&ctx, |n| *n).unwrap_err().is_closed());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self, CallError::Closed(_))
    }

    /// Returns whether the call is known not to have happened.
    ///
    /// ```
    /// # use ironsys::{Context, owner::Owner};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, cancel) = Context::root();
    /// # let sum = Owner::start("sum", |_| 7)?;
    /// cancel.cancel();
    /// assert!(sum.call(&ctx, |n| *n).unwrap_err().has_not_happened());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn has_not_happened(&self) -> bool {
        !matches!(self, CallError::Abandoned(_) | CallError::Panicked(_))
    }

    /// Returns why the context stopped, if that is what happened.
    ///
    /// ```
    /// # use ironsys::{Context, owner::Owner};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, cancel) = Context::root();
    /// # let sum = Owner::start("sum", |_| 7)?;
    /// cancel.cancel();
    /// assert!(sum.call(&ctx, |n| *n).unwrap_err().stop().is_some());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn stop(&self) -> Option<&Stop> {
        match self {
            CallError::Stopped { stop, .. } | CallError::Abandoned(stop) => Some(stop),
            _ => None,
        }
    }

    /// Returns the panic of the call, if that is what happened.
    ///
    /// ```
    /// # use ironsys::{Context, owner::Owner};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let sum = Owner::start("sum", |_| 7)?;
    /// let failed = sum.call(&ctx, |_| panic!("no sum"));
    /// assert!(failed.is_err_and(|e| e.panicked().is_some()));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn panicked(&self) -> Option<&Panicked> {
        match self {
            CallError::Panicked(panicked) => Some(panicked),
            _ => None,
        }
    }
}

impl<F> fmt::Debug for CallError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Closed(_) => f.write_str("Closed(..)"),
            CallError::WouldDeadlock(_) => f.write_str("WouldDeadlock(..)"),
            CallError::Stopped { stop, .. } => write!(f, "Stopped({stop:?}, ..)"),
            CallError::Abandoned(stop) => write!(f, "Abandoned({stop:?})"),
            CallError::Panicked(panicked) => write!(f, "Panicked({panicked:?})"),
        }
    }
}

/// A [`tell`](super::Caller::tell) that was not accepted, with the closure.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum TellError<F> {
    /// The owner is gone.
    #[error("the owner is closed")]
    Closed(F),
    /// The queue is full, and this is the owner's own thread, which alone could empty it.
    #[error("the owner's thread would wait for itself")]
    WouldDeadlock(F),
    /// The context stopped first.
    #[error("tell stopped: {stop}")]
    Stopped {
        /// What was to be called.
        call: F,
        /// Why the context stopped.
        stop: Stop,
    },
}

impl<F> TellError<F> {
    /// Takes the closure back.
    ///
    /// ```
    /// # use ironsys::{Context, owner::Owner};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let sum = Owner::start("sum", |_| 7)?;
    /// sum.close(&ctx)?;
    /// let call = sum.tell(&ctx, |n| *n += 1).unwrap_err().into_call();
    /// let mut n = 7;
    /// call(&mut n);
    /// assert_eq!(n, 8);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn into_call(self) -> F {
        match self {
            TellError::Closed(call) | TellError::WouldDeadlock(call) => call,
            TellError::Stopped { call, .. } => call,
        }
    }

    /// Returns whether the owner is gone.
    ///
    /// ```
    /// # use ironsys::{Context, owner::Owner};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let sum = Owner::start("sum", |_| 7)?;
    /// sum.close(&ctx)?;
    /// assert!(sum.tell(&ctx, |n| *n += 1).unwrap_err().is_closed());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self, TellError::Closed(_))
    }

    /// Returns why the context stopped, if that is what happened.
    ///
    /// ```
    /// # use ironsys::{Context, owner::Owner};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, cancel) = Context::root();
    /// # let sum = Owner::start("sum", |_| 7)?;
    /// cancel.cancel();
    /// assert!(sum.tell(&ctx, |n| *n += 1).unwrap_err().stop().is_some());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn stop(&self) -> Option<&Stop> {
        match self {
            TellError::Stopped { stop, .. } => Some(stop),
            _ => None,
        }
    }
}

impl<F> fmt::Debug for TellError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TellError::Closed(_) => f.write_str("Closed(..)"),
            TellError::WouldDeadlock(_) => f.write_str("WouldDeadlock(..)"),
            TellError::Stopped { stop, .. } => write!(f, "Stopped({stop:?}, ..)"),
        }
    }
}

/// A [`try_tell`](super::Caller::try_tell) that was not accepted, with the closure.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum TryTellError<F> {
    /// The queue has no room now.
    #[error("the owner's queue is full")]
    Full(F),
    /// The owner is gone.
    #[error("the owner is closed")]
    Closed(F),
}

impl<F> TryTellError<F> {
    /// Takes the closure back.
    ///
    /// ```
    /// # use ironsys::owner::TryTellError;
    /// assert_eq!(TryTellError::Full("the call").into_call(), "the call");
    /// ```
    #[must_use]
    pub fn into_call(self) -> F {
        match self {
            TryTellError::Full(call) | TryTellError::Closed(call) => call,
        }
    }

    /// Returns whether the queue had no room.
    ///
    /// ```
    /// # use ironsys::owner::TryTellError;
    /// assert!(TryTellError::Full(()).is_full() && !TryTellError::Closed(()).is_full());
    /// ```
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, TryTellError::Full(_))
    }
}

impl<F> fmt::Debug for TryTellError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TryTellError::Full(_) => "Full(..)",
            TryTellError::Closed(_) => "Closed(..)",
        })
    }
}

/// An [`into_inner`](super::Owner::into_inner) that brought no value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IntoInnerError {
    /// The value is gone: its making panicked, or a call did and the owner was not to keep it.
    #[error("the value is gone: {0}")]
    Gone(String),
    /// The context stopped first; the owner was cancelled, and the value dropped on its thread.
    #[error(transparent)]
    Stopped(#[from] Stop),
}
