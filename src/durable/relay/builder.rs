//! Building a relay.

use super::dead::DeadLetters;
use super::flight::{Flights, KeyOf};
use super::handle::Relay;
use super::publisher::Publisher;
use super::run::{RelayStats, Run};
use crate::channel;
use crate::context::Context;
use crate::durable::outbox::{Event, Outbox, ReaderError};
use crate::error::BuildError;
use crate::resilience::Breaker;
use crate::schedule::{Backoff, Jitter};
use std::time::Duration;

/// Starts a [`Relay`]. Made by [`Outbox::relay`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `start`"]
pub struct RelayBuilder<P> {
    outbox: Outbox,
    publisher: P,
    name: String,
    window: usize,
    backoff: Backoff,
    rejections: u32,
    dead: Option<DeadLetters>,
    breaker: Option<Breaker>,
    order: Option<KeyOf>,
}

/// A relay that was not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A setting cannot be, or the thread does not start.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The outbox has no reader for it.
    #[error(transparent)]
    Reader(#[from] ReaderError),
}

impl Outbox {
    /// Starts to build a relay: a thread that sends every event to a broker, at least once, in
    /// order, and acks what the broker has.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// # use std::sync::mpsc;
    /// let (tx, broker) = mpsc::channel();
    /// let publish = move |_: &Context, event: &Event| tx.send(event.id).map_err(PublishError::down);
    /// outbox.append_many(&ctx, ["paid", "sent"])?;
    /// outbox.relay(publish).start(&ctx)?.drain(&ctx);
    /// assert_eq!(broker.iter().collect::<Vec<_>>(), [1, 2]);
    /// assert!(outbox.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn relay<P: Publisher>(&self, publisher: P) -> RelayBuilder<P> {
        let backoff = Backoff::exponential(Duration::from_millis(50))
            .max_delay(Duration::from_secs(10))
            .jitter(Jitter::Equal);
        RelayBuilder {
            outbox: self.clone(),
            publisher,
            name: "relay".into(),
            window: 512,
            backoff,
            rejections: 3,
            dead: None,
            breaker: None,
            order: None,
        }
    }
}

