//! The batcher that users hold, and the ticket for an item.

use super::builder::BatcherBuilder;
use super::errors::BatchError;
use super::thread::{Entry, Message, Outcome};
use crate::channel::{
    self, Answer, AnswerError, Reply, SendError, Sender, TryRecvError, TrySendError, oneshot,
};
use crate::context::Context;
use crate::observe::Ledger;
use crate::panics;
use crate::sync::{Arc, Mutex};
use crate::threads::Owned;
use crate::writer::WriteError;
use std::fmt;

/// Gathers the items of many callers into calls of one closure: one insert for a hundred rows.
///
/// The closure is called by one thread, so never twice at a time, with the items in the order in which
/// they were accepted. A batch succeeds or fails as a whole; it gets a slice, so that a failed call can
/// be tried again and every item be handed back. A panic fails that batch and no other.
///
/// A caller may wait for the outcome of its item by a [`BatchTicket`], or leave that to
/// [`on_failed`](BatcherBuilder::on_failed). [`close`](Self::close) writes everything;
/// [`drain`](Self::drain) hands back what had no turn. **Dropping** the batcher cancels it: the call
/// under way is finished, the tickets of the rest get their items back, the others are lost, which is
/// logged. The closure must not wait for its own batcher: it would wait for itself.
///
/// ```
/// use ironsys::{Context, writer::Batcher};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (ctx, _cancel) = Context::root();
/// let (rows, table) = std::sync::mpsc::channel();
/// let inserts = Batcher::builder("inserts", move |_ctx, batch: &[u32]| {
///     rows.send(batch.to_vec()) // in earnest: one statement
/// })
/// .max_items(2)
/// .build()?;
/// inserts.send(&ctx, 1)?;
/// let mut two = inserts.submit(&ctx, 2)?;
/// two.wait(&ctx)?; // it is in the table
/// assert_eq!(table.recv()?, [1, 2]);
/// # Ok(()) }
/// ```
pub struct Batcher<T, E> {
    pub(super) name: Arc<str>,
    pub(super) tx: Sender<Message<T, E>>,
    pub(super) counts: Arc<Counts>,
    pub(super) thread: Owned<Vec<Entry<T, E>>>,
}

/// What became of a batcher's items.
#[derive(Debug)]
#[non_exhaustive]
pub struct BatchDrained<T> {
    /// Items written.
    pub done: u64,
    /// Items of batches that failed or panicked.
    pub failed: u64,
    /// Items that had no turn, in order.
    pub undelivered: Vec<T>,
}

/// A batcher at one moment; exact when nothing is under way.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct BatchStats {
    /// Items: `done` were written, `failed` were in a batch that failed, `dropped` had no turn before
    /// the end, `in_flight` are queued or in the batch under way.
    pub ledger: Ledger,
    /// Calls that had an outcome.
    pub batches: u64,
    /// Calls that were tried again.
    pub retries: u64,
    /// The queue; flushes are counted in it, too.
    pub queue: channel::Stats,
}

/// Guards what the thread has counted.
#[derive(Default)]
pub(super) struct Counts(Mutex<Counted>);

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counted {
    pub(super) done: u64,
    pub(super) failed: u64,
    pub(super) dropped: u64,
    pub(super) batches: u64,
    pub(super) retries: u64,
    /// Flushes put into the queue.
    flushes: u64,
}

impl Counts {
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut Counted) -> R) -> R {
        f(&mut self.0.lock())
    }
}

impl<T, E> Batcher<T, E>
where
    T: Send + 'static,
    E: fmt::Display + Send + Sync + 'static,
{
    /// Starts to build a batcher; the name is for its thread and waits.
    ///
    /// ```
    /// # use ironsys::{Context, writer::Batcher};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// let rows = Batcher::builder("rows", |_, _: &[u32]| Ok::<_, String>(())).build()?;
    /// assert!(rows.submit(&ctx, 7)?.wait(&ctx).is_ok());
    /// # Ok(()) }
    /// ```
    pub fn builder(
        name: impl Into<String>,
        call: impl FnMut(&Context, &[T]) -> Result<(), E> + Send + 'static,
    ) -> BatcherBuilder<T, E> {
        BatcherBuilder::new(name.into(), Box::new(call))
    }
}

