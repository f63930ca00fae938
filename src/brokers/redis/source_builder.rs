//! The settings of a source.

use super::entry::{BODY, ID, KEY, StreamEntry};
use super::keep::Kept;
use super::server::Server;
use super::source::StreamSource;
use crate::durable::Delivery;
use crate::error::BuildError;
use crate::schedule::Backoff;
use crate::sync::Arc;
use std::fmt;
use std::time::Duration;

type Decode = Arc<dyn Fn(&StreamEntry) -> Delivery + Send + Sync>;

/// Builds a [`StreamSource`]. Made by [`StreamSource::builder`].
#[derive(Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct StreamSourceBuilder {
    pub(super) server: Server,
    pub(super) stream: Vec<u8>,
    pub(super) group: String,
    pub(super) consumer: String,
    pub(super) from_now: bool,
    pub(super) batch: usize,
    pub(super) claim_idle: Duration,
    pub(super) claim_every: Duration,
    pub(super) max_pending: usize,
    pub(super) retry: Backoff,
    pub(super) decode: Decode,
}

impl StreamSourceBuilder {
    pub(super) fn new(server: &Server, stream: &[u8], group: String, consumer: String) -> Self {
        StreamSourceBuilder {
            server: server.clone(),
            stream: stream.to_vec(),
            group,
            consumer,
            from_now: false,
            batch: 64,
            claim_idle: Duration::from_secs(60),
            claim_every: Duration::from_secs(30),
            max_pending: 1 << 16,
            retry: Kept::usual_retry(),
            decode: Arc::new(decode),
        }
    }

    /// Lets a group that has to be made begin with what comes from now on. Without it, it begins with
    /// the oldest entry of the stream.
    ///
    /// ```
    /// # use ironsys::brokers::redis::{Server, StreamPublisher, StreamSource};
    /// # use std::time::Duration;
    /// # let server = Server::new("redis://127.0.0.1:6379")?;
    /// let source = StreamSource::builder(&server, "payments", "billing", "billing-1");
    /// assert!(source.from_now().build().is_ok()); // The group does not see what is old.
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn from_now(mut self) -> Self {
        self.from_now = true;
        self
    }

    /// Sets how many entries are read at once. The default is 64. They are pending here until they are
    /// handled, so a small number spreads them better over the members.
    ///
    /// ```
    /// # use ironsys::brokers::redis::{Server, StreamPublisher, StreamSource};
    /// # use std::time::Duration;
    /// # let server = Server::new("redis://127.0.0.1:6379")?;
    /// let source = StreamSource::builder(&server, "payments", "billing", "billing-1");
    /// assert!(source.clone().batch(1).build().is_ok());
    /// assert_eq!(source.batch(0).build().unwrap_err().field(), "batch");
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn batch(mut self, entries: usize) -> Self {
        self.batch = entries;
        self
    }

    /// Sets how long an entry has been pending with another member until it is taken over. The default
    /// is 60 s; it has to be longer than a message takes. 0 takes everything, always: only for tests.
    ///
    /// ```
    /// # use ironsys::brokers::redis::{Server, StreamPublisher, StreamSource};
    /// # use std::time::Duration;
    /// # let server = Server::new("redis://127.0.0.1:6379")?;
    /// let source = StreamSource::builder(&server, "payments", "billing", "billing-1");
    /// assert!(source.claim_idle(Duration::from_secs(600)).build().is_ok()); // reports take long
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn claim_idle(mut self, time: Duration) -> Self {
        self.claim_idle = time;
        self
    }

    /// Sets how often it looks for such entries, while it receives. The default is 30 s, the first time
    /// is at the start; with [`Duration::MAX`] that is the only one.
    ///
    /// ```
    /// # use ironsys::brokers::redis::{Server, StreamPublisher, StreamSource};
    /// # use std::time::Duration;
    /// # let server = Server::new("redis://127.0.0.1:6379")?;
    /// let source = StreamSource::builder(&server, "payments", "billing", "billing-1");
    /// assert!(source.clone().claim_every(Duration::MAX).build().is_ok());
    /// assert_eq!(source.claim_every(Duration::ZERO).build().unwrap_err().field(), "claim_every");
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn claim_every(mut self, time: Duration) -> Self {
        self.claim_every = time;
        self
    }

