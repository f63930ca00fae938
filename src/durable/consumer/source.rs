//! What a consumer needs of a broker's client.

use crate::context::{Context, Stop};
use crate::durable::outbox::{Acks, Feed, ReadError, Reader};
use std::error::Error;

/// A message that was delivered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Delivery {
    /// Where it stands in the source; positions grow. A commit of one is a commit of all before it.
    pub position: u64,
    /// By which it is known when it comes again; the position if it is empty.
    pub id: Vec<u8>,
    /// Messages of one key are handled in order. Empty is a key, too.
    pub key: Vec<u8>,
    /// What it says.
    pub body: Vec<u8>,
}

/// The half of a broker's client that receives.
pub trait Source: Send {
    /// The half that commits; used from another thread.
    type Committer: Committer;

    /// Takes the half that commits; called once, before anything is received.
    fn committer(&mut self) -> Self::Committer;

    /// Waits for the next message; `None` at the end.
    ///
    /// # Errors
    /// See [`SourceError`].
    fn recv(&mut self, ctx: &Context) -> Result<Option<Delivery>, SourceError>;
}

/// The half of a broker's client that commits.
pub trait Committer: Send {
    /// Everything up to `position` is done with.
    ///
    /// # Errors
    /// See [`SourceError`].
    fn commit(&mut self, ctx: &Context, position: u64) -> Result<(), SourceError>;

    /// These were received and are not done with: others may have them. They are delivered again
    /// anyway, as they are not committed; a broker that can be told need not wait for that.
    fn hand_back(&mut self, positions: &[u64]) {
        let _ = positions;
    }
}

/// A source that does not deliver, or commit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The broker's client failed.
    #[error("the source failed: {0}")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
    /// The context stopped first.
    #[error(transparent)]
    Stopped(#[from] Stop),
}

impl SourceError {
    /// Makes a [`Failed`](Self::Failed).
    ///
    /// ```
    /// use ironsys::durable::SourceError;
    /// let error = SourceError::failed("the broker has gone away");
    /// assert_eq!(error.to_string(), "the source failed: the broker has gone away");
    /// ```
    pub fn failed(why: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        SourceError::Failed(why.into())
    }
}

/// A reader of an outbox as a source: the positions are the events' numbers, the key is empty until
/// [`ConsumerBuilder::key_by`](super::ConsumerBuilder::key_by) makes one.
pub(super) struct OutboxSource {
    feed: Feed,
    acks: Option<Acks>,
}

/// Its other half.
pub(super) struct OutboxCommitter(Option<Acks>);

impl OutboxSource {
    pub(super) fn new(reader: Reader) -> Self {
        let (feed, acks) = reader.split();
        OutboxSource { feed, acks: Some(acks) }
    }
}

impl Source for OutboxSource {
    type Committer = OutboxCommitter;

    fn committer(&mut self) -> OutboxCommitter {
        OutboxCommitter(self.acks.take())
    }

    fn recv(&mut self, ctx: &Context) -> Result<Option<Delivery>, SourceError> {
        match self.feed.next(ctx) {
            Ok(event) => {
                let (position, body) = (event.id, event.body);
                Ok(Some(Delivery { position, body, ..Delivery::default() }))
            }
            Err(ReadError::Closed) => Ok(None),
            Err(ReadError::Stopped(stop)) => Err(SourceError::Stopped(stop)),
            Err(e) => Err(SourceError::failed(e)),
        }
    }
}

impl Committer for OutboxCommitter {
    fn commit(&mut self, _: &Context, position: u64) -> Result<(), SourceError> {
        match &mut self.0 {
            Some(acks) => acks.ack(position).map_err(SourceError::failed),
            None => Ok(()),
        }
    }
}
