//! What a call of a writer says when it did not do what it should.

use crate::context::Stop;
use crate::sync::Arc;
use std::fmt;
use std::io;

/// A call of a [`BackgroundWriter`](super::BackgroundWriter) that did not succeed. Of a write that
/// failed no byte was accepted.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The writer is closed.
    #[error("the writer is closed")]
    Closed,
    /// The buffer has no room now; only from `try_write`.
    #[error("the buffer is full")]
    Full,
    /// The bytes could never be in the buffer at once.
    #[error("{bytes} bytes do not fit into a buffer of {capacity}")]
    TooLarge {
        /// How many there are.
        bytes: usize,
        /// How many the buffer holds.
        capacity: usize,
    },
    /// The writer has given up, now or earlier.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The context stopped first.
    #[error(transparent)]
    Stopped(#[from] Stop),
}

impl WriteError {
    /// Returns whether the writer is closed.
    ///
    /// ```
    /// # use ironsys::{Context, writer::BackgroundWriter};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let out = BackgroundWriter::builder(Vec::new()).build()?;
    /// out.close(&ctx)?;
    /// assert!(out.write(&ctx, "more").unwrap_err().is_closed());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self, WriteError::Closed)
    }

    /// Returns whether the buffer had no room.
    ///
    /// ```
    /// # use ironsys::writer::WriteError;
    /// assert!(WriteError::Full.is_full());
    /// ```
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, WriteError::Full)
    }

    /// Returns what the writer gave up for, if that is what happened.
    ///
    /// ```
    /// # use ironsys::{Context, schedule::Backoff, writer::BackgroundWriter};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let sink: &'static mut [u8] = &mut []; // takes nothing
    /// # let once = Backoff::fixed(std::time::Duration::ZERO).max_attempts(1);
    /// let out = BackgroundWriter::builder(sink).retry(once).build()?;
    /// out.write(&ctx, "lost")?;
    /// assert!(out.flush(&ctx).unwrap_err().failure().is_some());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            WriteError::Failed(failure) => Some(failure),
            _ => None,
        }
    }

    /// Returns why the caller's context stopped, if that is what happened.
    ///
    /// ```
    /// # use ironsys::{Context, writer::BackgroundWriter};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, cancel) = Context::root();
    /// # let out = BackgroundWriter::builder(Vec::new()).build()?;
    /// cancel.cancel();
    /// assert!(out.write(&ctx, "more").unwrap_err().stop().is_some());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn stop(&self) -> Option<&Stop> {
        match self {
            WriteError::Stopped(stop) => Some(stop),
            _ => None,
        }
    }
}

/// A writer has given up, for good: why, and how far it came. Every later call says so, too.
#[derive(Debug, Clone)]
pub struct Failure {
    pub(super) reason: Reason,
    pub(super) written: u64,
    pub(super) flushed: u64,
}

/// Why a writer gave up.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Reason {
    /// The sink failed, also after the last retry.
    Io(Arc<io::Error>),
    /// The sink panicked; how much of the write in progress it took is not known, and none of it is
    /// counted as written.
    Panicked(Arc<str>),
    /// The writer's own context stopped.
    Stopped(Stop),
}

impl Failure {
    /// Returns why.
    ///
    /// ```
    /// # use ironsys::{Context, schedule::Backoff, writer::{BackgroundWriter, Reason}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let sink: &'static mut [u8] = &mut []; // takes nothing
    /// # let once = Backoff::fixed(std::time::Duration::ZERO).max_attempts(1);
    /// let out = BackgroundWriter::builder(sink).retry(once).build()?;
    /// out.write(&ctx, "lost")?;
    /// let failure = out.drain(&ctx).failure.ok_or("it took it")?;
    /// assert!(matches!(failure.reason(), Reason::Io(_)));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn reason(&self) -> &Reason {
        &self.reason
    }

    /// Returns the sink's error, if that was it.
    ///
    /// ```
    /// # use ironsys::{Context, schedule::Backoff, writer::BackgroundWriter};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let sink: &'static mut [u8] = &mut []; // takes nothing
    /// # let once = Backoff::fixed(std::time::Duration::ZERO).max_attempts(1);
    /// let out = BackgroundWriter::builder(sink).retry(once).build()?;
    /// out.write(&ctx, "lost")?;
    /// let failure = out.drain(&ctx).failure.ok_or("it took it")?;
    /// assert!(failure.io().is_some_and(|e| e.kind() == std::io::ErrorKind::WriteZero));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn io(&self) -> Option<&io::Error> {
        match &self.reason {
            Reason::Io(error) => Some(error),
            _ => None,
        }
    }

    /// Returns how many bytes the sink has taken, from the first on.
    ///
    /// ```
    /// # use ironsys::{Context, schedule::Backoff, writer::BackgroundWriter};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let sink: &'static mut [u8] = &mut []; // takes nothing
    /// # let once = Backoff::fixed(std::time::Duration::ZERO).max_attempts(1);
    /// let out = BackgroundWriter::builder(sink).retry(once).build()?;
    /// out.write(&ctx, "lost")?;
    /// assert_eq!(out.drain(&ctx).failure.map(|f| f.written()), Some(0));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Returns how many of these were in the sink when it was last flushed.
    ///
    /// ```
    /// # use ironsys::{Context, schedule::Backoff, writer::BackgroundWriter};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let sink: &'static mut [u8] = &mut []; // takes nothing
    /// # let once = Backoff::fixed(std::time::Duration::ZERO).max_attempts(1);
    /// let out = BackgroundWriter::builder(sink).retry(once).build()?;
    /// out.write(&ctx, "lost")?;
    /// assert_eq!(out.drain(&ctx).failure.map(|f| f.flushed()), Some(0));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn flushed(&self) -> u64 {
        self.flushed
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the writer gave up after {} bytes: ", self.written)?;
        match &self.reason {
            Reason::Io(error) => write!(f, "{error}"),
            Reason::Panicked(message) => write!(f, "the sink panicked: {message}"),
            Reason::Stopped(stop) => write!(f, "{stop}"),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.reason {
            Reason::Io(error) => Some(&**error),
            Reason::Panicked(_) => None,
            Reason::Stopped(stop) => Some(stop),
        }
    }
}
