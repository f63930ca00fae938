//! The writer that users hold.

use super::builder::Builder;
use super::errors::{Failure, WriteError};
use super::io::Io;
use super::ops::{Flush, Write};
use super::state::Shared;
use crate::context::Context;
use crate::observe::Ledger;
use crate::panics;
use crate::sync::Arc;
use crate::threads::Owned;
use crate::wait::{Site, WaitKind};
use std::fmt;
use std::io;
use std::time::Duration;

/// A bounded buffer and a thread that writes it to a sink: whoever writes does not wait for the sink,
/// unless the buffer is full.
///
/// Share it by reference, or in an `Arc`. The bytes of one write stay together, writes come to the
/// sink in the order in which they were accepted, and only the one thread ever calls it.
///
/// The sink is written to when [`flush_at`](Builder::flush_at) bytes are there, when somebody waits for
/// room or for a [`flush`](Self::flush), and [`flush_every`](Builder::flush_every) so long after the
/// first byte; it is flushed in the last two cases.
///
/// # When the sink fails
/// A failed call is tried again by [`retry`](Builder::retry). If that does not help, the writer has
/// failed for good: every call says so with one [`Failure`], which tells how many bytes were written;
/// [`take_unwritten`](Self::take_unwritten) and [`drain`](Self::drain) hand the others back. A sink
/// that takes nothing (`Ok(0)`) has failed with `WriteZero`; one that panics is not tried again.
///
/// # Ending
/// [`close`](Self::close) writes everything, [`drain`](Self::drain) also gives the sink back.
/// **Dropping** the writer cancels it: it waits for the call of the sink that is under way, and what is
/// still in the buffer is lost, which is logged. The sink and `on_error` must not wait for their own
/// writer: they would wait for themselves.
///
/// # Cost
/// A write is one lock and a copy; the thread is woken once a burst.
///
/// ```
/// use ironsys::{Context, writer::BackgroundWriter};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (ctx, _cancel) = Context::root();
/// let log = BackgroundWriter::builder(Vec::new()).capacity(1024).build()?;
/// log.write(&ctx, b"one\n")?;
/// log.write(&ctx, "two\n")?;
/// log.flush(&ctx)?; // both are in the sink
/// assert_eq!(log.stats().ledger.done, 8);
/// let report = log.drain(&ctx);
/// assert_eq!(report.sink.unwrap(), b"one\ntwo\n");
/// # Ok(()) }
/// ```
pub struct BackgroundWriter<W> {
    pub(super) shared: Arc<Shared>,
    pub(super) thread: Owned<W>,
}

/// What became of a writer and its bytes.
#[derive(Debug)]
#[non_exhaustive]
pub struct Drained<W> {
    /// The sink.
    pub sink: Option<W>,
    /// How many bytes the sink has taken.
    pub written: u64,
    /// How many of these were in the sink when it was last flushed.
    pub flushed: u64,
    /// The bytes that were accepted and not written, in order.
    pub unwritten: Vec<u8>,
    /// Why there are any.
    pub failure: Option<Failure>,
}

/// A writer at one moment, taken under its lock: the numbers agree with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Bytes: `accepted` by a write; `done` were taken by the sink; `failed` were left when it failed,
    /// `cancelled` when the writer's context stopped; `in_flight` are in the buffer.
    pub ledger: Ledger,
    /// How many bytes were in the sink when it was last flushed.
    pub flushed: u64,
    /// How many bytes the buffer holds at most.
    pub capacity: usize,
    /// How many it holds.
    pub buffered: usize,
    /// How many it held at the most.
    pub peak: usize,
    /// Writes that wait for room.
    pub blocked: usize,
    /// Writes accepted.
    pub writes: u64,
    /// Writes refused: full, too large, closed or failed.
    pub rejected: u64,
    /// Calls of the sink's `write` that took something.
    pub sink_writes: u64,
    /// Calls of its `flush` that succeeded.
    pub sink_flushes: u64,
    /// Calls that failed, and were tried again or not.
    pub sink_errors: u64,
    /// How long the thread was in the sink. Real time.
    pub time_in_sink: Duration,
}

