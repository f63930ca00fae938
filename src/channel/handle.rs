//! The two ends.

use super::errors::{RecvError, SendError, TryRecvError, TrySendError};
use super::ops::{Closed, ReadyOp, RecvOp, SendOp};
use super::shared::Shared;
use super::stats::Stats;
use crate::context::{Context, Stop};
use crate::sync::Arc;
use crate::wait::{Site, WaitKind};
use std::fmt;
use std::time::Instant;

/// The sending end of a channel. Clones send into the same channel; it closes when the last is gone.
pub struct Sender<T> {
    pub(super) shared: Arc<Shared<T>>,
}

/// The receiving end of a channel. Clones share the messages: each is received once.
pub struct Receiver<T> {
    pub(super) shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Sends, waiting for room if the channel blocks when full.
    ///
    /// With another [`Overflow`](super::Overflow) policy it never waits. A rendezvous (capacity 0)
    /// waits until a receiver takes the value, or is blocked in `recv` and bound to take it.
    ///
    /// # Cancellation
    /// A stopped context fails the send at once, also when there is room. A send cut short has not
    /// happened: the value is in the error, and no receiver has seen it.
    ///
    /// # Errors
    /// [`Closed`](SendError::Closed), [`Full`](SendError::Full) (only with `Overflow::Reject`),
    /// [`Stopped`](SendError::Stopped); each with the value.
    ///
    /// # Fairness
    /// Blocked senders are served in the order they came.
    ///
    /// # Cost
    /// One lock, no allocation when there is room.
    ///
    /// ```
    /// use ironsys::{Context, channel};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, cancel) = Context::root();
    /// let (tx, rx) = channel::bounded(1);
    /// tx.send(&ctx, "a")?;
    /// cancel.cancel();
    /// let refused = tx.send(&ctx, "b").unwrap_err();
    /// assert_eq!(refused.into_inner(), "b");
    /// assert_eq!(rx.try_recv()?, "a");
    /// # Ok(()) }
    /// ```
    #[track_caller]
    #[inline]
    pub fn send(&self, ctx: &Context, value: T) -> Result<(), SendError<T>> {
        if let Err(stop) = ctx.check() {
            return Err(SendError::Stopped { value, stop });
        }
        match self.shared.try_send(value, true) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(value)) => Err(SendError::Closed(value)),
            Err(TrySendError::Full(value)) => self.send_slow(ctx, value),
        }
    }

    #[cold]
    #[track_caller]
    fn send_slow(&self, ctx: &Context, value: T) -> Result<(), SendError<T>> {
        if !self.shared.blocks() {
            return Err(SendError::Full(value));
        }
        let value = match self.shared.spin_send(value) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Closed(value)) => return Err(SendError::Closed(value)),
            Err(TrySendError::Full(value)) => value,
        };
        let mut op = SendOp::new(&self.shared, value, None);
        match ctx.block(Site::new(WaitKind::Send, self.shared.name.clone()), &mut op) {
            Ok(sent) => sent,
            Err(stop) => match op.into_value() {
                Some(value) => Err(SendError::Stopped { value, stop }),
                None => Ok(()),
            },
        }
    }

    /// Sends if there is room now.
    ///
    /// The overflow policy applies: with `DropNewest`, `DropOldest` and `DropLowest` it succeeds on
    /// a full channel. On a rendezvous it succeeds if a receiver is blocked in `recv`.
    ///
    /// # Errors
    /// [`Full`](TrySendError::Full) or [`Closed`](TrySendError::Closed), with the value.
    ///
    /// ```
    /// # use ironsys::channel;
    /// let (tx, _rx) = channel::bounded(1);
    /// assert!(tx.try_send(1).is_ok());
    /// assert!(tx.try_send(2).unwrap_err().is_full());
    /// ```
    #[inline]
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        self.shared.try_send(value, false)
    }

    /// Closes the channel for all senders; what is queued can still be received. Blocked senders get
    /// their values back. Returns whether this call closed it.
    ///
    /// ```
    /// # use ironsys::channel;
    /// let (tx, rx) = channel::bounded(1);
    /// tx.try_send(1).unwrap();
    /// assert!(tx.close() && !tx.close());
    /// assert_eq!(rx.try_recv(), Ok(1));
    /// ```
    pub fn close(&self) -> bool {
        self.shared.close()
    }

    /// Returns whether a send would fail because the channel is closed or has no receiver.
    ///
    /// ```
    /// # use ironsys::channel;
    /// let (tx, rx) = channel::bounded::<u32>(1);
    /// drop(rx);
    /// assert!(tx.is_closed());
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// Returns how many messages are queued.
    ///
    /// ```
    /// # use ironsys::channel;
    /// let (tx, _rx) = channel::bounded(8);
    /// tx.try_send(1).unwrap();
    /// assert_eq!(tx.len(), 1);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.len()
    }

    /// Returns whether nothing is queued.
    ///
    /// ```
    /// # use ironsys::channel;
    /// let (tx, _rx) = channel::bounded::<u32>(8);
    /// assert!(tx.is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many messages the channel holds at most; 0 for a rendezvous.
    ///
    /// ```
    /// # use ironsys::channel;
    /// let (tx, _rx) = channel::bounded::<u32>(8);
    /// assert_eq!(tx.capacity(), 8);
    /// ```
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.shared.capacity()
    }

    /// Returns the counts and times of the channel.
    ///
    /// ```
    /// # use ironsys::channel;
    /// let (tx, _rx) = channel::bounded(8);
    /// tx.try_send(1).unwrap();
    /// assert_eq!(tx.stats().depth, 1);
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }
}

