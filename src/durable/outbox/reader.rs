//! Reading an outbox.

use super::errors::{ReadError, ReaderError};
use super::handle::Outbox;
use crate::context::Context;
use crate::durable::log::{Cursor, Mark, NONE, Segments};
use crate::durable::storage::StorageError;
use crate::sync::Arc;
use std::fmt;
use std::ops::Range;

/// An event that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// Its number; numbers grow, mostly by one.
    pub id: u64,
    /// What was appended.
    pub body: Vec<u8>,
}

/// Reads the events of an outbox in order, from the first that this name has not acked.
///
/// It sees an event when that is on disk. Dropping it keeps the position.
///
/// ```
/// use ironsys::{Context, durable::Outbox};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let (ctx, _cancel) = Context::root();
/// let outbox = Outbox::open(dir.path())?;
/// outbox.append_many(&ctx, ["a", "b"])?;
/// let mut reader = outbox.reader("mail")?;
/// let a = reader.next(&ctx)?;
/// reader.ack(a.id)?;
/// assert_eq!(reader.next(&ctx)?.body, b"b"); // not acked
/// drop(reader);
/// assert_eq!(outbox.reader("mail")?.next(&ctx)?.body, b"b");
/// # Ok(()) }
/// ```
pub struct Reader {
    feed: Feed,
    acks: Acks,
}

/// The half of a reader that reads. The position is the other half's.
pub(in crate::durable) struct Feed {
    name: Arc<Name>,
    segments: Segments,
    /// How far it may go, as far as it knows.
    mark: Mark,
}

/// The half of a reader that acks.
pub(in crate::durable) struct Acks {
    name: Arc<Name>,
    cursor: Cursor,
}

/// The right to read under a name; given back with the last half.
struct Name {
    outbox: Outbox,
    name: String,
}

// ===== impl Reader =====

impl Reader {
    pub(super) fn open(outbox: &Outbox, name: &str) -> Result<Self, ReaderError> {
        let log = &outbox.owner.log;
        let start = log.open_reader(name).ok_or_else(|| ReaderError::InUse(name.into()))?;
        let name = Arc::new(Name { outbox: outbox.clone(), name: name.into() });
        let cursor = Cursor::open(&*log.storage, &name.name, start)?;
        let segments = Segments::at(&log.storage, cursor.position);
        let feed = Feed { name: name.clone(), segments, mark: log.readable_now() };
        Ok(Reader { feed, acks: Acks { name, cursor } })
    }

    pub(in crate::durable) fn split(self) -> (Feed, Acks) {
        (self.feed, self.acks)
    }

    #[cfg(all(unix, not(any(loom, ironsys_loom, shuttle))))]
    pub(in crate::durable) fn halves(&mut self) -> (&mut Feed, &mut Acks) {
        (&mut self.feed, &mut self.acks)
    }

