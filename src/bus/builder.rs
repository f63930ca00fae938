//! Building a bus, and a subscription.

use super::directory::Directory;
use super::errors::SubscribeError;
use super::handle::Bus;
use super::subscription::{self, Handler, Membership, Subscription};
use crate::channel::{self, Overflow, Receiver};
use crate::context::Context;
use crate::error::BuildError;
use crate::sync::Arc;
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::panic::Location;

/// Builds a [`Bus`]. Made by [`Bus::builder`].
#[must_use = "a builder does nothing until `build`"]
pub struct BusBuilder<K, M> {
    name: String,
    max: usize,
    of: PhantomData<fn() -> (K, M)>,
}

impl<K, M> BusBuilder<K, M>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    M: Send + 'static,
{
    pub(super) const MAX_SUBSCRIPTIONS: usize = 1024;

    pub(super) fn new() -> Self {
        BusBuilder { name: "bus".into(), max: Self::MAX_SUBSCRIPTIONS, of: PhantomData }
    }

    /// Sets the name of the bus, for waits, threads and the log. The default is `bus`.
    ///
    /// ```
    /// # use ironsys::bus::Bus;
    /// let built = Bus::<&str, u32>::builder().name("prices").build();
    /// assert!(format!("{:?}", built.unwrap()).contains("prices"));
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets how many subscriptions there may be, to all topics together. The default is 1024;
    /// `usize::MAX` is no bound but memory.
    ///
    /// ```
    /// # use ironsys::bus::Bus;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bus = Bus::<_, u32>::builder().max_subscriptions(1).build()?;
    /// let _first = bus.subscribe("news")?;
    /// assert!(bus.subscribe("news").is_err());
    /// # Ok(()) }
    /// ```
    pub fn max_subscriptions(mut self, subscriptions: usize) -> Self {
        self.max = subscriptions;
        self
    }

    /// Makes the bus.
    ///
    /// # Errors
    /// `name`: it holds a zero byte. `max_subscriptions`: 0.
    ///
    /// ```
    /// # use ironsys::bus::Bus;
    /// assert!(Bus::<&str, u32>::builder().max_subscriptions(0).build().is_err());
    /// ```
    pub fn build(self) -> Result<Bus<K, M>, BuildError> {
        if self.name.contains('\0') {
            return Err(BuildError::new("bus", "name", "holds a zero byte"));
        }
        if self.max == 0 {
            return Err(BuildError::new("bus", "max_subscriptions", "must be at least 1"));
        }
        Ok(Bus::make(self.name.into(), self.max))
    }
}

impl<K, M> fmt::Debug for BusBuilder<K, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BusBuilder").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Builds a subscription. Made by [`Bus::subscriber`].
#[must_use = "nobody is subscribed until `subscribe` or `handler`"]
pub struct SubscribeBuilder<K, M> {
    directory: Arc<Directory<K, M>>,
    topic: K,
    queue: usize,
    overflow: Overflow<M>,
    on_drop: Option<Box<dyn Fn(M) + Send + Sync>>,
    parent: Option<Context>,
}

impl<K, M> SubscribeBuilder<K, M>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    M: Send + 'static,
{
    pub(super) fn new(directory: Arc<Directory<K, M>>, topic: K) -> Self {
        let overflow = Overflow::Block;
        SubscribeBuilder { directory, topic, queue: 16, overflow, on_drop: None, parent: None }
    }

    /// Sets how many messages may wait in the subscription's queue. The default is 16. With 0 each
    /// message waits for the subscriber to take it.
    ///
    /// ```
    /// # use ironsys::bus::Bus;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bus = Bus::<_, u32>::new();
    /// let news = bus.subscriber("news").queue(4).subscribe()?;
    /// assert_eq!(news.capacity(), 4);
    /// # Ok(()) }
    /// ```
    pub fn queue(mut self, messages: usize) -> Self {
        self.queue = messages;
        self
    }

    /// Sets what a publish does when the queue is full. The default is [`Overflow::Block`]: it waits.
    ///
    /// ```
    /// # use ironsys::{bus::Bus, channel::Overflow};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bus = Bus::new();
    /// let first = bus.subscriber("news").queue(1).overflow(Overflow::DropNewest).subscribe()?;
    /// bus.try_publish(&"news", 1)?;
    /// bus.try_publish(&"news", 2)?;
    /// assert_eq!(first.drain(), [1]);
    /// # Ok(()) }
    /// ```
    pub fn overflow(mut self, overflow: Overflow<M>) -> Self {
        self.overflow = overflow;
        self
    }

