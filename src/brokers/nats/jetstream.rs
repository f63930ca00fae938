//! Streams and consumers of JetStream.

use super::client::Client;
use super::error::NatsError;
use super::message::Message;
use super::options::Options;
use crate::context::Context;
use serde_json::{Value, json};
use std::time::Duration;

/// Makes streams, and publishes to them one message at a time.
///
/// ```no_run
/// use ironsys::{Context, brokers::nats::{JetStream, Options}};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (ctx, _cancel) = Context::root();
/// let mut jetstream = JetStream::connect(&ctx, Options::new(["nats://127.0.0.1"])?)?;
/// jetstream.ensure_stream(&ctx, "USAGE", &["usage.>"])?;
/// let (seq, is_new) = jetstream.publish(&ctx, "usage.ada", "event-1", b"2")?;
/// # let _ = (seq, is_new);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct JetStream {
    client: Client,
}

impl JetStream {
    /// Connects; see [`Client::connect`].
    ///
    /// # Cancellation
    /// # Errors
    /// As there.
    ///
    /// ```no_run
    /// # use ironsys::{Context, brokers::nats::{Client, Options}};
    /// # let (ctx, _cancel) = Context::root();
    /// # use ironsys::brokers::nats::JetStream;
    /// let mut jetstream = JetStream::connect(&ctx, Options::new(["nats://127.0.0.1"])?)?;
    /// assert_eq!(jetstream.client().connects(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn connect(ctx: &Context, options: Options) -> Result<JetStream, NatsError> {
        Ok(JetStream { client: Client::connect(ctx, options)? })
    }

    /// Returns the connection.
    ///
    /// ```no_run
    /// # use ironsys::{Context, brokers::nats::{Client, Options}};
    /// # let (ctx, _cancel) = Context::root();
    /// # use ironsys::brokers::nats::JetStream;
    /// # let mut jetstream = JetStream::connect(&ctx, Options::new(["nats://127.0.0.1"])?)?;
    /// jetstream.client().publish("usage.ada", b"2")?; // without an answer
    /// jetstream.client().flush(&ctx)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Makes a stream that keeps what is sent to these subjects in files, unless there is one of that
    /// name. Messages with a known `Nats-Msg-Id` are dropped for two minutes.
    ///
    /// # Cancellation
    /// Whether it was made is not known.
    ///
    /// # Errors
    /// See [`NatsError`].
    ///
    /// ```no_run
    /// # use ironsys::{Context, brokers::nats::{Client, Options}};
    /// # let (ctx, _cancel) = Context::root();
    /// # use ironsys::brokers::nats::JetStream;
    /// # let mut jetstream = JetStream::connect(&ctx, Options::new(["nats://127.0.0.1"])?)?;
    /// jetstream.ensure_stream(&ctx, "USAGE", &["usage.>"])?;
    /// jetstream.ensure_stream(&ctx, "USAGE", &["usage.>"])?; // There is one.
    /// assert!(jetstream.len(&ctx, "USAGE").is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ensure_stream(
        &mut self,
        ctx: &Context,
        name: &str,
        subjects: &[&str],
    ) -> Result<(), NatsError> {
        let wanted = json!({"name": name, "subjects": subjects, "storage": "file"});
        match api(&mut self.client, ctx, &format!("STREAM.CREATE.{name}"), &wanted) {
            // There is one, with other settings.
            Err(NatsError::JetStream { code: 10058, .. }) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Makes a durable consumer with explicit acks, unless there is one of that name. What is not acked
    /// within `ack_wait` is delivered again.
    ///
    /// # Cancellation
    /// Whether it was made is not known.
    ///
    /// # Errors
    /// See [`NatsError`].
    ///
    /// ```no_run
    /// # use ironsys::{Context, brokers::nats::{Client, Options}};
    /// # let (ctx, _cancel) = Context::root();
    /// # use ironsys::brokers::nats::JetStream;
    /// # let mut jetstream = JetStream::connect(&ctx, Options::new(["nats://127.0.0.1"])?)?;
    /// let ack_wait = std::time::Duration::from_secs(30);
    /// jetstream.ensure_stream(&ctx, "USAGE", &["usage.>"])?;
    /// jetstream.ensure_consumer(&ctx, "USAGE", "billing", ack_wait)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ensure_consumer(
        &mut self,
        ctx: &Context,
        stream: &str,
        durable: &str,
        ack_wait: Duration,
    ) -> Result<(), NatsError> {
        ensure_consumer(&mut self.client, ctx, stream, durable, ack_wait)
    }

    /// Publishes and waits until the stream has it; returns its number there, and whether it is new:
    /// `false` if the stream knew the id.
    ///
    /// # Cancellation
    /// Whether the stream has it is not known: publish it again with the same id.
    ///
    /// # Errors
    /// See [`NatsError`].
    ///
    /// ```no_run
    /// # use ironsys::{Context, brokers::nats::{Client, Options}};
    /// # let (ctx, _cancel) = Context::root();
    /// # use ironsys::brokers::nats::JetStream;
    /// # let mut jetstream = JetStream::connect(&ctx, Options::new(["nats://127.0.0.1"])?)?;
    /// let (seq, is_new) = jetstream.publish(&ctx, "usage.ada", "event-7", b"2")?;
    /// let again = jetstream.publish(&ctx, "usage.ada", "event-7", b"2")?;
    /// assert_eq!((is_new, again), (true, (seq, false)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn publish(
        &mut self,
        ctx: &Context,
        subject: &str,
        id: &str,
        payload: &[u8],
    ) -> Result<(u64, bool), NatsError> {
        self.client.ready(ctx)?;
        let reply = self.client.reply_to(&crate::sync::next_number().to_string());
        self.client.send(subject, Some(&reply), &[("Nats-Msg-Id", id)], payload)?;
        let answer = self.client.wait(ctx, None, |message| message.subject == reply)?;
        let Some(answer) = answer else {
            return Err(ctx.check().err().map_or_else(
                || NatsError::NoResponders { subject: subject.to_owned() },
                NatsError::Stopped,
            ));
        };
        stored(subject, &answer)
    }

    /// Returns how many messages a stream has.
    ///
    /// # Cancellation
    /// # Errors
    /// See [`NatsError`].
    ///
    /// ```no_run
    /// # use ironsys::{Context, brokers::nats::{Client, Options}};
    /// # let (ctx, _cancel) = Context::root();
    /// # use ironsys::brokers::nats::JetStream;
    /// # let mut jetstream = JetStream::connect(&ctx, Options::new(["nats://127.0.0.1"])?)?;
    /// let before = jetstream.len(&ctx, "USAGE")?;
    /// jetstream.publish(&ctx, "usage.ada", "event-9", b"2")?;
    /// assert_eq!(jetstream.len(&ctx, "USAGE")?, before + 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn len(&mut self, ctx: &Context, stream: &str) -> Result<u64, NatsError> {
        let info = api(&mut self.client, ctx, &format!("STREAM.INFO.{stream}"), &Value::Null)?;
        Ok(info["state"]["messages"].as_u64().unwrap_or(0))
    }
}

