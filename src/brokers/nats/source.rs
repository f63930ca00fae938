//! A durable consumer of JetStream as a source.

use super::client::Client;
use super::error::NatsError;
use super::jetstream::ensure_consumer;
use super::message::Message;
use super::options::Options;
use super::subscription::Subscription;
use crate::context::Context;
use crate::durable::{Committer, Delivery, Source, SourceError};
use crate::sync::time::now;
use crate::sync::{Arc, Mutex};
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// Receives from a durable pull consumer; several of one name, in one process or many, share it.
///
/// The id of a delivery is its `Nats-Msg-Id`, or its number in the stream; the key is its subject. What
/// is not acked within the consumer's `ack_wait` is delivered again, to whichever of them asks; what is
/// handed back in good order goes to the next after 100 ms.
///
/// A connection that breaks is made anew, for as long as it takes.
///
/// ```no_run
/// use ironsys::brokers::nats::{JetStreamSource, Options};
/// use ironsys::{Context, durable::Consumer};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (ctx, _cancel) = Context::root();
/// let options = Options::new(["nats://127.0.0.1"])?;
/// let source = JetStreamSource::open(&ctx, options, "USAGE", "billing")?;
/// Consumer::builder().workers(4).build()?.run(&ctx, source, |_ctx, delivery| {
///     println!("{}", String::from_utf8_lossy(&delivery.body));
///     Ok::<_, std::convert::Infallible>(())
/// })?;
/// # Ok(()) }
/// ```
pub struct JetStreamSource {
    client: Client,
    options: Options,
    stream: String,
    durable: String,
    inbox: Subscription,
    subject: String,
    /// How many messages were asked for and have not come.
    asked: usize,
    batch: usize,
    connects: u64,
    /// Positions are counted here: what is delivered again has a new one.
    last: u64,
    out: Arc<Out>,
}

/// Deliveries that are neither acked nor given back: where their acks go.
#[derive(Default)]
struct Out {
    /// By position, in order.
    acks: Mutex<VecDeque<(u64, String)>>,
}

/// Acks what a [`JetStreamSource`] has received, on a connection of its own.
pub struct JetStreamCommitter {
    client: Client,
    out: Arc<Out>,
}

/// A server that has said nothing for so long has forgotten what it was asked for.
const QUIET: Duration = Duration::from_secs(12);

/// Messages that are asked for at once, at the most.
const MOST: usize = 1 << 20;

