//! A member of a consumer group as the source of a consumer.

use super::client::{Place, millis};
use super::group::{Asking, Epochs, Member};
use super::publisher::ID;
use crate::channel::{self, Publisher, Receiver, Watcher};
use crate::context::Context;
use crate::durable::{Committer, Delivery, Source, SourceError};
use crate::error::BuildError;
use crate::sync::Arc;
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Headers};
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// How often the group has to hear that we are alive and ask; librdkafka's own default.
const MAX_POLL: Duration = Duration::from_secs(300);

/// Builds a [`TopicSource`]. Made by [`TopicSource::builder`].
#[must_use = "a builder does nothing until `build`"]
#[derive(Debug)]
pub struct TopicSourceBuilder {
    place: Place,
    group: String,
    commit_every: Duration,
    finish_within: Duration,
    max_pending: usize,
}

impl TopicSourceBuilder {
    /// Sets how often commits are sent to the brokers. What was committed here and not sent when the
    /// process is killed comes again. The default is 200 ms; less than a millisecond counts as one, the
    /// most is a day.
    ///
    /// ```
    /// # use ironsys::brokers::kafka::{TopicPublisher, TopicSource};
    /// # use std::time::Duration;
    /// let source = TopicSource::builder("127.0.0.1:9092", "payments", "billing");
    /// assert!(source.commit_every(Duration::from_secs(1)).build().is_ok());
    /// ```
    pub fn commit_every(mut self, time: Duration) -> Self {
        self.commit_every = time;
        self
    }

    /// Sets how long messages under way may take to be finished when their partition goes to another
    /// member; 0: they come again there. The default is 5 s. It has to be shorter than five minutes.
    ///
    /// ```
    /// # use ironsys::brokers::kafka::{TopicPublisher, TopicSource};
    /// # use std::time::Duration;
    /// let source = TopicSource::builder("127.0.0.1:9092", "payments", "billing");
    /// let minutes = source.finish_within(Duration::from_secs(300));
    /// assert_eq!(minutes.build().err().map(|e| e.field()), Some("finish_within"));
    /// ```
    pub fn finish_within(mut self, time: Duration) -> Self {
        self.finish_within = time;
        self
    }

    /// Sets how many messages may be received and not committed. The default is 10,000; 0 is an error.
    ///
    /// ```
    /// # use ironsys::brokers::kafka::{TopicPublisher, TopicSource};
    /// # use std::time::Duration;
    /// let source = TopicSource::builder("127.0.0.1:9092", "payments", "billing");
    /// assert_eq!(source.max_pending(0).build().err().map(|e| e.field()), Some("max_pending"));
    /// ```
    pub fn max_pending(mut self, messages: usize) -> Self {
        self.max_pending = messages;
        self
    }

    /// Sets a property of librdkafka, such as `auto.offset.reset`, `group.instance.id`,
    /// `partition.assignment.strategy`, `session.timeout.ms`.
    ///
    /// ```
    /// # use ironsys::brokers::kafka::{TopicPublisher, TopicSource};
    /// # use std::time::Duration;
    /// let source = TopicSource::builder("127.0.0.1:9092", "payments", "billing");
    /// assert!(source.property("group.id", "other").build().is_err()); // Commits rest on it.
    /// ```
    pub fn property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.place.set(name, value);
        self
    }

    /// Builds the source; librdkafka begins to join the group.
    ///
    /// # Errors
    /// Brokers, topic or group cannot be; `max_pending` is 0; `finish_within` is five minutes or longer;
    /// a property that librdkafka does not know, or one that commits rest on: `group.id`,
    /// `enable.auto.commit`, `enable.auto.offset.store`, `max.poll.interval.ms`.
    ///
    /// ```
    /// # use ironsys::brokers::kafka::{TopicPublisher, TopicSource};
    /// # use std::time::Duration;
    /// let source = TopicSource::builder("127.0.0.1:9092", "payments", "billing");
    /// assert!(source.build().is_ok()); // though no broker may be there
    /// ```
    pub fn build(self) -> Result<TopicSource, BuildError> {
        const OF: &str = "topic source";
        let auto = ["enable.auto.commit", "enable.auto.offset.store", "auto.commit.interval.ms"];
        let kept = ["group.id", "max.poll.interval.ms", auto[0], auto[1], auto[2]];
        self.place.check(OF, &kept)?;
        if self.group.is_empty() {
            return Err(BuildError::new(OF, "group", "must have a name"));
        }
        if self.max_pending == 0 {
            return Err(BuildError::new(OF, "max_pending", "must be 1 or more"));
        }
        if self.finish_within >= MAX_POLL {
            return Err(BuildError::new(OF, "finish_within", "must be shorter than 5 min"));
        }
        let ours = [
            ("group.id", self.group.clone()),
            (auto[0], "true".into()),
            (auto[1], "false".into()),
            (auto[2], millis(self.commit_every, 86_400_000)),
            ("max.poll.interval.ms", MAX_POLL.as_millis().to_string()),
            ("auto.offset.reset", "earliest".into()),
        ];
        let (asking, seen) = channel::watch(None);
        let (committed, done) = channel::watch(0);
        let (epoch, epoch_seen) = channel::watch(Epochs::default());
        let (served, served_seen) = channel::watch(0);
        let finish_within = self.finish_within;
        let member = Member { asking: seen, done: done.clone(), epoch, served, finish_within };
        let failed = |why: KafkaError| BuildError::new(OF, "property", why.to_string());
        let mut consumer: BaseConsumer<Member> =
            self.place.config(&ours).create_with_context(member).map_err(failed)?;
        let (ring, bell) = channel::bounded(1);
        let ring = move || {
            let _ = ring.try_send(()); // Once is enough.
        };
        consumer.set_nonempty_callback(ring);
        consumer.subscribe(&[&self.place.topic]).map_err(failed)?;
        let consumer = Arc::new(consumer);
        let (taken, delivered) = channel::bounded(self.max_pending);
        let committer = TopicCommitter {
            committed,
            delivered,
            next: VecDeque::new(),
            epoch: epoch_seen.clone(),
            topic: self.place.topic.clone(),
            consumer: consumer.clone(),
        };
        Ok(TopicSource {
            settings: self,
            asking,
            bell,
            served: served_seen,
            epoch: epoch_seen,
            last: 0,
            ready: None,
            taken,
            committer: Some(committer),
            consumer,
        })
    }
}

