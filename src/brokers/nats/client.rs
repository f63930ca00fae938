//! A connection that is made again when it breaks.

use super::connection::real_deadline;
use super::error::NatsError;
use super::message::Message;
use super::options::Options;
use super::parse::Said;
use super::servers::Servers;
use super::wire::Wire;
use crate::context::{Context, Stop};
use crate::sync::next_number;
use crate::sync::time::now;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io::Write;
use std::time::Instant;

/// What is read at a time.
const CHUNK: usize = 64 * 1024;
/// What is gathered before it is written.
const GATHER: usize = 64 * 1024;
/// What waits for a connection, or a flush, at the most.
const EARLY: usize = 8 * 1024 * 1024;
/// What headers begin with.
const HEADERS: &[u8] = b"NATS/1.0\r\n";
/// Messages that have come while something else was waited for.
const HELD: usize = 65_536;

/// Talks to a server: publishes, asks, subscribes.
///
/// It is used by one thread at a time. What is published is gathered, 8 MiB at the most, and written with
/// the next [`flush`](Self::flush) or wait. A call that finds the connection broken makes a new one, to whichever
/// server of the cluster lets it in, and subscribes again; what was published and not written is lost with it, so who
/// must know waits for an answer, as [`JetStream`](super::JetStream) does.
///
/// ```no_run
/// use ironsys::{Context, brokers::nats::{Client, Options}};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (ctx, _cancel) = Context::root();
/// let mut client = Client::connect(&ctx, Options::new(["nats://127.0.0.1"])?)?;
/// let news = client.subscribe("news.>")?;
/// client.publish("news.today", b"rain")?;
/// assert_eq!(client.next(&ctx, &news)?.payload, b"rain");
/// # Ok(()) }
/// ```
pub struct Client {
    pub(super) options: Options,
    pub(super) servers: Servers,
    pub(super) wire: Option<Wire>,
    pub(super) chunk: Box<[u8]>,
    /// What has come, understood up to `at`.
    pub(super) buf: Vec<u8>,
    pub(super) at: usize,
    /// What is to be written.
    pub(super) out: Vec<u8>,
    /// What is to be written once there is a connection.
    pub(super) early: Vec<u8>,
    /// Pings that were sent and not answered.
    pub(super) pings: usize,
    pub(super) subscriptions: HashMap<u64, (String, Option<String>)>,
    /// Messages nobody has asked for yet.
    pub(super) held: VecDeque<Message>,
    pub(super) last: u64,
    inbox: String,
    /// The most that the server takes.
    pub(super) largest: usize,
    /// How often a connection was made.
    pub(super) connects: u64,
}

/// The subscription to all answers.
const INBOX: u64 = 1;

