//! A consumer group of a stream as the source of a consumer.

use super::ack::{StreamCommitter, Taken};
use super::entry::{Listed, StreamEntry, entries, odd};
use super::keep::Kept;
use super::link::{Link, LinkError};
use super::source_builder::StreamSourceBuilder;
use crate::channel::{self, Receiver, Sender, Watcher};
use crate::context::Context;
use crate::durable::{Delivery, Source, SourceError};
use redis::{Cmd, Value, cmd};
use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

/// Receives from a Redis stream as a member of a consumer group.
///
/// Every entry goes to one member, and stays *pending* there until it is committed. What a member took
/// and has not committed is delivered again: to the member of the same name when it starts again or
/// connects again, and to any other once it has been pending for
/// [`claim_idle`](StreamSourceBuilder::claim_idle); a member looks for such entries when it starts and
/// then at each [`claim_every`](StreamSourceBuilder::claim_every). So `claim_idle` has to be longer than
/// a message takes, the waiting in front of a handler included; otherwise two members have it.
///
/// Two members at the same time need two names.
///
/// When Redis is away the source connects again, as [`retry`](StreamSourceBuilder::retry) says. An
/// answer that is not Redis's, a wrong password, or a key that is no stream ends it at once.
///
/// # Cancellation
/// A stop shuts the socket down: a blocked receive ends at once. What the server had just sent is
/// pending and comes again. Connecting is not cut short, see [`Server::timeout`](super::Server::timeout).
///
/// ```
/// use ironsys::brokers::redis::{Server, StreamSource};
/// let server = Server::new("redis://127.0.0.1:6379").unwrap();
/// let source = StreamSource::builder(&server, "payments", "billing", "billing-1").build().unwrap();
/// # drop(source);
/// ```
#[derive(Debug)]
pub struct StreamSource {
    settings: StreamSourceBuilder,
    kept: Kept,
    /// Read, and not delivered.
    ready: VecDeque<StreamEntry>,
    /// In `ready`, or delivered and not committed.
    held: HashSet<String>,
    /// Those delivered, in order, with their positions.
    delivered: VecDeque<(u64, String)>,
    last: u64,
    next_claim: Option<Instant>,
    taken: Sender<Taken>,
    committed: Watcher<u64>,
    committer: Option<StreamCommitter>,
}

impl StreamSource {
    /// Starts to build a source: the member `consumer` of `group`, which is made if it is missing.
    ///
    /// ```
    /// # use ironsys::brokers::redis::{Server, StreamPublisher, StreamSource};
    /// # use std::time::Duration;
    /// # let server = Server::new("redis://127.0.0.1:6379")?;
    /// let builder = StreamSource::builder(&server, "payments", "billing", "billing-1");
    /// assert!(format!("{builder:?}").contains("billing-1"));
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn builder(
        server: &super::Server,
        stream: impl AsRef<[u8]>,
        group: impl Into<String>,
        consumer: impl Into<String>,
    ) -> StreamSourceBuilder {
        StreamSourceBuilder::new(server, stream.as_ref(), group.into(), consumer.into())
    }

    pub(super) fn new(settings: StreamSourceBuilder) -> StreamSource {
        let (taken, acks): (_, Receiver<Taken>) = channel::bounded(settings.max_pending);
        let (shown, committed) = channel::watch(0);
        StreamSource {
            kept: Kept::new(&settings.server, &settings.retry),
            ready: VecDeque::new(),
            held: HashSet::new(),
            delivered: VecDeque::new(),
            last: 0,
            next_claim: None,
            taken,
            committed,
            committer: Some(StreamCommitter::new(&settings, acks, shown)),
            settings,
        }
    }

    /// Waits until something is ready; sometimes it comes back without.
    fn fill(&mut self, ctx: &Context) -> Result<(), LinkError> {
        // Before anything is read: what is committed while we read may still be in the answer.
        let committed = *self.committed.get();
        while self.delivered.front().is_some_and(|(position, _)| *position <= committed) {
            if let Some((_, id)) = self.delivered.pop_front() {
                self.held.remove(&id);
            }
        }
        let settings = &self.settings;
        let (held, claim_at) = (&self.held, &mut self.next_claim);
        let listed = self.kept.with(ctx, |link, is_fresh| {
            let mut found = Vec::new();
            if is_fresh {
                settings.make_group(ctx, link)?;
                found = settings.pending(ctx, link)?;
            }
            let now = ctx.clock().now();
            if is_fresh || claim_at.is_some_and(|at| at <= now) {
                found.extend(settings.claim(ctx, link, held)?);
                *claim_at = now.checked_add(settings.claim_every);
            }
            let listed: Vec<_> = found.into_iter().filter(|one| !held.contains(one.id())).collect();
            if listed.is_empty() {
                let wait = claim_at.map(|at| at.saturating_duration_since(ctx.clock().now()));
                return settings.read(ctx, link, wait);
            }
            Ok(listed)
        })?;
        let mut gone = Vec::new();
        for one in listed {
            match one {
                Listed::Entry(entry) if self.held.insert(entry.id.clone()) => {
                    self.ready.push_back(entry);
                }
                Listed::Entry(_) => {} // Pending, and claimed as well.
                Listed::Deleted(id) => gone.push(id),
            }
        }
        if !gone.is_empty() {
            // Trimmed or deleted while they were pending: there is nothing left to handle.
            log::warn!("ironsys: {} pending entries are not in the stream any more", gone.len());
            self.kept.with(ctx, |link, _| link.call(ctx, &self.settings.ack(&gone)))?;
        }
        Ok(())
    }
}