impl JetStreamSource {
    /// Connects, and makes the consumer unless there is one, with an `ack_wait` of 30 s.
    ///
    /// # Cancellation
    /// # Errors
    /// See [`NatsError`]; there is no such stream, say.
    ///
    /// ```no_run
    /// # use ironsys::{Context, brokers::nats::{Client, Options}};
    /// # let (ctx, _cancel) = Context::root();
    /// # use ironsys::{brokers::nats::JetStreamSource, durable::Source};
    /// # let options = Options::new(["nats://127.0.0.1"])?;
    /// let mut source = JetStreamSource::open(&ctx, options, "USAGE", "billing")?;
    /// let delivery = source.recv(&ctx)?;
    /// # let _ = delivery;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(
        ctx: &Context,
        options: Options,
        stream: impl Into<String>,
        durable: impl Into<String>,
    ) -> Result<Self, NatsError> {
        JetStreamSource::open_with(ctx, options, stream, durable, Duration::from_secs(30))
    }

    /// The same with another `ack_wait`: it has to be longer than a message takes to be handled.
    ///
    /// # Cancellation
    /// # Errors
    /// See [`NatsError`].
    ///
    /// ```no_run
    /// # use ironsys::{Context, brokers::nats::{Client, Options}};
    /// # let (ctx, _cancel) = Context::root();
    /// # use ironsys::{brokers::nats::JetStreamSource, durable::Source};
    /// # let options = Options::new(["nats://127.0.0.1"])?;
    /// let slow = std::time::Duration::from_secs(300);
    /// let mut source = JetStreamSource::open_with(&ctx, options, "USAGE", "reports", slow)?;
    /// let delivery = source.recv(&ctx)?;
    /// # let _ = delivery;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_with(
        ctx: &Context,
        options: Options,
        stream: impl Into<String>,
        durable: impl Into<String>,
        ack_wait: Duration,
    ) -> Result<Self, NatsError> {
        let (stream, durable) = (stream.into(), durable.into());
        let mut client = Client::connect(ctx, options.clone())?;
        ensure_consumer(&mut client, ctx, &stream, &durable, ack_wait)?;
        let subject = format!("{}.pull", client.reply_to("p").replace("_INBOX.", "_PULL."));
        let inbox = client.subscribe(&subject)?;
        let connects = client.connects();
        let out = Arc::new(Out::default());
        Ok(JetStreamSource {
            client,
            options,
            stream,
            durable,
            inbox,
            subject,
            asked: 0,
            batch: 64,
            connects,
            last: 0,
            out,
        })
    }

    /// Sets how many messages are asked for at a time; by default 64. They are out, and nobody else gets
    /// them meanwhile. 0 is 1; 1,048,576 is the most, and more is that.
    ///
    /// ```no_run
    /// # use ironsys::{Context, brokers::nats::{Client, Options}};
    /// # let (ctx, _cancel) = Context::root();
    /// # use ironsys::{brokers::nats::JetStreamSource, durable::Source};
    /// # let options = Options::new(["nats://127.0.0.1"])?;
    /// let source = JetStreamSource::open(&ctx, options, "USAGE", "billing")?.batch(1);
    /// # let _ = source; // one message is out at a time
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn batch(mut self, messages: usize) -> Self {
        self.batch = messages.clamp(1, MOST);
        self
    }

    fn try_recv(&mut self, ctx: &Context) -> Result<Message, NatsError> {
        loop {
            self.client.ready(ctx)?;
            if self.connects != self.client.connects() {
                self.connects = self.client.connects();
                self.asked = 0;
            }
            if self.asked == 0 {
                let ask = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", self.stream, self.durable);
                // The server says so when nothing has come in that time, and is asked again. Meanwhile it
                // says every 5 s that it has not forgotten.
                let wanted = format!(
                    "{{\"batch\":{},\"expires\":30000000000,\"idle_heartbeat\":5000000000}}",
                    self.batch
                );
                self.client.send(&ask, Some(&self.subject), &[], wanted.as_bytes())?;
                self.asked = self.batch;
            }
            let (inbox, until) = (self.inbox.0, now().checked_add(QUIET));
            let heard = self.client.wait(ctx, until, |message| message.subscription == inbox)?;
            let Some(message) = heard else {
                ctx.check()?;
                self.asked = 0;
                continue;
            };
            match message.status {
                // Without a place for the ack it is not from the stream.
                None if message.reply.is_none() => {}
                None => {
                    // What was asked for before may come late.
                    self.asked = self.asked.saturating_sub(1);
                    return Ok(message);
                }
                Some(100) => {}
                Some(503) => {
                    self.asked = 0;
                    ctx.sleep(Duration::from_millis(100))?;
                }
                // No messages, the time is over, the consumer is gone: asked again.
                Some(404 | 408) => self.asked = 0,
                Some(409) => {
                    self.asked = 0;
                    ctx.sleep(Duration::from_millis(100))?;
                }
                // To ask again would get the same answer.
                Some(code) => {
                    let description = "the server does not send what it is asked for".to_owned();
                    return Err(NatsError::JetStream { code: code.into(), description });
                }
            }
        }
    }

    fn delivery(&mut self, message: Message) -> Delivery {
        self.last += 1;
        let position = self.last;
        let ack = message.reply.clone().unwrap_or_default();
        let id = message.header("Nats-Msg-Id").map(str::to_owned);
        let id = id.unwrap_or_else(|| number_of(&ack).to_owned()).into_bytes();
        self.out.acks.lock().push_back((position, ack));
        Delivery { position, id, key: message.subject.into_bytes(), body: message.payload }
    }
}

/// The number in the stream, by the subject of the ack: `$JS.ACK.` with 7 more parts, or 9.
fn number_of(ack: &str) -> &str {
    let parts: Vec<&str> = ack.split('.').collect();
    match parts.len() {
        9 => parts[5],
        11.. => parts[7],
        _ => "",
    }
}