impl Client {
    /// Connects to the first server that lets one in; goes round as long as all of them are down.
    ///
    /// # Cancellation
    /// Ends at once, and nothing is left; but nothing wakes a thread that looks up a name, nor, other than
    /// on Linux, one that waits for a host to answer, [`connect_timeout`](Options::connect_timeout) at the
    /// most.
    ///
    /// # Errors
    /// A server refuses, or is none; or the context stopped.
    ///
    /// ```no_run
    /// # use ironsys::{Context, brokers::nats::{Client, Options}};
    /// # let (ctx, _cancel) = Context::root();
    /// let options = Options::new(["nats://127.0.0.1"])?;
    /// let client = Client::connect(&ctx, options)?;
    /// assert_eq!(client.connects(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn connect(ctx: &Context, options: Options) -> Result<Client, NatsError> {
        let mut client = Client::new(options);
        client.ready(ctx)?;
        Ok(client)
    }

    /// Makes one that connects when it is first needed.
    pub(super) fn new(options: Options) -> Client {
        let nanos = crate::sync::random_u64();
        let inbox = format!("_INBOX.{nanos:016x}{:x}", next_number());
        let mut subscriptions = HashMap::new();
        subscriptions.insert(INBOX, (format!("{inbox}.*"), None));
        Client {
            options,
            servers: Servers::default(),
            wire: None,
            chunk: vec![0; CHUNK].into(),
            buf: Vec::new(),
            at: 0,
            out: Vec::new(),
            early: Vec::new(),
            pings: 0,
            subscriptions,
            held: VecDeque::new(),
            last: INBOX,
            inbox,
            largest: 1024 * 1024,
            connects: 0,
        }
    }

    /// Returns how often it has connected: more than once if the connection has broken.
    ///
    /// ```no_run
    /// # use ironsys::{Context, brokers::nats::{Client, Options}};
    /// # let (ctx, _cancel) = Context::root();
    /// # let mut client = Client::connect(&ctx, Options::new(["nats://127.0.0.1"])?)?;
    /// client.flush(&ctx)?;
    /// assert!(client.connects() >= 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn connects(&self) -> u64 {
        self.connects
    }

    /// Gives the connection up; the next call makes a new one.
    ///
    /// ```no_run
    /// # use ironsys::{Context, brokers::nats::{Client, Options}};
    /// # let (ctx, _cancel) = Context::root();
    /// # let mut client = Client::connect(&ctx, Options::new(["nats://127.0.0.1"])?)?;
    /// client.disconnect();
    /// client.flush(&ctx)?; // on another connection
    /// assert_eq!(client.connects(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn disconnect(&mut self) {
        // Messages that have come are not lost with it.
        while let Ok(Some(said)) = self.take() {
            if let Said::Message(message) = said
                && self.held.len() < HELD
            {
                let _ = self.hold(message);
            }
        }
        self.wire = None;
        self.buf.clear();
        self.at = 0;
        self.out.clear();
        self.pings = 0;
    }

    // ===== talking =====

    /// Sends a message, with the next flush or wait.
    ///
    /// # Errors
    /// The subject cannot be one, the message is larger than the server takes, or 8 MiB are gathered and
    /// want to be flushed.
    ///
    /// ```no_run
    /// # use ironsys::{Context, brokers::nats::{Client, Options}};
    /// # let (ctx, _cancel) = Context::root();
    /// # let mut client = Client::connect(&ctx, Options::new(["nats://127.0.0.1"])?)?;
    /// client.publish("news.today", b"rain")?;
    /// client.flush(&ctx)?;
    /// assert!(client.publish("no subject", b"rain").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn publish(&mut self, subject: &str, payload: &[u8]) -> Result<(), NatsError> {
        self.send(subject, None, &[], payload)
    }

    /// Sends a message with a place for the answer, and headers.
    ///
    /// # Errors
    /// As of [`publish`](Self::publish), and for names or values of headers that have line ends.
    ///
    /// ```no_run
    /// # use ironsys::{Context, brokers::nats::{Client, Options}};
    /// # let (ctx, _cancel) = Context::root();
    /// # let mut client = Client::connect(&ctx, Options::new(["nats://127.0.0.1"])?)?;
    /// let answers = client.subscribe("answers")?;
    /// client.send("orders", Some("answers"), &[("Nats-Msg-Id", "17")], b"tea")?;
    /// assert_eq!(client.next(&ctx, &answers)?.subject, "answers");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send(
        &mut self,
        subject: &str,
        reply: Option<&str>,
        headers: &[(&str, &str)],
        payload: &[u8],
    ) -> Result<(), NatsError> {
        check_subject(subject)?;
        reply.map_or(Ok(()), check_subject)?;
        let mut head = 0;
        for (name, value) in headers {
            let bad = |text: &str| text.bytes().any(|b| matches!(b, b'\r' | b'\n'));
            if name.is_empty() || name.contains(':') || bad(name) || bad(value) {
                return Err(NatsError::Misused(format!("`{name}` cannot be a header")));
            }
            head += name.len() + value.len() + ": \r\n".len();
        }
        if head > 0 {
            head += HEADERS.len() + "\r\n".len();
        }
        let total = head + payload.len();
        if total > self.largest {
            let most = self.largest;
            return Err(NatsError::Misused(format!("{total} bytes: the server takes {most}")));
        }
        let out = if self.wire.is_some() { &mut self.out } else { &mut self.early };
        if out.len() > EARLY {
            return Err(NatsError::Misused("too much is gathered: flush it".into()));
        }
        let (verb, space) = (if head > 0 { "HPUB " } else { "PUB " }, reply.map_or("", |_| " "));
        for part in [verb, subject, space, reply.unwrap_or_default()] {
            out.extend_from_slice(part.as_bytes());
        }
        // Writing to a `Vec` does not fail.
        let _ =
            if head > 0 { write!(out, " {head} {total}\r\n") } else { write!(out, " {total}\r\n") };
        if head > 0 {
            out.extend_from_slice(HEADERS);
            for (name, value) in headers {
                for part in [name, ": ", value, "\r\n"] {
                    out.extend_from_slice(part.as_bytes());
                }
            }
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(payload);
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Writes what was gathered if it is worth while.
    pub(super) fn write_if_much(&mut self, ctx: &Context) -> Result<(), NatsError> {
        if self.out.len() < GATHER || self.wire.is_none() {
            return Ok(());
        }
        let _guard = self.guard(ctx);
        self.write_in_time(ctx)
    }

    /// Writes what was gathered, and waits until the server has it.
    ///
    /// # Cancellation
    /// A cancel breaks the connection: how much was written is not known.
    ///
    /// # Errors
    /// The connection broke, or could not be made; the context stopped.
    ///
    /// ```no_run
    /// # use ironsys::{Context, brokers::nats::{Client, Options}};
    /// # let (ctx, _cancel) = Context::root();
    /// # let mut client = Client::connect(&ctx, Options::new(["nats://127.0.0.1"])?)?;
    /// client.publish("news.today", b"rain")?;
    /// client.flush(&ctx)?; // The server has it.
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn flush(&mut self, ctx: &Context) -> Result<(), NatsError> {
        self.ready(ctx)?;
        self.out.extend_from_slice(b"PING\r\n");
        self.pings += 1;
        match self.wait_for(ctx, None, true, |_| false) {
            Ok(_) if self.wire.is_some() && self.pings == 0 => Ok(()),
            Ok(_) => Err(ctx.check().err().map_or_else(|| self.broken(), NatsError::Stopped)),
            Err(e) => Err(e),
        }
    }

    /// Sends a message and waits for the answer.
    ///
    /// # Cancellation
    /// The answer, if it comes, is dropped. A cancel breaks the connection, a deadline does not.
    ///
    /// # Errors
    /// Nobody is there to answer; the connection broke; the context stopped.
    ///
    /// ```no_run
    /// # use ironsys::{Context, brokers::nats::{Client, Options}};
    /// # let (ctx, _cancel) = Context::root();
    /// # let mut client = Client::connect(&ctx, Options::new(["nats://127.0.0.1"])?)?;
    /// let answer = client.request(&ctx, "time", b"now?")?;
    /// println!("{}", String::from_utf8_lossy(&answer.payload));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn request(
        &mut self,
        ctx: &Context,
        subject: &str,
        payload: &[u8],
    ) -> Result<Message, NatsError> {
        self.ready(ctx)?;
        let reply = self.reply_to(&next_number().to_string());
        self.send(subject, Some(&reply), &[], payload)?;
        let answer = self.wait(ctx, None, |m| m.subject == reply)?;
        match answer {
            Some(answer) if answer.status == Some(503) => {
                Err(NatsError::NoResponders { subject: subject.to_owned() })
            }
            Some(answer) => Ok(answer),
            None => Err(ctx.check().err().map_or_else(|| self.broken(), NatsError::Stopped)),
        }
    }

    /// Where an answer of that name comes to this client.
    pub(super) fn reply_to(&self, name: &str) -> String {
        format!("{}.{name}", self.inbox)
    }

    /// Waits for a message that is wanted, as long as `ctx` lets it and not after `until`; others are
    /// held for those who want them. `None`: it was time.
    pub(super) fn wait(
        &mut self,
        ctx: &Context,
        until: Option<Instant>,
        wanted: impl Fn(&Message) -> bool,
    ) -> Result<Option<Message>, NatsError> {
        self.wait_for(ctx, until, false, wanted)
    }

    /// The same; if it is for a pong, until all pings are answered.
    fn wait_for(
        &mut self,
        ctx: &Context,
        until: Option<Instant>,
        for_pong: bool,
        wanted: impl Fn(&Message) -> bool,
    ) -> Result<Option<Message>, NatsError> {
        let waited = self.wait_once(ctx, until, for_pong, wanted);
        if let Err(NatsError::Stopped(Stop::Cancelled(_))) = &waited {
            // The socket is shut down, or about to be.
            self.disconnect();
        }
        waited
    }

    fn wait_once(
        &mut self,
        ctx: &Context,
        until: Option<Instant>,
        for_pong: bool,
        wanted: impl Fn(&Message) -> bool,
    ) -> Result<Option<Message>, NatsError> {
        if let Some(at) = self.held.iter().position(&wanted) {
            return Ok(self.held.remove(at));
        }
        self.ready(ctx)?;
        let _guard = self.guard(ctx);
        self.write_in_time(ctx)?;
        let end = crate::context::earliest(until, real_deadline(ctx));
        loop {
            while let Some(said) = self.take()? {
                let pong = said == Said::Pong;
                match self.heard(ctx, said)? {
                    Some(message) if wanted(&message) => return Ok(Some(message)),
                    Some(message) => self.hold(message)?,
                    None if pong && for_pong && self.pings == 0 => return Ok(None),
                    None => {}
                }
            }
            ctx.check()?;
            if end.is_some_and(|end| now() >= end) {
                return Ok(None);
            }
            self.fill(ctx, end)?;
        }
    }

    /// Writes what was gathered, as long as `ctx` lets it.
    fn write_in_time(&mut self, ctx: &Context) -> Result<(), NatsError> {
        let written = self.write(real_deadline(ctx));
        if written.is_err() {
            ctx.check()?; // It is why.
        }
        written
    }

    /// Waits as [`wait`](Self::wait) does, and takes along all others that are wanted and have come.
    pub(super) fn wait_all(
        &mut self,
        ctx: &Context,
        until: Option<Instant>,
        wanted: impl Fn(&Message) -> bool,
    ) -> Result<Vec<Message>, NatsError> {
        let Some(first) = self.wait(ctx, until, &wanted)? else { return Ok(Vec::new()) };
        let mut all = vec![first];
        while let Some(at) = self.held.iter().position(&wanted) {
            all.extend(self.held.remove(at));
        }
        while let Some(said) = self.take()? {
            match self.heard(ctx, said)? {
                Some(message) if wanted(&message) => all.push(message),
                Some(message) => self.hold(message)?,
                None => {}
            }
        }
        Ok(all)
    }

    /// Answers what is for the client itself; returns what is for others.
    fn heard(&mut self, ctx: &Context, said: Said) -> Result<Option<Message>, NatsError> {
        match said {
            Said::Message(message) => return Ok(Some(message)),
            Said::Ping => {
                self.out.extend_from_slice(b"PONG\r\n");
                self.write_in_time(ctx)?;
            }
            Said::Err(what) => return Err(self.refused(what)),
            Said::Info(info) => self.info(&info)?,
            Said::Pong => self.pings = self.pings.saturating_sub(1),
            Said::Ok => {}
        }
        Ok(None)
    }

    pub(super) fn hold(&mut self, message: Message) -> Result<(), NatsError> {
        // An answer that nobody waits for any more.
        if message.subscription == INBOX
            && message.status != Some(503)
            && self.held.len() >= HELD / 2
        {
            return Ok(());
        }
        if self.held.len() >= HELD {
            return Err(self.protocol("more messages have come than anybody takes".into()));
        }
        if self.subscriptions.contains_key(&message.subscription) {
            self.held.push_back(message);
        }
        Ok(())
    }
}

pub(super) fn check_subject(subject: &str) -> Result<(), NatsError> {
    let bad = subject.is_empty()
        || subject.split('.').any(str::is_empty)
        || subject.bytes().any(|b| b <= b' ' || b == 0x7f);
    if bad { Err(NatsError::Misused(format!("{subject:?} is no subject"))) } else { Ok(()) }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("options", &self.options)
            .field("connected", &self.wire.is_some())
            .finish_non_exhaustive()
    }
}