/// Receives from a Kafka topic as a member of a consumer group.
///
/// The group shares the partitions. When partitions go to another member, what is under way gets some
/// [time](TopicSourceBuilder::finish_within) to be finished and committed; what is not comes again
/// there, and a commit of it here means nothing. Messages of one key are handled in order, messages
/// without a key in the order of their partition. A message is known by its header `ironsys-id`, as
/// [`TopicPublisher`](super::TopicPublisher) sets it, or else by topic, partition and offset.
///
/// While no broker can be reached librdkafka connects again, says so in the log, and a receive waits.
/// What cannot become better by waiting, such as a topic that one may not read, ends the source.
///
/// # Cancellation
/// A stop ends a blocked receive at once; no message is lost by it.
///
/// ```
/// use ironsys::brokers::kafka::TopicSource;
/// assert!(TopicSource::builder("127.0.0.1:9092", "payments", "").build().is_err());
/// ```
pub struct TopicSource {
    settings: TopicSourceBuilder,
    asking: Publisher<Option<Asking>>,
    /// Rings when librdkafka has something, after it had nothing.
    bell: Receiver<()>,
    served: Watcher<u64>,
    epoch: Watcher<Epochs>,
    /// Of the last message that librdkafka gave.
    last: u64,
    /// Received, and not delivered, since a stop came in between.
    ready: Option<(Taken, Delivery)>,
    taken: channel::Sender<Taken>,
    committer: Option<TopicCommitter>,
    /// The last handle closes it: it leaves the group, and sends the last commits.
    consumer: Arc<BaseConsumer<Member>>,
}

/// A message that was delivered.
#[derive(Debug, Clone, Copy)]
struct Taken {
    position: u64,
    partition: i32,
    offset: i64,
    epoch: u64,
}

impl TopicSource {
    /// Starts to build a source: a member of `group`, which shares `topic` at some of the `brokers`:
    /// `host:port`, with commas in between.
    ///
    /// ```
    /// # use ironsys::brokers::kafka::{TopicPublisher, TopicSource};
    /// # use std::time::Duration;
    /// let source = TopicSource::builder("127.0.0.1:9092", "payments", "billing");
    /// assert!(format!("{source:?}").contains("billing"));
    /// ```
    pub fn builder(
        brokers: impl Into<String>,
        topic: impl Into<String>,
        group: impl Into<String>,
    ) -> TopicSourceBuilder {
        TopicSourceBuilder {
            place: Place::new(brokers.into(), topic.into()),
            group: group.into(),
            commit_every: Duration::from_millis(200),
            finish_within: Duration::from_secs(5),
            max_pending: 10_000,
        }
    }

    /// Waits for a message.
    fn next(&mut self, ctx: &Context) -> Result<(Taken, Delivery), SourceError> {
        self.asking.publish(Some(Asking { ctx: ctx.clone(), last: self.last }));
        loop {
            let before = *self.served.get();
            match self.consumer.poll(Duration::ZERO) {
                Some(Ok(message)) => {
                    self.last += 1;
                    let (partition, offset) = (message.partition(), message.offset());
                    let (position, epoch) = (self.last, self.epoch.get().of(partition));
                    let taken = Taken { position, partition, offset, epoch };
                    return Ok((taken, delivery(&message, position)));
                }
                Some(Err(why)) if is_final(&why) => return Err(self.failed(&why)),
                Some(Err(why)) => log::warn!("ironsys: kafka: {why}"),
                // Something else was served, and there may be more.
                None if *self.served.get() != before => {}
                None => {
                    // Nothing to do but to show the group that we still ask.
                    let soon = ctx.with_timeout(MAX_POLL / 3);
                    if self.bell.recv(&soon).is_err() {
                        ctx.check()?;
                    }
                }
            }
        }
    }

