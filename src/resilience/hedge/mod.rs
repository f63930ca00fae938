//! A second attempt when the first one is slow.
//!
//! * `attempts`: where they run: in a scope, or on a pool;
//! * `race`: which of their answers counts;
//! * `latency`: how long calls take lately.

mod attempts;
mod latency;
mod race;

use self::latency::Latencies;
use super::budget::Budget;
use super::error::CallError;
use crate::context::{Context, Stop};
use crate::observe::Counter;
use crate::pool::Submitter;
use crate::sync::{Arc, Mutex};
use std::fmt;
use std::time::{Duration, Instant};

/// Makes a call once more while it has not answered, and takes the first value.
///
/// For calls that are mostly fast and sometimes not, and harmless when made twice. An attempt that fails
/// does not end the race as long as another runs, and is not made again: that is what
/// [`Retry`](super::Retry) is for. When the first attempt fails before there is a second, the error is
/// returned at once. As soon as there is a value the context of the other attempts stops.
///
/// [`call`](Self::call) runs the attempts in a scope: it may borrow, and waits for the losers, which should
/// heed their context. [`call_on`](Self::call_on) runs them on a pool, which then owns the losers, and
/// returns with the first value.
///
/// Cheap to clone; all clones are handles to one hedge, and learn together.
///
/// # Cost
/// [`call`](Self::call) wakes a thread for each call whose delay is known, so use it for calls of
/// milliseconds, with a [`ThreadCache`](crate::threads::ThreadCache) in the context; `call_on` passes the
/// call to a worker and back.
///
/// ```
/// use ironsys::{Context, Stop, resilience::Hedge, time::VirtualClock};
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use std::time::Duration;
/// let time = VirtualClock::auto();
/// let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
/// let hedge = Hedge::after(Duration::from_millis(20));
/// let attempts = AtomicU32::new(0);
/// let out = hedge.call(&ctx, |ctx| match attempts.fetch_add(1, Ordering::Relaxed) {
///     0 => Err(ctx.wait_stopped()), // hangs, until it has lost
///     _ => Ok::<_, Stop>("pong"),
/// });
/// assert_eq!(out, Ok("pong"));
/// assert_eq!(hedge.stats().hedges, 1);
/// ```
#[derive(Clone)]
#[must_use = "a hedge does nothing until `call`"]
pub struct Hedge {
    delay: Delay,
    most: u32,
    budget: Option<Budget>,
    shared: Arc<Shared>,
}

#[derive(Clone, Copy)]
enum Delay {
    Fixed(Duration),
    Quantile { q: f64, least: u64 },
}

struct Shared {
    calls: Counter,
    hedges: Counter,
    won: Counter,
    over_budget: Counter,
    /// Guards how long calls take lately.
    latencies: Mutex<Latencies>,
}

/// What became of the calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HedgeStats {
    /// Calls that were made.
    pub calls: u64,
    /// Attempts beyond the first.
    pub hedges: u64,
    /// Calls whose value is of such an attempt.
    pub won: u64,
    /// Attempts that were not made for want of a token.
    pub over_budget: u64,
}

impl Hedge {
    fn new(delay: Delay) -> Hedge {
        let shared = Shared {
            calls: Counter::new(),
            hedges: Counter::new(),
            won: Counter::new(),
            over_budget: Counter::new(),
            latencies: Mutex::new(Latencies::new(Duration::from_secs(30))),
        };
        Hedge { delay, most: 1, budget: None, shared: Arc::new(shared) }
    }

    /// Makes another attempt when one has taken `delay`. Zero makes them together; `Duration::MAX` makes
    /// none.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let hedge = Hedge::after(std::time::Duration::MAX); // never
    /// assert_eq!(hedge.call(&ctx, |_| Ok::<_, ()>("pong")), Ok("pong"));
    /// assert_eq!(hedge.stats().hedges, 0);
    /// ```
    pub fn after(delay: Duration) -> Hedge {
        Hedge::new(Delay::Fixed(delay))
    }

    /// Makes another attempt when one takes longer than a share of `q` of the calls did in the last half
    /// to whole minute: with 0.95 for one call in twenty. No attempt before `least` calls have succeeded;
    /// a `q` below 0 is 0, above 1 it is 1.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let hedge = Hedge::at_quantile(0.95, 100);
    /// assert_eq!(hedge.call(&ctx, |_| Ok::<_, ()>("pong")), Ok("pong"));
    /// assert_eq!(hedge.stats().hedges, 0); // too few calls yet
    /// ```
    pub fn at_quantile(q: f64, least: u64) -> Hedge {
        Hedge::new(Delay::Quantile { q: q.clamp(0.0, 1.0), least })
    }

    /// Sets how many attempts there may be beyond the first, each after another delay. The default is
    /// 1; 0 is a plain call.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let hedge = Hedge::after(std::time::Duration::ZERO).max(0);
    /// assert_eq!(hedge.call(&ctx, |_| Ok::<_, ()>("pong")), Ok("pong"));
    /// assert_eq!(hedge.stats().hedges, 0);
    /// ```
    pub fn max(mut self, attempts: u32) -> Hedge {
        self.most = attempts;
        self
    }

