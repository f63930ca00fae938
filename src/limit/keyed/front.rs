//! What users hold of a keyed limit.

use super::hash::SeededState;
use super::limits::Limit;
use super::shards::Shards;
use crate::error::BuildError;
use crate::sync::{Arc, LeakTrack, Ordering, thread};
use crate::time::Clock;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::time::Instant;

/// One limit for each key, all alike, made when a key first comes: a rate limit or a
/// [`Semaphore`](crate::limit::Semaphore).
///
/// Cheap to clone; all clones are handles to one table. The table is bounded. When it is full, keys that
/// are *idle* make room: those whose limit is as good as a fresh one (a full bucket, a semaphore that
/// nobody holds), so that forgetting one changes nothing. If all are in use, a new key is refused.
///
/// # Cost
/// A call takes the lock of the key's shard, looks the key up and does little more. `Hash` and `Eq` of the
/// key run under that lock, so they must not block; cloning and dropping a key does not. A new key in a
/// full table sweeps one shard, or more if nothing is idle there, unless it is known that nothing can be
/// idle yet.
///
/// ```
/// use ironsys::limit::{Keyed, Rate, TokenBucket, TryRateError};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let each = TokenBucket::new(Rate::per_hour(10), 2);
/// let clients = Keyed::builder(&each).max_keys(10_000).build()?;
/// clients.try_acquire(&"alice", 2)?;
/// clients.try_acquire(&"bob", 1)?;
/// let refused = clients.try_acquire(&"alice", 1).unwrap_err();
/// assert!(refused.retry_after().is_some());
/// assert_eq!(clients.len(), 2);
/// # Ok(()) }
/// ```
pub struct Keyed<Q, L: Limit, S = SeededState> {
    pub(super) shared: Arc<Shared<Q, L, S>>,
}

pub(super) struct Shared<Q, L: Limit, S> {
    pub(super) shards: Shards<Q, L, S>,
    pub(super) clock: Clock,
    pub(super) start: Instant,
    pub(super) name: Option<Arc<str>>,
    _leak: LeakTrack,
}

impl<Q, L: Limit, S> Shared<Q, L, S> {
    #[inline]
    pub(super) fn now(&self) -> u64 {
        let since = self.clock.now().saturating_duration_since(self.start);
        since.as_secs().wrapping_mul(1_000_000_000).wrapping_add(u64::from(since.subsec_nanos()))
    }
}

impl<Q: Hash + Eq + Clone, L: Limit> Keyed<Q, L> {
    /// Makes a table of limits like `each`, step by step. `each` itself is not part of it.
    ///
    /// ```
    /// # use ironsys::limit::{Keyed, Rate, TokenBucket};
    /// let each = TokenBucket::new(Rate::per_hour(1), 1);
    /// let clients = Keyed::<u32, _>::builder(&each).build().unwrap();
    /// assert!(clients.is_empty());
    /// ```
    pub fn builder(each: &L) -> KeyedBuilder<Q, L> {
        let (common, clock, name) = each.template();
        let (most, shards, hasher) = (10_000, None, SeededState::new());
        KeyedBuilder { common, clock, name, most, shards, hasher, keys: std::marker::PhantomData }
    }
}

impl<Q: Hash + Eq + Clone, L: Limit, S: BuildHasher + Clone> Keyed<Q, L, S> {
    /// Returns how many keys there are, idle ones included.
    ///
    /// ```
    /// # use ironsys::limit::{Keyed, Rate, TokenBucket};
    /// let clients = Keyed::builder(&TokenBucket::new(Rate::per_hour(1), 1)).build().unwrap();
    /// clients.try_acquire(&"alice", 1).unwrap();
    /// assert_eq!(clients.len(), 1);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.shards.len()
    }

    /// Returns whether there are none.
    ///
    /// ```
    /// # use ironsys::limit::{Keyed, Rate, TokenBucket};
    /// let clients = Keyed::builder(&TokenBucket::new(Rate::per_hour(1), 1)).build().unwrap();
    /// clients.try_acquire(&"alice", 1).unwrap();
    /// assert!(!clients.is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Evicts every key that is idle, and returns how many that were. There is no need to: it is done
    /// when a new key has no room.
    ///
    /// ```
    /// use ironsys::limit::{Keyed, Semaphore};
    /// let tenants = Keyed::builder(&Semaphore::new(4)).build().unwrap();
    /// let busy = tenants.get(&1).unwrap().try_acquire(1).unwrap();
    /// tenants.get(&2).unwrap();
    /// assert_eq!((tenants.evict_idle(), tenants.len()), (1, 1));
    /// # drop(busy);
    /// ```
    pub fn evict_idle(&self) -> usize {
        self.shared.shards.sweep_all(self.shared.now())
    }

    /// Returns the table's counts.
    ///
    /// ```
    /// # use ironsys::limit::{Keyed, Rate, TokenBucket};
    /// let clients = Keyed::builder(&TokenBucket::new(Rate::per_hour(1), 1)).build().unwrap();
    /// clients.try_acquire(&"alice", 1).unwrap();
    /// assert_eq!(clients.stats().keys, 1);
    /// ```
    #[must_use]
    pub fn stats(&self) -> KeyedStats {
        let shards = &self.shared.shards;
        KeyedStats {
            keys: shards.len(),
            max_keys: shards.most(),
            evicted: shards.evicted.load(Ordering::Relaxed),
            refused_keys: shards.refused.load(Ordering::Relaxed),
        }
    }
}