    /// Sets how many deliveries may be uncommitted; a receive waits then. The default is 65,536.
    ///
    /// ```
    /// # use ironsys::brokers::redis::{Server, StreamPublisher, StreamSource};
    /// # use std::time::Duration;
    /// # let server = Server::new("redis://127.0.0.1:6379")?;
    /// let source = StreamSource::builder(&server, "payments", "billing", "billing-1");
    /// assert!(source.clone().max_pending(100).build().is_ok());
    /// assert_eq!(source.max_pending(0).build().unwrap_err().field(), "max_pending");
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn max_pending(mut self, deliveries: usize) -> Self {
        self.max_pending = deliveries;
        self
    }

    /// Sets the pauses between attempts while Redis is away, and by
    /// [`max_attempts`](Backoff::max_attempts) or [`max_elapsed`](Backoff::max_elapsed) when the source
    /// fails; without these, there is no end. The default gives up after half a minute.
    ///
    /// ```
    /// # use ironsys::brokers::redis::{Server, StreamPublisher, StreamSource};
    /// # use std::time::Duration;
    /// # let server = Server::new("redis://127.0.0.1:6379")?;
    /// let source = StreamSource::builder(&server, "payments", "billing", "billing-1");
    /// # use ironsys::schedule::Backoff;
    /// let for_ever = Backoff::fixed(Duration::from_secs(1));
    /// assert!(source.retry(for_ever).build().is_ok());
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn retry(mut self, backoff: Backoff) -> Self {
        self.retry = backoff;
        self
    }

    /// Sets what an entry says, for streams that are not written by a
    /// [`StreamPublisher`](super::StreamPublisher). The position is set by the source, and an empty id
    /// becomes the entry's number. Without it `id`, `key` and `body` are the fields of these names;
    /// empty is what is missing.
    ///
    /// ```
    /// # use ironsys::brokers::redis::{Server, StreamPublisher, StreamSource};
    /// # use std::time::Duration;
    /// # let server = Server::new("redis://127.0.0.1:6379")?;
    /// let source = StreamSource::builder(&server, "payments", "billing", "billing-1");
    /// # use ironsys::durable::Delivery;
    /// let source = source.decode(|entry| {
    ///     let body = entry.field("url").unwrap_or_default().to_vec();
    ///     Delivery { position: 0, id: Vec::new(), key: Vec::new(), body }
    /// });
    /// assert!(source.build().is_ok());
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn decode(
        mut self,
        decode: impl Fn(&StreamEntry) -> Delivery + Send + Sync + 'static,
    ) -> Self {
        self.decode = Arc::new(decode);
        self
    }

    /// Builds the source. It connects when something is received.
    ///
    /// # Errors
    /// `stream`, `group` or `consumer` is empty; `batch` or `max_pending` is 0; `claim_every` is less
    /// than a millisecond.
    ///
    /// ```
    /// # use ironsys::brokers::redis::{Server, StreamPublisher, StreamSource};
    /// # use std::time::Duration;
    /// # let server = Server::new("redis://127.0.0.1:6379")?;
    /// let source = StreamSource::builder(&server, "payments", "billing", "billing-1");
    /// assert!(source.build().is_ok());
    /// let nobody = StreamSource::builder(&server, "payments", "billing", "");
    /// assert_eq!(nobody.build().unwrap_err().field(), "consumer");
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn build(self) -> Result<StreamSource, BuildError> {
        let names = [
            ("stream", self.stream.is_empty()),
            ("group", self.group.is_empty()),
            ("consumer", self.consumer.is_empty()),
        ];
        let wrong = |field, why| Err(BuildError::new("stream source", field, why));
        if let Some((field, _)) = names.into_iter().find(|(_, is_empty)| *is_empty) {
            return wrong(field, "must have a name");
        }
        for (field, value) in [("batch", self.batch), ("max_pending", self.max_pending)] {
            if value == 0 {
                return wrong(field, "must be 1 or more");
            }
        }
        if self.claim_every < Duration::from_millis(1) {
            return wrong("claim_every", "must be a millisecond or more");
        }
        Ok(StreamSource::new(self))
    }
}

impl fmt::Debug for StreamSourceBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamSourceBuilder")
            .field("server", &self.server)
            .field("stream", &String::from_utf8_lossy(&self.stream))
            .field("group", &self.group)
            .field("consumer", &self.consumer)
            .finish_non_exhaustive()
    }
}

fn decode(entry: &StreamEntry) -> Delivery {
    let field = |name| entry.field(name).unwrap_or_default().to_vec();
    Delivery { position: 0, id: field(ID), key: field(KEY), body: field(BODY) }
}
