//! What the operations of an outbox say when they did not happen, or may not have.

use super::ticket::Ticket;
use crate::context::Stop;
use crate::durable::log::{NotReady, NotSafe, NotTaken, Refusal};
use crate::durable::storage::StorageError;
use crate::error::BuildError;

/// An outbox that was not opened.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A setting cannot be.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The directory cannot be used: which file, where, and why.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl OpenError {
    /// Returns what is wrong with the directory, if that is it.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// match Outbox::open(dir.path()) {
    ///     Err(e) if e.storage().is_some_and(|e| e.is_in_use()) => {} // another process has it
    ///     other => panic!("{other:?}"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn storage(&self) -> Option<&StorageError> {
        match self {
            OpenError::Storage(e) => Some(e),
            OpenError::Build(_) => None,
        }
    }
}

/// An event that was not accepted: it is nowhere.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// The event is longer than an event may be.
    #[error("an event of {len} bytes is too large, {max} are allowed")]
    TooLarge {
        /// Its bytes.
        len: usize,
        /// The most there may be: what a group holds.
        max: usize,
    },
    /// The space of the outbox is used up by events that are not acked, and it
    /// [refuses](super::super::WhenFull::Refuse) then.
    #[error("the outbox is full")]
    Full,
    /// The outbox is closed.
    #[error("the outbox is closed")]
    Closed,
    /// There was no room in memory, and what was there could not be written.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The context stopped first.
    #[error(transparent)]
    Stopped(#[from] Stop),
}

impl SubmitError {
    /// Returns whether the space is used up.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// let outbox = Outbox::builder(dir.path())
    ///     .segment_bytes(4096)
    ///     .group_bytes(4000)
    ///     .max_bytes(1 << 14)
    ///     .when_full(WhenFull::Refuse)
    ///     .open()?;
    /// let refused = (0..100).find_map(|_| outbox.submit(&ctx, &[7; 1000]).err());
    /// assert!(refused.unwrap().is_full());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, SubmitError::Full)
    }

    /// Returns whether the outbox is closed.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// outbox.close(&ctx)?;
    /// assert!(outbox.submit(&ctx, b"late").unwrap_err().is_closed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self, SubmitError::Closed)
    }

    /// Returns why the context stopped, if that is what happened.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// # use ironsys::Stop;
    /// # use std::time::Duration;
    /// let late = ctx.with_timeout(Duration::ZERO);
    /// let refused = outbox.submit(&late, b"a").unwrap_err();
    /// assert_eq!(refused.stop(), Some(&Stop::DeadlineExceeded));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stop(&self) -> Option<&Stop> {
        match self {
            SubmitError::Stopped(stop) => Some(stop),
            _ => None,
        }
    }

    pub(super) fn refused(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Closed => SubmitError::Closed,
            Refusal::TooLarge { len, max } => SubmitError::TooLarge { len, max },
            Refusal::DiskFull => SubmitError::Full,
            Refusal::Failed(e) => SubmitError::Storage(e),
        }
    }
}

impl From<NotTaken> for SubmitError {
    fn from(why: NotTaken) -> Self {
        match why {
            NotTaken::Refused(refusal) => SubmitError::refused(refusal),
            NotTaken::Stopped(stop) => SubmitError::Stopped(stop),
        }
    }
}

/// A [`Ticket::wait`] that ended before the event was safe.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The group could not be written: the disk is full, say. The event is kept in memory; waiting
    /// again tries again.
    #[error("not written yet: {0}")]
    Unwritten(StorageError),
    /// A sync failed, so nobody knows what is on disk, and the outbox writes nothing more. Open it
    /// again to find out.
    #[error("the outbox has failed: {0}")]
    Failed(StorageError),
    /// The context stopped first. The event is on its way all the same.
    #[error(transparent)]
    Stopped(#[from] Stop),
}