pub(super) fn ensure_consumer(
    client: &mut Client,
    ctx: &Context,
    stream: &str,
    durable: &str,
    ack_wait: Duration,
) -> Result<(), NatsError> {
    let wanted = json!({"stream_name": stream, "config": {
        "durable_name": durable, "ack_policy": "explicit", "deliver_policy": "all",
        "ack_wait": u64::try_from(ack_wait.as_nanos()).unwrap_or(u64::MAX), "max_deliver": -1,
        "max_ack_pending": 10_000,
    }});
    match api(client, ctx, &format!("CONSUMER.DURABLE.CREATE.{stream}.{durable}"), &wanted) {
        // There is one, with other settings.
        Err(NatsError::JetStream { code: 10013 | 10105 | 10148, .. }) => Ok(()),
        other => other.map(drop),
    }
}

/// Asks the API of JetStream.
fn api(client: &mut Client, ctx: &Context, what: &str, ask: &Value) -> Result<Value, NatsError> {
    let payload = if ask.is_null() { Vec::new() } else { ask.to_string().into_bytes() };
    let answer = client.request(ctx, &format!("$JS.API.{what}"), &payload)?;
    checked(&answer.payload)
}

/// Whether a stream has a message, by its answer.
pub(super) fn stored(subject: &str, answer: &Message) -> Result<(u64, bool), NatsError> {
    if answer.status == Some(503) {
        return Err(NatsError::NoResponders { subject: subject.to_owned() });
    }
    if let Some(stored) = plainly_stored(&answer.payload) {
        return Ok(stored);
    }
    let answer = checked(&answer.payload)?;
    match answer["seq"].as_u64() {
        Some(seq) => Ok((seq, answer["duplicate"] != Value::Bool(true))),
        None => {
            Err(NatsError::JetStream { code: 0, description: "the answer has no number".into() })
        }
    }
}

