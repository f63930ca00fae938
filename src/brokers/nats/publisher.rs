//! JetStream as the other end of a relay.

use super::client::{Client, check_subject};
use super::error::NatsError;
use super::jetstream::stored;
use super::message::Message;
use super::options::Options;
use crate::context::Context;
use crate::durable::{Event, PublishError, Publisher, Sent};
use std::collections::HashSet;
use std::time::Duration;

/// Publishes the events of an outbox to a subject of a stream, many at a time.
///
/// Each event has its number as `Nats-Msg-Id`, behind the prefix: the stream drops what it was sent
/// before, as long as it remembers ids (two minutes unless set otherwise). An event that the stream
/// refuses, since it is too large, say, is rejected; everything else means that the broker is down.
///
/// Order holds when a connection breaks: everything unanswered is sent again, in order. A stream that
/// answers for a moment that it is not there, between two leaders, say, may have later events of the
/// window first; a [`window`](crate::durable::RelayBuilder::window) of 1 rules that out.
///
/// ```no_run
/// use ironsys::brokers::nats::{JetStreamPublisher, Options};
/// use ironsys::{Context, durable::Outbox};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (ctx, _cancel) = Context::root();
/// let outbox = Outbox::open("outbox")?;
/// let options = Options::new(["nats://127.0.0.1"])?;
/// let relay = outbox.relay(JetStreamPublisher::new(options, "usage.all", "node-1")).start(&ctx)?;
/// # let _ = relay;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct JetStreamPublisher {
    client: Client,
    subject: String,
    prefix: String,
    /// Where answers come: this, and the number of the event.
    answers: String,
    /// How long the stream may take for an answer.
    patience: Duration,
    pending: HashSet<u64>,
}

impl JetStreamPublisher {
    /// Publishes to `subject`; `prefix` tells the ids of this outbox from those of others.
    ///
    /// ```no_run
    /// # use ironsys::{Context, brokers::nats::{Client, Options}};
    /// # let (ctx, _cancel) = Context::root();
    /// # use ironsys::{brokers::nats::JetStreamPublisher, durable::Outbox};
    /// # let outbox = Outbox::open("outbox")?;
    /// # let options = Options::new(["nats://127.0.0.1"])?;
    /// let publisher = JetStreamPublisher::new(options, "usage.all", "node-1");
    /// let relay = outbox.relay(publisher).start(&ctx)?;
    /// # let _ = relay;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn new(options: Options, subject: impl Into<String>, prefix: impl Into<String>) -> Self {
        let client = Client::new(options);
        JetStreamPublisher {
            answers: client.reply_to("e"),
            client,
            subject: subject.into(),
            prefix: prefix.into(),
            patience: Duration::from_secs(5),
            pending: HashSet::new(),
        }
    }

    /// Sets how long the stream may take for an answer before everything is sent again; by default 5 s.
    ///
    /// ```no_run
    /// # use ironsys::{Context, brokers::nats::{Client, Options}};
    /// # let (ctx, _cancel) = Context::root();
    /// # use ironsys::{brokers::nats::JetStreamPublisher, durable::Outbox};
    /// # let outbox = Outbox::open("outbox")?;
    /// # let options = Options::new(["nats://127.0.0.1"])?;
    /// let publisher = JetStreamPublisher::new(options, "usage.all", "node-1");
    /// let hasty = publisher.patience(std::time::Duration::from_secs(1));
    /// let relay = outbox.relay(hasty).start(&ctx)?;
    /// # let _ = relay;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn patience(mut self, time: Duration) -> Self {
        self.patience = time;
        self
    }

    /// The number of an event by the subject of the answer.
    fn answered(&self, subject: &str) -> Option<u64> {
        let id = subject.strip_prefix(&self.answers)?.parse().ok()?;
        self.pending.contains(&id).then_some(id)
    }

    /// Whether the stream has it, or why it will not.
    fn verdict(&self, ctx: &Context, answer: &Message) -> Result<Result<(), String>, PublishError> {
        match stored(&self.subject, answer) {
            Ok(_) => Ok(Ok(())),
            // Full streams and quotas may have room again.
            Err(NatsError::JetStream { code: 10_023 | 10_047 | 10_077, description }) => {
                Err(PublishError::down(description))
            }
            Err(NatsError::JetStream { code: 10_000.., description }) => Ok(Err(description)),
            Err(e) => Err(down(ctx, e)),
        }
    }
}

impl Publisher for JetStreamPublisher {
    fn send(&mut self, ctx: &Context, event: &Event) -> Result<Sent, PublishError> {
        if self.client.wire.is_some() {
            ctx.check()?;
        } else {
            // In small rounds: who waits for a server that is down is told so.
            let connected = self.client.ready(&ctx.with_timeout(self.patience));
            connected.map_err(|e| down(ctx, e))?;
        }
        let reply = format!("{}{}", self.answers, event.id);
        let id = format!("{}-{}", self.prefix, event.id);
        // Not the event is wrong: nothing may be said to be undeliverable for that.
        let usable = check_subject(&self.subject).and_then(|()| check_subject(&id));
        usable.map_err(|e| down(ctx, e))?;
        let sent =
            self.client.send(&self.subject, Some(&reply), &[("Nats-Msg-Id", &id)], &event.body);
        match sent {
            Ok(()) => {
                self.client.write_if_much(ctx).map_err(|e| down(ctx, e))?;
                self.pending.insert(event.id);
                Ok(Sent::Pending)
            }
            Err(NatsError::Misused(why)) => Err(PublishError::Rejected(why)),
            Err(e) => Err(down(ctx, e)),
        }
    }

    fn settle(
        &mut self,
        ctx: &Context,
        answers: &mut Vec<(u64, Result<(), String>)>,
    ) -> Result<(), PublishError> {
        let connects = self.client.connects();
        let until = crate::sync::time::now().checked_add(self.patience);
        while answers.is_empty() {
            let came = self.client.wait_all(ctx, until, |m| m.subject.starts_with(&self.answers));
            let came = came.map_err(|e| down(ctx, e))?;
            if came.is_empty() {
                ctx.check()?;
                return Err(PublishError::down("the stream does not answer"));
            }
            if self.client.connects() != connects {
                return Err(PublishError::down("the connection was made anew"));
            }
            for message in came {
                let Some(id) = self.answered(&message.subject) else { continue };
                answers.push((id, self.verdict(ctx, &message)?));
                self.pending.remove(&id);
            }
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.client.disconnect();
        self.pending.clear();
    }
}

fn down(ctx: &Context, e: NatsError) -> PublishError {
    match (ctx.check(), e) {
        (Err(stop), _) => PublishError::Stopped(stop),
        (Ok(()), e) => PublishError::down(e),
    }
}