    /// Sets what becomes of messages that the subscription does not get: those its policy drops, and
    /// those left when it ends. Without it they are dropped, and counted.
    ///
    /// ```
    /// # use ironsys::bus::Bus;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bus = Bus::new();
    /// let (lost, seen) = std::sync::mpsc::channel();
    /// let news = bus.subscriber("news").on_drop(move |m| lost.send(m).unwrap()).subscribe()?;
    /// bus.try_publish(&"news", 7)?;
    /// drop(news);
    /// assert_eq!(seen.recv()?, 7);
    /// # Ok(()) }
    /// ```
    pub fn on_drop(mut self, f: impl Fn(M) + Send + Sync + 'static) -> Self {
        self.on_drop = Some(Box::new(f));
        self
    }

    /// Makes a handler stop with `ctx`, on its clock, under its registry, and on a thread of its
    /// [`ThreadCache`](crate::threads::ThreadCache) if it has one. The default is a root of its own.
    ///
    /// ```
    /// # use ironsys::{Context, bus::Bus};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let ((ctx, _cancel), bus) = (Context::root(), Bus::new());
    /// # let (seen, log) = std::sync::mpsc::channel();
    /// let subscriber = bus.subscriber("news").context(&ctx.with_value(7_u32));
    /// let _handler = subscriber.handler(move |ctx, ()| drop(seen.send(ctx.value::<u32>().copied())))?;
    /// bus.publish(&ctx, &"news", ())?;
    /// assert_eq!(log.recv()?, Some(7));
    /// # Ok(()) }
    /// ```
    pub fn context(mut self, ctx: &Context) -> Self {
        self.parent = Some(ctx.clone());
        self
    }

    /// Subscribes; whoever holds the subscription receives.
    ///
    /// # Errors
    /// [`TooMany`](SubscribeError::TooMany), [`Closed`](SubscribeError::Closed), and
    /// [`Build`](SubscribeError::Build) for a policy that needs a queue of at least 1.
    ///
    /// ```
    /// use ironsys::{bus::Bus, channel::Overflow};
    /// let bus = Bus::new();
    /// let latest = bus.subscriber("price").queue(1).overflow(Overflow::DropOldest).subscribe()?;
    /// bus.try_publish(&"price", 10).unwrap();
    /// bus.try_publish(&"price", 11).unwrap();
    /// assert_eq!((latest.try_recv(), latest.stats().ledger.dropped), (Ok(11), 1));
    /// # Ok::<_, ironsys::bus::SubscribeError>(())
    /// ```
    pub fn subscribe(self) -> Result<Subscription<M>, SubscribeError> {
        let (membership, rx, _) = self.enter()?;
        Ok(Subscription::new(rx, membership))
    }

    /// Subscribes `f`: it is called by a thread of its own, one message after the other, until the
    /// handler is dropped or the bus closes.
    ///
    /// # Errors
    /// Those of [`subscribe`](Self::subscribe), and [`Build`](SubscribeError::Build) if the system has
    /// no thread left.
    ///
    /// ```
    /// use ironsys::{Context, bus::Bus};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let (seen, log) = std::sync::mpsc::channel();
    /// let bus = Bus::new();
    /// let handler = bus.subscriber("log").handler(move |_ctx, line| seen.send(line).unwrap())?;
    /// bus.publish(&ctx, &"log", "started")?;
    /// assert_eq!(log.recv()?, "started");
    /// assert_eq!(handler.drain(&ctx).handled, 1);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn handler(
        self,
        f: impl FnMut(&Context, M) + Send + 'static,
    ) -> Result<Handler<M>, SubscribeError> {
        let at = Location::caller();
        let (membership, rx, parent) = self.enter()?;
        let parent = parent.unwrap_or_else(|| Context::root().0);
        Ok(subscription::handle(&parent, membership, rx, at, f)?)
    }

    fn enter(self) -> Result<(Membership, Receiver<M>, Option<Context>), SubscribeError> {
        let blocks = matches!(self.overflow, Overflow::Block);
        let name = &*self.directory.name;
        let mut builder = channel::builder(self.queue).overflow(self.overflow).name(name);
        if let Some(on_drop) = self.on_drop {
            builder = builder.on_drop(on_drop);
        }
        let (tx, rx) = builder.build()?;
        let id = self.directory.add(self.topic.clone(), tx, blocks)?;
        Ok((Membership::new(self.directory, self.topic, id), rx, self.parent))
    }
}

impl<K, M> fmt::Debug for SubscribeBuilder<K, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubscribeBuilder")
            .field("queue", &self.queue)
            .field("overflow", &self.overflow)
            .finish_non_exhaustive()
    }
}
