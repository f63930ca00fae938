//! The resource pool.

use super::builder::Builder;
use super::errors::TakeError;
use super::guard::Pooled;
use super::state::{Core, Item, Limits, State};
use crate::context::Context;
use crate::limit::{AcquireError, Permit, TryAcquireError};
use crate::observe::Ledger;
use crate::sync::Arc;
use std::fmt;
use std::time::Instant;

pub(super) type Create<R, E> = Box<dyn Fn(&Context) -> Result<R, E> + Send + Sync>;
pub(super) type Check<R> = Box<dyn Fn(&Context, &mut R) -> bool + Send + Sync>;

/// Shares a bounded number of resources that are dear to make: connections, clients, processes.
///
/// Cheap to clone; all clones are handles to one pool. Whoever [takes](Self::take) gets the resource
/// that was returned last, so under a light load the others grow old and are retired; if none is idle
/// a new one is made, on the calling thread, under its context.
///
/// * A failed creation is the error of the call that needed it, at once, and its place goes to the
///   next in line.
/// * A panic of a closure of the pool goes to the caller. It costs a resource, never a place.
/// * There is no thread and no tick: resources expire when somebody takes, returns or maintains. They
///   are dropped on that thread, outside of all locks.
/// * Ages are measured on the clock of the contexts, which must be one and the same.
///
/// # Fairness
/// First come, first served; nobody overtakes, neither with `try_take` nor with a resource that has
/// just come back.
///
/// # Cost
/// Taking an idle resource and returning it is two uncontended locks each.
///
/// ```
/// use ironsys::{Context, resource::ResourcePool};
/// use std::time::Duration;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// struct Connection { alive: bool }
/// fn connect(_ctx: &Context) -> std::io::Result<Connection> { Ok(Connection { alive: true }) }
///
/// let (ctx, _cancel) = Context::root();
/// let pool = ResourcePool::builder("db", connect)
///     .max(2)
///     .check(|_ctx, connection| connection.alive)
///     .build()?;
/// let mut first = pool.take(&ctx)?;
/// let second = pool.take(&ctx)?;
/// assert!(pool.take(&ctx.with_timeout(Duration::ZERO)).is_err()); // both are taken
/// first.alive = false;
/// drop((second, first));
/// let third = pool.take(&ctx)?; // the first was found broken
/// assert_eq!((third.uses(), pool.stats().ledger.failed), (2, 1));
/// # Ok(()) }
/// ```
pub struct ResourcePool<R, E> {
    inner: Arc<Inner<R, E>>,
}

struct Inner<R, E> {
    core: Arc<Core<R>>,
    create: Create<R, E>,
    check: Option<Check<R>>,
}

/// What a pool gave back at its end.
#[derive(Debug)]
#[non_exhaustive]
pub struct Drained<R> {
    /// The idle resources, to be shut down as they deserve.
    pub resources: Vec<R>,
    /// How many were still taken; they are dropped when they are returned.
    pub taken: usize,
}

/// A resource pool at one moment, taken under its lock: the numbers agree with each other, but for
/// `waiting`, which the line knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Resources: `accepted` were made, `done` were retired or given away, `failed` were broken,
    /// `in_flight` exist.
    pub ledger: Ledger,
    /// How many there are at most.
    pub max: usize,
    /// How many are idle.
    pub idle: usize,
    /// How many are taken.
    pub taken: usize,
    /// How many are being made.
    pub creating: usize,
    /// Calls that wait for their turn.
    pub waiting: usize,
    /// Calls that got a resource.
    pub takes: u64,
    /// Creations that failed or panicked.
    pub create_failed: u64,
}

impl<R, E> ResourcePool<R, E> {
    /// Starts to build a pool; the name is for waits, `create` makes a resource and may block under
    /// the context of the call that needs one.
    ///
    /// ```
    /// # use ironsys::{Context, resource::ResourcePool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// let pool = ResourcePool::builder("db", |_ctx: &Context| Ok::<_, String>("conn")).build()?;
    /// assert_eq!(*pool.take(&ctx)?, "conn");
    /// # Ok(()) }
    /// ```
    pub fn builder(
        name: impl Into<String>,
        create: impl Fn(&Context) -> Result<R, E> + Send + Sync + 'static,
    ) -> Builder<R, E> {
        Builder::new(name.into(), Box::new(create))
    }

    pub(super) fn new(
        name: Arc<str>,
        limits: Limits,
        create: Create<R, E>,
        check: Option<Check<R>>,
    ) -> Self {
        let core = Arc::new(Core::new(name, limits));
        ResourcePool { inner: Arc::new(Inner { core, create, check }) }
    }