impl<T> Receiver<T> {
    /// Receives the next message, waiting for one if need be.
    ///
    /// # Cancellation
    /// A stopped context fails the receive at once, also when a message is there. A receive cut
    /// short took nothing.
    ///
    /// # Errors
    /// [`Closed`](RecvError::Closed) once the channel is closed *and* empty,
    /// [`Stopped`](RecvError::Stopped).
    ///
    /// # Fairness
    /// Messages come in the order they were sent. Which of several blocked receivers gets the next
    /// one is first come first served among the parked; one that calls just then may be faster.
    ///
    /// # Cost
    /// One lock when a message is there. Otherwise it spins for less than a microsecond, then parks.
    ///
    /// ```
    /// use ironsys::{Context, channel::{self, RecvError}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let (tx, rx) = channel::bounded(8);
    /// tx.send(&ctx, 1)?;
    /// tx.close();
    /// assert_eq!(rx.recv(&ctx), Ok(1)); // closed, but not empty
    /// assert_eq!(rx.recv(&ctx), Err(RecvError::Closed));
    /// # Ok(()) }
    /// ```
    #[track_caller]
    #[inline]
    pub fn recv(&self, ctx: &Context) -> Result<T, RecvError> {
        ctx.check()?;
        match self.shared.try_recv() {
            Ok(value) => Ok(value),
            Err(TryRecvError::Closed) => Err(RecvError::Closed),
            Err(TryRecvError::Empty) => self.recv_slow(ctx),
        }
    }

    #[cold]
    #[track_caller]
    fn recv_slow(&self, ctx: &Context) -> Result<T, RecvError> {
        if self.shared.spin_ready()
            && let Ok(value) = self.shared.try_recv()
        {
            return Ok(value);
        }
        let mut op = RecvOp::new(&self.shared, None);
        match ctx.block(Site::new(WaitKind::Recv, self.shared.name.clone()), &mut op)? {
            Ok(value) => Ok(value),
            Err(Closed) => Err(RecvError::Closed),
        }
    }

    /// Waits until a receive would not have to wait, or until `until`; takes nothing. Somebody else
    /// may be faster, so the caller looks again.
    #[track_caller]
    pub(crate) fn wait_ready(&self, ctx: &Context, until: Option<Instant>) -> Result<(), Stop> {
        if self.shared.spin_ready() {
            return ctx.check();
        }
        let site = Site::new(WaitKind::Recv, self.shared.name.clone());
        ctx.block_until(until, site, &mut ReadyOp::new(&self.shared)).map(drop)
    }

