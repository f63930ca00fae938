//! The group commit: whoever needs an event on disk, and finds nobody at it, writes all that has been
//! collected and syncs once. `README.md` has the protocol and why no event and no wake-up is lost.

use super::cursor::file_name;
use super::limits::{Durability, Limits};
use super::line::Want;
use super::ops::{Dirty, Feed, Safe, Submit, Then};
use super::recover::Recovered;
use super::state::{Counts, Fed, NONE, Position, Refusal, Standing, State, Taken, Work};
use super::stats::Stats;
use super::writer::{Mark, Sealed, Trouble, segment_name, spare_name};
use crate::context::{Context, Stop};
use crate::durable::storage::{Storage, StorageError};
use crate::sync::{Arc, LeakTrack, Mutex, catch_unwind};
use crate::wait::{Place, Site, WaitKind, Wakes};
use std::any::Any;
use std::io;
use std::time::Duration;

/// A log: the files, and the state that its handles share.
pub(in crate::durable) struct Log {
    pub(in crate::durable) storage: Arc<dyn Storage>,
    pub(in crate::durable) name: Arc<str>,
    /// Guards everything that is in memory.
    state: Mutex<State>,
    _leak: LeakTrack,
}

/// Why an event was not taken.
#[derive(Debug)]
pub(in crate::durable) enum NotTaken {
    Refused(Refusal),
    Stopped(Stop),
}

/// Why an event is not known to be on disk.
#[derive(Debug)]
pub(in crate::durable) enum NotSafe {
    Failed(StorageError),
    Unwritten(StorageError),
    Stopped(Stop),
}

/// Why there is no event to read.
#[derive(Debug)]
pub(in crate::durable) enum NotReady {
    Failed(StorageError),
    End,
    Stopped(Stop),
}

impl Work {
    /// Writes the group; no lock is held.
    fn run(&mut self) -> Result<(), Trouble> {
        if self.writer.is_full() && self.first < self.end {
            self.rolled = Some(self.writer.roll(self.first, self.spare.as_deref())?);
        }
        if self.first < self.end {
            self.writer.write(&mut self.group, self.synced)?;
        }
        if self.sync {
            self.writer.sync()?;
        }
        let readable = self.writer.mark(self.end);
        self.writer.note(readable, if self.sync { self.end } else { self.synced });
        Ok(())
    }
}

impl Log {
    pub(super) fn new(
        storage: Arc<dyn Storage>,
        name: Arc<str>,
        limits: Limits,
        found: Recovered,
    ) -> Self {
        let Recovered { writer, sealed, end, readers, floor, spares, report } = found;
        let position = |(name, next)| (name, Position { next, open: false, holds: NONE });
        let state = State {
            limits,
            group: Vec::new(),
            spare_group: Vec::new(),
            next: end.id,
            written: end.id,
            synced: end.id,
            readable: end,
            writer: Some(Box::new(writer)),
            sealed_bytes: sealed.iter().map(|sealed| sealed.bytes).sum(),
            sealed,
            tail_bytes: end.offset,
            spares,
            closed: false,
            failed: None,
            readers: readers.into_iter().map(position).collect(),
            floor,
            line: Default::default(),
            room: Default::default(),
            feeds: Default::default(),
            flusher: Default::default(),
            counts: Counts { at_open: report.pending, ..Counts::default() },
        };
        let log = Log { storage, name, state: Mutex::new(state), _leak: LeakTrack::new() };
        let gone = log.with(|state, _| state.raise_floor());
        log.reclaim(gone);
        log.with(|state, _| state.counts.done = 0);
        log
    }

