//! Making channels.

use super::handle::{Receiver, Sender};
use super::policy::Overflow;
use super::shared::{OnDrop, Shared};
use crate::error::BuildError;
use crate::sync::Arc;
use std::fmt;

/// Makes a channel that holds up to `capacity` messages and blocks senders when full.
///
/// Capacity 0 is a rendezvous: a send waits for its receiver. Start small (0, or 1 to 10) and grow
/// when [`Stats::time_full`](super::Stats::time_full) tells you to: a large buffer hides a slow
/// receiver. Memory grows with what is queued, not with the capacity, so `usize::MAX` is a channel
/// that never blocks; nothing then bounds it but memory.
///
/// ```
/// use ironsys::{Context, channel};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (ctx, _cancel) = Context::root();
/// let (tx, rx) = channel::bounded(16);
/// tx.send(&ctx, "hello")?;
/// assert_eq!(rx.recv(&ctx)?, "hello");
/// # Ok(()) }
/// ```
#[must_use]
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    ends(Shared::new(capacity, Overflow::Block, None, None))
}

/// Makes a channel step by step: overflow policy, name, what to do with dropped messages.
///
/// ```
/// # use ironsys::channel;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (tx, _rx) = channel::builder::<u32>(4).build()?;
/// assert_eq!(tx.capacity(), 4);
/// # Ok(()) }
/// ```
pub fn builder<T>(capacity: usize) -> Builder<T> {
    Builder { capacity, overflow: Overflow::Block, on_drop: None, name: None }
}

fn ends<T>(shared: Shared<T>) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(shared);
    (Sender { shared: shared.clone() }, Receiver { shared })
}

/// Builds a channel. Made by [`builder`].
#[must_use = "a builder does nothing until `build`"]
pub struct Builder<T> {
    capacity: usize,
    overflow: Overflow<T>,
    on_drop: Option<OnDrop<T>>,
    name: Option<Arc<str>>,
}

impl<T> Builder<T> {
    /// Sets what a send does when the channel is full. The default is [`Overflow::Block`].
    ///
    /// ```
    /// # use ironsys::{Context, channel::{self, Overflow}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// let (tx, _rx) = channel::builder(1).overflow(Overflow::Reject).build()?;
    /// tx.send(&ctx, 1)?;
    /// assert!(tx.send(&ctx, 2).unwrap_err().is_full());
    /// # Ok(()) }
    /// ```
    pub fn overflow(mut self, overflow: Overflow<T>) -> Self {
        self.overflow = overflow;
        self
    }

    /// Sets what becomes of messages nobody will receive: those the overflow policy drops, on the
    /// sending thread, and those left when the last receiver goes, on its thread. No lock is held,
    /// so it may use the channel. Without it they are dropped, and counted.
    ///
    /// ```
    /// # use ironsys::channel;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (lost, seen) = std::sync::mpsc::channel();
    /// let (tx, rx) = channel::builder(1).on_drop(move |v| lost.send(v).unwrap()).build()?;
    /// tx.try_send(7)?;
    /// drop(rx);
    /// assert_eq!(seen.recv()?, 7);
    /// # Ok(()) }
    /// ```
    pub fn on_drop(mut self, f: impl Fn(T) + Send + Sync + 'static) -> Self {
        self.on_drop = Some(Arc::new(f));
        self
    }

    /// Sets the name under which waits show in [`observe::tasks`](crate::observe::tasks).
    ///
    /// ```
    /// # use ironsys::channel;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (tx, _rx) = channel::builder::<u32>(4).name("jobs").build()?;
    /// assert!(format!("{tx:?}").contains("jobs"));
    /// # Ok(()) }
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into().into());
        self
    }

    /// Makes the channel.
    ///
    /// # Errors
    /// `overflow`: a rendezvous has nothing to drop, so it takes only `Block` and `Reject`.
    ///
    /// ```
    /// # use ironsys::channel::{self, Overflow};
    /// let built = channel::builder::<u32>(0).overflow(Overflow::DropOldest).build();
    /// assert!(built.is_err());
    /// ```
    pub fn build(self) -> Result<(Sender<T>, Receiver<T>), BuildError> {
        if self.capacity == 0 && !matches!(self.overflow, Overflow::Block | Overflow::Reject) {
            let problem = format!("{:?} needs a capacity of at least 1", self.overflow);
            return Err(BuildError::new("channel", "overflow", problem));
        }
        Ok(ends(Shared::new(self.capacity, self.overflow, self.on_drop, self.name)))
    }
}

impl<T> fmt::Debug for Builder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("capacity", &self.capacity)
            .field("overflow", &self.overflow)
            .finish_non_exhaustive()
    }
}
