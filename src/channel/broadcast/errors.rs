//! What a receive from a broadcast says when it took nothing.

use crate::context::Stop;

/// A [`recv`](super::Subscriber::recv) that took nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BroadcastRecvError {
    /// The subscriber was too slow and has missed so many messages. The next receive goes on with
    /// the oldest that is left.
    #[error("too slow: missed {0} messages")]
    Lagged(u64),
    /// The channel is closed, or every sender is gone, and this subscriber has read everything.
    #[error("the broadcast is closed and read to its end")]
    Closed,
    /// The context stopped first.
    #[error(transparent)]
    Stopped(#[from] Stop),
}

impl BroadcastRecvError {
    /// Returns how many messages were missed, if that is what happened.
    ///
    /// ```
    /// # use ironsys::channel::BroadcastRecvError;
    /// assert_eq!(BroadcastRecvError::Lagged(3).lagged(), Some(3));
    /// ```
    #[must_use]
    pub fn lagged(&self) -> Option<u64> {
        match self {
            BroadcastRecvError::Lagged(missed) => Some(*missed),
            _ => None,
        }
    }

    /// Returns whether the channel is closed and read to its end.
    ///
    /// ```
    /// # use ironsys::channel::BroadcastRecvError;
    /// assert!(BroadcastRecvError::Closed.is_closed());
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self, BroadcastRecvError::Closed)
    }

    /// Returns why the context stopped, if that is what happened.
    ///
    /// ```
    /// # use ironsys::{Stop, channel::BroadcastRecvError};
    /// let error = BroadcastRecvError::from(Stop::DeadlineExceeded);
    /// assert_eq!(error.stop(), Some(&Stop::DeadlineExceeded));
    /// ```
    #[must_use]
    pub fn stop(&self) -> Option<&Stop> {
        match self {
            BroadcastRecvError::Stopped(stop) => Some(stop),
            _ => None,
        }
    }
}

/// A [`try_recv`](super::Subscriber::try_recv) that took nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BroadcastTryRecvError {
    /// Nothing is there now.
    #[error("the broadcast has nothing new")]
    Empty,
    /// The subscriber was too slow and has missed so many messages. The next receive goes on with
    /// the oldest that is left.
    #[error("too slow: missed {0} messages")]
    Lagged(u64),
    /// The channel is closed, or every sender is gone, and this subscriber has read everything.
    #[error("the broadcast is closed and read to its end")]
    Closed,
}

impl BroadcastTryRecvError {
    /// Returns whether nothing is there now.
    ///
    /// ```
    /// # use ironsys::channel;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (_tx, mut rx) = channel::broadcast::<u32>(1).build()?;
    /// assert!(rx.try_recv().unwrap_err().is_empty());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, BroadcastTryRecvError::Empty)
    }

    /// Returns how many messages were missed, if that is what happened.
    ///
    /// ```
    /// # use ironsys::channel::{self, SlowReceiver};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (tx, mut rx) = channel::broadcast(1).slow_receiver(SlowReceiver::Lag).build()?;
    /// tx.try_send("missed")?;
    /// tx.try_send("kept")?;
    /// assert_eq!(rx.try_recv().unwrap_err().lagged(), Some(1));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn lagged(&self) -> Option<u64> {
        match self {
            BroadcastTryRecvError::Lagged(missed) => Some(*missed),
            _ => None,
        }
    }

    /// Returns whether the channel is closed and read to its end.
    ///
    /// ```
    /// # use ironsys::channel;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (tx, mut rx) = channel::broadcast::<u32>(1).build()?;
    /// drop(tx);
    /// assert!(rx.try_recv().unwrap_err().is_closed());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self, BroadcastTryRecvError::Closed)
    }
}