impl<T, E> Batcher<T, E> {
    /// Hands an item over, waiting for room if need be, and does not ask what becomes of it.
    ///
    /// # Cancellation
    /// A call cut short has not happened: the item is in the error.
    ///
    /// # Errors
    /// [`Closed`](SendError::Closed), [`Stopped`](SendError::Stopped); with the item.
    ///
    /// ```
    /// # use ironsys::{Context, writer::Batcher};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let insert = |_: &Context, _: &[u32]| Ok::<_, String>(());
    /// # let rows = Batcher::builder("rows", insert).build()?;
    /// rows.send(&ctx, 7)?;
    /// assert_eq!(rows.drain(&ctx).done, 1);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn send(&self, ctx: &Context, item: T) -> Result<(), SendError<T>> {
        self.put(ctx, item, None)
    }

    /// Hands an item over, waiting for room if need be, and returns the ticket to its outcome.
    ///
    /// # Cancellation
    /// A call cut short has not happened: the item is in the error.
    ///
    /// # Errors
    /// [`Closed`](SendError::Closed), [`Stopped`](SendError::Stopped); with the item.
    ///
    /// ```
    /// use ironsys::{Context, schedule::Backoff, writer::Batcher};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let never = Batcher::builder("never", |_, _: &[&str]| Err("the table is locked"))
    ///     .retry(Backoff::fixed(std::time::Duration::ZERO).max_attempts(2))
    ///     .build()?;
    /// let mut ticket = never.submit(&ctx, "row")?;
    /// let e = ticket.wait(&ctx).unwrap_err();
    /// assert_eq!((e.error(), never.stats().retries), (Some(&"the table is locked"), 1));
    /// assert_eq!(e.into_item(), Some("row"));
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn submit(&self, ctx: &Context, item: T) -> Result<BatchTicket<T, E>, SendError<T>> {
        let (reply, answer) = oneshot();
        self.put(ctx, item, Some(reply))?;
        Ok(BatchTicket { answer })
    }

    #[track_caller]
    fn put(
        &self,
        ctx: &Context,
        item: T,
        reply: Option<Reply<Outcome<T, E>>>,
    ) -> Result<(), SendError<T>> {
        let at = self.thread.ctx().clock().now();
        self.tx.send(ctx, Message::Item(Entry { item, reply, at })).map_err(|e| match e {
            SendError::Stopped { value, stop } => {
                SendError::Stopped { value: item_of(value), stop }
            }
            e => SendError::Closed(item_of(e.into_inner())),
        })
    }

    /// Hands an item over if there is room now.
    ///
    /// # Errors
    /// [`Full`](TrySendError::Full), [`Closed`](TrySendError::Closed); with the item.
    ///
    /// ```
    /// # use ironsys::{Context, writer::Batcher};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let insert = |_: &Context, _: &[u32]| Ok::<_, String>(());
    /// # let rows = Batcher::builder("rows", insert).build()?;
    /// rows.try_send(7)?;
    /// assert_eq!(rows.drain(&ctx).done, 1);
    /// # Ok(()) }
    /// ```
    pub fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        let at = self.thread.ctx().clock().now();
        let sent = self.tx.try_send(Message::Item(Entry { item, reply: None, at }));
        sent.map_err(|e| match e {
            TrySendError::Full(message) => TrySendError::Full(item_of(message)),
            TrySendError::Closed(message) => TrySendError::Closed(item_of(message)),
        })
    }

    /// Ends the batch that is being gathered, and returns when everything accepted before this call
    /// has had its outcome, whichever that is.
    ///
    /// # Cancellation
    /// The wait ends; the flush takes place all the same if it was accepted.
    ///
    /// # Errors
    /// [`Closed`](WriteError::Closed), [`Stopped`](WriteError::Stopped).
    ///
    /// ```
    /// # use ironsys::{Context, writer::Batcher};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let insert = |_: &Context, _: &[u32]| Ok::<_, String>(());
    /// # let rows = Batcher::builder("rows", insert).build()?;
    /// rows.send(&ctx, 7)?;
    /// rows.flush(&ctx)?;
    /// assert_eq!(rows.stats().ledger.done, 1);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn flush(&self, ctx: &Context) -> Result<(), WriteError> {
        let (reply, mut answer) = oneshot();
        self.tx.send(ctx, Message::Flush(reply)).map_err(|e| match e {
            SendError::Stopped { stop, .. } => WriteError::Stopped(stop),
            _ => WriteError::Closed,
        })?;
        self.counts.with(|counts| counts.flushes += 1);
        answer.recv(ctx).map_err(|e| match e {
            AnswerError::Stopped(stop) => WriteError::Stopped(stop),
            AnswerError::Dropped => WriteError::Closed,
        })
    }

    /// Accepts no more, and returns when everything accepted has had its outcome and the thread is
    /// gone. It may be called again.
    ///
    /// # Cancellation
    /// The batcher stays closed and goes on: call again, or [`drain`](Self::drain).
    ///
    /// # Errors
    /// Why `ctx` stopped.
    ///
    /// ```
    /// # use ironsys::{Context, writer::Batcher};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let insert = |_: &Context, _: &[u32]| Ok::<_, String>(());
    /// # let rows = Batcher::builder("rows", insert).build()?;
    /// rows.send(&ctx, 7)?;
    /// rows.close(&ctx)?;
    /// assert_eq!(rows.stats().ledger.done, 1);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn close(&self, ctx: &Context) -> Result<(), crate::context::Stop> {
        self.tx.close();
        self.thread.wait(ctx)
    }

    /// Closes the batcher as [`close`](Self::close) does, and hands back what had no turn.
    ///
    /// # Cancellation
    /// When `ctx` stops, the batcher is cancelled: the call under way is the last one, and the rest is
    /// handed back; its tickets say `Undelivered`.
    ///
    /// ```
    /// use ironsys::{Context, writer::Batcher};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let out = Batcher::builder("out", |_, _: &[u32]| Ok::<_, String>(())).build()?;
    /// out.send(&ctx, 1)?;
    /// let report = out.drain(&ctx);
    /// assert_eq!((report.done, report.undelivered.len()), (1, 0));
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn drain(mut self, ctx: &Context) -> BatchDrained<T> {
        if let Err(stop) = self.close(ctx) {
            self.thread.cancel(format!("the batcher was to drain, but was stopped: {stop}"));
        }
        let left = self.thread.join().and_then(Result::ok).unwrap_or_default();
        let counts = self.counts.with(|counts| *counts);
        let undelivered = left.into_iter().map(|entry| entry.item).collect();
        BatchDrained { done: counts.done, failed: counts.failed, undelivered }
    }

    /// Returns the counts of the batcher.
    ///
    /// ```
    /// # use ironsys::{Context, writer::Batcher};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let insert = |_: &Context, _: &[u32]| Ok::<_, String>(());
    /// # let rows = Batcher::builder("rows", insert).build()?;
    /// rows.send(&ctx, 7)?;
    /// assert_eq!(rows.stats().ledger.accepted, 1);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn stats(&self) -> BatchStats {
        // The ends first: what ends in between then still counts as accepted.
        let counts = self.counts.with(|counts| *counts);
        let queue = self.tx.stats();
        let accepted = queue.ledger.accepted - counts.flushes;
        let Counted { done, failed, dropped, .. } = counts;
        let in_flight = accepted - done - failed - dropped;
        let ledger = Ledger { accepted, done, failed, cancelled: 0, dropped, in_flight };
        BatchStats { ledger, batches: counts.batches, retries: counts.retries, queue }
    }
}

