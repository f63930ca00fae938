//! Building a relay.

use super::dead::DeadLetters;
use super::flight::Flights;
use super::handle::Relay;
use super::publisher::Publisher;
use super::run::{RelayStats, Run};
use crate::channel;
use crate::context::Context;
use crate::durable::outbox::{Outbox, ReaderError};
use crate::error::BuildError;
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
    /// is 3. An event that is sent again comes behind those sent meanwhile, unless the window is 1.
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
            shown,
            stats: RelayStats::default(),
            flights: Flights::default(),
        };
        Ok(Relay::start(ctx, self.name, run, stats)?)
    }
}
