//! Why a context stopped.

use crate::sync::Arc;
use std::borrow::Cow;
use std::fmt;
use std::panic::Location;

/// The reason why a call under a context did not happen.
///
/// Every error of a blocking call that can be cut short contains one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Stop {
    /// Somebody cancelled the context or one of its ancestors.
    #[error("cancelled {0}")]
    Cancelled(Cause),
    /// The deadline of the context or of one of its ancestors has passed.
    #[error("deadline exceeded")]
    DeadlineExceeded,
}

impl Stop {
    /// Returns whether the context was cancelled.
    ///
    /// ```
    /// # use ironsys::Context;
    /// let (ctx, cancel) = Context::root();
    /// cancel.cancel();
    /// assert!(ctx.check().unwrap_err().is_cancelled());
    /// ```
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Stop::Cancelled(_))
    }

    /// Returns whether the deadline has passed.
    ///
    /// ```
    /// # use ironsys::Stop;
    /// assert!(Stop::DeadlineExceeded.is_timeout());
    /// ```
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self, Stop::DeadlineExceeded)
    }

    /// Returns who cancelled and why, unless it was the deadline.
    ///
    /// ```
    /// # use ironsys::Stop;
    /// assert!(Stop::DeadlineExceeded.cause().is_none());
    /// ```
    #[must_use]
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            Stop::Cancelled(cause) => Some(cause),
            Stop::DeadlineExceeded => None,
        }
    }
}

/// Who cancelled a context, and why. Cheap to clone; travels down the tree unchanged.
#[derive(Clone, PartialEq, Eq)]
pub struct Cause(Arc<Told>);

#[derive(PartialEq, Eq)]
struct Told {
    reason: Cow<'static, str>,
    at: &'static Location<'static>,
}

impl Cause {
    pub(crate) fn new(reason: Cow<'static, str>, at: &'static Location<'static>) -> Self {
        Cause(Arc::new(Told { reason, at }))
    }

    /// Returns the reason given with the cancel; empty if there was none.
    ///
    /// ```
    /// # use ironsys::Context;
    /// let (ctx, cancel) = Context::root();
    /// cancel.cancel_with("bye");
    /// let stop = ctx.wait_stopped();
    /// assert_eq!(stop.cause().map(|c| c.reason()), Some("bye"));
    /// ```
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// Returns the line that cancelled.
    ///
    /// ```
    /// # use ironsys::Context;
    /// let (ctx, cancel) = Context::root();
    /// let line = line!() + 1;
    /// cancel.cancel();
    /// let stop = ctx.wait_stopped();
    /// assert_eq!(stop.cause().map(|c| c.location().line()), Some(line));
    /// ```
    #[must_use]
    pub fn location(&self) -> &'static Location<'static> {
        self.0.at
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {}", self.0.at)?;
        if !self.0.reason.is_empty() {
            write!(f, ": {}", self.0.reason)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cause({self})")
    }
}
