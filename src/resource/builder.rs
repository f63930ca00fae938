//! Building a resource pool.

use super::pool::{Check, Create, ResourcePool};
use super::state::Limits;
use crate::context::Context;
use crate::error::BuildError;
use std::fmt;
use std::time::Duration;

/// Builds a [`ResourcePool`]. Made by [`ResourcePool::builder`].
#[must_use = "a builder does nothing until `build`"]
pub struct Builder<R, E> {
    name: String,
    create: Create<R, E>,
    check: Option<Check<R>>,
    limits: Limits,
    max_idle: Option<usize>,
}

impl<R, E> Builder<R, E> {
    pub(super) fn new(name: String, create: Create<R, E>) -> Self {
        let limits = Limits {
            max: 10,
            min_idle: 0,
            max_idle: 10,
            idle_timeout: Duration::from_secs(10 * 60),
            max_lifetime: Duration::MAX,
            check_after: Duration::ZERO,
            keep_on_panic: false,
        };
        Builder { name, create, check: None, limits, max_idle: None }
    }

    /// Sets how many resources there are at most, taken and idle. The default is 10; `usize::MAX` is
    /// no limit. One that is being dropped is not counted any more.
    ///
    /// ```
    /// # use ironsys::{Context, resource::ResourcePool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let connect = |_: &Context| Ok::<_, String>("conn");
    /// let pool = ResourcePool::builder("db", connect).max(1).build()?;
    /// let _taken = pool.take(&ctx)?;
    /// assert!(pool.try_take(&ctx).is_err());
    /// # Ok(()) }
    /// ```
    pub fn max(mut self, resources: usize) -> Self {
        self.limits.max = resources;
        self
    }

    /// Sets how many idle ones are kept at most; what is returned beyond is retired. The default is
    /// all of them; with 0 nothing is used twice.
    ///
    /// ```
    /// # use ironsys::{Context, resource::ResourcePool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let connect = |_: &Context| Ok::<_, String>("conn");
    /// let pool = ResourcePool::builder("db", connect).max_idle(0).build()?;
    /// drop(pool.take(&ctx)?);
    /// assert_eq!(pool.stats().idle, 0);
    /// # Ok(()) }
    /// ```
    pub fn max_idle(mut self, resources: usize) -> Self {
        self.max_idle = Some(resources);
        self
    }

    /// Sets how many idle ones stay however long they are idle, and up to how many
    /// [`maintain`](ResourcePool::maintain) makes new ones. The default is 0.
    ///
    /// ```
    /// # use ironsys::{Context, resource::ResourcePool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let connect = |_: &Context| Ok::<_, String>("conn");
    /// let pool = ResourcePool::builder("db", connect).min_idle(2).build()?;
    /// assert_eq!(pool.maintain(&ctx)?, 2);
    /// # Ok(()) }
    /// ```
    pub fn min_idle(mut self, resources: usize) -> Self {
        self.limits.min_idle = resources;
        self
    }

    /// Sets after how long an idle one is retired. The default is ten minutes; `Duration::MAX` is
    /// never, and with zero nothing but `min_idle` stays.
    ///
    /// ```
    /// # use ironsys::{Context, resource::ResourcePool};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let connect = |_: &Context| Ok::<_, String>("conn");
    /// let pool = ResourcePool::builder("db", connect).idle_timeout(Duration::ZERO).build()?;
    /// drop(pool.take(&ctx)?);
    /// pool.maintain(&ctx)?;
    /// assert_eq!(pool.stats().idle, 0);
    /// # Ok(()) }
    /// ```
    pub fn idle_timeout(mut self, time: Duration) -> Self {
        self.limits.idle_timeout = time;
        self
    }

