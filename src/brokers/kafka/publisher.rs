//! A topic as the end of a relay.

use super::client::{Place, millis};
use crate::channel::{self, Receiver, Sender};
use crate::context::Context;
use crate::durable::{Event, PublishError, Publisher, Sent};
use crate::error::BuildError;
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// How long librdkafka is asked for answers before the context is looked at. It takes all of that time,
/// also if the answers are there.
const LOOK: Duration = Duration::from_millis(2);
/// An idempotent producer asks for its number every half second until it has it; with less time than
/// that for an event, none would ever be sent after an outage.
const SHORTEST: Duration = Duration::from_secs(2);
/// Events that librdkafka takes before it has an answer.
const MOST: usize = 10_000;
/// Properties that are not for the user to set, and their other names.
const KEPT: [&str; 9] = [
    "enable.idempotence",
    "enable.gapless.guarantee",
    "acks",
    "request.required.acks",
    "message.timeout.ms",
    "delivery.timeout.ms",
    // As many answers as there is room for, and one for each event.
    "queue.buffering.max.messages",
    "delivery.report.only.error",
    "transactional.id",
];
/// The header in which the event's number is.
pub(super) const ID: &str = "ironsys-id";

type KeyBy = Box<dyn Fn(&Event) -> Vec<u8> + Send>;
type Answer = (u64, Result<(), KafkaError>);

/// Builds a [`TopicPublisher`]. Made by [`TopicPublisher::builder`].
#[must_use = "a builder does nothing until `build`"]
pub struct TopicPublisherBuilder {
    place: Place,
    timeout: Duration,
    origin: Option<String>,
    key_by: Option<KeyBy>,
}

impl TopicPublisherBuilder {
    /// Sets how long the brokers may take to have an event on their disks; then they count as down.
    /// The default is 10 s; less than 2 s counts as that, since connecting again may take half a second
    /// and is part of it; the most is some 24 days.
    ///
    /// ```
    /// # use ironsys::brokers::kafka::{TopicPublisher, TopicSource};
    /// # use std::time::Duration;
    /// let to = TopicPublisher::builder("127.0.0.1:9092", "payments");
    /// assert!(to.timeout(Duration::from_secs(30)).build().is_ok());
    /// ```
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets a name that the events' ids begin with: `origin:17` in place of `17`. For topics that
    /// several outboxes are relayed to.
    ///
    /// ```
    /// # use ironsys::brokers::kafka::{TopicPublisher, TopicSource};
    /// # use std::time::Duration;
    /// let to = TopicPublisher::builder("127.0.0.1:9092", "payments");
    /// assert!(to.origin("node-2").build().is_ok());
    /// ```
    pub fn origin(mut self, name: impl Into<String>) -> Self {
        self.origin = Some(name.into());
        self
    }

    /// Sets the key of a message: Kafka keeps those of one key in order. Without it all events go to
    /// partition 0, so that all are in order.
    ///
    /// ```
    /// # use ironsys::brokers::kafka::{TopicPublisher, TopicSource};
    /// # use std::time::Duration;
    /// let to = TopicPublisher::builder("127.0.0.1:9092", "payments");
    /// // What is before the first colon is whose payment it is.
    /// let by_user = to.key_by(|event| event.body.split(|b| *b == b':').next().unwrap_or_default().to_vec());
    /// assert!(by_user.build().is_ok());
    /// ```
    pub fn key_by(mut self, key: impl Fn(&Event) -> Vec<u8> + Send + 'static) -> Self {
        self.key_by = Some(Box::new(key));
        self
    }

