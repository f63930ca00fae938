//! A stream as the end of a relay.

use super::entry::{BODY, ID, KEY, Listed, entries, odd};
use super::keep::Kept;
use super::link::{Link, LinkError};
use super::server::Server;
use crate::context::Context;
use crate::durable::{Event, PublishError, Publisher, Sent};
use crate::error::BuildError;
use redis::{Cmd, Value, cmd};
use std::fmt;
use std::time::Duration;

/// What became of events, by their numbers.
type Answers = Vec<(u64, Result<(), String>)>;

type KeyBy = Box<dyn Fn(&Event) -> Vec<u8> + Send>;

/// Builds a [`StreamPublisher`]. Made by [`StreamPublisher::builder`].
#[must_use = "a builder does nothing until `build`"]
pub struct StreamPublisherBuilder {
    server: Server,
    stream: Vec<u8>,
    max_len: Option<u64>,
    max_body: usize,
    origin: Option<String>,
    server_ids: bool,
    key_by: Option<KeyBy>,
}

impl StreamPublisherBuilder {
    /// Sets about how many entries the stream keeps; Redis drops the oldest, whether they were read or
    /// not. Without it, all are kept. 0 is an error.
    ///
    /// ```
    /// # use ironsys::brokers::redis::{Server, StreamPublisher, StreamSource};
    /// # use std::time::Duration;
    /// # let server = Server::new("redis://127.0.0.1:6379")?;
    /// let all = StreamPublisher::builder(&server, "payments");
    /// assert_eq!(all.max_len(0).build().unwrap_err().field(), "max_len");
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn max_len(mut self, entries: u64) -> Self {
        self.max_len = Some(entries);
        self
    }

    /// Sets the largest body, in bytes; a larger one is rejected without asking the server. The default
    /// is 64 MiB; Redis itself takes 512 MiB.
    ///
    /// ```
    /// # use ironsys::brokers::redis::{Server, StreamPublisher, StreamSource};
    /// # use std::time::Duration;
    /// # let server = Server::new("redis://127.0.0.1:6379")?;
    /// let small = StreamPublisher::builder(&server, "payments").max_body(4096);
    /// assert!(small.build().is_ok());
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Sets a name that the events' ids begin with: `origin:17` in place of `17`. For streams that
    /// several outboxes are relayed to; these also need [`server_ids`](Self::server_ids).
    ///
    /// ```
    /// # use ironsys::brokers::redis::{Server, StreamPublisher, StreamSource};
    /// # use std::time::Duration;
    /// # let server = Server::new("redis://127.0.0.1:6379")?;
    /// let two = StreamPublisher::builder(&server, "payments").origin("node-2");
    /// assert_eq!(two.build().unwrap_err().field(), "origin"); // without `server_ids`
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn origin(mut self, name: impl Into<String>) -> Self {
        self.origin = Some(name.into());
        self
    }

    /// Lets the server number the entries, in place of the events' own numbers. Then an event whose
    /// answer was lost is in the stream twice, with the same `id`; a consumer can drop the second.
    ///
    /// ```
    /// # use ironsys::brokers::redis::{Server, StreamPublisher, StreamSource};
    /// # use std::time::Duration;
    /// # let server = Server::new("redis://127.0.0.1:6379")?;
    /// let two = StreamPublisher::builder(&server, "payments").origin("node-2").server_ids();
    /// assert!(two.build().is_ok());
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn server_ids(mut self) -> Self {
        self.server_ids = true;
        self
    }

    /// Sets the field `key`, by which a consumer keeps messages in order.
    ///
    /// ```
    /// # use ironsys::brokers::redis::{Server, StreamPublisher, StreamSource};
    /// # use std::time::Duration;
    /// # let server = Server::new("redis://127.0.0.1:6379")?;
    /// // What is before the first colon is whose payment it is.
    /// let by_user = StreamPublisher::builder(&server, "payments")
    ///     .key_by(|event| event.body.split(|b| *b == b':').next().unwrap_or_default().to_vec());
    /// assert!(by_user.build().is_ok());
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn key_by(mut self, key: impl Fn(&Event) -> Vec<u8> + Send + 'static) -> Self {
        self.key_by = Some(Box::new(key));
        self
    }

