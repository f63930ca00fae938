//! A resource that is taken.

use super::state::{Core, Item};
use crate::limit::Permit;
use crate::sync::{self, Arc};
use crate::time::Clock;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

/// A resource of a pool, returned when this is dropped. Made by
/// [`ResourcePool::take`](super::ResourcePool::take).
///
/// It belongs to no thread. A resource that is not to be used again is [discarded](Self::discard);
/// unless the pool was told otherwise, that also happens when the guard is dropped by a panic, since
/// nobody knows what state the resource was left in.
#[must_use = "the resource is returned when this is dropped"]
pub struct Pooled<R> {
    core: Arc<Core<R>>,
    /// `None` once it was given away.
    item: Option<Item<R>>,
    permit: Option<Permit>,
    clock: Clock,
    broken: bool,
    /// Taken while the thread was unwinding already: then that says nothing about the resource.
    in_panic: bool,
}

impl<R> Pooled<R> {
    /// Holds an item that `core` counts as taken.
    pub(super) fn new(
        core: &Arc<Core<R>>,
        mut item: Item<R>,
        permit: Option<Permit>,
        clock: &Clock,
    ) -> Self {
        item.uses += 1;
        let (core, clock) = (core.clone(), clock.clone());
        let in_panic = sync::is_unwinding();
        Pooled { core, item: Some(item), permit, clock, broken: false, in_panic }
    }

    /// Runs `check`; if it says no, or panics, the resource is broken, and its place comes back.
    pub(super) fn check(
        mut self,
        check: impl FnOnce(&mut R) -> bool,
    ) -> Result<Self, Option<Permit>> {
        self.broken = true;
        if check(&mut self) {
            self.broken = false;
            Ok(self)
        } else {
            Err(self.permit.take())
        }
    }

    fn item(&self) -> &Item<R> {
        self.item.as_ref().unwrap_or_else(|| unreachable!("it is given away by value"))
    }

    /// Drops the resource, and its place in the pool is free for another.
    ///
    /// ```
    /// use ironsys::{Context, resource::ResourcePool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let pool = ResourcePool::builder("c", |_: &Context| Ok::<_, String>("conn")).build()?;
    /// let connection = pool.take(&ctx)?;
    /// // … the server has hung up:
    /// connection.discard();
    /// assert_eq!((pool.stats().idle, pool.stats().ledger.failed), (0, 1));
    /// # Ok(()) }
    /// ```
    pub fn discard(mut self) {
        self.broken = true;
    }

    /// Takes the resource out of the pool for good; its place is free for another.
    ///
    /// ```
    /// # use ironsys::{Context, resource::ResourcePool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let connect = |_: &Context| Ok::<_, String>("conn");
    /// # let pool = ResourcePool::builder("db", connect).build()?;
    /// assert_eq!(pool.take(&ctx)?.detach(), "conn");
    /// assert_eq!(pool.stats().idle, 0);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn detach(mut self) -> R {
        match self.item.take() {
            Some(item) => {
                self.core.with(|state, _| {
                    state.counts.taken -= 1;
                    state.counts.retired += 1;
                });
                item.resource
            }
            None => unreachable!("it is given away by value"),
        }
    }

    /// Returns how long ago the resource was made.
    ///
    /// ```
    /// # use ironsys::{Context, resource::ResourcePool, time::VirtualClock};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let time = VirtualClock::new();
    /// # let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// # let connect = |_: &Context| Ok::<_, String>("conn");
    /// # let pool = ResourcePool::builder("db", connect).build()?;
    /// let connection = pool.take(&ctx)?;
    /// time.advance(Duration::from_secs(60));
    /// assert_eq!(connection.age(), Duration::from_secs(60));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn age(&self) -> Duration {
        self.clock.now().saturating_duration_since(self.item().born)
    }

    /// Returns how often it was taken, this time included.
    ///
    /// ```
    /// # use ironsys::{Context, resource::ResourcePool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let connect = |_: &Context| Ok::<_, String>("conn");
    /// # let pool = ResourcePool::builder("db", connect).build()?;
    /// drop(pool.take(&ctx)?);
    /// assert_eq!(pool.take(&ctx)?.uses(), 2);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn uses(&self) -> u64 {
        self.item().uses
    }
}

impl<R> Deref for Pooled<R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.item().resource
    }
}

impl<R> DerefMut for Pooled<R> {
    fn deref_mut(&mut self) -> &mut R {
        match &mut self.item {
            Some(item) => &mut item.resource,
            None => unreachable!("it is given away by value"),
        }
    }
}

impl<R> Drop for Pooled<R> {
    fn drop(&mut self) {
        let Some(item) = self.item.take() else { return };
        let limits = &self.core.limits;
        let panicked = sync::is_unwinding() && !self.in_panic && !limits.keep_on_panic;
        let now = self.clock.now();
        self.core.with(|state, aside| {
            state.counts.taken -= 1;
            if self.broken || panicked {
                state.counts.broken += 1;
                aside.push(item.resource);
            } else {
                state.keep(item, limits, now, aside);
            }
        });
        // The permit goes after this, so that whoever gets it finds the resource.
    }
}

impl<R: fmt::Debug> fmt::Debug for Pooled<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pooled").field(&**self).finish()
    }
}