impl<P: Publisher> RelayBuilder<P> {
    /// Sets the name: of the reader, whose position it is, and of the thread. The default is
    /// `relay`; a second relay of the same outbox needs another.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// let publish = |_: &Context, _: &Event| Ok(());
    /// let mail = outbox.relay(publish).name("mail").start(&ctx)?;
    /// let books = outbox.relay(publish).name("books").start(&ctx)?; // each sends every event
    /// outbox.append(&ctx, b"paid")?;
    /// for relay in [mail, books] {
    ///     assert_eq!(relay.drain(&ctx).stats.ledger.done, 1);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets how many events may be under way. The default is 512; 1 sends one by one.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// let publish = |_: &Context, _: &Event| Ok(());
    /// let one_by_one = outbox.relay(publish).window(1).start(&ctx)?;
    /// outbox.append_many(&ctx, ["a", "b"])?;
    /// assert_eq!(one_by_one.drain(&ctx).stats.sent, 2);
    /// assert!(outbox.relay(publish).window(0).start(&ctx).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn window(mut self, events: usize) -> Self {
        self.window = events;
        self
    }

    /// Sets the pauses while the broker is down. They begin anew after a success, and when the
    /// sequence ends: a relay never gives a broker up. The default doubles from 50 ms to 10 s, with
    /// [`Jitter::Equal`].
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// use ironsys::schedule::Backoff;
    /// use std::time::Duration;
    /// let mut tries = 0;
    /// let publish = move |_: &Context, _: &Event| {
    ///     tries += 1;
    ///     if tries < 3 { Err(PublishError::down("no route")) } else { Ok(()) }
    /// };
    /// outbox.append(&ctx, b"paid")?;
    /// let pause = Backoff::fixed(Duration::from_millis(1));
    /// let report = outbox.relay(publish).backoff(pause).start(&ctx)?.drain(&ctx);
    /// assert_eq!((report.stats.outages, report.stats.ledger.done), (2, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets how many times the broker has to reject an event until it is a dead letter. The default
    /// is 3. An event that is sent again comes behind those sent meanwhile, unless the window is 1 or the
    /// order is kept by [`order_by`](Self::order_by).
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// # let dead = tempfile::tempdir()?;
    /// # let letters = DeadLetters::new(Outbox::open(dead.path())?);
    /// let publish = |_: &Context, _: &Event| Err(PublishError::Rejected("too large".into()));
    /// outbox.append(&ctx, b"a book")?;
    /// let relay = outbox.relay(publish).rejections(2).dead_letters(&letters).start(&ctx)?;
    /// assert_eq!(relay.drain(&ctx).stats.sent, 2); // and no third time
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn rejections(mut self, times: u32) -> Self {
        self.rejections = times;
        self
    }

    /// Sets where rejected events go. Without it a rejected event ends the relay: nothing is
    /// dropped silently.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// # let dead = tempfile::tempdir()?;
    /// let letters = DeadLetters::new(Outbox::open(dead.path())?);
    /// let publish = |_: &Context, event: &Event| match event.body.len() {
    ///     0..9 => Ok(()),
    ///     _ => Err(PublishError::Rejected("too large".into())),
    /// };
    /// outbox.append_many(&ctx, ["a", "a whole book", "b"])?;
    /// let report = outbox.relay(publish).dead_letters(&letters).start(&ctx)?.drain(&ctx);
    /// assert!(report.error.is_none()); // it went on
    /// assert_eq!(letters.open()?.try_next()?.unwrap().body, b"a whole book");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dead_letters(mut self, letters: &DeadLetters) -> Self {
        self.dead = Some(letters.clone());
        self
    }

    /// Puts a breaker between the relay and the publisher, which others may share: while it is open
    /// nothing is sent, and the relay waits until it lets a probe through. Give it the clock of the
    /// relay's context. An exchange counts as a failure if the broker is down; a rejected event says
    /// nothing against the broker. The pauses of [`backoff`](Self::backoff) come on top.
    ///
    /// ```
    /// use ironsys::{Context, durable::{Event, Outbox}, resilience::{Breaker, Trip}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// let (ctx, _cancel) = Context::root();
    /// let breaker = Breaker::builder("broker").trip(Trip::consecutive(3)).clock(ctx.clock()).build()?;
    /// let outbox = Outbox::open(dir.path())?;
    /// outbox.append(&ctx, b"paid")?;
    /// let relay = outbox.relay(|_: &Context, _: &Event| Ok(())).breaker(&breaker).start(&ctx)?;
    /// assert_eq!(relay.drain(&ctx).stats.ledger.done, 1);
    /// assert_eq!(breaker.stats().succeeded, 1);
    /// # Ok(()) }
    /// ```
    pub fn breaker(mut self, breaker: &Breaker) -> Self {
        self.breaker = Some(breaker.clone());
        self
    }

    /// Keeps the events of one key in order, whatever the broker rejects: of a key only the first
    /// unfinished event is under way. Others pass it, but no further than the
    /// [`window`](Self::window) reaches, since the outbox is acked in order. A dead letter is
    /// finished: the next of its key goes on.
    ///
    /// Without it, an event that is sent again comes behind those sent meanwhile. The function is
    /// called once for each event, on the relay's thread; its panic ends the relay. The price is one
    /// answer of the broker for each event of a key; many keys make up for it.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// # use std::sync::mpsc;
    /// let (tx, broker) = mpsc::channel();
    /// let mut first = true;
    /// let publish = move |_: &Context, event: &Event| {
    ///     if std::mem::take(&mut first) {
    ///         return Err(PublishError::Rejected("busy".into())); // once
    ///     }
    ///     tx.send(event.body.clone()).map_err(PublishError::down)
    /// };
    /// outbox.append_many(&ctx, ["7: open", "7: close"])?;
    /// let relay = outbox.relay(publish).order_by(|event| event.body[..1].to_vec());
    /// relay.start(&ctx)?.drain(&ctx);
    /// assert_eq!(broker.iter().collect::<Vec<_>>(), [&b"7: open"[..], b"7: close"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn order_by(mut self, key: impl Fn(&Event) -> Vec<u8> + Send + 'static) -> Self {
        self.order = Some(KeyOf(Box::new(key)));
        self
    }

    /// Starts the thread, below `ctx`, on its clock.
    ///
    /// # Errors
    /// `window`, `rejections`: 0. The name is in use, or none. The thread does not start.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// let publish = |_: &Context, _: &Event| Ok(());
    /// let _relay = outbox.relay(publish).start(&ctx)?;
    /// let second = outbox.relay(publish).start(&ctx); // it has the same name
    /// assert!(matches!(second, Err(StartError::Reader(ReaderError::InUse(_)))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn start(self, ctx: &Context) -> Result<Relay, StartError> {
        let wrong = |field| BuildError::new("relay", field, "must be at least 1");
        if self.window == 0 {
            return Err(wrong("window").into());
        }
        if self.rejections == 0 {
            return Err(wrong("rejections").into());
        }
        let reader = self.outbox.reader(&self.name)?;
        let (shown, stats) = channel::watch(RelayStats::default());
        let run = Run {
            reader,
            publisher: self.publisher,
            window: self.window,
            backoff: self.backoff,
            rejections: self.rejections,
            dead: self.dead,
            breaker: self.breaker,
            shown,
            stats: RelayStats::default(),
            flights: Flights::new(self.order),
        };
        Ok(Relay::start(ctx, self.name, run, stats)?)
    }
}