    /// Builds the publisher. It connects when the first event is sent.
    ///
    /// # Errors
    /// `stream` is empty; `max_len` is 0; an `origin` without `server_ids`: the numbers of several
    /// outboxes would get into each other's way.
    ///
    /// ```
    /// # use ironsys::brokers::redis::{Server, StreamPublisher, StreamSource};
    /// # use std::time::Duration;
    /// # let server = Server::new("redis://127.0.0.1:6379")?;
    /// assert!(StreamPublisher::builder(&server, "payments").build().is_ok());
    /// assert!(StreamPublisher::builder(&server, "").build().is_err());
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn build(self) -> Result<StreamPublisher, BuildError> {
        let wrong = |field, why: &str| Err(BuildError::new("stream publisher", field, why));
        if self.stream.is_empty() {
            return wrong("stream", "must have a name");
        }
        if self.max_len == Some(0) {
            return wrong("max_len", "must be 1 or more");
        }
        if self.origin.is_some() && !self.server_ids {
            return wrong("origin", "needs `server_ids`");
        }
        // The relay waits and tries again by itself.
        let kept = Kept::new(&self.server, &Kept::usual_retry());
        Ok(StreamPublisher { settings: self, kept, batch: Batch::default(), answers: Vec::new() })
    }
}

impl fmt::Debug for StreamPublisherBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamPublisherBuilder")
            .field("server", &self.server)
            .field("stream", &String::from_utf8_lossy(&self.stream))
            .field("server_ids", &self.server_ids)
            .finish_non_exhaustive()
    }
}

/// Sends the events of an outbox to a Redis stream, as entries with the fields `id`, `body` and, with
/// [`key_by`](StreamPublisherBuilder::key_by), `key`.
///
/// What a relay sends in one go is one transaction of Redis, and the next begins when it is answered:
/// so the order of the stream is the order of the outbox, also if the server is killed in between or is
/// out of memory for a moment.
///
/// **No duplicates.** The event with number 17 is the entry `17-0`. An event that is sent again because
/// its answer was lost is refused by the server; it is then looked up, and counts as sent if the entry
/// says the same. If it says something else or is gone, the event is rejected: the stream was written
/// to by something else than this outbox. So a stream belongs to one outbox, or the server has to number
/// the entries: [`server_ids`](StreamPublisherBuilder::server_ids).
///
/// **How durable** an answer of Redis is says its `appendfsync`: with `always` the entry is on disk.
///
/// An answer of the server that is not about one event (it loads, it is out of memory, the stream's name
/// is in use for something else, the password is wrong) is
/// [`PublishError::Down`]: the relay shows it and tries again.
///
/// ```
/// use ironsys::brokers::redis::{Server, StreamPublisher};
/// let server = Server::new("redis://127.0.0.1:6379").unwrap();
/// let to = StreamPublisher::builder(&server, "payments").max_len(1_000_000).build().unwrap();
/// assert!(StreamPublisher::builder(&server, "").build().is_err());
/// # drop(to);
/// ```
#[derive(Debug)]
pub struct StreamPublisher {
    settings: StreamPublisherBuilder,
    kept: Kept,
    batch: Batch,
    answers: Answers,
}

/// What is to be sent.
#[derive(Default)]
struct Batch {
    packed: Vec<u8>,
    events: Vec<(u64, Vec<u8>)>,
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("events", &self.events.len()).finish()
    }
}

impl StreamPublisher {
    /// Starts to build a publisher to `stream`.
    ///
    /// ```
    /// # use ironsys::brokers::redis::{Server, StreamPublisher, StreamSource};
    /// # use std::time::Duration;
    /// # let server = Server::new("redis://127.0.0.1:6379")?;
    /// let builder = StreamPublisher::builder(&server, "payments");
    /// assert!(format!("{builder:?}").contains("payments"));
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn builder(server: &Server, stream: impl AsRef<[u8]>) -> StreamPublisherBuilder {
        StreamPublisherBuilder {
            server: server.clone(),
            stream: stream.as_ref().to_vec(),
            max_len: None,
            max_body: 64 << 20,
            origin: None,
            server_ids: false,
            key_by: None,
        }
    }

    fn xadd(&self, event: &Event) -> Cmd {
        let settings = &self.settings;
        let mut add = cmd("XADD");
        add.arg(&settings.stream);
        if let Some(most) = settings.max_len {
            add.arg("MAXLEN").arg("~").arg(most);
        }
        if settings.server_ids {
            add.arg("*");
        } else {
            add.arg(entry_id(event.id));
        }
        add.arg(ID);
        match &settings.origin {
            Some(origin) => add.arg(format!("{origin}:{}", event.id)),
            None => add.arg(event.id),
        };
        if let Some(key_by) = &settings.key_by {
            add.arg(KEY).arg(key_by(event));
        }
        add.arg(BODY).arg(&event.body);
        add
    }