fn item_of<T, E>(message: Message<T, E>) -> T {
    match message {
        Message::Item(entry) => entry.item,
        Message::Flush(_) => unreachable!("what was refused is what was sent"),
    }
}

impl<T, E> Drop for Batcher<T, E> {
    fn drop(&mut self) {
        self.tx.close();
        self.thread.cancel("the batcher was dropped".into());
        let left = self.thread.join().and_then(Result::ok).unwrap_or_default();
        let mut lost = 0;
        for entry in left {
            let undelivered = Err(BatchError::Undelivered(Some(entry.item)));
            let back = match entry.reply {
                Some(reply) => reply.send(undelivered).err(),
                None => Some(undelivered),
            };
            lost += usize::from(back.is_some());
            panics::discard(back);
        }
        if lost != 0 {
            log::error!("ironsys: batcher `{}` was dropped: {lost} items lost", self.name);
        }
    }
}

impl<T, E> fmt::Debug for Batcher<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batcher").field("name", &self.name).finish_non_exhaustive()
    }
}

// ===== impl BatchTicket =====

/// The right to know what became of an item. Made by [`Batcher::submit`]. Dropping it leaves the item
/// where it is.
#[must_use = "to hand over without asking, use `send`"]
pub struct BatchTicket<T, E> {
    answer: Answer<Outcome<T, E>>,
}

impl<T, E> BatchTicket<T, E> {
    /// Waits for the outcome of the item. There is one answer: asked again, it says `Undelivered`.
    ///
    /// # Cancellation
    /// Of the wait, not of the item: wait again.
    ///
    /// # Errors
    /// [`BatchError`], mostly with the item.
    ///
    /// ```
    /// # use ironsys::{Context, writer::Batcher};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let insert = |_: &Context, _: &[u32]| Ok::<_, String>(());
    /// # let rows = Batcher::builder("rows", insert).build()?;
    /// let mut ticket = rows.submit(&ctx, 7)?;
    /// assert!(ticket.wait(&ctx).is_ok()); // it is written
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn wait(&mut self, ctx: &Context) -> Result<(), BatchError<T, E>> {
        match self.answer.recv(ctx) {
            Ok(out) => out,
            Err(AnswerError::Stopped(stop)) => Err(BatchError::Stopped(stop)),
            Err(AnswerError::Dropped) => Err(BatchError::Undelivered(None)),
        }
    }

    /// Returns the outcome if it is there; `None` if it is still to come.
    ///
    /// ```
    /// # use ironsys::{Context, writer::Batcher};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let insert = |_: &Context, _: &[u32]| Ok::<_, String>(());
    /// # let rows = Batcher::builder("rows", insert).build()?;
    /// let mut ticket = rows.submit(&ctx, 7)?;
    /// rows.flush(&ctx)?;
    /// assert!(ticket.try_wait().is_some_and(|out| out.is_ok()));
    /// # Ok(()) }
    /// ```
    pub fn try_wait(&mut self) -> Option<Result<(), BatchError<T, E>>> {
        match self.answer.try_recv() {
            Ok(out) => Some(out),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Closed) => Some(Err(BatchError::Undelivered(None))),
        }
    }
}

impl<T, E> fmt::Debug for BatchTicket<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BatchTicket")
    }
}