impl<W: io::Write + Send + 'static> BackgroundWriter<W> {
    /// Starts to build a writer over `sink`.
    ///
    /// ```
    /// # use ironsys::{Context, writer::BackgroundWriter};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// let out = BackgroundWriter::builder(Vec::new()).build()?;
    /// out.write(&ctx, "hello")?;
    /// assert_eq!(out.drain(&ctx).sink.as_deref(), Some(&b"hello"[..]));
    /// # Ok(()) }
    /// ```
    pub fn builder(sink: W) -> Builder<W> {
        Builder::new(sink)
    }
}

impl<W> BackgroundWriter<W> {
    /// Puts `bytes` into the buffer, waiting for room if need be. No bytes are accepted at once.
    ///
    /// # Cancellation
    /// A stopped context fails the call at once, also when there is room. Of a write cut short no byte
    /// was accepted.
    ///
    /// # Errors
    /// [`TooLarge`](WriteError::TooLarge) if the buffer could never hold them: cut them, or write
    /// through [`io`](Self::io), which does. [`Closed`](WriteError::Closed),
    /// [`Failed`](WriteError::Failed), [`Stopped`](WriteError::Stopped).
    ///
    /// # Fairness
    /// Writes that wait for room are served in the order they came; a large one holds up those behind.
    ///
    /// ```
    /// use ironsys::{Context, writer::{BackgroundWriter, WriteError}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let out = BackgroundWriter::builder(Vec::new()).capacity(4).build()?;
    /// out.write(&ctx, "four")?;
    /// out.write(&ctx, "more")?; // waits until the first four are out
    /// let e = out.write(&ctx, "too much").unwrap_err();
    /// assert!(matches!(e, WriteError::TooLarge { bytes: 8, capacity: 4 }));
    /// out.close(&ctx)?;
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn write(&self, ctx: &Context, bytes: impl AsRef<[u8]>) -> Result<(), WriteError> {
        ctx.check()?;
        let bytes = bytes.as_ref();
        if self.shared.with(|state, wakes| state.try_accept(bytes, wakes)).is_ok() {
            return Ok(());
        }
        let site = Site::new(WaitKind::Send, Some(self.shared.name.clone()));
        ctx.block(site, &mut Write::new(&self.shared, bytes))?
    }

    /// Puts `bytes` into the buffer if there is room now. It does not overtake a write that waits.
    ///
    /// # Errors
    /// [`Full`](WriteError::Full), and those of [`write`](Self::write).
    ///
    /// ```
    /// # use ironsys::writer::BackgroundWriter;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let out = BackgroundWriter::builder(Vec::new()).build()?;
    /// out.try_write("hello")?;
    /// assert_eq!(out.stats().ledger.accepted, 5);
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn try_write(&self, bytes: impl AsRef<[u8]>) -> Result<(), WriteError> {
        let bytes = bytes.as_ref();
        self.shared.with(|state, wakes| {
            let out = state.try_accept(bytes, wakes);
            state.counts.rejected += u64::from(out.is_err());
            out
        })
    }