    /// Waits for the next event.
    ///
    /// # Cancellation
    /// Nothing was read.
    ///
    /// # Errors
    /// See [`ReadError`]. After an error of the storage the place is the same.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// outbox.append_many(&ctx, ["a", "b"])?;
    /// outbox.close(&ctx)?;
    /// let mut reader = outbox.reader("mail")?;
    /// let mut bodies = Vec::new();
    /// let end = loop {
    ///     match reader.next(&ctx) {
    ///         Ok(event) => bodies.push(event.body),
    ///         Err(e) => break e,
    ///     }
    /// };
    /// assert!(end.is_closed() && bodies == [b"a", b"b"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn next(&mut self, ctx: &Context) -> Result<Event, ReadError> {
        self.feed.next(ctx)
    }

    /// Reads the next event, if one is there.
    ///
    /// # Errors
    /// Those of the storage. After one the place is the same.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// let mut reader = outbox.reader("mail")?;
    /// assert_eq!(reader.try_next()?, None);
    /// outbox.append(&ctx, b"a")?;
    /// assert_eq!(reader.try_next()?.unwrap().body, b"a");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_next(&mut self) -> Result<Option<Event>, StorageError> {
        self.feed.try_next()
    }

    /// Marks this event and all before it as done with: they are not read again, and when every
    /// reader is done with them, their space is given back. What was not read yet stays unacked.
    ///
    /// # Errors
    /// The position could not be written. It counts until the outbox is opened again.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// outbox.append_many(&ctx, ["a", "b", "c"])?;
    /// let mut reader = outbox.reader("mail")?;
    /// reader.next(&ctx)?;
    /// let b = reader.next(&ctx)?;
    /// reader.ack(b.id)?; // and `a`
    /// assert_eq!(outbox.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ack(&mut self, id: u64) -> Result<(), StorageError> {
        self.acks.ack(id.min(self.position().saturating_sub(1)))
    }

    /// Goes to the event `id`, which is written, without reading those before it.
    pub(crate) fn skip_to(&mut self, id: u64) {
        let log = &self.feed.name.outbox.owner.log;
        self.feed.segments.go_to(id);
        log.hold(&self.feed.name.name, NONE);
    }

    /// Goes back to the first event that is not acked.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// outbox.append(&ctx, b"a")?;
    /// let mut reader = outbox.reader("mail")?;
    /// let sent = reader.next(&ctx)?; // the mail server was down: once more
    /// reader.rewind();
    /// assert_eq!(reader.next(&ctx)?, sent);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn rewind(&mut self) {
        self.feed.segments.go_to(self.acks.cursor.position);
    }

    /// Goes on behind acknowledged events that do not verify, after
    /// [`Damaged`](StorageError::Damaged) was reported. Returns the numbers of the events that are
    /// lost; empty if there is no damage here.
    ///
    /// # Errors
    /// Those of the storage.
    ///
    /// ```
    /// # use ironsys::durable::*;
    /// # let memory = Memory::new();
    /// # use ironsys::{Context, sync::Arc};
    /// # let (ctx, _cancel) = Context::root();
    /// let outbox = Outbox::over(Arc::new(memory.clone())).open()?;
    /// let a = outbox.append(&ctx, b"a")?;
    /// outbox.append(&ctx, b"b")?;
    /// memory.flip("00000000000000000001.seg", 52, 1)?; // a bit of `a`
    /// let mut reader = outbox.reader("mail")?;
    /// assert!(reader.next(&ctx).is_err_and(|e| e.storage().is_some_and(|e| e.is_damaged())));
    /// assert_eq!(reader.skip_damage()?, a..a + 1);
    /// assert_eq!(reader.next(&ctx)?.body, b"b");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn skip_damage(&mut self) -> Result<Range<u64>, StorageError> {
        self.feed.mark = self.feed.name.outbox.owner.log.readable_now();
        self.feed.segments.skip_damage(self.feed.mark)
    }

    /// Returns the name.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// assert_eq!(outbox.reader("mail")?.name(), "mail");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        &self.feed.name.name
    }

    /// Returns the number of the next event to be read.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// outbox.append_many(&ctx, ["a", "b"])?;
    /// let mut reader = outbox.reader("mail")?;
    /// let a = reader.next(&ctx)?;
    /// assert_eq!(reader.position(), a.id + 1); // read, not acked
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn position(&self) -> u64 {
        self.feed.segments.next()
    }

    /// Returns the number of the first event that is not acked.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// outbox.append_many(&ctx, ["a", "b"])?;
    /// let mut reader = outbox.reader("mail")?;
    /// let a = reader.next(&ctx)?;
    /// assert_eq!(reader.acked(), a.id);
    /// reader.ack(a.id)?;
    /// assert_eq!(reader.acked(), a.id + 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn acked(&self) -> u64 {
        self.acks.cursor.position
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("name", &self.name())
            .field("position", &self.position())
            .finish_non_exhaustive()
    }
}

// ===== impl Feed =====

impl Feed {
    #[track_caller]
    pub(in crate::durable) fn next(&mut self, ctx: &Context) -> Result<Event, ReadError> {
        ctx.check()?;
        loop {
            if let Some(event) = self.read()? {
                return Ok(event);
            }
            self.mark = self.name.outbox.owner.log.readable(ctx, self.segments.next())?;
        }
    }

    pub(in crate::durable) fn try_next(&mut self) -> Result<Option<Event>, StorageError> {
        if self.segments.next() >= self.mark.id {
            self.mark = self.name.outbox.owner.log.readable_now();
        }
        self.read()
    }

    fn read(&mut self) -> Result<Option<Event>, StorageError> {
        let held = self.segments.holds();
        let read = self.segments.read(self.mark);
        if let Some(holds) = self.segments.holds().filter(|_| held != self.segments.holds()) {
            self.name.outbox.owner.log.hold(&self.name.name, holds);
        }
        Ok(read?.map(|(id, body)| Event { id, body }))
    }
}

// ===== impl Acks =====

impl Acks {
    /// Everything up to `id` is done with; it was read.
    pub(in crate::durable) fn ack(&mut self, id: u64) -> Result<(), StorageError> {
        let log = &self.name.outbox.owner.log;
        let position = id.saturating_add(1);
        if position <= self.cursor.position {
            return Ok(());
        }
        let written = self.cursor.advance(&*log.storage, position);
        log.advance(&self.name.name, position);
        written
    }
}

impl Drop for Acks {
    fn drop(&mut self) {
        // Without it some events are read again.
        let _ = self.cursor.sync(&*self.name.outbox.owner.log.storage);
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        self.outbox.owner.log.close_reader(&self.name, true);
    }
}
