//! Where the state of a session is while it is not in memory.

use crate::context::Context;
use crate::sync::{Arc, Mutex};
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;

/// The state of a session as bytes, with the version of their layout.
#[derive(Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Whatever [`save`](super::Session::save) says; [`restore`](super::Session::restore) reads it.
    pub version: u32,
    /// The state.
    pub bytes: Vec<u8>,
}

impl Snapshot {
    /// Makes a snapshot.
    ///
    /// ```
    /// # use ironsys::session::Snapshot;
    /// let snapshot = Snapshot::new(1, "seven");
    /// assert_eq!((snapshot.version, &snapshot.bytes[..]), (1, &b"seven"[..]));
    /// ```
    #[must_use]
    pub fn new(version: u32, bytes: impl Into<Vec<u8>>) -> Self {
        Snapshot { version, bytes: bytes.into() }
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshot(version {}, {} bytes)", self.version, self.bytes.len())
    }
}

/// A store that did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// What is stored under this id cannot be read.
    #[error("the snapshot of session {id} is corrupt: {problem}")]
    Corrupt {
        /// The id, as `Debug` prints it.
        id: String,
        /// What is wrong.
        problem: String,
    },
    /// The store could not be reached, or is full.
    #[error("the store failed for session {id}: {problem}")]
    Failed {
        /// The id, as `Debug` prints it.
        id: String,
        /// What is wrong.
        problem: String,
    },
}

/// Keeps one snapshot for each id. Called by the thread that has the session; never for one id by two
/// threads at once.
pub trait Store<Id>: Send + Sync + 'static {
    /// Returns what was saved last.
    ///
    /// # Errors
    /// It is corrupt, or the store failed.
    fn load(&self, ctx: &Context, id: &Id) -> Result<Option<Snapshot>, StoreError>;

    /// Keeps `snapshot` in place of the last one. When it returns, it is as durable as the store is.
    ///
    /// # Errors
    /// The store failed; what was there before is still there.
    fn save(&self, ctx: &Context, id: &Id, snapshot: &Snapshot) -> Result<(), StoreError>;
}

/// What to do about a snapshot that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Corrupt {
    /// The session does not start; the failure names the id. The default: nothing is overwritten.
    #[default]
    Refuse,
    /// The session starts afresh; the failure is reported, and the next save overwrites the snapshot.
    StartFresh,
}

/// A store in memory: it lasts as long as the process.
///
/// ```
/// use ironsys::Context;
/// use ironsys::session::{MemoryStore, Snapshot, Store};
/// let (ctx, _cancel) = Context::root();
/// let store = MemoryStore::new();
/// store.save(&ctx, &7_u64, &Snapshot::new(1, "seven")).unwrap();
/// assert_eq!(store.load(&ctx, &7).unwrap().unwrap().bytes, b"seven");
/// assert_eq!((store.load(&ctx, &8).unwrap(), store.len()), (None, 1));
/// ```
pub struct MemoryStore<Id> {
    /// Guards the snapshots.
    kept: Mutex<HashMap<Id, Snapshot>>,
}

impl<Id: Eq + Hash> MemoryStore<Id> {
    /// Makes an empty store.
    ///
    /// ```
    /// # use ironsys::session::MemoryStore;
    /// assert!(MemoryStore::<u64>::new().is_empty());
    /// ```
    #[must_use]
    pub fn new() -> Self {
        MemoryStore { kept: Mutex::new(HashMap::new()) }
    }

    /// Returns how many snapshots it keeps.
    ///
    /// ```
    /// # use ironsys::{Context, session::{MemoryStore, Snapshot, Store}};
    /// let (ctx, _cancel) = Context::root();
    /// let store = MemoryStore::new();
    /// store.save(&ctx, &7, &Snapshot::new(1, "seven")).unwrap();
    /// assert_eq!(store.len(), 1);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.lock().len()
    }

    /// Returns whether it keeps none.
    ///
    /// ```
    /// # use ironsys::session::MemoryStore;
    /// assert!(MemoryStore::<u64>::default().is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<Id: Eq + Hash> Default for MemoryStore<Id> {
    fn default() -> Self {
        MemoryStore::new()
    }
}

impl<Id: Clone + Eq + Hash + Send + Sync + 'static> Store<Id> for MemoryStore<Id> {
    fn load(&self, _: &Context, id: &Id) -> Result<Option<Snapshot>, StoreError> {
        Ok(self.kept.lock().get(id).cloned())
    }

    fn save(&self, _: &Context, id: &Id, snapshot: &Snapshot) -> Result<(), StoreError> {
        let (id, snapshot) = (id.clone(), snapshot.clone());
        let before = self.kept.lock().insert(id, snapshot);
        drop(before);
        Ok(())
    }
}

impl<Id> fmt::Debug for MemoryStore<Id> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryStore")
    }
}

impl<Id: 'static, T: Store<Id>> Store<Id> for Arc<T> {
    fn load(&self, ctx: &Context, id: &Id) -> Result<Option<Snapshot>, StoreError> {
        (**self).load(ctx, id)
    }

    fn save(&self, ctx: &Context, id: &Id, snapshot: &Snapshot) -> Result<(), StoreError> {
        (**self).save(ctx, id, snapshot)
    }
}
