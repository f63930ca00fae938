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
    #[must_use]
    pub fn lagged(&self) -> Option<u64> {
        match self {
            BroadcastRecvError::Lagged(missed) => Some(*missed),
            _ => None,
        }
    }

    /// Returns whether the channel is closed and read to its end.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self, BroadcastRecvError::Closed)
    }

    /// Returns why the context stopped, if that is what happened.
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
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, BroadcastTryRecvError::Empty)
    }

    /// Returns how many messages were missed, if that is what happened.
    #[must_use]
    pub fn lagged(&self) -> Option<u64> {
        match self {
            BroadcastTryRecvError::Lagged(missed) => Some(*missed),
            _ => None,
        }
    }

    /// Returns whether the channel is closed and read to its end.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self, BroadcastTryRecvError::Closed)
    }
}
