//! A bounded table in shards.
//!
//! Each shard has a lock of its own; no two are held at a time. The number of keys in all shards is
//! counted apart, so that the bound is one for all. A key comes in under its shard's lock, after it has
//! been counted. When there is no room, shards are swept, the key's own first: what is idle, and so as
//! good as a fresh one, goes. Nothing else ever does.
//!
//! Invariant: `count` is at least the number of keys in the shards, and at most the bound, but for those
//! that have just counted themselves in too many and are about to leave.

use super::limits::Limit;
use crate::sync::{AtomicU64, AtomicUsize, Mutex, Ordering};
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};

pub(super) struct Shards<Q, L: Limit, S> {
    shards: Vec<Apart<Mutex<Shard<Q, L, S>>>>,
    hasher: S,
    count: AtomicUsize,
    most: usize,
    pub(super) evicted: AtomicU64,
    pub(super) refused: AtomicU64,
}

/// On cache lines of its own.
#[repr(align(128))]
struct Apart<T>(T);

/// The table's head is on the cache line of the lock: who gets the one has the other.
#[repr(C)]
pub(super) struct Shard<Q, L: Limit, S> {
    places: HashMap<Q, L::Place, S>,
    /// What all keys of the shard have in common.
    pub(super) common: L::Common,
    /// Nothing is idle before this time, as far as time alone makes it so.
    next_idle: u64,
}

impl<Q: Hash + Eq + Clone, L: Limit, S: BuildHasher + Clone> Shards<Q, L, S> {
    pub(super) fn new(common: &L::Common, shards: usize, most: usize, hasher: S) -> Self {
        let shard = || {
            let (common, places) = (common.clone(), HashMap::with_hasher(hasher.clone()));
            Apart(Mutex::new(Shard { common, places, next_idle: 0 }))
        };
        Shards {
            shards: (0..shards).map(|_| shard()).collect(),
            count: AtomicUsize::new(0),
            most,
            evicted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            hasher,
        }
    }

    #[inline]
    fn index(&self, key: &Q) -> usize {
        // Other bits than those that the table in the shard goes by.
        (self.hasher.hash_one(key) >> 40) as usize & (self.shards.len() - 1)
    }

    /// Runs `f` on the place of `key` under its shard's lock, making one if there is none. `None`:
    /// there is no room for it.
    #[inline]
    pub(super) fn with<R>(
        &self,
        key: &Q,
        t: u64,
        f: impl FnOnce(&mut L::Common, &mut L::Place) -> R,
    ) -> Option<R> {
        let index = self.index(key);
        let mut guard = self.shards[index].0.lock();
        let shard = &mut *guard;
        if let Some(place) = shard.places.get_mut(key) {
            return Some(f(&mut shard.common, place));
        }
        drop(guard);
        self.with_new(index, key, t, f)
    }

    #[cold]
    fn with_new<R>(
        &self,
        index: usize,
        key: &Q,
        t: u64,
        f: impl FnOnce(&mut L::Common, &mut L::Place) -> R,
    ) -> Option<R> {
        // Cloned outside of the lock; dropped there too, if it is not needed.
        let mut own = Some(key.clone());
        let mut room = true;
        while room {
            let mut guard = self.shards[index].0.lock();
            let shard = &mut *guard;
            if !shard.places.contains_key(key) {
                if self.count.fetch_add(1, Ordering::Relaxed) >= self.most {
                    self.count.fetch_sub(1, Ordering::Relaxed);
                    drop(guard);
                    room = self.make_room(index, t);
                    continue;
                }
                if let Some(own) = own.take() {
                    shard.places.insert(own, L::fresh(&shard.common, t));
                    shard.next_idle = 0;
                }
            }
            let place = shard.places.get_mut(key)?;
            return Some(f(&mut shard.common, place));
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        None
    }

    /// The place of `key` may be idle earlier than it was.
    pub(super) fn may_be_idle(&self, key: &Q) {
        self.shards[self.index(key)].0.lock().next_idle = 0;
    }

    /// Evicts what is idle from the first shard that has any, beginning with `index`.
    fn make_room(&self, index: usize, t: u64) -> bool {
        let shards = self.shards.len();
        (0..shards).any(|i| self.sweep((index + i) & (shards - 1), t) != 0)
    }

    /// Evicts what is idle from all shards; returns how many.
    pub(super) fn sweep_all(&self, t: u64) -> usize {
        (0..self.shards.len()).map(|index| self.sweep(index, t)).sum()
    }

    fn sweep(&self, index: usize, t: u64) -> usize {
        let mut guard = self.shards[index].0.lock();
        let shard = &mut *guard;
        if shard.next_idle > t {
            return 0;
        }
        let (common, mut next) = (&shard.common, u64::MAX);
        let idle = shard.places.extract_if(|_, place| {
            let at = L::idle_at(common, place);
            let idle = at.is_some_and(|at| at <= t);
            if !idle {
                next = next.min(at.unwrap_or(0));
            }
            idle
        });
        let gone: Vec<(Q, L::Place)> = idle.collect();
        shard.next_idle = next;
        // Under the lock, so that the count is never too low for what is in the shards.
        self.count.fetch_sub(gone.len(), Ordering::Relaxed);
        drop(guard);
        self.evicted.fetch_add(gone.len() as u64, Ordering::Relaxed);
        gone.len() // The keys are dropped here, outside of the lock.
    }

    /// Runs `f` on every shard, one after the other.
    pub(super) fn each(
        &self,
        mut f: impl FnMut(&mut L::Common, &mut dyn Iterator<Item = &mut L::Place>),
    ) {
        for shard in &self.shards {
            let mut guard = shard.0.lock();
            let shard = &mut *guard;
            shard.next_idle = 0;
            f(&mut shard.common, &mut shard.places.values_mut());
        }
    }

    pub(super) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed).min(self.most)
    }

    pub(super) fn most(&self) -> usize {
        self.most
    }
}
