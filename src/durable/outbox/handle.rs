//! The outbox.

use super::builder::Builder;
use super::errors::{AppendError, OpenError, ReaderError, SubmitError, WaitError};
use super::reader::Reader;
use super::ticket::Ticket;
use crate::context::Context;
use crate::durable::log::{Durability, FolderLock, Log, Stats, is_name};
use crate::durable::storage::Storage;
use crate::pool::Pool;
use crate::service::{Ended, Part};
use crate::sync::Arc;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

/// A log of events in a directory: they are on disk before they are acknowledged, in order, and stay
/// until every reader has acked them.
///
/// Cheap to clone; all clones are handles to one outbox. The directory belongs to one outbox at a
/// time, in one process. When the last handle and the last reader are dropped, what was submitted is
/// written; [`close`](Self::close) does that and says how it went.
///
/// # Threads
/// There is none, except with [`Durability::Every`]: whoever waits for an event and finds nobody
/// writing writes all that has been submitted, and syncs once for all who wait.
///
/// # Cost
/// An append is one sync of the disk, shared by everybody who appends at the same time. To submit
/// costs a lock and a copy; who submits some hundred events and then waits for the last has a
/// hundred times the rate of one by one.
#[derive(Clone)]
pub struct Outbox {
    pub(super) owner: Arc<Owner>,
}

/// What ends with the last handle.
pub(super) struct Owner {
    pub(super) log: Arc<Log>,
    /// The thread of `Durability::Every`.
    syncer: Option<Pool>,
    _lock: FolderLock,
}

