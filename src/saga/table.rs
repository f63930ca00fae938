//! Which sagas are open, where their last records are, and how far the journal may be acked.
//!
//! 1. The last record of an open saga is never acked.
//! 2. Of the records of one saga that are kept, the last has the highest version. So when it says that
//!    the saga is over, acking any part of them brings nothing back.

use super::record::{Phase, Snapshot};
use crate::durable::Reader;
use crate::sync::Arc;
use std::collections::BTreeMap;

pub(super) struct Table {
    pub(super) entries: BTreeMap<String, Entry>,
    /// Every record below it is known here.
    pub(super) top: u64,
    /// How far the journal is acked.
    pub(super) acked: u64,
    /// `None` while somebody is out acking.
    pub(super) reader: Option<Reader>,
}

pub(super) struct Entry {
    pub(super) snapshot: Snapshot,
    /// It, encoded: for copies.
    pub(super) bytes: Arc<[u8]>,
    /// The number of its last record, or a smaller one.
    pub(super) last: u64,
    /// The version with which it was entered: no other saga, of the same id or not, has this one.
    pub(super) began: u64,
    /// Somebody runs it.
    pub(super) busy: bool,
    /// Somebody copies it: it may be in the journal again, older than it is.
    copying: bool,
}

/// What is to be copied forward.
pub(super) struct Copy {
    pub(super) id: String,
    version: u64,
    pub(super) bytes: Arc<[u8]>,
}

impl Table {
    pub(super) fn new(reader: Reader, top: u64) -> Self {
        Table { entries: BTreeMap::new(), top, acked: reader.acked(), reader: Some(reader) }
    }

    /// Enters a saga, whose records will be `at` or later, run by the caller.
    pub(super) fn enter(&mut self, snapshot: Snapshot, bytes: Arc<[u8]>, at: u64, busy: bool) {
        let (id, began) = (snapshot.id.clone(), snapshot.version);
        let entry = Entry { snapshot, bytes, last: at, began, busy, copying: false };
        self.entries.insert(id, entry);
    }

    /// A record was read, when the journal was opened.
    pub(super) fn read(&mut self, snapshot: Snapshot, bytes: Arc<[u8]>, at: u64) {
        let newest = self.entries.get(&snapshot.id).map_or(0, |entry| entry.snapshot.version);
        if snapshot.version >= newest {
            self.enter(snapshot, bytes, at, false);
        }
    }

    /// Everything was read: what is over can go.
    ///
    /// A saga of which a stale copy is the last record keeps its place, until it is copied again.
    pub(super) fn settle(&mut self, last: &BTreeMap<String, u64>) {
        self.entries.retain(|id, entry| {
            entry.snapshot.phase != Phase::Closed || last.get(id) != Some(&entry.last)
        });
    }

    /// A record of a saga is in the journal.
    pub(super) fn recorded(&mut self, snapshot: &Snapshot, bytes: Arc<[u8]>, at: u64) {
        self.top = self.top.max(at + 1);
        let Some(entry) = self.entries.get_mut(&snapshot.id) else { return };
        entry.snapshot = snapshot.clone();
        entry.bytes = bytes;
        entry.last = at;
        self.forget_if_over(&snapshot.id);
    }

    fn forget_if_over(&mut self, id: &str) {
        if self.entries.get(id).is_some_and(|e| e.snapshot.phase == Phase::Closed && !e.copying) {
            self.entries.remove(id);
        }
    }

    /// The first record that is still wanted.
    pub(super) fn floor(&self) -> u64 {
        self.entries.values().map(|entry| entry.last).min().unwrap_or(self.top)
    }

    /// Chooses the oldest for a copy, if more is kept than the open sagas are worth.
    pub(super) fn choose_copy(&mut self) -> Option<Copy> {
        let open = self.entries.len() as u64;
        if self.top.saturating_sub(self.floor()) <= SPARE + FEW * open {
            return None;
        }
        let (id, entry) = self.entries.iter_mut().min_by_key(|(_, entry)| entry.last)?;
        if std::mem::replace(&mut entry.copying, true) {
            return None;
        }
        Some(Copy { id: id.clone(), version: entry.snapshot.version, bytes: entry.bytes.clone() })
    }

    /// The copy is in the journal, or failed. Returns what is to be copied still: the saga went on
    /// meanwhile, and its last record has to be the newest.
    pub(super) fn copied(&mut self, copy: Copy, at: Option<u64>) -> Option<Copy> {
        if let Some(at) = at {
            self.top = self.top.max(at + 1);
        }
        let entry = self.entries.get_mut(&copy.id)?;
        match at {
            Some(at) if entry.snapshot.version == copy.version => {
                entry.last = entry.last.max(at);
                entry.copying = false;
                self.forget_if_over(&copy.id);
                None
            }
            Some(_) => {
                let (version, bytes) = (entry.snapshot.version, entry.bytes.clone());
                Some(Copy { version, bytes, ..copy })
            }
            None => {
                // It may be there all the same; so one that is over stays, and is chosen again.
                entry.copying = false;
                None
            }
        }
    }
}

/// So many records are kept anyway.
const SPARE: u64 = 64;
/// And so many for each open saga.
const FEW: u64 = 4;
