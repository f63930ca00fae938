//! The bus that publishers and subscribers hold.

use super::builder::{BusBuilder, SubscribeBuilder};
use super::directory::{Directory, Member};
use super::errors::{PublishError, SubscribeError};
use super::subscription::Subscription;
use crate::channel::{SendError, TrySendError};
use crate::context::{Context, Stop};
use crate::sync::Arc;
use std::fmt;
use std::hash::Hash;

/// A bus: topics of type `K`, messages of type `M`.
///
/// Cheap to clone; all clones are handles to one bus. It closes when the last is gone, and when it is
/// [closed](Self::close); subscribers then still get what is in their queues.
///
/// # The contract
/// * **Who.** Any number of threads publish, and any number subscribe, to any topics. A
///   [`Subscription`] is received from by whoever holds it; a [handler](SubscribeBuilder::handler) is
///   called by one thread of its own, one message after the other.
/// * **Whom.** A message goes to everybody subscribed to its topic when `publish` begins. Who subscribes
///   later does not get it; who unsubscribes meanwhile may not.
/// * **Order.** What one thread publishes to a topic comes to each subscriber in that order. What several
///   publish comes in some order, which may differ from subscriber to subscriber. Between topics
///   nothing is promised.
/// * **How often.** At most once. With [`Overflow::Block`](crate::channel::Overflow::Block) exactly once,
///   unless the subscription or the bus goes first; the other policies lose messages, and count them.
/// * **Slow subscribers.** A subscriber whose queue is full holds up publishers of its topics if its
///   policy is `Block`, and nobody otherwise. Of one message, those with room are served first.
/// * **Not atomic.** A publish that is cut short while it waits for room has reached some and not
///   others; the error says how many, and has the message.
/// * **Panics.** A panic of a handler is that message's failure, logged and counted; the handler goes on
///   with the next, and nobody else notices.
///
/// Topics are hashed and compared under the bus's lock: take a string, a number, an enum.
///
/// # Cost
/// A publish takes the bus's lock twice, and for each subscriber one clone and one send. Large messages
/// belong into an `Arc`.
///
/// ```
/// use ironsys::{Context, bus::Bus};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (ctx, _cancel) = Context::root();
/// let bus = Bus::new();
/// let news = bus.subscribe("news")?;
/// let more = bus.subscribe("news")?;
/// let sport = bus.subscribe("sport")?;
/// assert_eq!(bus.publish(&ctx, &"news", "it rains")?.delivered, 2);
/// assert_eq!((news.recv(&ctx)?, more.recv(&ctx)?), ("it rains", "it rains"));
/// assert!(sport.is_empty());
/// # Ok(()) }
/// ```
pub struct Bus<K: Eq + Hash, M> {
    inner: Arc<Inner<K, M>>,
}

/// Closes the directory when the last handle goes.
struct Inner<K: Eq + Hash, M> {
    directory: Arc<Directory<K, M>>,
}

/// Whom a message has reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// Subscribers whose queue took it, or whose policy dropped something for it.
    pub delivered: usize,
    /// Subscribers that had no room and did not get it.
    pub rejected: usize,
}

/// A bus at one moment, taken under its lock: the numbers agree with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BusStats {
    /// Topics that somebody is subscribed to.
    pub topics: usize,
    /// Subscriptions.
    pub subscriptions: usize,
    /// Messages published.
    pub published: u64,
    /// Of these, to topics without a subscriber.
    pub unheard: u64,
    /// Copies put into queues.
    pub delivered: u64,
    /// Copies for which a subscriber had no room.
    pub rejected: u64,
}

