//! Which sessions there are: a hash map in parts, each behind a lock of its own.
//!
//! The hash of an id is computed once. It chooses the part, the place in the map and the shard. The map
//! has nothing but references to the cells, which know their ids: with a million sessions its size is
//! what a look-up takes.

use super::cell::{Cell, Mail};
use super::model::Session;
use crate::observe::Ledger;
use crate::sync::{Arc, MODEL, Mutex, MutexGuard};
use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};

pub(super) struct Directory<S: Session> {
    hashing: Hashing,
    parts: Box<[Part<S>]>,
}

/// On a cache line of its own: senders to different sessions do not meet.
#[repr(align(64))]
struct Part<S: Session> {
    entries: Mutex<Entries<S>>,
}

/// What the lock of a part guards.
pub(super) struct Entries<S: Session> {
    set: HashSet<Held<S>, BuildHasherDefault<AsIs>>,
    /// What the sessions that are gone had counted.
    gone: Totals,
    /// No session starts any more.
    closed: bool,
}

/// A session in the set, there by its id and the hash of that.
struct Held<S: Session>(Arc<Cell<S>>);

/// What a session is looked up by.
trait Named<I> {
    fn id(&self) -> &I;
    fn hash(&self) -> u64;
}

struct Name<'a, I> {
    id: &'a I,
    hash: u64,
}

/// What a session has counted, or several.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Totals {
    pub(super) accepted: u64,
    pub(super) done: u64,
    pub(super) failed: u64,
    pub(super) dropped: u64,
    pub(super) restarts: u64,
    pub(super) queued: u64,
    pub(super) deepest: usize,
}

impl Totals {
    pub(super) fn add(&mut self, other: Totals) {
        self.accepted += other.accepted;
        self.done += other.done;
        self.failed += other.failed;
        self.dropped += other.dropped;
        self.restarts += other.restarts;
        self.queued += other.queued;
        self.deepest = self.deepest.max(other.deepest);
    }

    pub(super) fn ledger(&self) -> Ledger {
        Ledger {
            accepted: self.accepted,
            done: self.done,
            failed: self.failed,
            dropped: self.dropped,
            in_flight: self.accepted - self.done - self.failed - self.dropped,
            ..Ledger::default()
        }
    }
}

/// Locks, as many as keep a handful of threads apart.
const PARTS: usize = if MODEL { 1 } else { 64 };

impl<S: Session> Directory<S> {
    pub(super) fn new() -> Self {
        let part = || Part {
            entries: Mutex::new(Entries {
                set: HashSet::default(),
                gone: Totals::default(),
                closed: false,
            }),
        };
        Directory { hashing: Hashing::new(), parts: (0..PARTS).map(|_| part()).collect() }
    }

    #[inline]
    pub(super) fn hash(&self, id: &S::Id) -> u64 {
        self.hashing.hash_one(id)
    }

    /// Neither the low bits nor the top ones: the map uses those.
    #[inline]
    fn part(&self, hash: u64) -> &Mutex<Entries<S>> {
        &self.parts[(hash >> 40) as usize % PARTS].entries
    }

    #[inline]
    pub(super) fn find(&self, id: &S::Id, hash: u64) -> Option<Arc<Cell<S>>> {
        self.part(hash).lock().find(id, hash).cloned()
    }

