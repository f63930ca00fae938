//! Building a writer.

use super::handle::BackgroundWriter;
use super::state::Shared;
use super::thread::{OnError, Thread};
use crate::context::Context;
use crate::error::BuildError;
use crate::schedule::Backoff;
use crate::sync::Arc;
use crate::threads::Owned;
use std::fmt;
use std::io;
use std::panic::Location;
use std::time::Duration;

/// Builds a [`BackgroundWriter`]. Made by [`BackgroundWriter::builder`].
#[must_use = "a builder does nothing until `build`"]
pub struct Builder<W> {
    sink: W,
    name: String,
    capacity: usize,
    flush_at: Option<usize>,
    flush_every: Duration,
    retry: Backoff,
    on_error: Option<OnError>,
    parent: Option<Context>,
}

impl<W: io::Write + Send + 'static> Builder<W> {
    pub(super) fn new(sink: W) -> Self {
        Builder {
            sink,
            name: "writer".into(),
            capacity: 64 * 1024,
            flush_at: None,
            flush_every: Duration::from_secs(1),
            retry: Backoff::fixed(Duration::from_millis(100)).max_attempts(4),
            on_error: None,
            parent: None,
        }
    }

    /// Sets the name of the thread and of its waits. The default is `writer`.
    ///
    /// ```
    /// # use ironsys::writer::BackgroundWriter;
    /// assert!(BackgroundWriter::builder(Vec::new()).name("a\0b").build().is_err());
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets how many bytes may be accepted and not written. The default is 64 KiB. `usize::MAX` is no
    /// bound but memory. Two buffers take turns, so up to twice as much may be allocated.
    ///
    /// ```
    /// # use ironsys::{Context, writer::BackgroundWriter};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// let out = BackgroundWriter::builder(Vec::new()).capacity(4).build()?;
    /// assert!(out.write(&ctx, "too much").is_err());
    /// # Ok(()) }
    /// ```
    pub fn capacity(mut self, bytes: usize) -> Self {
        self.capacity = bytes;
        self
    }

    /// Sets how many buffered bytes are written without waiting for more. The default is half of the
    /// capacity. With 1 everything is written as soon as the thread gets there.
    ///
    /// ```
    /// # use ironsys::writer::BackgroundWriter;
    /// let out = BackgroundWriter::builder(Vec::new()).capacity(4);
    /// assert!(out.flush_at(5).build().is_err()); // the buffer never holds that much
    /// ```
    pub fn flush_at(mut self, bytes: usize) -> Self {
        self.flush_at = Some(bytes);
        self
    }

    /// Sets after how long a byte is written, and the sink flushed, even if nothing more comes. The
    /// default is a second. Zero is as soon as possible, `Duration::MAX` never.
    ///
    /// ```
    /// # use ironsys::{Context, writer::BackgroundWriter};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// let out = BackgroundWriter::builder(Vec::new()).flush_every(Duration::MAX).build()?;
    /// out.write(&ctx, "late")?;
    /// assert_eq!(out.drain(&ctx).sink.as_deref(), Some(&b"late"[..]));
    /// # Ok(()) }
    /// ```
    pub fn flush_every(mut self, time: Duration) -> Self {
        self.flush_every = time;
        self
    }

    /// Sets how often, and after which delays, a failed call of the sink is tried again; it counts
    /// from the beginning whenever the sink takes something. The default is three times, 100 ms apart.
    /// `Interrupted` is tried again at once and not counted.
    ///
    /// ```
    /// # use ironsys::{Context, schedule::Backoff, writer::BackgroundWriter};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let sink: &'static mut [u8] = &mut []; // takes nothing
    /// # let once = Backoff::fixed(std::time::Duration::ZERO).max_attempts(1);
    /// let out = BackgroundWriter::builder(sink).retry(once).build()?;
    /// out.write(&ctx, "lost")?;
    /// assert!(out.flush(&ctx).is_err());
    /// assert_eq!(out.stats().sink_errors, 1);
    /// # Ok(()) }
    /// ```
    pub fn retry(mut self, retry: Backoff) -> Self {
        self.retry = retry;
        self
    }

    /// Sets what sees each error of the sink, tried again or not. It runs on the writer's thread; a
    /// panic in it is logged.
    ///
    /// ```
    /// # use ironsys::{Context, schedule::Backoff, writer::BackgroundWriter};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let sink: &'static mut [u8] = &mut []; // takes nothing
    /// # let once = Backoff::fixed(std::time::Duration::ZERO).max_attempts(1);
    /// let (tx, seen) = std::sync::mpsc::channel();
    /// let out = BackgroundWriter::builder(sink).retry(once);
    /// let out = out.on_error(move |e| tx.send(e.kind()).unwrap()).build()?;
    /// out.write(&ctx, "lost")?;
    /// assert!(out.flush(&ctx).is_err() && seen.recv()? == std::io::ErrorKind::WriteZero);
    /// # Ok(()) }
    /// ```
    pub fn on_error(mut self, f: impl FnMut(&io::Error) + Send + 'static) -> Self {
        self.on_error = Some(Box::new(f));
        self
    }

    /// Makes the writer stop with `ctx`, on its clock, under its registry, and on a thread of its
    /// [`ThreadCache`](crate::threads::ThreadCache) if it has one. The default is a root of its own.
    ///
    /// A writer whose context stops writes nothing more: to end well, close it before.
    ///
    /// ```
    /// # use ironsys::{Context, threads::ThreadCache, writer::BackgroundWriter};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cache = ThreadCache::new(4);
    /// let (ctx, _cancel) = Context::builder().value(cache.clone()).build();
    /// let _out = BackgroundWriter::builder(Vec::new()).context(&ctx).build()?;
    /// assert_eq!(cache.len(), 1); // the writer's thread is one of the cache
    /// # Ok(()) }
    /// ```
    pub fn context(mut self, ctx: &Context) -> Self {
        self.parent = Some(ctx.clone());
        self
    }

    /// Starts the writer.
    ///
    /// # Errors
    /// `name`: it holds a zero byte. `capacity`: 0. `flush_at`: 0, or more than the capacity.
    /// `thread`: the system has none left.
    ///
    /// ```
    /// # use ironsys::writer::BackgroundWriter;
    /// assert!(BackgroundWriter::builder(Vec::new()).capacity(0).build().is_err());
    /// ```
    #[track_caller]
    pub fn build(self) -> Result<BackgroundWriter<W>, BuildError> {
        let wrong = |field, problem: String| Err(BuildError::new("writer", field, problem));
        if self.name.contains('\0') {
            return wrong("name", "holds a zero byte".into());
        }
        if self.capacity == 0 {
            return wrong("capacity", "must be at least 1".into());
        }
        let flush_at = match self.flush_at {
            None => (self.capacity / 2).max(1),
            Some(bytes) if (1..=self.capacity).contains(&bytes) => bytes,
            Some(bytes) => {
                let problem = format!("must be between 1 and {}, not {bytes}", self.capacity);
                return wrong("flush_at", problem);
            }
        };
        let name: Arc<str> = self.name.into();
        let timed = self.flush_every != Duration::MAX;
        let shared = Arc::new(Shared::new(name.clone(), self.capacity, flush_at, timed));
        let thread = Thread {
            shared: shared.clone(),
            sink: self.sink,
            flush_every: self.flush_every,
            retry: self.retry,
            on_error: self.on_error,
        };
        let parent = self.parent.unwrap_or_else(|| Context::root().0);
        let run = move |ctx: &Context| thread.run(ctx);
        match Owned::start(&parent, name, Location::caller(), run) {
            Ok(thread) => Ok(BackgroundWriter { shared, thread }),
            Err(e) => wrong("thread", format!("could not be started: {e}")),
        }
    }
}

impl<W> fmt::Debug for Builder<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("name", &self.name)
            .field("capacity", &self.capacity)
            .field("flush_at", &self.flush_at)
            .field("flush_every", &self.flush_every)
            .finish_non_exhaustive()
    }
}
