//! What a bus says when something did not happen.

use crate::context::Stop;
use crate::error::BuildError;
use std::fmt;

/// A [`publish`](super::Bus::publish) that not everybody has heard.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError<M> {
    /// The bus is closed; nobody got the message.
    #[error("the bus is closed")]
    Closed(M),
    /// The context stopped while a subscriber had no room. Those counted have the message.
    #[error("publish stopped after {delivered} subscribers: {stop}")]
    Stopped {
        /// What was to be published.
        message: M,
        /// How many subscribers have got it all the same.
        delivered: usize,
        /// Why the context stopped.
        stop: Stop,
    },
}

impl<M> PublishError<M> {
    /// Takes the message back.
    ///
    /// ```
    /// # use ironsys::bus::PublishError;
    /// assert_eq!(PublishError::Closed("news").into_inner(), "news");
    /// ```
    #[must_use]
    pub fn into_inner(self) -> M {
        match self {
            PublishError::Closed(message) | PublishError::Stopped { message, .. } => message,
        }
    }

    /// Returns whether the bus is closed.
    ///
    /// ```
    /// # use ironsys::{Context, bus::Bus};
    /// # let (ctx, _cancel) = Context::root();
    /// let bus = Bus::new();
    /// bus.close();
    /// assert!(bus.publish(&ctx, &"news", 1).unwrap_err().is_closed());
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self, PublishError::Closed(_))
    }

    /// Returns why the context stopped, if that is what happened.
    ///
    /// ```
    /// # use ironsys::{Context, bus::Bus};
    /// let ((ctx, cancel), bus) = (Context::root(), Bus::new());
    /// cancel.cancel();
    /// assert!(bus.publish(&ctx, &"news", 1).unwrap_err().stop().is_some());
    /// ```
    #[must_use]
    pub fn stop(&self) -> Option<&Stop> {
        match self {
            PublishError::Stopped { stop, .. } => Some(stop),
            PublishError::Closed(_) => None,
        }
    }
}

impl<M> fmt::Debug for PublishError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PublishError::Closed(_) => f.write_str("Closed(..)"),
            PublishError::Stopped { delivered, stop, .. } => {
                write!(f, "Stopped({stop:?}, {delivered} delivered, ..)")
            }
        }
    }
}

/// A subscription that was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The bus is closed.
    #[error("the bus is closed")]
    Closed,
    /// The bus has as many subscriptions as it may have.
    #[error("the bus has {0} subscriptions, and may not have more")]
    TooMany(usize),
    /// The queue or the thread cannot be as it was asked for.
    #[error(transparent)]
    Build(#[from] BuildError),
}