    /// Sets a property of librdkafka, such as `compression.type`, `security.protocol`, `linger.ms`.
    ///
    /// ```
    /// # use ironsys::brokers::kafka::{TopicPublisher, TopicSource};
    /// # use std::time::Duration;
    /// let to = TopicPublisher::builder("127.0.0.1:9092", "payments");
    /// assert!(to.property("compression.type", "lz4").build().is_ok());
    /// let to = TopicPublisher::builder("127.0.0.1:9092", "payments");
    /// assert!(to.property("acks", "0").build().is_err()); // The answers rest on it.
    /// ```
    pub fn property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.place.set(name, value);
        self
    }

    /// Builds the publisher; librdkafka begins to connect.
    ///
    /// # Errors
    /// Brokers or topic cannot be; a property that librdkafka does not know, or one of those that the
    /// order and the answers rest on: `enable.idempotence`, `enable.gapless.guarantee`, `acks`,
    /// `message.timeout.ms`, `queue.buffering.max.messages`, `delivery.report.only.error`,
    /// `transactional.id`, or another name of one of them.
    ///
    /// ```
    /// # use ironsys::brokers::kafka::{TopicPublisher, TopicSource};
    /// # use std::time::Duration;
    /// let to = TopicPublisher::builder("127.0.0.1:9092", "payments");
    /// assert!(to.build().is_ok()); // though no broker may be there
    /// assert!(TopicPublisher::builder("127.0.0.1:9092", "").build().is_err());
    /// ```
    pub fn build(self) -> Result<TopicPublisher, BuildError> {
        self.place.check("topic publisher", &KEPT)?;
        let wrong =
            |why: KafkaError| BuildError::new("topic publisher", "property", why.to_string());
        let (producer, answers) = self.connect().map_err(wrong)?;
        let early = VecDeque::new();
        Ok(TopicPublisher { settings: self, producer: Some(producer), answers, early, pending: 0 })
    }

    fn connect(&self) -> Result<(BaseProducer<Delivered>, Receiver<Answer>), KafkaError> {
        let (told, answers) = channel::bounded(MOST);
        let ours = [
            ("enable.idempotence", "true".into()),
            ("enable.gapless.guarantee", "true".into()),
            ("message.timeout.ms", millis(self.timeout.max(SHORTEST), i32::MAX as u128)),
            ("queue.buffering.max.messages", MOST.to_string()),
            ("linger.ms", "1".into()),
        ];
        let config = self.place.config(&ours);
        Ok((config.create_with_context(Delivered { told })?, answers))
    }
}

impl fmt::Debug for TopicPublisherBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicPublisherBuilder").field("place", &self.place).finish_non_exhaustive()
    }
}

/// Sends the events of an outbox to a Kafka topic, many under way at a time.
///
/// **Order.** The producer is idempotent and leaves no gap: what librdkafka sends again takes its old
/// place, and when it gives one event up it gives up all behind it. Then, and when the process starts
/// again, the relay sends them with a new producer: an event may be in the topic twice, in which case
/// the header `ironsys-id` is the same, so that a consumer can drop the second.
///
/// **How durable** an answer is says the topic's `min.insync.replicas`: all of them have the event.
///
/// A message that is too large is rejected; all else that goes wrong is
/// [`PublishError::Down`] with the brokers' names.
///
/// # Cancellation
/// While answers are pending the context is looked at every 2 ms, since librdkafka cannot be woken.
/// With nothing pending nothing runs here.
///
/// ```
/// use ironsys::brokers::kafka::TopicPublisher;
/// let to = TopicPublisher::builder("127.0.0.1:9092", "payments").build().unwrap();
/// assert!(TopicPublisher::builder("127.0.0.1:9092", "no topic").build().is_err());
/// # drop(to);
/// ```
pub struct TopicPublisher {
    settings: TopicPublisherBuilder,
    /// `None` after an error, until something is sent again.
    producer: Option<BaseProducer<Delivered>>,
    answers: Receiver<Answer>,
    /// Answers that came while there was no room to send.
    early: VecDeque<Answer>,
    /// Sent to librdkafka, and no answer taken.
    pending: usize,
}

impl TopicPublisher {
    /// Starts to build a publisher to `topic` at some of the `brokers`: `host:port`, with commas in
    /// between.
    ///
    /// ```
    /// # use ironsys::brokers::kafka::{TopicPublisher, TopicSource};
    /// # use std::time::Duration;
    /// let to = TopicPublisher::builder("127.0.0.1:9092", "payments");
    /// assert!(format!("{to:?}").contains("payments"));
    /// ```
    pub fn builder(brokers: impl Into<String>, topic: impl Into<String>) -> TopicPublisherBuilder {
        TopicPublisherBuilder {
            place: Place::new(brokers.into(), topic.into()),
            timeout: Duration::from_secs(10),
            origin: None,
            key_by: None,
        }
    }

    fn down(&self, why: &KafkaError) -> PublishError {
        // A fatal error is told as a mere "fatal": the producer knows which.
        let fatal = self.producer.as_ref().and_then(|p| p.client().fatal_error());
        let why = fatal.map_or_else(|| why.to_string(), |(code, why)| format!("{code}: {why}"));
        PublishError::down(format!("{}: {why}", self.settings.place.brokers))
    }
}