    /// Takes a token of `budget` for each attempt beyond the first. Without one, attempts that run go on.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let none = Budget::builder().burst(1).ratio(0.0).floor_per_second(0).build()?;
    /// assert!(none.withdraw()); // all there was
    /// let hedge = Hedge::after(std::time::Duration::ZERO).budget(&none);
    /// assert_eq!(hedge.call(&ctx, |_| Ok::<_, ()>("pong")), Ok("pong"));
    /// assert_eq!(hedge.stats().hedges, 0);
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn budget(mut self, budget: &Budget) -> Hedge {
        self.budget = Some(budget.clone());
        self
    }

    /// Makes the call, and other attempts if need be, and waits for all of them.
    ///
    /// The first attempt runs on this thread, the others on threads of a scope.
    ///
    /// # Cancellation
    /// The attempts stop with `ctx`, and are waited for.
    ///
    /// # Errors
    /// The error of the attempt that failed first, when all that were made have failed;
    /// [`Stopped`](CallError::Stopped) before the first.
    ///
    /// # Panics
    /// With the panic of an attempt; the others are stopped and waited for.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let hedge = Hedge::after(std::time::Duration::MAX);
    /// assert_eq!(hedge.call(&ctx, |_| Err::<(), _>("no")), Err(CallError::Failed("no")));
    /// ```
    #[track_caller]
    pub fn call<T: Send, E: Send>(
        &self,
        ctx: &Context,
        f: impl Fn(&Context) -> Result<T, E> + Sync,
    ) -> Result<T, CallError<E>> {
        self.run(ctx, &|ctx: &Context| f(ctx).map_err(CallError::Failed))
    }

    #[track_caller]
    pub(super) fn run<T: Send, E: Send>(
        &self,
        ctx: &Context,
        next: &(dyn Fn(&Context) -> Result<T, CallError<E>> + Sync),
    ) -> Result<T, CallError<E>> {
        match self.begin(ctx)? {
            Some(delay) => attempts::in_scope(self, ctx, delay, next),
            None => self.timed(ctx, || next(ctx)),
        }
    }

    /// Counts a call, and says after how long the second attempt is due, if there may be one.
    fn begin(&self, ctx: &Context) -> Result<Option<Duration>, Stop> {
        ctx.check()?;
        self.shared.calls.add_one();
        if let Some(budget) = &self.budget {
            budget.deposit();
        }
        let delay = match self.delay {
            Delay::Fixed(delay) => Some(delay),
            Delay::Quantile { q, least } => {
                let now = ctx.clock().now();
                self.shared.latencies.lock().quantile(q, least, now)
            }
        };
        Ok(delay.filter(|_| self.most != 0))
    }

    /// Makes an attempt, and learns from how long it took.
    fn timed<T, E>(
        &self,
        ctx: &Context,
        f: impl FnOnce() -> Result<T, CallError<E>>,
    ) -> Result<T, CallError<E>> {
        let Delay::Quantile { .. } = self.delay else { return f() };
        let since = ctx.clock().now();
        let out = f();
        if out.is_ok() {
            self.learn(since, ctx.clock().now());
        }
        out
    }

    fn learn(&self, since: Instant, now: Instant) {
        self.shared.latencies.lock().add(now.saturating_duration_since(since), now);
    }

    /// Takes a token for an attempt beyond the first.
    fn may(&self) -> bool {
        let may = self.budget.as_ref().is_none_or(Budget::withdraw);
        if !may {
            self.shared.over_budget.add_one();
        }
        may
    }

    /// Makes the call, and other attempts if need be, on a pool, and returns with the first value: the
    /// other attempts stop, and are the pool's to wait for. Do not call it from a job of the same pool.
    ///
    /// # Cancellation
    /// Stops waiting, and stops the attempts.
    ///
    /// # Errors
    /// As for [`call`](Self::call); a panic of an attempt is its error,
    /// [`Panicked`](CallError::Panicked); [`Full`](CallError::Full) if the pool's queue is full, and
    /// [`Stopped`](CallError::Stopped) if it is closed, gives the call up, or `ctx` stops.
    ///
    /// ```
    /// use ironsys::{Context, Stop, pool::Pool, resilience::Hedge};
    /// use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let pool = Pool::builder("replicas").workers(2).build()?;
    /// let hedge = Hedge::after(Duration::from_secs(1));
    /// assert_eq!(hedge.call_on(&ctx, &pool, |_| Ok::<_, Stop>("pong")), Ok("pong"));
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn call_on<T, E>(
        &self,
        ctx: &Context,
        pool: &Submitter,
        f: impl Fn(&Context) -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<T, CallError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let delay = self.begin(ctx)?;
        attempts::on_pool(self, ctx, delay, pool, f)
    }

    /// Returns the counts, of all clones together.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let hedge = Hedge::after(std::time::Duration::MAX);
    /// hedge.call(&ctx, |_| Ok::<_, ()>("pong")).unwrap();
    /// assert_eq!(hedge.stats().calls, 1);
    /// ```
    #[must_use]
    pub fn stats(&self) -> HedgeStats {
        HedgeStats {
            calls: self.shared.calls.sum(),
            hedges: self.shared.hedges.sum(),
            won: self.shared.won.sum(),
            over_budget: self.shared.over_budget.sum(),
        }
    }

    pub(super) fn explain(&self) -> String {
        let after = match self.delay {
            Delay::Fixed(delay) => format!("after {delay:?}"),
            Delay::Quantile { q, .. } => format!("after the {q} quantile"),
        };
        let budget = if self.budget.is_some() { ", within a budget" } else { "" };
        format!("hedge: {} more, {after}{budget}", self.most)
    }
}

impl fmt::Debug for Hedge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hedge").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
