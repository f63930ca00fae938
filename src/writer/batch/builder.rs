//! Building a batcher.

use super::handle::{Batcher, Counts};
use super::thread::{Call, OnFailed, Thread, When};
use crate::channel;
use crate::context::Context;
use crate::error::BuildError;
use crate::schedule::Backoff;
use crate::sync::Arc;
use crate::threads::Owned;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

/// Builds a [`Batcher`]. Made by [`Batcher::builder`].
#[must_use = "a builder does nothing until `build`"]
pub struct BatcherBuilder<T, E> {
    name: String,
    call: Call<T, E>,
    queue: usize,
    max_items: usize,
    max_wait: Duration,
    retry: Backoff,
    when: Option<When<E>>,
    on_failed: Option<OnFailed<T, E>>,
    parent: Option<Context>,
}

impl<T, E> BatcherBuilder<T, E>
where
    T: Send + 'static,
    E: fmt::Display + Send + Sync + 'static,
{
    pub(super) fn new(name: String, call: Call<T, E>) -> Self {
        BatcherBuilder {
            name,
            call,
            queue: 1024,
            max_items: 128,
            max_wait: Duration::from_millis(10),
            retry: Backoff::fixed(Duration::from_millis(100)).max_attempts(4),
            when: None,
            on_failed: None,
            parent: None,
        }
    }

    /// Sets how many items may wait for their batch. The default is 1024. With 0 an item is accepted
    /// when the thread is there to take it.
    ///
    /// ```
    /// # use ironsys::{Context, writer::Batcher};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let insert = |_: &Context, _: &[u32]| Ok::<_, String>(());
    /// let rows = Batcher::builder("rows", insert).queue(8).build()?;
    /// assert_eq!(rows.stats().queue.capacity, 8);
    /// # Ok(()) }
    /// ```
    pub fn queue(mut self, items: usize) -> Self {
        self.queue = items;
        self
    }

    /// Sets how many items a batch has at most. The default is 128. With 1 nothing is gathered;
    /// `usize::MAX` leaves it to the time.
    ///
    /// ```
    /// # use ironsys::{Context, writer::Batcher};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let insert = |_: &Context, _: &[u32]| Ok::<_, String>(());
    /// let rows = Batcher::builder("rows", insert).max_items(1).build()?;
    /// rows.send(&ctx, 1)?;
    /// rows.send(&ctx, 2)?;
    /// rows.close(&ctx)?;
    /// assert_eq!(rows.stats().batches, 2);
    /// # Ok(()) }
    /// ```
    pub fn max_items(mut self, items: usize) -> Self {
        self.max_items = items;
        self
    }

    /// Sets how long after its first item was sent a batch is called with what is there; a send that
    /// waited for room counts from when it began to. The default is 10 ms. With zero nothing is waited for: a batch is what is queued when its turn
    /// comes. `Duration::MAX` waits until it is full.
    ///
    /// ```
    /// # use ironsys::{Context, writer::Batcher};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let insert = |_: &Context, _: &[u32]| Ok::<_, String>(());
    /// let rows = Batcher::builder("rows", insert).max_wait(Duration::MAX).max_items(2).build()?;
    /// rows.send(&ctx, 1)?;
    /// rows.submit(&ctx, 2)?.wait(&ctx)?; // now it is full
    /// assert_eq!(rows.stats().batches, 1);
    /// # Ok(()) }
    /// ```
    pub fn max_wait(mut self, time: Duration) -> Self {
        self.max_wait = time;
        self
    }

    /// Sets how often, and after which delays, a failed call is tried again, with the same items. The
    /// default is three times, 100 ms apart.
    ///
    /// ```
    /// # use ironsys::{Context, schedule::Backoff, writer::Batcher};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let insert = |_: &Context, _: &[u32]| Err("locked");
    /// let twice = Backoff::fixed(Duration::ZERO).max_attempts(2);
    /// let rows = Batcher::builder("rows", insert).retry(twice).build()?;
    /// assert!(rows.submit(&ctx, 7)?.wait(&ctx).is_err());
    /// assert_eq!(rows.stats().retries, 1);
    /// # Ok(()) }
    /// ```
    pub fn retry(mut self, retry: Backoff) -> Self {
        self.retry = retry;
        self
    }

    /// Sets which errors are worth another try. The default is all of them.
    ///
    /// ```
    /// # use ironsys::{Context, writer::Batcher};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let insert = |_: &Context, _: &[u32]| Err("locked");
    /// let rows = Batcher::builder("rows", insert).retry_when(|e| *e != "locked").build()?;
    /// assert!(rows.submit(&ctx, 7)?.wait(&ctx).is_err());
    /// assert_eq!(rows.stats().retries, 0);
    /// # Ok(()) }
    /// ```
    pub fn retry_when(mut self, f: impl Fn(&E) -> bool + Send + 'static) -> Self {
        self.when = Some(Box::new(f));
        self
    }

    /// Sets what becomes of the items of a failed batch for which nobody holds a ticket. It runs on
    /// the batcher's thread. Without it, and when the call panicked, they are dropped, which is logged
    /// and counted.
    ///
    /// ```
    /// # use ironsys::{Context, schedule::Backoff, writer::Batcher};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let insert = |_: &Context, _: &[u32]| Err("locked");
    /// # let once = Backoff::fixed(Duration::ZERO).max_attempts(1);
    /// let (lost, seen) = std::sync::mpsc::channel();
    /// let rows = Batcher::builder("rows", insert).retry(once);
    /// let rows = rows.on_failed(move |items, _| lost.send(items).unwrap()).build()?;
    /// rows.send(&ctx, 7)?;
    /// assert_eq!(seen.recv()?, [7]);
    /// # Ok(()) }
    /// ```
    pub fn on_failed(mut self, f: impl FnMut(Vec<T>, &E) + Send + 'static) -> Self {
        self.on_failed = Some(Box::new(f));
        self
    }

    /// Makes the batcher stop with `ctx`, on its clock, under its registry, and on a thread of its
    /// [`ThreadCache`](crate::threads::ThreadCache) if it has one. The default is a root of its own.
    ///
    /// ```
    /// # use ironsys::{Context, threads::ThreadCache, writer::Batcher};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let insert = |_: &Context, _: &[u32]| Ok::<_, String>(());
    /// let cache = ThreadCache::new(4);
    /// let (ctx, _cancel) = Context::builder().value(cache.clone()).build();
    /// let _rows = Batcher::builder("rows", insert).context(&ctx).build()?;
    /// assert_eq!(cache.len(), 1); // the batcher's thread is one of the cache
    /// # Ok(()) }
    /// ```
    pub fn context(mut self, ctx: &Context) -> Self {
        self.parent = Some(ctx.clone());
        self
    }

    /// Starts the batcher.
    ///
    /// # Errors
    /// `name`: it holds a zero byte. `max_items`: 0. `thread`: the system has none left.
    ///
    /// ```
    /// # use ironsys::{Context, writer::Batcher};
    /// # let insert = |_: &Context, _: &[u32]| Ok::<_, String>(());
    /// assert!(Batcher::builder("rows", insert).max_items(0).build().is_err());
    /// ```
    #[track_caller]
    pub fn build(self) -> Result<Batcher<T, E>, BuildError> {
        let wrong = |field, problem: String| Err(BuildError::new("batcher", field, problem));
        if self.name.contains('\0') {
            return wrong("name", "holds a zero byte".into());
        }
        if self.max_items == 0 {
            return wrong("max_items", "must be at least 1".into());
        }
        let name: Arc<str> = self.name.into();
        let (tx, inbox) = channel::builder(self.queue).name(&*name).build()?;
        let counts = Arc::new(Counts::default());
        let thread = Thread {
            inbox,
            counts: counts.clone(),
            call: self.call,
            max_items: self.max_items,
            max_wait: self.max_wait,
            retry: self.retry,
            when: self.when,
            on_failed: self.on_failed,
        };
        let parent = self.parent.unwrap_or_else(|| Context::root().0);
        let run = move |ctx: &Context| thread.run(ctx);
        match Owned::start(&parent, name.clone(), Location::caller(), run) {
            Ok(thread) => Ok(Batcher { name, tx, counts, thread }),
            Err(e) => wrong("thread", format!("could not be started: {e}")),
        }
    }
}

impl<T, E> fmt::Debug for BatcherBuilder<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatcherBuilder")
            .field("name", &self.name)
            .field("queue", &self.queue)
            .field("max_items", &self.max_items)
            .field("max_wait", &self.max_wait)
            .finish_non_exhaustive()
    }
}