impl Source for JetStreamSource {
    type Committer = JetStreamCommitter;

    fn committer(&mut self) -> JetStreamCommitter {
        JetStreamCommitter { client: Client::new(self.options.clone()), out: self.out.clone() }
    }

    fn recv(&mut self, ctx: &Context) -> Result<Option<Delivery>, SourceError> {
        let mut delays = self.options.backoff.delays();
        loop {
            match self.try_recv(ctx) {
                Ok(message) => return Ok(Some(self.delivery(message))),
                Err(e) => again(ctx, e, delays.next())?,
            }
        }
    }
}

impl Committer for JetStreamCommitter {
    fn commit(&mut self, ctx: &Context, position: u64) -> Result<(), SourceError> {
        let mut delays = self.client.options.backoff.delays();
        loop {
            let acks = self.out.up_to(position);
            let done = acks.iter().try_for_each(|ack| self.client.publish(ack, b"+ACK"));
            match done.and_then(|()| self.client.flush(ctx)) {
                Ok(()) => {
                    self.out.forget(position);
                    return Ok(());
                }
                Err(e) => again(ctx, e, delays.next())?,
            }
        }
    }

    fn hand_back(&mut self, positions: &[u64]) {
        let acks: Vec<String> = {
            let mut acks = self.out.acks.lock();
            let (back, stay) =
                acks.drain(..).partition(|(position, _)| positions.contains(position));
            *acks = stay;
            let back: VecDeque<(u64, String)> = back;
            back.into_iter().map(|(_, ack)| ack).collect()
        };
        give_back(&mut self.client, &acks);
    }
}

/// Waits before the next try, if the connection broke: a server that lets one in and hangs up is not asked
/// all the time.
fn again(ctx: &Context, e: NatsError, delay: Option<Duration>) -> Result<(), SourceError> {
    match (e, delay) {
        (NatsError::Stopped(stop), _) => Err(SourceError::Stopped(stop)),
        (NatsError::Io { .. }, Some(delay)) => Ok(ctx.sleep(delay)?),
        (e, _) => Err(SourceError::failed(e)),
    }
}

/// Tells the server that others may have these soon. Best effort: it finds out by itself, later.
fn give_back(client: &mut Client, acks: &[String]) {
    if acks.is_empty() {
        return;
    }
    let (ctx, _cancel) = Context::root();
    let ctx = ctx.with_timeout(Duration::from_secs(1));
    // A cancel has broken the connection, perhaps: then once more, on a new one.
    for _ in 0..2 {
        // With a delay: who has just stopped would get it again.
        let nak = |ack: &String| client.publish(ack, b"-NAK {\"delay\": 100000000}");
        let sent = acks.iter().try_for_each(nak);
        if sent.and_then(|()| client.flush(&ctx)).is_ok() {
            return;
        }
    }
}

impl Out {
    fn up_to(&self, position: u64) -> Vec<String> {
        let acks = self.acks.lock();
        let done = acks.iter().take_while(|(at, _)| *at <= position);
        done.map(|(_, ack)| ack.clone()).collect()
    }

    fn forget(&self, position: u64) {
        let mut acks = self.acks.lock();
        while acks.front().is_some_and(|(at, _)| *at <= position) {
            acks.pop_front();
        }
    }
}

impl Drop for JetStreamSource {
    /// What has come and was not received goes back; first the server is told to send no more, or it
    /// would send here what has just gone back.
    fn drop(&mut self) {
        let (ctx, _cancel) = Context::root();
        self.client.end(&ctx.with_timeout(Duration::from_secs(1)), self.inbox);
        let messages = self.client.take_held(self.inbox).into_iter();
        let deliveries = messages.filter(|message| message.status.is_none());
        let acks: Vec<String> = deliveries.filter_map(|message| message.reply).collect();
        give_back(&mut self.client, &acks);
    }
}

impl fmt::Debug for JetStreamSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JetStreamSource")
            .field("stream", &self.stream)
            .field("durable", &self.durable)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for JetStreamCommitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JetStreamCommitter")
    }
}