impl Outbox {
    /// Opens the outbox in a directory, with the defaults.
    ///
    /// # Errors
    /// See [`Builder::open`].
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// Outbox::open(dir.path())?.append(&ctx, b"paid")?;
    /// let outbox = Outbox::open(dir.path())?; // after a restart
    /// assert_eq!(outbox.reader("mail")?.next(&ctx)?.body, b"paid");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(path: impl Into<PathBuf>) -> Result<Outbox, OpenError> {
        Outbox::builder(path).open()
    }

    /// Starts to open the outbox in a directory.
    ///
    /// ```
    /// use ironsys::durable::{Durability, Outbox, WhenFull};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// let outbox = Outbox::builder(dir.path())
    ///     .durability(Durability::Always)
    ///     .when_full(WhenFull::Refuse)
    ///     .max_bytes(1 << 30)
    ///     .open()?;
    /// assert!(outbox.is_empty());
    /// # Ok(()) }
    /// ```
    pub fn builder(path: impl Into<PathBuf>) -> Builder {
        Builder::at(path.into())
    }

    /// Starts to open an outbox over a storage of one's own.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*, sync::Arc};
    /// # let (ctx, _cancel) = Context::root();
    /// let memory = Memory::new();
    /// Outbox::over(Arc::new(memory.clone())).open()?.append(&ctx, b"paid")?;
    /// let after = Outbox::over(Arc::new(memory.after_power_cut(3))).open()?;
    /// assert_eq!(after.reader("mail")?.next(&ctx)?.body, b"paid");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn over(storage: Arc<dyn Storage>) -> Builder {
        Builder::over(storage)
    }

    pub(super) fn new(
        log: Arc<Log>,
        lock: FolderLock,
        durability: Durability,
        parent: &Context,
    ) -> Result<Self, OpenError> {
        let syncer = match durability {
            Durability::Every(_) => {
                let name = format!("{}-sync", log.name).replace('\0', "");
                let pool = Pool::builder(name).workers(1).queue(1).context(parent).build()?;
                let for_sync = log.clone();
                let _ = pool.execute(parent, move |ctx| for_sync.sync_now_and_then(ctx));
                Some(pool)
            }
            _ => None,
        };
        Ok(Outbox { owner: Arc::new(Owner { log, syncer, _lock: lock }) })
    }

    /// Appends an event, and returns its number when it is safe, as the outbox's
    /// [`Durability`] has it.
    ///
    /// # Cancellation
    /// Before it was accepted, it did not happen. After, it is
    /// [`Unconfirmed`](AppendError::Unconfirmed): the error has a ticket to wait for it again.
    ///
    /// # Errors
    /// See [`AppendError`].
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// let first = outbox.append(&ctx, b"order 7")?; // on disk now
    /// let second = outbox.append(&ctx, b"order 8")?;
    /// assert!(first < second);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn append(&self, ctx: &Context, event: &[u8]) -> Result<u64, AppendError> {
        let log = &self.owner.log;
        let (id, safe) = log.append(ctx, event).map_err(SubmitError::from)?;
        match safe {
            Ok(()) => Ok(id),
            Err(why) => {
                Err(AppendError::Unconfirmed { ticket: Ticket::new(log, id), why: why.into() })
            }
        }
    }

    /// Appends several events, in order, and returns their numbers when all are safe. Others' events
    /// may stand between them, so the range may hold more numbers than there were events. Nothing is
    /// submitted by an empty list, and the range is empty.
    ///
    /// # Cancellation
    /// As for [`append`](Self::append): the ticket is that of the last event accepted. Those behind
    /// it did not happen.
    ///
    /// # Errors
    /// See [`AppendError`].
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// let ids = outbox.append_many(&ctx, ["order 7", "its invoice"])?;
    /// assert_eq!((ids.count(), outbox.stats().syncs), (2, 1)); // one sync for both
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn append_many<I>(&self, ctx: &Context, events: I) -> Result<Range<u64>, AppendError>
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        let log = &self.owner.log;
        let mut ids: Option<Range<u64>> = None;
        for event in events {
            match log.submit(ctx, event.as_ref(), false) {
                Ok(id) => ids = Some(ids.map_or(id, |ids| ids.start)..id + 1),
                Err(why) => {
                    let why = SubmitError::from(why);
                    let Some(ids) = ids else { return Err(why.into()) };
                    let ticket = Ticket::new(log, ids.end - 1);
                    return Err(match why {
                        SubmitError::Stopped(stop) => {
                            AppendError::Unconfirmed { ticket, why: WaitError::Stopped(stop) }
                        }
                        why => AppendError::Partly { ticket, why },
                    });
                }
            }
        }
        let Some(ids) = ids else { return Ok(0..0) };
        match log.wait(ctx, ids.end - 1, false) {
            Ok(()) => Ok(ids),
            Err(why) => {
                let ticket = Ticket::new(log, ids.end - 1);
                Err(AppendError::Unconfirmed { ticket, why: why.into() })
            }
        }
    }

    /// Accepts an event and returns at once, when it has been copied to memory. It is safe when
    /// [`Ticket::wait`] says so.
    ///
    /// It waits if too much waits already to be written, or if the disk space is used up.
    ///
    /// # Cancellation
    /// Of the wait: the event was not accepted.
    ///
    /// # Errors
    /// See [`SubmitError`].
    ///
    /// ```
    /// use ironsys::{Context, durable::Outbox};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// let (ctx, _cancel) = Context::root();
    /// let outbox = Outbox::open(dir.path())?;
    /// let tickets: Result<Vec<_>, _> =
    ///     (0..100).map(|n: u32| outbox.submit(&ctx, &n.to_le_bytes())).collect();
    /// tickets?.pop().unwrap().wait(&ctx)?; // one sync for all
    /// assert_eq!((outbox.len(), outbox.stats().syncs), (100, 1));
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn submit(&self, ctx: &Context, event: &[u8]) -> Result<Ticket, SubmitError> {
        let log = &self.owner.log;
        let id = log.submit(ctx, event, true)?;
        Ok(Ticket::new(log, id))
    }

    /// Accepts an event without waiting for others; `Ok(None)` if that cannot be. It may have to
    /// write what is in memory to make room.
    ///
    /// # Errors
    /// See [`SubmitError`].
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// let outbox = Outbox::open(dir.path())?;
    /// match outbox.try_submit(b"a click")? {
    ///     Some(ticket) => ticket.wait(&ctx)?,
    ///     None => println!("too much to do: dropped"),
    /// }
    /// assert_eq!(outbox.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_submit(&self, event: &[u8]) -> Result<Option<Ticket>, SubmitError> {
        let log = &self.owner.log;
        let id = log.try_submit(event).map_err(SubmitError::refused)?;
        Ok(id.map(|id| Ticket::new(log, id)))
    }

    /// Waits until everything submitted so far is on disk, whatever the durability.
    ///
    /// # Cancellation
    /// As for [`Ticket::wait`].
    ///
    /// # Errors
    /// See [`WaitError`].
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// let outbox = Outbox::builder(dir.path()).durability(Durability::Os).open()?;
    /// outbox.append(&ctx, b"a click")?;
    /// assert_eq!(outbox.stats().unsynced, 1);
    /// outbox.flush(&ctx)?;
    /// assert_eq!(outbox.stats().unsynced, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn flush(&self, ctx: &Context) -> Result<(), WaitError> {
        Ok(self.owner.log.flush(ctx)?)
    }

    /// Accepts nothing more, and waits until everything submitted is on disk. Readers read on to the
    /// end. Callers that wait for room are refused. To close again only waits.
    ///
    /// # Cancellation
    /// Of the wait; the outbox is closed all the same.
    ///
    /// # Errors
    /// See [`WaitError`].
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// outbox.append(&ctx, b"last")?;
    /// outbox.close(&ctx)?;
    /// assert!(outbox.submit(&ctx, b"late").is_err_and(|e| e.is_closed()));
    /// let mut reader = outbox.reader("mail")?;
    /// assert_eq!(reader.next(&ctx)?.body, b"last");
    /// assert!(reader.next(&ctx).is_err_and(|e| e.is_closed())); // read to the end
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn close(&self, ctx: &Context) -> Result<(), WaitError> {
        self.owner.log.close();
        self.flush(ctx)
    }

    /// Opens the reader of a name; at its first time it begins with the oldest event that is kept.
    ///
    /// Each name has a position of its own, on disk; an event is kept until every name has acked it.
    ///
    /// # Errors
    /// The name is none, or somebody reads under it; or its file fails.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// outbox.append(&ctx, b"paid")?;
    /// for name in ["mail", "books"] {
    ///     assert_eq!(outbox.reader(name)?.next(&ctx)?.body, b"paid"); // each has it
    /// }
    /// assert!(matches!(outbox.reader("no/name"), Err(ReaderError::Name(_))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reader(&self, name: &str) -> Result<Reader, ReaderError> {
        if !is_name(name) {
            return Err(ReaderError::Name(name.into()));
        }
        Reader::open(self, name)
    }

    /// Where it is; for a storage of one's own, what that says.
    #[cfg(all(unix, not(any(loom, ironsys_loom, shuttle))))]
    pub(in crate::durable) fn folder(&self) -> &std::path::Path {
        self.owner.log.storage.path()
    }

    /// Forgets the position of a reader, so that nothing is kept for it.
    ///
    /// # Errors
    /// Somebody reads under the name, or its file fails.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// outbox.append(&ctx, b"paid")?;
    /// drop(outbox.reader("old-mail")?);
    /// assert_eq!(outbox.stats().readers.len(), 1); // events are kept for it
    /// outbox.forget_reader("old-mail")?;
    /// assert!(outbox.stats().readers.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn forget_reader(&self, name: &str) -> Result<(), ReaderError> {
        if !is_name(name) {
            return Err(ReaderError::Name(name.into()));
        }
        match self.owner.log.forget_reader(name)? {
            true => Ok(()),
            false => Err(ReaderError::InUse(name.into())),
        }
    }

    /// Returns how many events there are that some reader has not acked.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// outbox.append_many(&ctx, ["a", "b"])?;
    /// let mut reader = outbox.reader("mail")?;
    /// let a = reader.next(&ctx)?;
    /// assert_eq!(outbox.len(), 2); // read, not acked
    /// reader.ack(a.id)?;
    /// assert_eq!(outbox.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> u64 {
        self.stats().len
    }

    /// The most bytes of an event.
    pub(crate) fn largest(&self) -> usize {
        self.owner.log.largest()
    }

    /// Returns whether every reader has acked everything.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// let id = outbox.append(&ctx, b"a")?;
    /// assert!(!outbox.is_empty());
    /// let mut reader = outbox.reader("mail")?;
    /// reader.next(&ctx)?;
    /// reader.ack(id)?;
    /// assert!(outbox.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the counts, and how far each reader is.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// outbox.append_many(&ctx, ["a", "b"])?;
    /// let _reader = outbox.reader("mail")?;
    /// let stats = outbox.stats();
    /// assert_eq!((stats.ledger.accepted, stats.submitted_bytes, stats.syncs), (2, 2, 1));
    /// assert_eq!((&*stats.readers[0].name, stats.readers[0].lag), ("mail", 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.owner.log.stats()
    }
}

/// Makes everything durable and closes. Events that a reader has not acked are left: on disk, for the
/// next start.
impl Part for Outbox {
    fn drain(self: Box<Self>, ctx: &Context) -> Ended {
        let closed = self.close(ctx);
        let ended = Ended::clean().left("events not acked", self.len());
        match closed {
            Ok(()) => ended,
            Err(error) => ended.error(error),
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.log.close();
        drop(self.syncer.take());
        let left = self.log.shut();
        if left > 0 {
            log::error!("ironsys: outbox `{}`: {left} events were not written", self.log.name);
        }
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("name", &self.owner.log.name).finish_non_exhaustive()
    }
}