impl WaitError {
    /// Returns whether waiting again may succeed: the event is still on its way.
    ///
    /// ```
    /// # use ironsys::durable::*;
    /// # let memory = Memory::new();
    /// # use ironsys::{Context, sync::Arc};
    /// # use std::io::ErrorKind;
    /// # let (ctx, _cancel) = Context::root();
    /// let outbox = Outbox::over(Arc::new(memory.clone())).open()?;
    /// let ticket = outbox.submit(&ctx, b"a")?;
    /// let full = Fault { at: FaultAt::Write, skip: 0, times: 1, error: ErrorKind::StorageFull };
    /// memory.fail(full);
    /// assert!(ticket.wait(&ctx).is_err_and(|e| e.is_open()));
    /// ticket.wait(&ctx)?; // there is room again
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_open(&self) -> bool {
        !matches!(self, WaitError::Failed(_))
    }

    /// Returns what is wrong with the storage, if that is it.
    ///
    /// ```
    /// # use ironsys::durable::*;
    /// # let memory = Memory::new();
    /// # use ironsys::{Context, sync::Arc};
    /// # use std::io::ErrorKind;
    /// # let (ctx, _cancel) = Context::root();
    /// let outbox = Outbox::over(Arc::new(memory.clone())).open()?;
    /// let ticket = outbox.submit(&ctx, b"a")?;
    /// memory.fail(Fault { at: FaultAt::Write, skip: 0, times: 1, error: ErrorKind::StorageFull });
    /// assert!(ticket.wait(&ctx).unwrap_err().storage().unwrap().is_disk_full());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn storage(&self) -> Option<&StorageError> {
        match self {
            WaitError::Unwritten(e) | WaitError::Failed(e) => Some(e),
            WaitError::Stopped(_) => None,
        }
    }

    /// Returns why the context stopped, if that is what happened.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// # use ironsys::Stop;
    /// # use std::time::Duration;
    /// let ticket = outbox.submit(&ctx, b"a")?;
    /// let late = ticket.wait(&ctx.with_timeout(Duration::ZERO)).unwrap_err();
    /// assert!(late.is_open() && late.stop() == Some(&Stop::DeadlineExceeded));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stop(&self) -> Option<&Stop> {
        match self {
            WaitError::Stopped(stop) => Some(stop),
            _ => None,
        }
    }
}

impl From<NotSafe> for WaitError {
    fn from(why: NotSafe) -> Self {
        match why {
            NotSafe::Failed(e) => WaitError::Failed(e),
            NotSafe::Unwritten(e) => WaitError::Unwritten(e),
            NotSafe::Stopped(stop) => WaitError::Stopped(stop),
        }
    }
}

/// An append that did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The event was not accepted: it did not happen.
    #[error(transparent)]
    Refused(#[from] SubmitError),
    /// The event was accepted, and it is not known whether it is safe. Wait again with the ticket,
    /// or append it again and have it twice.
    #[error("event {} is unconfirmed: {why}", ticket.id())]
    Unconfirmed {
        /// To wait for it again.
        ticket: Ticket,
        /// Why the wait ended.
        why: WaitError,
    },
    /// Of several events the first ones were accepted, the others not: these did not happen.
    #[error("only the events up to {} were accepted: {why}", ticket.id())]
    Partly {
        /// To wait for those that were.
        ticket: Ticket,
        /// Why the next one was not.
        why: SubmitError,
    },
}