    /// Takes a resource, waiting in line if all are taken; makes one if none is idle.
    ///
    /// # Cancellation
    /// A stopped context fails the call at once, also when a resource is idle. A call cut short holds
    /// nothing. Checks and creations run under `ctx` and are as quick to give up as they are written.
    ///
    /// # Errors
    /// [`Create`](TakeError::Create), [`Closed`](TakeError::Closed), [`Stopped`](TakeError::Stopped).
    ///
    /// # Panics
    /// If `create` or `check` does.
    ///
    /// ```
    /// # use ironsys::{Context, resource::ResourcePool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let connect = |_: &Context| Ok::<_, String>("conn");
    /// # let pool = ResourcePool::builder("db", connect).build()?;
    /// let connection = pool.take(&ctx)?;
    /// assert_eq!((*connection, pool.stats().taken), ("conn", 1));
    /// drop(connection);
    /// assert_eq!(pool.stats().idle, 1);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn take(&self, ctx: &Context) -> Result<Pooled<R>, TakeError<E>> {
        match self.inner.core.places.acquire(ctx, 1) {
            Ok(permit) => self.fill(ctx, permit),
            Err(AcquireError::Stopped(stop)) => Err(TakeError::Stopped(stop)),
            Err(_) => Err(TakeError::Closed),
        }
    }

    /// Takes a resource if one is idle or may be made, and nobody waits. It does not wait for others,
    /// but the check or the creation may take its time.
    ///
    /// # Cancellation
    /// As for [`take`](Self::take).
    ///
    /// # Errors
    /// [`Exhausted`](TakeError::Exhausted), and those of [`take`](Self::take).
    ///
    /// # Panics
    /// If `create` or `check` does.
    ///
    /// ```
    /// # use ironsys::{Context, resource::ResourcePool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let connect = |_: &Context| Ok::<_, String>("conn");
    /// # let pool = ResourcePool::builder("db", connect).max(1).build()?;
    /// let connection = pool.try_take(&ctx)?;
    /// assert!(pool.try_take(&ctx).is_err());
    /// drop(connection);
    /// assert!(pool.try_take(&ctx).is_ok());
    /// # Ok(()) }
    /// ```
    pub fn try_take(&self, ctx: &Context) -> Result<Pooled<R>, TakeError<E>> {
        ctx.check()?;
        match self.inner.core.places.try_acquire(1) {
            Ok(permit) => self.fill(ctx, permit),
            Err(TryAcquireError::NoPermits) => Err(TakeError::Exhausted),
            Err(_) => Err(TakeError::Closed),
        }
    }

    /// Fills a place: with an idle resource that works, or a new one.
    fn fill(&self, ctx: &Context, mut permit: Permit) -> Result<Pooled<R>, TakeError<E>> {
        let Inner { core, create, check } = &*self.inner;
        let checked = check.is_some();
        let clock = ctx.clock();
        loop {
            let now = clock.now();
            let Some(item) = self.pick(now, checked)? else { break };
            let idle_for = now.saturating_duration_since(item.since);
            let pooled = Pooled::new(core, item, Some(permit), clock);
            let Some(check) = check.as_ref().filter(|_| idle_for >= core.limits.check_after) else {
                return Ok(pooled);
            };
            match pooled.check(|resource| check(ctx, resource)) {
                Ok(pooled) => {
                    core.with(|state, _| state.counts.takes += 1);
                    return Ok(pooled);
                }
                Err(Some(back)) => permit = back,
                Err(None) => unreachable!("the place was put in above"),
            }
            ctx.check()?; // Perhaps that is why it failed.
        }
        let making = Making { core };
        let resource = create(ctx).map_err(TakeError::Create)?;
        let born = clock.now();
        let item = Item { resource, born, since: born, uses: 0 };
        making.made(|state, _| {
            state.counts.taken += 1;
            state.counts.takes += 1;
        });
        Ok(Pooled::new(core, item, Some(permit), clock))
    }

    /// Takes the idle resource returned last, or counts one as being made.
    fn pick(&self, now: Instant, checked: bool) -> Result<Option<Item<R>>, TakeError<E>> {
        let core = &self.inner.core;
        core.with(|state, aside| {
            if state.closed {
                return Err(TakeError::Closed);
            }
            state.expire(&core.limits, now, aside);
            let item = state.idle.pop_back();
            match &item {
                Some(Item { since, .. }) => {
                    let idle_for = now.saturating_duration_since(*since);
                    state.counts.taken += 1;
                    // One that is to be checked counts when that has gone well.
                    let sure = !checked || idle_for < core.limits.check_after;
                    state.counts.takes += u64::from(sure);
                }
                None => state.counts.creating += 1,
            }
            Ok(item)
        })
    }

    /// Retires what is too old, and makes idle resources until there are `min_idle`; returns how many
    /// it made. Call it at the start, and from a schedule if resources are to expire in a pool that
    /// nobody uses.
    ///
    /// It takes no place that others need: it stops when all are taken.
    ///
    /// # Cancellation
    /// Between two creations, and in them. What was made stays.
    ///
    /// # Errors
    /// [`Create`](TakeError::Create), [`Closed`](TakeError::Closed), [`Stopped`](TakeError::Stopped).
    ///
    /// # Panics
    /// If `create` does.
    ///
    /// ```
    /// use ironsys::{Context, resource::ResourcePool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let pool = ResourcePool::builder("c", |_: &Context| Ok::<_, String>(())).min_idle(2).build()?;
    /// assert_eq!(pool.maintain(&ctx)?, 2);
    /// assert_eq!((pool.stats().idle, pool.maintain(&ctx)?), (2, 0));
    /// # Ok(()) }
    /// ```
    pub fn maintain(&self, ctx: &Context) -> Result<usize, TakeError<E>> {
        let Inner { core, create, .. } = &*self.inner;
        let mut made = 0;
        loop {
            ctx.check()?;
            let now = ctx.clock().now();
            let permit = core.places.try_acquire(1);
            let wanted = core.with(|state, aside| {
                if state.closed {
                    return Err(TakeError::Closed);
                }
                state.expire(&core.limits, now, aside);
                let counts = &mut state.counts;
                let idle = state.idle.len();
                let all = idle + counts.taken + counts.creating;
                // Not more, also if they are too old as soon as they are made.
                let few = idle < core.limits.min_idle && made < core.limits.min_idle;
                let wanted = permit.is_ok() && few && all < core.limits.max;
                counts.creating += usize::from(wanted);
                Ok(wanted)
            })?;
            if !wanted {
                break;
            }
            let making = Making { core };
            let resource = create(ctx).map_err(TakeError::Create)?;
            let born = ctx.clock().now();
            let item = Item { resource, born, since: born, uses: 0 };
            making.made(|state, aside| state.keep(item, &core.limits, born, aside));
            made += 1;
            drop(permit);
        }
        Ok(made)
    }

    /// Closes the pool: calls that wait, and all later ones, fail. Returns the idle resources; those
    /// that are taken are dropped when they are returned. The second time there is nothing.
    ///
    /// ```
    /// use ironsys::{Context, resource::ResourcePool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let pool = ResourcePool::builder("c", |_: &Context| Ok::<_, String>(7)).build()?;
    /// drop(pool.take(&ctx)?);
    /// assert_eq!(pool.close(), [7]);
    /// assert!(pool.take(&ctx).unwrap_err().is_closed());
    /// # Ok(()) }
    /// ```
    pub fn close(&self) -> Vec<R> {
        let core = &self.inner.core;
        let idle = core.with(|state, _| state.close());
        core.places.close();
        idle
    }

    /// Waits until everything taken is returned, while whoever comes later waits; then closes the pool.
    ///
    /// # Cancellation
    /// When `ctx` stops, the pool is closed with what is still taken.
    ///
    /// ```
    /// # use ironsys::{Context, resource::ResourcePool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let connect = |_: &Context| Ok::<_, String>("conn");
    /// # let pool = ResourcePool::builder("db", connect).build()?;
    /// drop(pool.take(&ctx)?);
    /// assert_eq!(pool.drain(&ctx).resources, ["conn"]);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn drain(&self, ctx: &Context) -> Drained<R> {
        let core = &self.inner.core;
        let all = core.places.acquire(ctx, core.limits.max);
        let resources = self.close();
        drop(all);
        Drained { resources, taken: core.with(|state, _| state.counts.taken) }
    }

    /// Returns whether the pool is closed.
    ///
    /// ```
    /// # use ironsys::{Context, resource::ResourcePool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let connect = |_: &Context| Ok::<_, String>("conn");
    /// # let pool = ResourcePool::builder("db", connect).build()?;
    /// pool.close();
    /// assert!(pool.is_closed());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.core.with(|state, _| state.closed)
    }

    /// Returns the counts of the pool.
    ///
    /// ```
    /// # use ironsys::{Context, resource::ResourcePool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let connect = |_: &Context| Ok::<_, String>("conn");
    /// # let pool = ResourcePool::builder("db", connect).build()?;
    /// let _connection = pool.take(&ctx)?;
    /// assert_eq!(pool.stats().taken, 1);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        let core = &self.inner.core;
        let waiting = core.places.waiting();
        core.with(|state, _| {
            let counts = &state.counts;
            Stats {
                ledger: Ledger {
                    accepted: counts.created,
                    done: counts.retired,
                    failed: counts.broken,
                    in_flight: (state.idle.len() + counts.taken) as u64,
                    ..Ledger::default()
                },
                max: core.limits.max,
                idle: state.idle.len(),
                taken: counts.taken,
                creating: counts.creating,
                waiting,
                takes: counts.takes,
                create_failed: counts.create_failed,
            }
        })
    }
}

/// A creation under way: counted as failed unless it says otherwise, also by a panic.
struct Making<'a, R> {
    core: &'a Core<R>,
}

impl<R> Making<'_, R> {
    fn made(self, and: impl FnOnce(&mut State<R>, &mut Vec<R>)) {
        self.core.with(|state, aside| {
            state.counts.creating -= 1;
            state.counts.created += 1;
            and(state, aside);
        });
        std::mem::forget(self);
    }
}

impl<R> Drop for Making<'_, R> {
    fn drop(&mut self) {
        self.core.with(|state, _| {
            state.counts.creating -= 1;
            state.counts.create_failed += 1;
        });
    }
}

impl<R, E> Clone for ResourcePool<R, E> {
    fn clone(&self) -> Self {
        ResourcePool { inner: self.inner.clone() }
    }
}

impl<R, E> fmt::Debug for ResourcePool<R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourcePool").field("name", &self.inner.core.name).finish_non_exhaustive()
    }
}