    /// Runs one critical section, then wakes whom it chose.
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut State, &mut Wakes) -> R) -> R {
        let mut wakes = Wakes::default();
        let mut state = self.state.lock();
        let out = f(&mut state, &mut wakes);
        drop(state);
        wakes.wake();
        out
    }

    fn site(&self, kind: WaitKind) -> Site {
        Site::new(kind, Some(self.name.clone()))
    }

    /// Does a leader's work: no lock is held.
    fn commit(&self, mut work: Work) -> Result<(), StorageError> {
        let run = catch_unwind(|| work.run());
        let (result, panic) = match run {
            Ok(result) => (result, None),
            Err(payload) => {
                let e = io::Error::other("the storage panicked");
                let error = StorageError::io("write", self.storage.path(), 0, e);
                (Err(Trouble { error, fatal: true }), Some(payload))
            }
        };
        self.with(|state, wakes| state.finish(work, &result, wakes));
        if let Some(payload) = panic {
            std::panic::resume_unwind(payload);
        }
        result.map_err(|trouble| trouble.error)
    }

    /// The most bytes of an event.
    pub(in crate::durable) fn largest(&self) -> usize {
        self.with(|state, _| state.largest())
    }

    /// Takes an event, waiting for room; a reader that waits is told if `announce`.
    pub(in crate::durable) fn submit(
        &self,
        ctx: &Context,
        body: &[u8],
        announce: bool,
    ) -> Result<u64, NotTaken> {
        let then = if announce { Then::Announce } else { Then::GoOn };
        self.take(ctx, body, then).map(|(id, _)| id)
    }

    /// Takes an event, waiting for room, and says what became of it then.
    pub(in crate::durable) fn append(
        &self,
        ctx: &Context,
        body: &[u8],
    ) -> Result<(u64, Result<(), NotSafe>), NotTaken> {
        let (id, work) = self.take(ctx, body, Then::Lead)?;
        let safe = match work {
            Some(work) => self.lead(work),
            None => self.wait(ctx, id, false),
        };
        Ok((id, safe))
    }

    /// With [`Then::Lead`] there may be work for the caller, which ends with the event on disk.
    fn take(
        &self,
        ctx: &Context,
        body: &[u8],
        then: Then,
    ) -> Result<(u64, Option<Work>), NotTaken> {
        ctx.check().map_err(NotTaken::Stopped)?;
        let mut op = Submit::new(self, body, then);
        let mut taken = op.attempt(None);
        loop {
            taken = match taken {
                Taken::Yes(id) => return Ok((id, op.work)),
                Taken::No(refusal) => return Err(NotTaken::Refused(refusal)),
                Taken::Lead(work) => match self.commit(work) {
                    Ok(()) => op.attempt(None),
                    Err(error) => return Err(NotTaken::Refused(Refusal::Failed(error))),
                },
                Taken::Wait => {
                    let site = self.site(WaitKind::Send);
                    ctx.block(site, &mut op).map_err(NotTaken::Stopped)?
                }
            };
        }
    }

    /// Takes an event if that needs neither waiting nor writing; `Ok(None)` if it does.
    pub(in crate::durable) fn try_submit(&self, body: &[u8]) -> Result<Option<u64>, Refusal> {
        let mut op = Submit::new(self, body, Then::Announce);
        match op.attempt(None) {
            Taken::Yes(id) => Ok(Some(id)),
            Taken::No(refusal) => Err(refusal),
            Taken::Wait => Ok(None),
            Taken::Lead(work) => match self.commit(work) {
                Ok(()) => match op.attempt(None) {
                    Taken::Yes(id) => Ok(Some(id)),
                    Taken::No(refusal) => Err(refusal),
                    _ => Ok(None),
                },
                Err(error) => Err(Refusal::Failed(error)),
            },
        }
    }

    /// Writes what has been collected.
    fn lead(&self, work: Work) -> Result<(), NotSafe> {
        self.commit(work).map_err(|error| {
            let failed = self.with(|state, _| state.failed.is_some());
            if failed { NotSafe::Failed(error) } else { NotSafe::Unwritten(error) }
        })
    }

    /// Waits until an event is safe; writes it if nobody else does.
    pub(in crate::durable) fn wait(
        &self,
        ctx: &Context,
        id: u64,
        synced: bool,
    ) -> Result<(), NotSafe> {
        ctx.check().map_err(NotSafe::Stopped)?;
        let mut op = Safe { log: self, want: Want { id, synced }, place: 0 };
        loop {
            let site = Site::new(WaitKind::Join, Some(self.name.clone()));
            match ctx.block(site, &mut op).map_err(NotSafe::Stopped)? {
                Standing::Done => return Ok(()),
                Standing::Failed(error) => return Err(NotSafe::Failed(error)),
                Standing::Unwritten(error) => return Err(NotSafe::Unwritten(error)),
                Standing::Lead(work) => {
                    let end = work.end;
                    self.lead(work)?;
                    if id < end {
                        return Ok(());
                    }
                }
                Standing::Wait => {}
            }
        }
    }

    pub(in crate::durable) fn is_safe(&self, id: u64) -> bool {
        self.with(|state, _| id < state.acked())
    }

    /// Waits until everything submitted so far is on disk.
    pub(in crate::durable) fn flush(&self, ctx: &Context) -> Result<(), NotSafe> {
        let next = self.with(|state, _| state.next);
        self.wait(ctx, next - 1, true)
    }

    /// Takes nothing new.
    pub(in crate::durable) fn close(&self) -> bool {
        self.with(|state, wakes| state.close(wakes))
    }

    /// Writes what is left, without a context to wait under: nobody else holds the log any more.
    /// Returns how many events could not be written.
    pub(in crate::durable) fn shut(&self) -> u64 {
        self.close();
        let (ctx, _cancel) = Context::root();
        match self.flush(&ctx) {
            Ok(()) => 0,
            Err(_) => self.with(|state, _| state.next - state.acked()),
        }
    }

    /// Waits until something behind `after` may be read.
    pub(in crate::durable) fn readable(&self, ctx: &Context, after: u64) -> Result<Mark, NotReady> {
        ctx.check().map_err(NotReady::Stopped)?;
        let mut op = Feed { log: self, after, place: Place::default() };
        loop {
            let site = self.site(WaitKind::Recv);
            match ctx.block(site, &mut op).map_err(NotReady::Stopped)? {
                Fed::Ready(mark) => return Ok(mark),
                Fed::Failed(error) => return Err(NotReady::Failed(error)),
                Fed::End => return Err(NotReady::End),
                Fed::Lead(work) => self.commit(work).map_err(NotReady::Failed)?,
            }
        }
    }

    /// How far one may read now.
    pub(in crate::durable) fn readable_now(&self) -> Mark {
        self.with(|state, _| state.readable)
    }

    /// Lets somebody read under a name; returns where it begins. `None` if somebody does already.
    pub(in crate::durable) fn open_reader(&self, reader: &str) -> Option<u64> {
        self.with(|state, _| {
            let next = state.floor;
            let at = state.readers.entry(reader.into()).or_insert(Position {
                next,
                open: false,
                holds: NONE,
            });
            (!std::mem::replace(&mut at.open, true)).then_some(at.next)
        })
    }

    /// Nobody reads under the name any more; the position stays, unless it was never on disk.
    pub(in crate::durable) fn close_reader(&self, reader: &str, keep: bool) {
        let gone = self.with(|state, _| {
            if keep {
                if let Some(at) = state.readers.get_mut(reader) {
                    at.open = false;
                    at.holds = NONE;
                }
            } else {
                state.readers.remove(reader);
            }
            state.raise_floor()
        });
        self.reclaim(gone);
    }

    /// A reader is done with everything below `position`.
    pub(in crate::durable) fn advance(&self, reader: &str, position: u64) {
        let gone = self.with(|state, _| state.advance(reader, position));
        self.reclaim(gone);
    }

    /// A reader has opened a segment, and left the one before.
    pub(in crate::durable) fn hold(&self, reader: &str, segment: u64) {
        let gone = self.with(|state, _| {
            if let Some(at) = state.readers.get_mut(reader) {
                at.holds = segment;
            }
            state.raise_floor()
        });
        self.reclaim(gone);
    }

    /// Removes the position of a reader; `false` if somebody reads under the name.
    pub(in crate::durable) fn forget_reader(&self, reader: &str) -> Result<bool, StorageError> {
        if self.with(|state, _| state.readers.get(reader).is_some_and(|at| at.open)) {
            return Ok(false);
        }
        let file = file_name(reader);
        match self.storage.remove(&file) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(StorageError::io("remove", self.storage.path().join(file), 0, e));
            }
            _ => self.close_reader(reader, false),
        }
        Ok(true)
    }

    pub(in crate::durable) fn stats(&self) -> Stats {
        self.with(|state, _| state.stats())
    }

    /// Waits until there is something to sync; `false` when the log is closed or has failed.
    pub(in crate::durable) fn wait_dirty(&self, ctx: &Context) -> Result<bool, Stop> {
        let mut op = Dirty { log: self, place: Place::default() };
        ctx.block(Site::new(WaitKind::Work, Some(self.name.clone())), &mut op)
    }

    /// Gives the segments back that nobody wants any more: one is kept for its next use.
    pub(super) fn reclaim(&self, gone: Vec<Sealed>) {
        if gone.is_empty() {
            return;
        }
        let mut spare = None;
        let wanted = self.with(|state, _| state.spares.is_empty());
        for (i, sealed) in gone.iter().enumerate() {
            let name = segment_name(sealed.base);
            let done = if wanted && i == 0 {
                spare = Some(spare_name(sealed.base));
                self.storage.rename(&name, &spare_name(sealed.base))
            } else {
                self.storage.remove(&name)
            };
            if let Err(e) = done {
                spare = spare.filter(|_| i != 0);
                // The next start finds it acked, and tries again.
                log::warn!("ironsys: outbox `{}`: {name} stays: {e}", self.name);
            }
        }
        // The old name must not come back over the next use of the file.
        if let Err(e) = self.storage.sync_names() {
            log::warn!("ironsys: outbox `{}`: the folder does not sync: {e}", self.name);
            spare = None;
        }
        self.with(|state, wakes| state.reclaimed(&gone, spare, wakes));
    }

    /// The thread of `Durability::Every`.
    pub(in crate::durable) fn sync_now_and_then(&self, ctx: &Context) {
        let Durability::Every(pause) = self.with(|state, _| state.limits.durability) else {
            return;
        };
        while let Ok(true) = self.wait_dirty(ctx) {
            if ctx.sleep(pause).is_err() {
                return;
            }
            match self.flush(ctx) {
                Ok(()) => {}
                // The disk is full: it need not be asked all the time.
                Err(NotSafe::Unwritten(_)) if ctx.sleep(FULL_DISK_PAUSE).is_ok() => {}
                Err(_) => return,
            }
        }
    }
}

/// How long the syncing thread leaves a full disk alone.
const FULL_DISK_PAUSE: Duration = Duration::from_secs(1);

/// Keeps a folder locked as long as it lives.
pub(in crate::durable) type FolderLock = Box<dyn Any + Send + Sync>;
