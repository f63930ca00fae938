//! Broadcast: every subscriber gets every message sent after it subscribed.
//!
//! One bounded queue for all: a message stays until each subscriber of its time has read it. What a
//! subscriber that cannot keep up costs is chosen at build: [`SlowReceiver`]. The rooms: `state` is
//! what the one lock guards; `handle` what users hold; `errors` what a receive says.

mod errors;
mod handle;
mod state;

pub use errors::{BroadcastRecvError, BroadcastTryRecvError};
pub use handle::{Broadcaster, Feed, Subscriber};
pub use state::BroadcastStats;

use crate::error::BuildError;
use crate::sync::Arc;
use handle::Shared;
use std::fmt;
use std::marker::PhantomData;

/// What a broadcast does for a subscriber that has not read the oldest of `capacity` messages when
/// the next is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SlowReceiver {
    /// The sender waits for it. The default: nobody misses anything.
    #[default]
    Block,
    /// It misses the oldest message, and is told how many it has missed.
    Lag,
}

/// Makes a broadcast channel that keeps up to `capacity` messages for its slowest subscriber.
///
/// ```
/// use ironsys::{Context, channel};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (ctx, _cancel) = Context::root();
/// let (tx, mut first) = channel::broadcast(16).build()?;
/// let mut second = tx.subscribe();
/// assert_eq!(tx.send(&ctx, "news")?, 2); // two will see it
/// assert_eq!((first.recv(&ctx)?, second.recv(&ctx)?), ("news", "news"));
/// # Ok(()) }
/// ```
pub fn broadcast<T>(capacity: usize) -> BroadcastBuilder<T> {
    BroadcastBuilder { capacity, slow: SlowReceiver::default(), name: None, of: PhantomData }
}

/// Builds a broadcast channel. Made by [`broadcast()`].
#[must_use = "a builder does nothing until `build`"]
pub struct BroadcastBuilder<T> {
    capacity: usize,
    slow: SlowReceiver,
    name: Option<Arc<str>>,
    of: PhantomData<fn() -> T>,
}

impl<T> BroadcastBuilder<T> {
    /// Sets what a subscriber costs that cannot keep up. The default is [`SlowReceiver::Block`].
    ///
    /// ```
    /// # use ironsys::channel::{self, SlowReceiver};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (tx, _rx) = channel::broadcast(1).slow_receiver(SlowReceiver::Lag).build()?;
    /// tx.try_send(1)?;
    /// assert!(tx.try_send(2).is_ok()); // the subscriber will miss 1
    /// # Ok(()) }
    /// ```
    pub fn slow_receiver(mut self, slow: SlowReceiver) -> Self {
        self.slow = slow;
        self
    }

    /// Sets the name under which waits show in [`observe::tasks`](crate::observe::tasks).
    ///
    /// ```
    /// # use ironsys::channel;
    /// let built = channel::broadcast::<u32>(4).name("news").build();
    /// assert!(built.is_ok());
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into().into());
        self
    }

    /// Makes the channel and its first subscriber.
    ///
    /// # Errors
    /// `capacity`: it is 0, so no message could be kept for anybody.
    ///
    /// ```
    /// # use ironsys::channel;
    /// assert!(channel::broadcast::<u32>(0).build().is_err());
    /// ```
    pub fn build(self) -> Result<(Broadcaster<T>, Subscriber<T>), BuildError> {
        if self.capacity == 0 {
            return Err(BuildError::new("broadcast", "capacity", "must be at least 1"));
        }
        Ok(Shared::ends(self.capacity, self.slow, self.name))
    }
}

impl<T> fmt::Debug for BroadcastBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BroadcastBuilder")
            .field("capacity", &self.capacity)
            .field("slow_receiver", &self.slow)
            .finish_non_exhaustive()
    }
}