    /// Receives if a message is there now.
    ///
    /// # Errors
    /// [`Empty`](TryRecvError::Empty) or, once closed and empty, [`Closed`](TryRecvError::Closed).
    ///
    /// ```
    /// # use ironsys::channel::{self, TryRecvError};
    /// let (tx, rx) = channel::bounded(1);
    /// tx.try_send(1).unwrap();
    /// assert_eq!(rx.try_recv(), Ok(1));
    /// assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    /// ```
    #[inline]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.shared.try_recv()
    }

    /// Returns an iterator that receives until the channel is closed and empty or the context stops;
    /// which of the two, [`Context::check`] tells.
    ///
    /// # Cancellation
    /// Each step is a [`recv`](Self::recv).
    ///
    /// ```
    /// use ironsys::{Context, channel};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let (tx, rx) = channel::bounded(8);
    /// for i in 0..3 {
    ///     tx.send(&ctx, i)?;
    /// }
    /// drop(tx);
    /// assert_eq!(rx.iter(&ctx).collect::<Vec<_>>(), [0, 1, 2]);
    /// ctx.check()?; // it was the end, not a stop
    /// # Ok(()) }
    /// ```
    pub fn iter<'a>(&'a self, ctx: &'a Context) -> Iter<'a, T> {
        Iter { receiver: self, ctx }
    }

    /// Takes everything that is queued, and what blocked senders hold out, without waiting.
    ///
    /// ```
    /// # use ironsys::channel;
    /// let (tx, rx) = channel::bounded(8);
    /// tx.try_send(1).unwrap();
    /// tx.try_send(2).unwrap();
    /// assert_eq!(rx.drain(), [1, 2]);
    /// ```
    #[must_use = "the messages are lost otherwise"]
    pub fn drain(&self) -> Vec<T> {
        self.shared.drain()
    }

    /// Shows everything that is queued. `f` runs under the lock: nothing of the user's.
    pub(crate) fn look(&self, f: impl FnMut(&T)) {
        self.shared.look(f);
    }

    /// Closes the channel for all senders; what is queued can still be received. Blocked senders get
    /// their values back. Returns whether this call closed it.
    ///
    /// ```
    /// # use ironsys::channel;
    /// let (tx, rx) = channel::bounded(1);
    /// assert!(rx.close());
    /// assert!(tx.try_send(1).unwrap_err().is_closed());
    /// ```
    pub fn close(&self) -> bool {
        self.shared.close()
    }

    /// Returns whether no more can be sent; messages may still be queued.
    ///
    /// ```
    /// # use ironsys::channel;
    /// let (tx, rx) = channel::bounded::<u32>(1);
    /// drop(tx);
    /// assert!(rx.is_closed());
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// Returns how many messages are queued.
    ///
    /// ```
    /// # use ironsys::channel;
    /// let (tx, rx) = channel::bounded(8);
    /// tx.try_send(1).unwrap();
    /// assert_eq!(rx.len(), 1);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.len()
    }

    /// Returns whether nothing is queued.
    ///
    /// ```
    /// # use ironsys::channel;
    /// let (_tx, rx) = channel::bounded::<u32>(8);
    /// assert!(rx.is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many messages the channel holds at most; 0 for a rendezvous.
    ///
    /// ```
    /// # use ironsys::channel;
    /// let (_tx, rx) = channel::bounded::<u32>(8);
    /// assert_eq!(rx.capacity(), 8);
    /// ```
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.shared.capacity()
    }

    /// Returns the counts and times of the channel.
    ///
    /// ```
    /// # use ironsys::channel;
    /// let (_tx, rx) = channel::bounded::<u32>(8);
    /// assert_eq!(rx.stats().receivers, 1);
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.add_sender();
        Sender { shared: self.shared.clone() }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.shared.add_receiver();
        Receiver { shared: self.shared.clone() }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.remove_sender();
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.remove_receiver();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("name", &self.shared.name).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("name", &self.shared.name).finish_non_exhaustive()
    }
}

/// Receives until the end. Made by [`Receiver::iter`].
#[derive(Debug)]
pub struct Iter<'a, T> {
    receiver: &'a Receiver<T>,
    ctx: &'a Context,
}

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    #[track_caller]
    fn next(&mut self) -> Option<T> {
        self.receiver.recv(self.ctx).ok()
    }
}
