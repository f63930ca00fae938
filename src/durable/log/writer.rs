//! Writing groups of frames to the segments. One thread at a time has the writer: the leader.

use super::frame::{
    ALIGN, HEADER, Head, Kind, RECORD, SEGMENT_HEADER, SegmentHead, encode_record, sign_events,
};
use crate::durable::storage::{Storage, StorageError, StorageFile, write_all};
use crate::sync::{Arc, random_u64};
use std::fmt;
use std::io;

/// The name of the segment that begins with the event `base`.
pub(super) fn segment_name(base: u64) -> String {
    format!("{base:020}.seg")
}

/// The number in a segment's name.
pub(super) fn segment_base(name: &str) -> Option<u64> {
    name.strip_suffix(".seg").filter(|number| number.len() == 20)?.parse().ok()
}

/// The name of an acked segment that waits for its next use.
pub(super) fn spare_name(base: u64) -> String {
    format!("spare-{base:020}.seg")
}

/// A segment that is not ready yet.
const NEW: &str = "new.seg";
/// How far the log is on disk; overwritten after each group, never synced by itself.
pub(super) const TAIL: &str = "tail";

/// How far something is: everything below `id`, which is everything before `offset` of the segment
/// that begins with `base`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Mark {
    pub(crate) base: u64,
    pub(crate) offset: u64,
    pub(crate) id: u64,
}

/// Writes to the end of the log.
pub(super) struct Writer {
    storage: Arc<dyn Storage>,
    file: Arc<dyn StorageFile>,
    base: u64,
    seed: u32,
    /// Where the next group goes.
    tail: u64,
    /// Up to here the file holds bytes, so that a write changes no metadata.
    allocated: u64,
    hint: Box<dyn StorageFile>,
    segment_bytes: u64,
    /// Set if the segment is not to be written to any more.
    pub(super) ends: bool,
}

/// A write that failed.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) error: StorageError,
    /// Whether nobody knows any more what is on disk.
    pub(super) fatal: bool,
}

/// The segment that was ended by a roll.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sealed {
    pub(super) base: u64,
    /// The number of the first event of the next segment.
    pub(super) next: u64,
    pub(super) bytes: u64,
}

impl Writer {
    /// Makes the segment that begins with `base`, out of a spare one if there is.
    pub(super) fn create(
        storage: &Arc<dyn Storage>,
        hint: Box<dyn StorageFile>,
        segment_bytes: u64,
        base: u64,
        spare: Option<&str>,
    ) -> Result<Self, Trouble> {
        let made = Made::new(&**storage, base, spare)?;
        Ok(Writer {
            storage: storage.clone(),
            file: made.file,
            base,
            seed: made.seed,
            tail: SEGMENT_HEADER as u64,
            allocated: made.size,
            hint,
            segment_bytes,
            ends: false,
        })
    }

    /// Goes on at the end of a segment.
    pub(super) fn resume(
        storage: &Arc<dyn Storage>,
        hint: Box<dyn StorageFile>,
        segment_bytes: u64,
        file: Arc<dyn StorageFile>,
        head: SegmentHead,
        tail: u64,
    ) -> Self {
        let (storage, seed) = (storage.clone(), head.seed());
        let (base, allocated) = (head.base, tail);
        Writer { storage, file, base, seed, tail, allocated, hint, segment_bytes, ends: false }
    }

    /// Where the log ends, given the number of the next event.
    pub(super) fn mark(&self, id: u64) -> Mark {
        Mark { base: self.base, offset: self.tail, id }
    }

    pub(super) fn is_full(&self) -> bool {
        self.ends || self.tail >= self.segment_bytes
    }

    /// Ends the segment and begins the next one with the event `next`.
    ///
    /// The seal is on disk before the next segment has its name, and the next segment, header and
    /// name, before anything is written to it.
    pub(super) fn roll(&mut self, next: u64, spare: Option<&str>) -> Result<Sealed, Trouble> {
        let seal = Head { kind: Kind::Seal, len: 0, id: next, body: 0 }.encode(self.seed);
        self.write_at_tail(&seal)?;
        self.sync()?;
        let made = Made::new(&*self.storage, next, spare)?;
        let bytes = (self.tail + HEADER as u64).max(self.allocated);
        let sealed = Sealed { base: self.base, next, bytes };
        self.file = made.file;
        self.seed = made.seed;
        self.base = next;
        self.tail = SEGMENT_HEADER as u64;
        self.allocated = made.size;
        self.ends = false;
        Ok(sealed)
    }