    /// Sends the batch, and waits for what becomes of it.
    fn flush(&mut self, ctx: &Context) -> Result<(), PublishError> {
        let Batch { mut packed, events } = std::mem::take(&mut self.batch);
        if events.is_empty() {
            return Ok(());
        }
        cmd("EXEC").write_packed_command(&mut packed);
        let stream = &self.settings.stream;
        let answers = self.kept.once(ctx, |link, _| send(ctx, link, stream, &packed, &events));
        self.answers.append(&mut answers.map_err(to_publish_error)?);
        Ok(())
    }
}

impl Publisher for StreamPublisher {
    fn send(&mut self, ctx: &Context, event: &Event) -> Result<Sent, PublishError> {
        let (size, most) = (event.body.len(), self.settings.max_body);
        if size > most {
            let why = format!("a body of {size} bytes, at the most {most} are sent");
            return Err(PublishError::Rejected(why));
        }
        if self.batch.events.is_empty() {
            cmd("MULTI").write_packed_command(&mut self.batch.packed);
        }
        self.xadd(event).write_packed_command(&mut self.batch.packed);
        self.batch.events.push((event.id, event.body.clone()));
        if self.batch.packed.len() > FULL {
            self.flush(ctx)?;
        }
        Ok(Sent::Pending)
    }

    fn settle(&mut self, ctx: &Context, answers: &mut Answers) -> Result<(), PublishError> {
        self.flush(ctx)?;
        answers.append(&mut self.answers);
        Ok(())
    }

    fn reset(&mut self) {
        self.kept.reset();
        self.batch = Batch::default();
        self.answers.clear();
    }
}

/// One transaction: all of it is in the stream, or nothing, or nobody knows.
fn send(
    ctx: &Context,
    link: &mut Link,
    stream: &[u8],
    packed: &[u8],
    events: &[(u64, Vec<u8>)],
) -> Result<Answers, LinkError> {
    let mut replies = link.exchange(ctx, packed, events.len() + 2, Duration::ZERO)?;
    let ended = replies.pop().unwrap_or_default();
    for queued in replies {
        queued.extract_error()?; // The reason; the last reply says only that nothing was done.
    }
    let ended = match ended {
        Value::Array(each) if each.len() == events.len() => each,
        Value::ServerError(e) => return Err(redis::RedisError::from(e).into()),
        other => return Err(odd("an answer for each event", &other)),
    };
    let mut answers = Vec::with_capacity(events.len());
    for ((id, body), value) in events.iter().zip(ended) {
        let answer = match value {
            Value::ServerError(e) if e.details().is_some_and(|text| text.contains(NOT_NEW)) => {
                is_there(ctx, link, stream, *id, body)?
            }
            Value::ServerError(e) => return Err(redis::RedisError::from(e).into()),
            _ => Ok(()),
        };
        answers.push((*id, answer));
    }
    Ok(answers)
}

/// Whether the event that was refused is in the stream already.
fn is_there(
    ctx: &Context,
    link: &mut Link,
    stream: &[u8],
    id: u64,
    body: &[u8],
) -> Result<Result<(), String>, LinkError> {
    let at = entry_id(id);
    let found = link.call(ctx, cmd("XRANGE").arg(stream).arg(&at).arg(&at))?;
    Ok(match entries(found)?.pop() {
        Some(Listed::Entry(entry)) if entry.field(BODY) == Some(body) => Ok(()),
        Some(_) => Err(format!("the stream has another entry {at}: something else wrote to it")),
        None => Err(format!("the stream is past {at} and does not have it")),
    })
}

fn entry_id(event: u64) -> String {
    format!("{event}-0")
}

fn to_publish_error(e: LinkError) -> PublishError {
    match e {
        LinkError::Stopped(stop) => PublishError::Stopped(stop),
        LinkError::Redis(e) => PublishError::down(e),
    }
}

/// A batch of so many bytes is sent before the window is full.
const FULL: usize = 1 << 20;

/// What Redis says to the number of an entry that is not larger than the last.
const NOT_NEW: &str = "equal or smaller";