impl Publisher for TopicPublisher {
    fn send(&mut self, ctx: &Context, event: &Event) -> Result<Sent, PublishError> {
        ctx.check()?;
        if self.producer.is_none() {
            let (producer, answers) = self.settings.connect().map_err(|why| self.down(&why))?;
            (self.producer, self.answers, self.pending) = (Some(producer), answers, 0);
        }
        let Some(producer) = &self.producer else { return Ok(Sent::Pending) };
        let settings = &self.settings;
        let id = match &settings.origin {
            Some(origin) => format!("{origin}:{}", event.id),
            None => event.id.to_string(),
        };
        let key = settings.key_by.as_ref().map(|key_by| key_by(event));
        let header = Header { key: ID, value: Some(&id) };
        let opaque = Box::new(event.id);
        let mut record = BaseRecord::with_opaque_to(&settings.place.topic, opaque)
            .payload(&event.body[..])
            .headers(OwnedHeaders::new_with_capacity(1).insert(header));
        record = match &key {
            Some(key) => record.key(&key[..]),
            None => record.partition(0),
        };
        let mut is_alone = false;
        loop {
            match producer.send(record) {
                Ok(()) => {
                    self.pending += 1;
                    return Ok(Sent::Pending);
                }
                // Full: some answers make room.
                Err((KafkaError::MessageProduction(Code::QueueFull), back)) => {
                    ctx.check()?;
                    producer.poll(LOOK);
                    self.early.extend(std::iter::from_fn(|| self.answers.try_recv().ok()));
                    if is_alone {
                        let why = "larger than `queue.buffering.max.kbytes`";
                        return Err(PublishError::Rejected(why.into()));
                    }
                    // With all answered it is tried once more.
                    is_alone = self.early.len() >= self.pending;
                    record = back;
                }
                Err((why, _)) if is_about_the_event(&why) => {
                    return Err(PublishError::Rejected(why.to_string()));
                }
                Err((why, _)) => return Err(self.down(&why)),
            }
        }
    }

    fn settle(
        &mut self,
        ctx: &Context,
        answers: &mut Vec<(u64, Result<(), String>)>,
    ) -> Result<(), PublishError> {
        let Some(producer) = &self.producer else { return Ok(()) };
        let before = answers.len();
        while self.pending > 0 && answers.len() == before {
            ctx.check()?;
            if self.early.is_empty() {
                producer.poll(LOOK);
            }
            while let Some((id, answer)) =
                self.early.pop_front().or_else(|| self.answers.try_recv().ok())
            {
                self.pending -= 1;
                match answer {
                    Ok(()) => answers.push((id, Ok(()))),
                    Err(why) if is_about_the_event(&why) => {
                        answers.push((id, Err(why.to_string())));
                    }
                    Err(why) => return Err(self.down(&why)),
                }
            }
        }
        Ok(())
    }

    fn reset(&mut self) {
        // Dropping it takes back what was not sent.
        self.producer = None;
        self.early.clear();
        self.pending = 0;
    }
}

impl fmt::Debug for TopicPublisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicPublisher")
            .field("place", &self.settings.place)
            .field("pending", &self.pending)
            .finish_non_exhaustive()
    }
}

/// Another event may fare better.
fn is_about_the_event(why: &KafkaError) -> bool {
    let code = match why {
        KafkaError::MessageProduction(code) => code,
        _ => return false,
    };
    matches!(code, Code::MessageSizeTooLarge | Code::InvalidMessage | Code::InvalidMessageSize)
}

/// Takes librdkafka's answers, which it gives on the thread that asks for them.
struct Delivered {
    told: Sender<Answer>,
}

impl ClientContext for Delivered {}

impl ProducerContext for Delivered {
    type DeliveryOpaque = Box<u64>;

    fn delivery(&self, result: &DeliveryResult<'_>, id: Box<u64>) {
        let answer = match result {
            Ok(_) => Ok(()),
            Err((why, _)) => Err(why.clone()),
        };
        // There is room: librdkafka has no more events than the channel, which is empty when it is asked.
        // Nobody listens after a reset.
        let _ = self.told.try_send((*id, answer));
    }
}
