//! What a channel operation says when it did not happen. The value comes back with the error.

use crate::context::Stop;
use std::fmt;

/// A [`send`](super::Sender::send) that did not happen. No receiver has seen the value.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError<T> {
    /// The channel is closed, or every receiver is gone.
    #[error("send on a closed channel")]
    Closed(T),
    /// The channel is full and its policy is to reject.
    #[error("the channel is full")]
    Full(T),
    /// The context stopped first.
    #[error("send stopped: {stop}")]
    Stopped {
        /// What was to be sent.
        value: T,
        /// Why the context stopped.
        stop: Stop,
    },
}

impl<T> SendError<T> {
    /// Takes the value back.
    ///
    /// ```
    /// # use ironsys::channel::SendError;
    /// assert_eq!(SendError::Full("a").into_inner(), "a");
    /// ```
    #[must_use]
    pub fn into_inner(self) -> T {
        match self {
            SendError::Closed(value) | SendError::Full(value) => value,
            SendError::Stopped { value, .. } => value,
        }
    }

    /// Returns whether the channel is closed.
    ///
    /// ```
    /// # use ironsys::{Context, channel};
    /// # let (ctx, _cancel) = Context::root();
    /// let (tx, rx) = channel::bounded(1);
    /// drop(rx);
    /// assert!(tx.send(&ctx, 1).unwrap_err().is_closed());
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self, SendError::Closed(_))
    }

    /// Returns whether the channel was full and rejects.
    ///
    /// ```
    /// # use ironsys::channel::SendError;
    /// assert!(SendError::Full(1).is_full() && !SendError::Closed(1).is_full());
    /// ```
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, SendError::Full(_))
    }

    /// Returns why the context stopped, if that is what happened.
    ///
    /// ```
    /// # use ironsys::{Context, channel};
    /// let (ctx, cancel) = Context::root();
    /// let (tx, _rx) = channel::bounded(1);
    /// cancel.cancel();
    /// assert!(tx.send(&ctx, 1).unwrap_err().stop().unwrap().is_cancelled());
    /// ```
    #[must_use]
    pub fn stop(&self) -> Option<&Stop> {
        match self {
            SendError::Stopped { stop, .. } => Some(stop),
            _ => None,
        }
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::Closed(_) => f.write_str("Closed(..)"),
            SendError::Full(_) => f.write_str("Full(..)"),
            SendError::Stopped { stop, .. } => write!(f, "Stopped({stop:?}, ..)"),
        }
    }
}

/// A [`try_send`](super::Sender::try_send) that did not happen.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TrySendError<T> {
    /// There is no room now.
    #[error("the channel is full")]
    Full(T),
    /// The channel is closed, or every receiver is gone.
    #[error("send on a closed channel")]
    Closed(T),
}

impl<T> TrySendError<T> {
    /// Takes the value back.
    ///
    /// ```
    /// # use ironsys::channel;
    /// let (tx, rx) = channel::bounded(1);
    /// drop(rx);
    /// assert_eq!(tx.try_send("a").unwrap_err().into_inner(), "a");
    /// ```
    #[must_use]
    pub fn into_inner(self) -> T {
        match self {
            TrySendError::Full(value) | TrySendError::Closed(value) => value,
        }
    }

    /// Returns whether there was no room.
    ///
    /// ```
    /// # use ironsys::channel;
    /// let (tx, _rx) = channel::bounded(0);
    /// assert!(tx.try_send(1).unwrap_err().is_full());
    /// ```
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, TrySendError::Full(_))
    }

    /// Returns whether the channel is closed.
    ///
    /// ```
    /// # use ironsys::channel;
    /// let (tx, rx) = channel::bounded(1);
    /// drop(rx);
    /// assert!(tx.try_send(1).unwrap_err().is_closed());
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self, TrySendError::Closed(_))
    }
}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TrySendError::Full(_) => "Full(..)",
            TrySendError::Closed(_) => "Closed(..)",
        })
    }
}

/// A [`recv`](super::Receiver::recv) that took nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecvError {
    /// The channel is closed, or every sender is gone, and nothing is left in it.
    #[error("the channel is closed and empty")]
    Closed,
    /// The context stopped first.
    #[error(transparent)]
    Stopped(#[from] Stop),
}

impl RecvError {
    /// Returns whether the channel is closed and empty.
    ///
    /// ```
    /// # use ironsys::{Context, channel};
    /// # let (ctx, _cancel) = Context::root();
    /// let (tx, rx) = channel::bounded::<u32>(1);
    /// drop(tx);
    /// assert!(rx.recv(&ctx).unwrap_err().is_closed());
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self, RecvError::Closed)
    }

    /// Returns why the context stopped, if that is what happened.
    ///
    /// ```
    /// # use ironsys::{Context, channel};
    /// let (ctx, cancel) = Context::root();
    /// let (_tx, rx) = channel::bounded::<u32>(1);
    /// cancel.cancel();
    /// assert!(rx.recv(&ctx).unwrap_err().stop().unwrap().is_cancelled());
    /// ```
    #[must_use]
    pub fn stop(&self) -> Option<&Stop> {
        match self {
            RecvError::Stopped(stop) => Some(stop),
            RecvError::Closed => None,
        }
    }
}

/// A [`try_recv`](super::Receiver::try_recv) that took nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TryRecvError {
    /// Nothing is there now.
    #[error("the channel is empty")]
    Empty,
    /// The channel is closed, or every sender is gone, and nothing is left in it.
    #[error("the channel is closed and empty")]
    Closed,
}

impl TryRecvError {
    /// Returns whether nothing is there now.
    ///
    /// ```
    /// # use ironsys::channel;
    /// let (_tx, rx) = channel::bounded::<u32>(1);
    /// assert!(rx.try_recv().unwrap_err().is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, TryRecvError::Empty)
    }

    /// Returns whether the channel is closed and empty.
    ///
    /// ```
    /// # use ironsys::channel;
    /// let (tx, rx) = channel::bounded::<u32>(1);
    /// drop(tx);
    /// assert!(rx.try_recv().unwrap_err().is_closed());
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self, TryRecvError::Closed)
    }
}