/// The answer as a server writes it, `{"stream":"S","seq":7}`, perhaps with `"duplicate":true`: there is
/// one for each message. Anything else is read as the JSON it is.
fn plainly_stored(payload: &[u8]) -> Option<(u64, bool)> {
    let rest = std::str::from_utf8(payload).ok()?.strip_prefix("{\"stream\":\"")?;
    let (name, rest) = rest.split_once('"')?;
    let rest = rest.strip_prefix(",")?.trim_start().strip_prefix("\"seq\":")?.strip_suffix('}')?;
    let (seq, is_new) = match rest.strip_suffix(",\"duplicate\":true") {
        Some(seq) => (seq, false),
        None => (rest, true),
    };
    let digits = seq.trim_start();
    let plain = !name.contains('\\') && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok())?.map(|seq| (seq, is_new))
}

fn checked(payload: &[u8]) -> Result<Value, NatsError> {
    let odd = |description: String| NatsError::JetStream { code: 0, description };
    let answer: Value =
        serde_json::from_slice(payload).map_err(|e| odd(format!("the answer is no JSON: {e}")))?;
    let error = &answer["error"];
    if error.is_null() {
        return Ok(answer);
    }
    Err(NatsError::JetStream {
        code: error["err_code"].as_u64().or(error["code"].as_u64()).unwrap_or(0),
        description: error["description"].as_str().unwrap_or("no reason is given").to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::{Message, plainly_stored, stored};

    #[test]
    fn answers_say_the_same_whether_they_are_read_as_json_or_not() {
        let answer = |text: &str| Message { payload: text.into(), ..Message::default() };
        for (text, plain, is) in [
            (r#"{"stream":"S", "seq":7}"#, true, Some((7, true))),
            (r#"{"stream":"S","seq":7,"duplicate":true}"#, true, Some((7, false))),
            (r#"{"stream":"S","seq":7,"duplicate": true}"#, false, Some((7, false))),
            (r#"{"stream":"S","domain":"d","seq":7}"#, false, Some((7, true))),
            (r#"{"stream":"S\"","seq":7}"#, false, Some((7, true))),
            (r#"{"stream":"S","seq":7,"error":{"err_code":10071}}"#, false, None),
            (r#"{"error":{"err_code":10071},"stream":"S","seq":0}"#, false, None),
            (r#"{"stream":"S","seq":}"#, false, None),
            (r#"{"stream":"S"}"#, false, None),
            ("", false, None),
        ] {
            assert_eq!(plainly_stored(text.as_bytes()).is_some(), plain, "{text}");
            assert_eq!(stored("s", &answer(text)).ok(), is, "{text}");
        }
    }
}
