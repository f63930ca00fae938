//! JetStream as the other end of a relay.

use super::client::{Client, check_subject};
use super::error::NatsError;
use super::jetstream::stored;
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
    /// How long the stream may take for an answer.
    patience: Duration,
    pending: HashSet<u64>,
}

impl JetStreamPublisher {
    /// Publishes to `subject`; `prefix` tells the ids of this outbox from those of others.
    #[must_use]
    pub fn new(options: Options, subject: impl Into<String>, prefix: impl Into<String>) -> Self {
        JetStreamPublisher {
            client: Client::new(options),
            subject: subject.into(),
            prefix: prefix.into(),
            patience: Duration::from_secs(5),
            pending: HashSet::new(),
        }
    }

    /// Sets how long the stream may take for an answer before everything is sent again; by default 5 s.
    #[must_use]
    pub fn patience(mut self, time: Duration) -> Self {
        self.patience = time;
        self
    }

    /// The number of an event by the subject of the answer.
    fn answered(&self, subject: &str) -> Option<u64> {
        let id = subject.rsplit('.').next()?.strip_prefix('e')?.parse().ok()?;
        self.pending.contains(&id).then_some(id)
    }
}

impl Publisher for JetStreamPublisher {
    fn send(&mut self, ctx: &Context, event: &Event) -> Result<Sent, PublishError> {
        // In small rounds: who waits for a server that is down is told so.
        let connected = self.client.ready(&ctx.with_timeout(self.patience));
        connected.map_err(|e| down(ctx, e))?;
        let reply = self.client.reply_to(&format!("e{}", event.id));
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
        let mut until = crate::sync::time::now().checked_add(self.patience);
        let inbox = self.client.reply_to("");
        loop {
            let wait = self.client.wait(ctx, until, |m| m.subject.starts_with(&inbox));
            let message = match wait.map_err(|e| down(ctx, e))? {
                Some(message) => message,
                // It has been a while since the first answer: that is all for now.
                None if !answers.is_empty() => return Ok(()),
                None => {
                    ctx.check()?;
                    return Err(PublishError::down("the stream does not answer"));
                }
            };
            if self.client.connects() != connects {
                return Err(PublishError::down("the connection was made anew"));
            }
            let Some(id) = self.answered(&message.subject) else { continue };
            match stored(&self.subject, &message) {
                Ok(_) => answers.push((id, Ok(()))),
                Err(NatsError::JetStream { code, description }) if (10_000..).contains(&code) => {
                    // Full streams and quotas may have room again.
                    if matches!(code, 10_023 | 10_047 | 10_077) {
                        return Err(PublishError::down(description));
                    }
                    answers.push((id, Err(description)));
                }
                Err(e) => return Err(down(ctx, e)),
            }
            self.pending.remove(&id);
            // What has come already is taken along.
            until = Some(crate::sync::time::now());
        }
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