    /// Writes a group of events behind the last one, with a marker: everything below `durable` is on
    /// disk already. On an error the group is as it was, and the next write goes to the same place.
    pub(super) fn write(&mut self, group: &mut Vec<u8>, durable: u64) -> Result<(), Trouble> {
        let events = group.len();
        sign_events(group, self.seed);
        let marker = Head { kind: Kind::Marker, len: 0, id: durable, body: events as u32 };
        group.extend_from_slice(&marker.encode(self.seed));
        let written = self.write_at_tail(group);
        if written.is_ok() {
            self.tail += group.len() as u64;
            self.allocate(group.len());
        }
        group.truncate(events);
        written
    }

    fn write_at_tail(&self, bytes: &[u8]) -> Result<(), Trouble> {
        debug_assert_eq!(self.tail % ALIGN as u64, 0);
        write_all(&*self.file, bytes, self.tail).map_err(|(done, e)| {
            let path = self.storage.path().join(segment_name(self.base));
            Trouble { error: StorageError::io("write", path, self.tail + done, e), fatal: false }
        })
    }

    /// Writes zeros ahead of small groups: to overwrite costs a sync less than to append.
    fn allocate(&mut self, group: usize) {
        if self.tail <= self.allocated {
            return;
        }
        self.allocated = self.tail;
        if group < AHEAD / 4 {
            let end = self.segment_bytes.min(self.tail + AHEAD as u64);
            while self.allocated < end {
                let piece = ZEROS.len() as u64 - self.allocated % ZEROS.len() as u64;
                let zeros = &ZEROS[..piece.min(end - self.allocated) as usize];
                // Without them it goes on as before; a full disk is for the next group to find out.
                if write_all(&*self.file, zeros, self.allocated).is_err() {
                    break;
                }
                self.allocated += zeros.len() as u64;
            }
        }
    }

    /// Makes what was written durable.
    pub(super) fn sync(&self) -> Result<(), Trouble> {
        self.file.sync().map_err(|e| {
            let path = self.storage.path().join(segment_name(self.base));
            Trouble { error: StorageError::io("sync", path, self.tail, e), fatal: true }
        })
    }

    /// Notes for other processes, and for the next start, how far the log may be read, and that
    /// everything below `synced` is on disk.
    pub(super) fn note(&self, readable: Mark, synced: u64) {
        // Only a hint: without it the next start knows less, and nobody else depends on it.
        let _ = write_all(&*self.hint, &encode_hint(readable, synced), 0);
    }
}

/// The hint: two records, of which the second has the other half of the first.
pub(super) fn encode_hint(readable: Mark, synced: u64) -> [u8; 2 * RECORD] {
    let mut bytes = [0; 2 * RECORD];
    let (place, rest) = bytes.split_at_mut(RECORD);
    place.copy_from_slice(&encode_record([readable.base, readable.offset, readable.id]));
    rest.copy_from_slice(&encode_record([synced, readable.id, 0]));
    bytes
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("base", &self.base).field("tail", &self.tail).finish()
    }
}

/// A new segment: header and name are on disk.
struct Made {
    file: Arc<dyn StorageFile>,
    seed: u32,
    size: u64,
}

impl Made {
    fn new(storage: &dyn Storage, base: u64, spare: Option<&str>) -> Result<Self, Trouble> {
        let at = |name: &str| storage.path().join(name);
        let trouble = |call, name: &str, e, fatal| {
            Err(Trouble { error: StorageError::io(call, at(name), 0, e), fatal })
        };
        let name = spare.unwrap_or(NEW);
        let opened = match spare {
            Some(spare) => storage.open(spare),
            None => storage.create(NEW),
        };
        let file: Arc<dyn StorageFile> = match opened {
            Ok(file) => file.into(),
            Err(e) => return trouble("create", name, e, false),
        };
        let head = SegmentHead { base, epoch: random_u64() };
        if let Err((_, e)) = write_all(&*file, &head.encode(), 0) {
            return trouble("write", name, e, false);
        }
        let size = match file.sync().and_then(|()| file.size()) {
            Ok(size) => size,
            Err(e) => return trouble("sync", name, e, true),
        };
        let named: io::Result<()> = storage.rename(name, &segment_name(base));
        if let Err(e) = named {
            return trouble("rename", name, e, false);
        }
        if let Err(e) = storage.sync_names() {
            return trouble("sync", "", e, true);
        }
        Ok(Made { file, seed: head.seed(), size })
    }
}

/// How many zeros are written ahead.
const AHEAD: usize = 1 << 20;
/// In pieces as small as this: what is written at once the system keeps as one piece of its cache, and
/// each sync goes through all blocks of the pieces that it writes.
static ZEROS: [u8; 8 << 10] = [0; 8 << 10];