    /// Returns when everything that was accepted before this call has been written to the sink, and
    /// the sink flushed. What is accepted meanwhile is not waited for.
    ///
    /// # Cancellation
    /// The wait ends; the bytes are flushed all the same.
    ///
    /// # Errors
    /// [`Failed`](WriteError::Failed), [`Stopped`](WriteError::Stopped).
    ///
    /// ```
    /// # use ironsys::{Context, writer::BackgroundWriter};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let out = BackgroundWriter::builder(Vec::new()).build()?;
    /// out.write(&ctx, "hello")?;
    /// out.flush(&ctx)?;
    /// assert_eq!(out.stats().flushed, 5);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn flush(&self, ctx: &Context) -> Result<(), WriteError> {
        ctx.check()?;
        let site = Site::new(WaitKind::Join, Some(self.shared.name.clone()));
        ctx.block(site, &mut Flush::new(&self.shared))?
    }

    /// Accepts no more, and returns when everything is written, the sink flushed and the thread gone.
    /// It may be called again, with the same outcome.
    ///
    /// # Cancellation
    /// The writer stays closed and goes on writing: call again, or [`drain`](Self::drain).
    ///
    /// # Errors
    /// [`Failed`](WriteError::Failed), [`Stopped`](WriteError::Stopped).
    ///
    /// ```
    /// use ironsys::{Context, writer::BackgroundWriter};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let out = BackgroundWriter::builder(Vec::new()).build()?;
    /// out.write(&ctx, "last words")?;
    /// out.close(&ctx)?;
    /// out.close(&ctx)?;
    /// assert_eq!(out.stats().flushed, 10);
    /// assert!(out.try_write("more").unwrap_err().is_closed());
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn close(&self, ctx: &Context) -> Result<(), WriteError> {
        self.shared.with(|state, wakes| state.close(wakes));
        self.thread.wait(ctx)?;
        self.shared.with(|state, _| state.failure().cloned()).map_or(Ok(()), |e| Err(e.into()))
    }

    /// Closes the writer as [`close`](Self::close) does, and gives back the sink and what was not
    /// written.
    ///
    /// # Cancellation
    /// When `ctx` stops, the writer is cancelled: it writes nothing more, and the rest is handed back.
    /// The call still waits for the call of the sink that is under way.
    ///
    /// ```
    /// use ironsys::{Context, writer::BackgroundWriter};
    /// use std::io::{self, Write};
    ///
    /// struct Full;
    /// impl Write for Full {
    ///     fn write(&mut self, _: &[u8]) -> io::Result<usize> { Ok(0) }
    ///     fn flush(&mut self) -> io::Result<()> { Ok(()) }
    /// }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use ironsys::schedule::Backoff;
    /// let (ctx, _cancel) = Context::root();
    /// let once = Backoff::fixed(std::time::Duration::ZERO).max_attempts(1);
    /// let out = BackgroundWriter::builder(Full).retry(once).build()?;
    /// out.write(&ctx, "precious")?;
    /// let report = out.drain(&ctx);
    /// assert_eq!((report.written, report.unwritten), (0, b"precious".to_vec()));
    /// assert_eq!(report.failure.unwrap().io().unwrap().kind(), io::ErrorKind::WriteZero);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn drain(mut self, ctx: &Context) -> Drained<W> {
        self.shared.with(|state, wakes| state.close(wakes));
        if let Err(stop) = self.thread.wait(ctx) {
            self.thread.cancel(format!("the writer was to drain, but was stopped: {stop}"));
        }
        let sink = self.thread.join().and_then(Result::ok);
        self.shared.with(|state, _| {
            let stats = state.stats();
            Drained {
                sink,
                written: stats.ledger.done,
                flushed: stats.flushed,
                unwritten: state.take_unwritten(),
                failure: state.failure().cloned(),
            }
        })
    }

    /// Takes what a failed writer did not write; empty unless it has failed, and the second time.
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
    /// assert_eq!(out.take_unwritten(), b"lost");
    /// # Ok(()) }
    /// ```
    #[must_use = "the bytes are lost otherwise"]
    pub fn take_unwritten(&self) -> Vec<u8> {
        self.shared.with(|state, _| state.take_unwritten())
    }

    /// Returns a [`std::io::Write`] that writes into the buffer under `ctx`, cutting what is too large.
    ///
    /// ```
    /// use ironsys::{Context, writer::BackgroundWriter};
    /// use std::io::Write;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let out = BackgroundWriter::builder(Vec::new()).capacity(8).build()?;
    /// writeln!(out.io(&ctx), "a line that is longer than the buffer")?;
    /// assert_eq!(out.drain(&ctx).sink.unwrap().len(), 38);
    /// # Ok(()) }
    /// ```
    pub fn io<'a>(&'a self, ctx: &'a Context) -> Io<'a, W> {
        Io { writer: self, ctx }
    }

    /// Returns the counts of the writer.
    ///
    /// ```
    /// # use ironsys::{Context, writer::BackgroundWriter};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let out = BackgroundWriter::builder(Vec::new()).build()?;
    /// out.write(&ctx, "hello")?;
    /// assert_eq!((out.stats().ledger.accepted, out.stats().writes), (5, 1));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.with(|state, _| state.stats())
    }
}

impl<W> Drop for BackgroundWriter<W> {
    fn drop(&mut self) {
        self.shared.with(|state, wakes| {
            state.close(wakes);
        });
        self.thread.cancel("the writer was dropped".into());
        panics::discard(self.thread.join());
        let lost = self.shared.with(|state, _| state.take_unwritten()).len();
        if lost != 0 {
            log::error!("ironsys: writer `{}` was dropped: {lost} bytes lost", self.shared.name);
        }
    }
}

impl<W> fmt::Debug for BackgroundWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackgroundWriter").field("name", &self.shared.name).finish_non_exhaustive()
    }
}