impl<K, M> Bus<K, M>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    M: Send + 'static,
{
    /// Makes a bus with room for 1024 subscriptions.
    ///
    /// ```
    /// # use ironsys::bus::Bus;
    /// let bus = Bus::<&str, u32>::new();
    /// assert_eq!(bus.stats().subscriptions, 0);
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Bus::make("bus".into(), BusBuilder::<K, M>::MAX_SUBSCRIPTIONS)
    }

    /// Starts to build a bus.
    ///
    /// ```
    /// # use ironsys::bus::Bus;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bus = Bus::<&str, u32>::builder().name("prices").build()?;
    /// assert!(bus.close());
    /// # Ok(()) }
    /// ```
    pub fn builder() -> BusBuilder<K, M> {
        BusBuilder::new()
    }

    pub(super) fn make(name: Arc<str>, max: usize) -> Self {
        let directory = Arc::new(Directory::new(name, max));
        Bus { inner: Arc::new(Inner { directory }) }
    }

    /// Subscribes to a topic, with a queue of 16 messages that holds publishers up when it is full.
    ///
    /// # Errors
    /// [`TooMany`](SubscribeError::TooMany), [`Closed`](SubscribeError::Closed).
    ///
    /// ```
    /// # use ironsys::bus::Bus;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bus = Bus::new();
    /// let news = bus.subscribe("news")?;
    /// bus.try_publish(&"news", "it rains")?;
    /// assert_eq!(news.try_recv()?, "it rains");
    /// # Ok(()) }
    /// ```
    pub fn subscribe(&self, topic: K) -> Result<Subscription<M>, SubscribeError> {
        self.subscriber(topic).subscribe()
    }

    /// Starts to subscribe to a topic: size of the queue, policy, handler.
    ///
    /// ```
    /// # use ironsys::bus::Bus;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bus = Bus::<_, u32>::new();
    /// let news = bus.subscriber("news").queue(1).subscribe()?;
    /// assert_eq!((bus.subscribers(&"news"), news.capacity()), (1, 1));
    /// # Ok(()) }
    /// ```
    pub fn subscriber(&self, topic: K) -> SubscribeBuilder<K, M> {
        SubscribeBuilder::new(self.inner.directory.clone(), topic)
    }

    /// Publishes a message to everybody subscribed to the topic, waiting for those that have no room and
    /// want to be waited for. Without a subscriber the message is dropped.
    ///
    /// # Cancellation
    /// A stopped context fails the call at once, and nobody gets the message. A call cut short while it
    /// waits has reached the others.
    ///
    /// # Errors
    /// [`Closed`](PublishError::Closed), [`Stopped`](PublishError::Stopped); with the message.
    ///
    /// # Panics
    /// If the clone of a message does; those before it have got theirs.
    ///
    /// ```
    /// # use ironsys::{Context, bus::Bus};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let ((ctx, _cancel), bus) = (Context::root(), Bus::new());
    /// let news = bus.subscribe("news")?;
    /// assert_eq!(bus.publish(&ctx, &"news", 7)?.delivered, 1);
    /// assert_eq!(news.recv(&ctx)?, 7);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn publish(
        &self,
        ctx: &Context,
        topic: &K,
        message: M,
    ) -> Result<Published, PublishError<M>>
    where
        M: Clone,
    {
        if let Err(stop) = ctx.check() {
            return Err(PublishError::Stopped { message, delivered: 0, stop });
        }
        let Some((mut out, full)) = self.offer(topic, &message) else {
            return Err(PublishError::Closed(message));
        };
        let mut stopped: Option<Stop> = None;
        for member in full {
            match member.tx.send(ctx, message.clone()) {
                Ok(()) => out.delivered += 1,
                Err(SendError::Stopped { stop, .. }) => {
                    stopped = Some(stop);
                    break;
                }
                Err(_) => {} // It has unsubscribed.
            }
        }
        self.inner.directory.count(out.delivered, out.rejected);
        match stopped {
            Some(stop) => Err(PublishError::Stopped { message, delivered: out.delivered, stop }),
            None => Ok(out),
        }
    }

    /// Publishes a message to everybody who has room now.
    ///
    /// # Errors
    /// [`Closed`](PublishError::Closed), with the message.
    ///
    /// # Panics
    /// As [`publish`](Self::publish).
    ///
    /// ```
    /// use ironsys::bus::Bus;
    /// let bus = Bus::new();
    /// let slow = bus.subscriber("t").queue(1).subscribe().unwrap();
    /// bus.try_publish(&"t", 1).unwrap();
    /// let out = bus.try_publish(&"t", 2).unwrap();
    /// assert_eq!((out.delivered, out.rejected), (0, 1));
    /// assert_eq!(slow.len(), 1);
    /// ```
    pub fn try_publish(&self, topic: &K, message: M) -> Result<Published, PublishError<M>>
    where
        M: Clone,
    {
        let Some((mut out, full)) = self.offer(topic, &message) else {
            return Err(PublishError::Closed(message));
        };
        out.rejected += full.len();
        self.inner.directory.count(out.delivered, out.rejected);
        Ok(out)
    }

    /// Gives the message to everybody who has room, and says who is to be waited for. `None`: closed.
    fn offer(&self, topic: &K, message: &M) -> Option<(Published, Vec<Arc<Member<M>>>)>
    where
        M: Clone,
    {
        let mut out = Published { delivered: 0, rejected: 0 };
        let (mut full, mut spare) = (Vec::new(), None);
        let members = self.inner.directory.members(topic)?;
        for member in members.iter().flat_map(|members| members.iter()) {
            match member.tx.try_send(spare.take().unwrap_or_else(|| message.clone())) {
                Ok(()) => out.delivered += 1,
                Err(TrySendError::Closed(back)) => spare = Some(back), // It has unsubscribed.
                Err(TrySendError::Full(back)) => {
                    spare = Some(back);
                    if member.blocks {
                        full.push(member.clone());
                    } else {
                        out.rejected += 1;
                    }
                }
            }
        }
        Some((out, full))
    }

    /// Closes the bus: nothing more is published, and nobody subscribes. Subscribers get what is in
    /// their queues, then the end. Returns whether this call closed it.
    ///
    /// ```
    /// # use ironsys::bus::Bus;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bus = Bus::<_, u32>::new();
    /// let news = bus.subscribe("news")?;
    /// assert!(bus.close() && !bus.close());
    /// assert!(news.is_closed());
    /// # Ok(()) }
    /// ```
    pub fn close(&self) -> bool {
        self.inner.directory.close()
    }

    /// Returns how many are subscribed to a topic: look before a costly message.
    ///
    /// ```
    /// # use ironsys::bus::Bus;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bus = Bus::<_, u32>::new();
    /// let _news = bus.subscribe("news")?;
    /// assert_eq!((bus.subscribers(&"news"), bus.subscribers(&"sport")), (1, 0));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn subscribers(&self, topic: &K) -> usize {
        self.inner.directory.subscribers(topic)
    }

    /// Returns the counts of the bus.
    ///
    /// ```
    /// # use ironsys::bus::Bus;
    /// let bus = Bus::new();
    /// bus.try_publish(&"news", 1).unwrap();
    /// assert_eq!((bus.stats().published, bus.stats().unheard), (1, 1));
    /// ```
    #[must_use]
    pub fn stats(&self) -> BusStats {
        let (topics, subscriptions, counts) = self.inner.directory.sizes();
        BusStats {
            topics,
            subscriptions,
            published: counts.published,
            unheard: counts.unheard,
            delivered: counts.delivered,
            rejected: counts.rejected,
        }
    }
}

impl<K, M> Default for Bus<K, M>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    M: Send + 'static,
{
    fn default() -> Self {
        Bus::new()
    }
}

impl<K: Eq + Hash, M> Clone for Bus<K, M> {
    fn clone(&self) -> Self {
        Bus { inner: self.inner.clone() }
    }
}

impl<K: Eq + Hash, M> Drop for Inner<K, M> {
    fn drop(&mut self) {
        self.directory.close();
    }
}

impl<K: Eq + Hash, M> fmt::Debug for Bus<K, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus").field("name", &self.inner.directory.name).finish_non_exhaustive()
    }
}