    /// The part that this hash is in, locked. A cell may be locked meanwhile, and nothing else.
    #[inline]
    pub(super) fn entries(&self, hash: u64) -> MutexGuard<'_, Entries<S>> {
        self.part(hash).lock()
    }

    /// Finds a session or makes it by `new`, in one critical section: one for each id, however many
    /// threads ask. The flag says whether it is new; `None`: the directory is closed.
    pub(super) fn find_or_insert(&self, cell: Arc<Cell<S>>) -> Option<(Arc<Cell<S>>, bool)> {
        let hash = cell.hash;
        let mut entries = self.part(hash).lock();
        if let Some(there) = entries.find(&cell.id, hash) {
            let there = there.clone();
            drop(entries);
            return Some((there, false)); // What was made in vain is dropped without the lock.
        }
        if entries.closed {
            return None;
        }
        entries.set.insert(Held(cell.clone()));
        Some((cell, true))
    }

    /// Takes out a session that is gone, and keeps what it counted. Whoever meets it may do so; the
    /// first does.
    pub(super) fn retire(&self, cell: &Arc<Cell<S>>) {
        let totals = cell.totals();
        let mut entries = self.part(cell.hash).lock();
        let gone = entries.remove(cell);
        if gone.is_some() {
            entries.gone.add(totals);
        }
        drop(entries);
        drop(gone);
    }

    /// How many sessions are in memory, or on their way in or out.
    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.entries.lock().set.len()).sum()
    }

    /// Calls `f` with every session, a part at a time, outside of all locks.
    pub(super) fn each(&self, mut f: impl FnMut(&Arc<Cell<S>>)) {
        for part in &self.parts {
            let cells: Vec<_> = part.entries.lock().cells().cloned().collect();
            cells.iter().for_each(&mut f);
        }
    }

    /// Sums what all sessions have counted; `look` sees each, under its lock.
    pub(super) fn sum(&self, mut look: impl FnMut(&Cell<S>, &mut Mail<S>)) -> Totals {
        let mut sum = Totals::default();
        for part in &self.parts {
            let cells: Vec<_> = {
                let entries = part.entries.lock();
                sum.add(entries.gone);
                entries.cells().cloned().collect()
            };
            for cell in cells {
                sum.add(cell.with(|mail, _| {
                    look(&cell, mail);
                    mail.totals()
                }));
            }
        }
        sum
    }

    /// Starts no more sessions, and returns those there are.
    pub(super) fn close(&self) -> Vec<Arc<Cell<S>>> {
        let mut cells = Vec::new();
        for part in &self.parts {
            let mut entries = part.entries.lock();
            entries.closed = true;
            cells.extend(entries.cells().cloned());
        }
        cells
    }
}

impl<S: Session> Entries<S> {
    #[inline]
    pub(super) fn find(&self, id: &S::Id, hash: u64) -> Option<&Arc<Cell<S>>> {
        let name: &dyn Named<S::Id> = &Name { id, hash };
        self.set.get(name).map(|held| &held.0)
    }

    fn remove(&mut self, cell: &Arc<Cell<S>>) -> Option<Arc<Cell<S>>> {
        let name: &dyn Named<S::Id> = &Name { id: &cell.id, hash: cell.hash };
        let there = self.set.get(name)?;
        if !Arc::ptr_eq(&there.0, cell) {
            return None;
        }
        self.set.take(name).map(|held| held.0)
    }

    fn cells(&self) -> impl ExactSizeIterator<Item = &Arc<Cell<S>>> {
        self.set.iter().map(|held| &held.0)
    }
}

// ===== what the set is told of a session =====

impl<S: Session> Named<S::Id> for Held<S> {
    #[inline]
    fn id(&self) -> &S::Id {
        &self.0.id
    }

    #[inline]
    fn hash(&self) -> u64 {
        self.0.hash
    }
}

impl<I> Named<I> for Name<'_, I> {
    #[inline]
    fn id(&self) -> &I {
        self.id
    }

    #[inline]
    fn hash(&self) -> u64 {
        self.hash
    }
}

impl<'a, S: Session> Borrow<dyn Named<S::Id> + 'a> for Held<S> {
    #[inline]
    fn borrow(&self) -> &(dyn Named<S::Id> + 'a) {
        self
    }
}

impl<I> Hash for dyn Named<I> + '_ {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(Named::hash(self));
    }
}

impl<I: Eq> PartialEq for dyn Named<I> + '_ {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        Named::hash(self) == Named::hash(other) && self.id() == other.id()
    }
}

impl<I: Eq> Eq for dyn Named<I> + '_ {}

impl<S: Session> Hash for Held<S> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

impl<S: Session> PartialEq for Held<S> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.0.hash == other.0.hash && self.0.id == other.0.id
    }
}

impl<S: Session> Eq for Held<S> {}

/// Keyed by chance, as the standard map is: ids come from outside. Inside a model by nothing.
struct Hashing(Option<std::hash::RandomState>);

impl Hashing {
    fn new() -> Self {
        Hashing((!MODEL).then(std::hash::RandomState::new))
    }

    #[inline]
    fn hash_one<T: std::hash::Hash>(&self, id: &T) -> u64 {
        match &self.0 {
            Some(random) => random.hash_one(id),
            None => BuildHasherDefault::<std::hash::DefaultHasher>::default().hash_one(id),
        }
    }
}

/// The key is a hash already.
#[derive(Default)]
pub(super) struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}