impl<Q, L: Limit, S> Clone for Keyed<Q, L, S> {
    fn clone(&self) -> Self {
        Keyed { shared: self.shared.clone() }
    }
}

impl<Q, L: Limit, S> fmt::Debug for Keyed<Q, L, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed").field("name", &self.shared.name).finish_non_exhaustive()
    }
}

/// A keyed limit at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyedStats {
    /// How many keys there are.
    pub keys: usize,
    /// How many there may be.
    pub max_keys: usize,
    /// How many were evicted.
    pub evicted: u64,
    /// Calls of new keys for which there was no room.
    pub refused_keys: u64,
}

/// Makes a [`Keyed`]. By default up to 10,000 keys, in 8 shards for each core: two threads seldom meet
/// in one then.
#[must_use = "a builder does nothing until `build`"]
pub struct KeyedBuilder<Q, L: Limit, S = SeededState> {
    common: L::Common,
    clock: Clock,
    name: Option<Arc<str>>,
    most: usize,
    shards: Option<usize>,
    hasher: S,
    keys: std::marker::PhantomData<fn(Q)>,
}

impl<Q: Hash + Eq + Clone, L: Limit, S: BuildHasher + Clone> KeyedBuilder<Q, L, S> {
    /// Sets how many keys there may be. It takes no memory until they are there.
    ///
    /// ```
    /// # use ironsys::limit::{Keyed, Rate, TokenBucket};
    /// let each = TokenBucket::new(Rate::per_hour(1), 1);
    /// let clients = Keyed::builder(&each).max_keys(1).build().unwrap();
    /// clients.try_acquire(&"alice", 1).unwrap();
    /// assert!(clients.try_acquire(&"bob", 1).is_err());
    /// ```
    pub fn max_keys(mut self, keys: usize) -> Self {
        self.most = keys;
        self
    }

    /// Sets how many locks there are: a power of two.
    ///
    /// ```
    /// # use ironsys::limit::{Keyed, Rate, TokenBucket};
    /// let each = TokenBucket::new(Rate::per_hour(1), 1);
    /// assert!(Keyed::<u32, _>::builder(&each).shards(3).build().is_err()); // no power of two
    /// ```
    pub fn shards(mut self, shards: usize) -> Self {
        self.shards = Some(shards);
        self
    }

    /// Sets how keys are hashed. std's `RandomState` is slower, and safe from those who measure it.
    ///
    /// ```
    /// # use ironsys::limit::{Keyed, Rate, TokenBucket};
    /// # use std::hash::RandomState;
    /// let each = TokenBucket::new(Rate::per_hour(1), 1);
    /// let clients = Keyed::builder(&each).hasher(RandomState::new()).build().unwrap();
    /// assert!(clients.try_acquire(&"alice", 1).is_ok());
    /// ```
    pub fn hasher<H: BuildHasher + Clone>(self, hasher: H) -> KeyedBuilder<Q, L, H> {
        let KeyedBuilder { common, clock, name, most, shards, keys, .. } = self;
        KeyedBuilder { common, clock, name, most, shards, hasher, keys }
    }

    /// Makes it.
    ///
    /// # Errors
    /// If there is to be no key, or the shards are not a power of two up to 65,536.
    ///
    /// ```
    /// # use ironsys::limit::{Keyed, Rate, TokenBucket};
    /// let each = TokenBucket::new(Rate::per_hour(1), 1);
    /// assert!(Keyed::<u32, _>::builder(&each).max_keys(0).build().is_err());
    /// ```
    pub fn build(self) -> Result<Keyed<Q, L, S>, BuildError> {
        if self.most == 0 {
            return Err(BuildError::new("keyed limit", "max_keys", "is 0: take at least 1"));
        }
        let shards = self
            .shards
            .unwrap_or_else(|| (8 * thread::available_parallelism()).next_power_of_two().min(1024));
        if !shards.is_power_of_two() || shards > 1 << 16 {
            let problem = format!("is {shards}: take a power of two up to 65,536");
            return Err(BuildError::new("keyed limit", "shards", problem));
        }
        let shared = Shared {
            shards: Shards::new(&self.common, shards, self.most, self.hasher),
            start: self.clock.now(),
            clock: self.clock,
            name: self.name,
            _leak: LeakTrack::new(),
        };
        Ok(Keyed { shared: Arc::new(shared) })
    }
}

impl<Q, L: Limit, S> fmt::Debug for KeyedBuilder<Q, L, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedBuilder").field("max_keys", &self.most).finish_non_exhaustive()
    }
}
