//! What a relay needs of a broker's client.

use crate::context::{Context, Stop};
use crate::durable::outbox::Event;
use std::error::Error;

/// Sends events to a broker.
///
/// A relay calls it from one thread. A closure that returns when the broker has the event is a
/// publisher; one that implements [`settle`](Self::settle) has many events under way at a time.
///
/// Every wait in it is under the context it is given, and ends with it.
pub trait Publisher: Send + 'static {
    /// Sends an event, and says whether the broker has it, or whether its answer comes later.
    ///
    /// The same event may be sent again after an error, with the same number: brokers that know a
    /// message id drop it then.
    ///
    /// # Errors
    /// See [`PublishError`].
    fn send(&mut self, ctx: &Context, event: &Event) -> Result<Sent, PublishError>;

    /// Waits until the broker has answered something that is pending, and puts the answers into
    /// `answers`: the event's number, and why if it was rejected.
    ///
    /// # Errors
    /// [`Down`](PublishError::Down), [`Stopped`](PublishError::Stopped).
    fn settle(
        &mut self,
        ctx: &Context,
        answers: &mut Vec<(u64, Result<(), String>)>,
    ) -> Result<(), PublishError> {
        let _ = (ctx, answers);
        Ok(())
    }

    /// Gives the connection up after an error; what is pending will be sent again.
    fn reset(&mut self) {}
}

impl<F> Publisher for F
where
    F: FnMut(&Context, &Event) -> Result<(), PublishError> + Send + 'static,
{
    fn send(&mut self, ctx: &Context, event: &Event) -> Result<Sent, PublishError> {
        self(ctx, event).map(|()| Sent::Done)
    }
}

/// What became of an event that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// The broker has it.
    Done,
    /// The broker's answer comes later, by [`Publisher::settle`].
    Pending,
}

/// An event that a broker does not have.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The broker cannot be reached, or does not answer. It is tried again for as long as it takes.
    #[error("the broker is down: {0}")]
    Down(#[source] Box<dyn Error + Send + Sync>),
    /// The broker does not take this event: it is too large, say. Tried some times more, then a dead
    /// letter.
    #[error("the broker rejects the event: {0}")]
    Rejected(String),
    /// The context stopped first.
    #[error(transparent)]
    Stopped(#[from] Stop),
}

impl PublishError {
    /// Makes a [`Down`](Self::Down).
    ///
    /// ```
    /// use ironsys::durable::PublishError;
    /// use std::net::TcpStream;
    /// let failed = TcpStream::connect("127.0.0.1:1").map_err(PublishError::down);
    /// assert!(matches!(failed, Err(PublishError::Down(_)))); // the relay will try again
    /// ```
    pub fn down(why: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        PublishError::Down(why.into())
    }
}