    /// Sets how old a resource gets: one that is older is not given out, and retired when it is
    /// returned. The default is `Duration::MAX`, any age.
    ///
    /// ```
    /// # use ironsys::{Context, resource::ResourcePool};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let connect = |_: &Context| Ok::<_, String>("conn");
    /// let pool = ResourcePool::builder("db", connect).max_lifetime(Duration::ZERO).build()?;
    /// drop(pool.take(&ctx)?);
    /// assert_eq!(pool.take(&ctx)?.uses(), 1); // a new one
    /// # Ok(()) }
    /// ```
    pub fn max_lifetime(mut self, time: Duration) -> Self {
        self.limits.max_lifetime = time;
        self
    }

    /// Sets what tells whether an idle resource still works. It runs on the thread that takes, under
    /// its context, and may block. If it says no, the resource is broken and the next one is tried.
    ///
    /// ```
    /// # use ironsys::{Context, resource::ResourcePool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let connect = |_: &Context| Ok::<_, String>("conn");
    /// let pool = ResourcePool::builder("db", connect).check(|_ctx, _conn| false).build()?;
    /// drop(pool.take(&ctx)?);
    /// assert_eq!(pool.take(&ctx)?.uses(), 1); // the first was found broken
    /// # Ok(()) }
    /// ```
    pub fn check(mut self, f: impl Fn(&Context, &mut R) -> bool + Send + Sync + 'static) -> Self {
        self.check = Some(Box::new(f));
        self
    }

    /// Sets for how long a resource has to be idle before it is checked. The default is zero: always.
    ///
    /// ```
    /// # use ironsys::{Context, resource::ResourcePool};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let connect = |_: &Context| Ok::<_, String>("conn");
    /// let pool = ResourcePool::builder("db", connect).check(|_ctx, _conn| false);
    /// let pool = pool.check_after(Duration::MAX).build()?;
    /// drop(pool.take(&ctx)?);
    /// assert_eq!(pool.take(&ctx)?.uses(), 2); // not checked
    /// # Ok(()) }
    /// ```
    pub fn check_after(mut self, idle: Duration) -> Self {
        self.limits.check_after = idle;
        self
    }

    /// Returns resources to the pool also when a panic drops their guard. The default is to discard
    /// them.
    ///
    /// ```
    /// # use ironsys::{Context, resource::ResourcePool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let connect = |_: &Context| Ok::<_, String>("conn");
    /// let pool = ResourcePool::builder("db", connect).keep_on_panic().build()?;
    /// let held = pool.take(&ctx)?;
    /// let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| { let _held = held; panic!() }));
    /// assert_eq!(pool.stats().idle, 1);
    /// # Ok(()) }
    /// ```
    pub fn keep_on_panic(mut self) -> Self {
        self.limits.keep_on_panic = true;
        self
    }

    /// Makes the pool, without any resource: [`maintain`](ResourcePool::maintain) makes the first.
    ///
    /// # Errors
    /// `max`: 0. `max_idle`: more than `max`. `min_idle`: more than `max_idle`.
    ///
    /// ```
    /// # use ironsys::{Context, resource::ResourcePool};
    /// # let connect = |_: &Context| Ok::<_, String>("conn");
    /// assert!(ResourcePool::builder("db", connect).max(0).build().is_err());
    /// ```
    pub fn build(mut self) -> Result<ResourcePool<R, E>, BuildError> {
        let wrong = |field, problem: String| Err(BuildError::new("resource pool", field, problem));
        let max = self.limits.max;
        if max == 0 {
            return wrong("max", "must be at least 1".into());
        }
        self.limits.max_idle = self.max_idle.unwrap_or(max);
        if self.limits.max_idle > max {
            return wrong("max_idle", format!("must be at most {max}, which is max"));
        }
        if self.limits.min_idle > self.limits.max_idle {
            let problem = format!("must be at most {}, which is max_idle", self.limits.max_idle);
            return wrong("min_idle", problem);
        }
        Ok(ResourcePool::new(self.name.into(), self.limits, self.create, self.check))
    }
}

impl<R, E> fmt::Debug for Builder<R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("name", &self.name)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