impl Source for StreamSource {
    type Committer = StreamCommitter;

    /// Takes the half that commits, with a connection of its own.
    fn committer(&mut self) -> StreamCommitter {
        self.committer.take().unwrap_or_else(|| StreamCommitter::detached(&self.settings))
    }

    fn recv(&mut self, ctx: &Context) -> Result<Option<Delivery>, SourceError> {
        ctx.check()?;
        while self.ready.is_empty() {
            self.fill(ctx).map_err(to_source_error)?;
        }
        let Some(entry) = self.ready.front() else { return Ok(None) };
        let position = self.last + 1;
        let mut delivery = (self.settings.decode)(entry);
        delivery.position = position;
        if delivery.id.is_empty() {
            delivery.id = entry.id.clone().into_bytes();
        }
        let told = self.taken.send(ctx, Taken { position, id: entry.id.clone() });
        if let Err(e) = told {
            let gone = || SourceError::failed("the half that commits is gone");
            return Err(e.stop().cloned().map_or_else(gone, SourceError::from));
        }
        if let Some(entry) = self.ready.pop_front() {
            self.delivered.push_back((position, entry.id));
        }
        self.last = position;
        Ok(Some(delivery))
    }
}

impl Listed {
    fn id(&self) -> &str {
        match self {
            Listed::Entry(entry) => &entry.id,
            Listed::Deleted(id) => id,
        }
    }
}

/// What it says to Redis.
impl StreamSourceBuilder {
    fn make_group(&self, ctx: &Context, link: &mut Link) -> Result<(), LinkError> {
        let mut create = cmd("XGROUP");
        create.arg("CREATE").arg(&self.stream).arg(&self.group);
        create.arg(if self.from_now { "$" } else { "0" }).arg("MKSTREAM");
        match link.call(ctx, &create) {
            Err(e) if e.code() == Some("BUSYGROUP") => Ok(()),
            other => other.map(drop),
        }
    }

    /// What is pending under our name, from before.
    fn pending(&self, ctx: &Context, link: &mut Link) -> Result<Vec<Listed>, LinkError> {
        let (mut all, mut after) = (Vec::new(), "0".to_owned());
        loop {
            let page = of_stream(link.call(ctx, &self.read_group(&after, None))?)?;
            let Some(last) = page.last() else { return Ok(all) };
            after = last.id().to_owned();
            all.extend(page);
        }
    }

    /// What others took and let lie.
    fn claim(
        &self,
        ctx: &Context,
        link: &mut Link,
        held: &HashSet<String>,
    ) -> Result<Vec<Listed>, LinkError> {
        let (mut all, mut from) = (Vec::new(), "0-0".to_owned());
        loop {
            let mut claim = cmd("XAUTOCLAIM");
            claim.arg(&self.stream).arg(&self.group).arg(&self.consumer);
            claim.arg(millis(self.claim_idle)).arg(&from).arg("COUNT").arg(self.batch);
            let Value::Array(parts) = link.call(ctx, &claim)? else {
                return Err(odd("what was claimed", &Value::Nil));
            };
            let mut parts = parts.into_iter();
            from = redis::from_redis_value(parts.next().unwrap_or_default())?;
            let page = entries(parts.next().unwrap_or_default())?;
            all.extend(page.into_iter().filter(|one| !held.contains(one.id())));
            // A full batch is enough for now; the rest is still there at the next look.
            if from == "0-0" || all.len() >= self.batch {
                return Ok(all);
            }
        }
    }

    /// What nobody has; waits for it, `None` is without end.
    fn read(
        &self,
        ctx: &Context,
        link: &mut Link,
        wait: Option<Duration>,
    ) -> Result<Vec<Listed>, LinkError> {
        // To Redis 0 is without end.
        let wait = wait.unwrap_or(Duration::MAX).min(LONGEST).max(Duration::from_millis(1));
        let answer = link.call_for(ctx, &self.read_group(">", Some(wait)), wait)?;
        of_stream(answer)
    }

    fn read_group(&self, after: &str, wait: Option<Duration>) -> Cmd {
        let mut read = cmd("XREADGROUP");
        read.arg("GROUP").arg(&self.group).arg(&self.consumer).arg("COUNT").arg(self.batch);
        if let Some(wait) = wait {
            read.arg("BLOCK").arg(millis(wait));
        }
        read.arg("STREAMS").arg(&self.stream).arg(after);
        read
    }

    pub(super) fn ack(&self, ids: &[String]) -> Cmd {
        let mut ack = cmd("XACK");
        ack.arg(&self.stream).arg(&self.group).arg(ids);
        ack
    }
}

/// Reads `[[stream, entries]]`; nil is nothing.
fn of_stream(answer: Value) -> Result<Vec<Listed>, LinkError> {
    let Value::Array(mut streams) = answer else {
        return if answer == Value::Nil { Ok(Vec::new()) } else { Err(odd("streams", &answer)) };
    };
    match streams.pop() {
        Some(Value::Array(mut parts)) if parts.len() == 2 => {
            entries(parts.pop().unwrap_or_default())
        }
        other => Err(odd("a stream and its entries", &other.unwrap_or_default())),
    }
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX >> 1)
}

pub(super) fn to_source_error(e: LinkError) -> SourceError {
    match e {
        LinkError::Stopped(stop) => SourceError::Stopped(stop),
        LinkError::Redis(e) => SourceError::failed(e),
    }
}

/// So long is an idle connection believed to be alive.
const LONGEST: Duration = Duration::from_secs(300);
