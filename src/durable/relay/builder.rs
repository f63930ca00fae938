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
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets how many events may be under way. The default is 512; 1 sends one by one.
    pub fn window(mut self, events: usize) -> Self {
        self.window = events;
        self
    }

    /// Sets the pauses while the broker is down. They begin anew after a success, and when the
    /// sequence ends: a relay never gives a broker up. The default doubles from 50 ms to 10 s, with
    /// [`Jitter::Equal`].
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets how many times the broker has to reject an event until it is a dead letter. The default
    /// is 3. An event that is sent again comes behind those sent meanwhile, unless the window is 1 or the
    /// order is kept by [`order_by`](Self::order_by).
    pub fn rejections(mut self, times: u32) -> Self {
        self.rejections = times;
        self
    }

    /// Sets where rejected events go. Without it a rejected event ends the relay: nothing is
    /// dropped silently.
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
    pub fn order_by(mut self, key: impl Fn(&Event) -> Vec<u8> + Send + 'static) -> Self {
        self.order = Some(KeyOf(Box::new(key)));
        self
    }

    /// Starts the thread, below `ctx`, on its clock.
    ///
    /// # Errors
    /// `window`, `rejections`: 0. The name is in use, or none. The thread does not start.
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