impl AppendError {
    /// Returns the ticket of an event that was accepted.
    ///
    /// ```
    /// # use ironsys::durable::*;
    /// # let memory = Memory::new();
    /// # use ironsys::{Context, sync::Arc};
    /// # use std::io::ErrorKind;
    /// # let (ctx, _cancel) = Context::root();
    /// let outbox = Outbox::over(Arc::new(memory.clone())).open()?;
    /// memory.fail(Fault { at: FaultAt::Write, skip: 0, times: 1, error: ErrorKind::StorageFull });
    /// let unsure = outbox.append(&ctx, b"a").unwrap_err();
    /// unsure.ticket().unwrap().wait(&ctx)?; // rather than to have it twice
    /// assert_eq!(outbox.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn ticket(&self) -> Option<&Ticket> {
        match self {
            AppendError::Unconfirmed { ticket, .. } | AppendError::Partly { ticket, .. } => {
                Some(ticket)
            }
            AppendError::Refused(_) => None,
        }
    }

    /// Returns what is wrong with the storage, if that is it.
    ///
    /// ```
    /// # use ironsys::durable::*;
    /// # let memory = Memory::new();
    /// # use ironsys::{Context, sync::Arc};
    /// # use std::io::ErrorKind;
    /// # let (ctx, _cancel) = Context::root();
    /// let outbox = Outbox::over(Arc::new(memory.clone())).open()?;
    /// memory.fail(Fault { at: FaultAt::Sync, skip: 0, times: 1, error: ErrorKind::Other });
    /// let failed = outbox.append(&ctx, b"a").unwrap_err();
    /// assert!(!failed.storage().unwrap().is_disk_full());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn storage(&self) -> Option<&StorageError> {
        match self {
            AppendError::Unconfirmed { why, .. } => why.storage(),
            AppendError::Refused(SubmitError::Storage(e))
            | AppendError::Partly { why: SubmitError::Storage(e), .. } => Some(e),
            _ => None,
        }
    }

    /// Returns why the context stopped, if that is what happened.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// # use ironsys::Stop;
    /// # use std::time::Duration;
    /// let late = ctx.with_timeout(Duration::ZERO);
    /// let refused = outbox.append(&late, b"a").unwrap_err();
    /// assert_eq!(refused.stop(), Some(&Stop::DeadlineExceeded));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stop(&self) -> Option<&Stop> {
        match self {
            AppendError::Unconfirmed { why, .. } => why.stop(),
            AppendError::Refused(why) | AppendError::Partly { why, .. } => why.stop(),
        }
    }
}

/// A [`Reader`](super::Reader) that read nothing.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The outbox is closed, and read to its end.
    #[error("the outbox is closed and read to its end")]
    Closed,
    /// The storage failed; with [`Damaged`](StorageError::Damaged), see
    /// [`skip_damage`](super::Reader::skip_damage).
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The context stopped first.
    #[error(transparent)]
    Stopped(#[from] Stop),
}

impl ReadError {
    /// Returns whether the outbox is closed and read to its end.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// outbox.close(&ctx)?;
    /// assert!(outbox.reader("mail")?.next(&ctx).unwrap_err().is_closed()); // there is no more to come
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self, ReadError::Closed)
    }

    /// Returns what is wrong with the storage, if that is it.
    ///
    /// ```
    /// # use ironsys::durable::*;
    /// # let memory = Memory::new();
    /// # use ironsys::{Context, sync::Arc};
    /// # use std::io::ErrorKind;
    /// # let (ctx, _cancel) = Context::root();
    /// let outbox = Outbox::over(Arc::new(memory.clone())).open()?;
    /// outbox.append(&ctx, b"a")?;
    /// let mut reader = outbox.reader("mail")?;
    /// memory.fail(Fault { at: FaultAt::Read, skip: 0, times: 1, error: ErrorKind::Other });
    /// assert!(reader.next(&ctx).unwrap_err().storage().is_some());
    /// assert_eq!(reader.next(&ctx)?.body, b"a"); // the place is the same
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn storage(&self) -> Option<&StorageError> {
        match self {
            ReadError::Storage(e) => Some(e),
            _ => None,
        }
    }

    /// Returns why the context stopped, if that is what happened.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// # use ironsys::Stop;
    /// # use std::time::Duration;
    /// let soon = ctx.with_timeout(Duration::from_millis(1));
    /// let nothing = outbox.reader("mail")?.next(&soon).unwrap_err();
    /// assert_eq!(nothing.stop(), Some(&Stop::DeadlineExceeded));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stop(&self) -> Option<&Stop> {
        match self {
            ReadError::Stopped(stop) => Some(stop),
            _ => None,
        }
    }
}

impl From<NotReady> for ReadError {
    fn from(why: NotReady) -> Self {
        match why {
            NotReady::End => ReadError::Closed,
            NotReady::Failed(e) => ReadError::Storage(e),
            NotReady::Stopped(stop) => ReadError::Stopped(stop),
        }
    }
}

/// A reader that was not opened.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ReaderError {
    /// The name is that of a file too: letters, digits, `-`, `_` and `.`, at most 100, not beginning
    /// with a point.
    #[error("`{0}` is no name for a reader")]
    Name(String),
    /// Somebody reads under this name.
    #[error("the reader `{0}` is open already")]
    InUse(String),
    /// The file with the reader's position failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