    fn failed(&self, why: &KafkaError) -> SourceError {
        SourceError::failed(format!("{}: {why}", self.settings.place.brokers))
    }
}

impl Source for TopicSource {
    type Committer = TopicCommitter;

    fn committer(&mut self) -> TopicCommitter {
        self.committer.take().unwrap_or_else(|| TopicCommitter {
            // Asked for twice: nothing was delivered to this one.
            committed: channel::watch(0).0,
            delivered: channel::bounded(1).1,
            next: VecDeque::new(),
            epoch: self.epoch.clone(),
            topic: self.settings.place.topic.clone(),
            consumer: self.consumer.clone(),
        })
    }

    fn recv(&mut self, ctx: &Context) -> Result<Option<Delivery>, SourceError> {
        ctx.check()?;
        if self.ready.is_none() {
            self.ready = Some(self.next(ctx)?);
        }
        let Some((taken, _)) = &self.ready else { return Ok(None) };
        if let Err(e) = self.taken.send(ctx, *taken) {
            let gone = || SourceError::failed("the half that commits is gone");
            return Err(e.stop().cloned().map_or_else(gone, SourceError::from));
        }
        Ok(self.ready.take().map(|(_, delivery)| delivery))
    }
}

impl fmt::Debug for TopicSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicSource")
            .field("settings", &self.settings)
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}

/// The half of a [`TopicSource`] that commits.
pub struct TopicCommitter {
    // Before the consumer: when nobody commits any more, leaving the group waits for nobody.
    committed: Publisher<u64>,
    delivered: Receiver<Taken>,
    /// Delivered and not committed, from `delivered`.
    next: VecDeque<Taken>,
    epoch: Watcher<Epochs>,
    topic: String,
    consumer: Arc<BaseConsumer<Member>>,
}

impl Committer for TopicCommitter {
    /// Notes it; librdkafka sends it to the brokers within
    /// [`commit_every`](TopicSourceBuilder::commit_every), and when it leaves the group.
    fn commit(&mut self, _: &Context, position: u64) -> Result<(), SourceError> {
        self.next.extend(std::iter::from_fn(|| self.delivered.try_recv().ok()));
        let epochs = self.epoch.get();
        let through = self.next.partition_point(|taken| taken.position <= position);
        for Taken { partition, offset, epoch: of, .. } in self.next.drain(..through) {
            if of != epochs.of(partition) {
                continue;
            }
            match self.consumer.store_offset(&self.topic, partition, offset) {
                // Not ours any more: it comes again where it went.
                Ok(()) | Err(KafkaError::StoreOffset(Code::State | Code::UnknownPartition)) => {}
                Err(why) => return Err(SourceError::failed(why)),
            }
        }
        self.committed.update(|done| *done.max(&position));
        Ok(())
    }

    fn hand_back(&mut self, positions: &[u64]) {
        // Nobody need wait for these; they are not committed, and come again.
        if let Some(last) = positions.iter().max() {
            self.committed.update(|done| *done.max(last));
        }
    }
}

impl fmt::Debug for TopicCommitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (done, topic) = (*self.committed.get(), &self.topic);
        f.debug_struct("TopicCommitter")
            .field("topic", topic)
            .field("committed", &done)
            .finish_non_exhaustive()
    }
}

fn delivery(message: &BorrowedMessage<'_>, position: u64) -> Delivery {
    let (partition, offset) = (message.partition(), message.offset());
    let header = message.headers().and_then(|headers| {
        headers.iter().find(|h| h.key == ID).and_then(|h| h.value.map(<[u8]>::to_vec))
    });
    let id = header
        .filter(|id| !id.is_empty())
        .unwrap_or_else(|| format!("{}/{partition}/{offset}", message.topic()).into_bytes());
    let key = message.key().map_or_else(|| partition.to_string().into_bytes(), <[u8]>::to_vec);
    Delivery { position, id, key, body: message.payload().unwrap_or_default().to_vec() }
}

/// Waiting does not help.
fn is_final(why: &KafkaError) -> bool {
    let code = match why {
        KafkaError::MessageConsumptionFatal(_) => return true,
        KafkaError::MessageConsumption(code) | KafkaError::Global(code) => code,
        _ => return false,
    };
    matches!(
        code,
        Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::SaslAuthenticationFailed
            | Code::Authentication
            | Code::Fatal
    )
}
