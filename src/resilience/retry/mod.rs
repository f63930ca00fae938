//! Trying again.
//!
//! * `judge`: what a result means for whether to try again; here: when, and how often.

mod judge;

pub use judge::{AnyFailure, Judge, Judged, Refusals, Verdict, When};

use super::budget::Budget;
use super::error::CallError;
use crate::context::Context;
use crate::observe::Counter;
use crate::schedule::{Backoff, Jitter};
use crate::sync::{Arc, Mutex};
use std::fmt;
use std::time::{Duration, Instant};

/// Makes a call again when it fails in a way that may pass.
///
/// Between two attempts it waits, by a [`Backoff`]. It gives up, at once and with the last result,
/// when that says so, when the result is permanent, when the context stops, when the next attempt
/// would begin at the deadline or later (so it never sleeps in vain), or when a shared [`Budget`] has
/// no token left.
///
/// A value that many threads may use; clones count together.
///
/// # Cost
/// A call that succeeds at once pays a look at the context and a count.
///
/// ```
/// use ironsys::{Context, resilience::Retry, time::VirtualClock};
/// use std::time::Duration;
/// let time = VirtualClock::auto();
/// let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
/// let retry = Retry::exponential(Duration::from_millis(50)).max_attempts(5);
/// let mut attempts = 0;
/// let out = retry.call(&ctx, |_| {
///     attempts += 1;
///     if attempts < 3 { Err("not yet") } else { Ok(attempts) }
/// });
/// assert_eq!(out, Ok(3));
/// assert_eq!((retry.stats().retries, retry.stats().recovered), (2, 1));
/// ```
#[derive(Clone)]
#[must_use = "a retry does nothing until `call`"]
pub struct Retry<J = AnyFailure> {
    backoff: Backoff,
    judge: J,
    budget: Option<Budget>,
    on_retry: Option<Listener>,
    counts: Arc<Counts>,
}

/// A closure of the user's.
type Listener = Arc<dyn Fn(&Retrying) + Send + Sync>;

/// An attempt that is about to be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retrying {
    /// Which attempt it will be; the first retry is 2.
    pub attempt: u32,
    /// How long it waits.
    pub delay: Duration,
}

struct Counts {
    calls: Counter,
    /// Guards what happened to calls that did not succeed at once.
    rest: Mutex<RetryStats>,
}

/// What became of the calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryStats {
    /// Calls that were made: `calls = done at once + recovered + permanent + exhausted + out_of_time +
    /// over_budget + stopped + in flight`.
    pub calls: u64,
    /// Attempts beyond the first.
    pub retries: u64,
    /// Calls that were done after a retry.
    pub recovered: u64,
    /// Given up: the result was permanent.
    pub permanent: u64,
    /// Given up: no attempts, or no time of its own, were left.
    pub exhausted: u64,
    /// Given up: the next attempt would have been at the deadline, or later.
    pub out_of_time: u64,
    /// Given up: the budget had no token.
    pub over_budget: u64,
    /// Given up: the context stopped.
    pub stopped: u64,
}

impl Retry {
    /// Makes a retry that waits by `delays`. Without a limit there, it goes on until the context
    /// stops or the budget is used up.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// # use ironsys::schedule::Backoff;
    /// let retry = Retry::new(Backoff::fixed(std::time::Duration::ZERO).max_attempts(2));
    /// assert!(retry.call(&ctx, |_| Err::<(), _>("no")).is_err());
    /// assert_eq!(retry.stats().retries, 1);
    /// ```
    pub fn new(delays: Backoff) -> Retry {
        let counts = Counts { calls: Counter::new(), rest: Mutex::new(RetryStats::default()) };
        let counts = Arc::new(counts);
        Retry { backoff: delays, judge: AnyFailure, budget: None, on_retry: None, counts }
    }

    /// Makes a retry that waits equally long each time.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*, time::VirtualClock};
    /// # use std::time::Duration;
    /// # let time = VirtualClock::auto();
    /// # let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// let (retry, since) = (Retry::fixed(Duration::from_secs(1)).max_attempts(3), time.now());
    /// assert!(retry.call(&ctx, |_| Err::<(), _>("no")).is_err());
    /// assert_eq!(time.now() - since, Duration::from_secs(2));
    /// ```
    pub fn fixed(delay: Duration) -> Retry {
        Retry::new(Backoff::fixed(delay))
    }

    /// Makes a retry that waits up to twice as long each time, with full jitter.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*, time::VirtualClock};
    /// # use std::time::Duration;
    /// # let time = VirtualClock::auto();
    /// # let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// let retry = Retry::exponential(Duration::from_millis(50)).max_attempts(3);
    /// assert!(retry.call(&ctx, |_| Err::<(), _>("no")).is_err());
    /// assert_eq!(retry.stats().exhausted, 1);
    /// ```
    pub fn exponential(first: Duration) -> Retry {
        Retry::new(Backoff::exponential(first).jitter(Jitter::Full))
    }
}

impl<J> Retry<J> {
    /// Sets how many attempts there may be, the first one included; 0 is 1. No limit by default.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let retry = Retry::fixed(std::time::Duration::ZERO).max_attempts(1);
    /// assert!(retry.call(&ctx, |_| Err::<(), _>("no")).is_err());
    /// assert_eq!(retry.stats().retries, 0);
    /// ```
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.backoff = self.backoff.max_attempts(attempts);
        self
    }

    /// Sets how long all attempts and waits may take: no attempt begins later than this after the
    /// first one. No limit by default, but the context's deadline, which always holds.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*, time::VirtualClock};
    /// # use std::time::Duration;
    /// # let time = VirtualClock::auto();
    /// # let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// let retry = Retry::fixed(Duration::from_secs(2)).max_elapsed(Duration::from_secs(5));
    /// assert!(retry.call(&ctx, |_| Err::<(), _>("no")).is_err());
    /// assert_eq!(retry.stats().retries, 2);
    /// ```
    pub fn max_elapsed(mut self, time: Duration) -> Self {
        self.backoff = self.backoff.max_elapsed(time);
        self
    }

    /// Takes a token of `budget` for each retry, when it is decided.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let budget = Budget::builder().burst(1).ratio(0.0).floor_per_second(0).build()?;
    /// let retry = Retry::fixed(std::time::Duration::ZERO).budget(&budget);
    /// assert!(retry.call(&ctx, |_| Err::<(), _>("no")).is_err());
    /// assert_eq!(retry.stats().retries, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn budget(mut self, budget: &Budget) -> Self {
        self.budget = Some(budget.clone());
        self
    }

    /// Tells `f` of each retry before the wait. A panic in it is the caller's.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let (tx, rx) = ironsys::channel::bounded(8);
    /// let retry = Retry::fixed(std::time::Duration::ZERO).max_attempts(2);
    /// let retry = retry.on_retry(move |r| drop(tx.try_send(r.attempt)));
    /// assert!(retry.call(&ctx, |_| Err::<(), _>("no")).is_err());
    /// assert_eq!(rx.drain().len(), 1);
    /// ```
    pub fn on_retry(mut self, f: impl Fn(&Retrying) + Send + Sync + 'static) -> Self {
        self.on_retry = Some(Arc::new(f));
        self
    }

    /// Retries only failures of which `transient` says `true`.
    ///
    /// ```
    /// use ironsys::{Context, resilience::Retry};
    /// use std::time::Duration;
    /// let (ctx, _cancel) = Context::root();
    /// let retry = Retry::fixed(Duration::ZERO).when(|e: &&str| *e == "busy");
    /// let mut attempts = 0;
    /// let out = retry.call(&ctx, |_| {
    ///     attempts += 1;
    ///     if attempts == 1 { Err("busy") } else { Err::<(), _>("no such user") }
    /// });
    /// assert_eq!((out.unwrap_err().into_failed(), attempts), (Some("no such user"), 2));
    /// ```
    pub fn when<E, F: Fn(&E) -> bool>(self, transient: F) -> Retry<When<F>> {
        self.with_judge(When(transient))
    }

    /// Asks `judge` about each result, value or failure; it may say how long to wait at least.
    ///
    /// ```
    /// use ironsys::{Context, resilience::{Retry, Verdict}, time::VirtualClock};
    /// use std::time::Duration;
    /// let time = VirtualClock::auto();
    /// let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// let retry = Retry::fixed(Duration::ZERO).judge(|out: Result<&u16, &()>| match out {
    ///     Ok(429) => Verdict::TransientAfter(Duration::from_secs(30)),
    ///     Ok(500..) => Verdict::Transient,
    ///     _ => Verdict::Done,
    /// });
    /// let since = ctx.clock().now();
    /// let mut answers = [429, 503, 200].into_iter();
    /// assert_eq!(retry.call(&ctx, |_| answers.next().ok_or(())), Ok(200));
    /// assert_eq!(ctx.clock().now() - since, Duration::from_secs(30));
    /// ```
    pub fn judge<T, E, F: Fn(Result<&T, &E>) -> Verdict>(self, judge: F) -> Retry<Judged<F>> {
        self.with_judge(Judged(judge))
    }

    /// Retries refusals by guards inside this one, too: an open breaker is waited for, as long as it
    /// says; a full bulkhead as long as the delays say. By default a refusal is final, since its
    /// purpose is to spare what is behind it.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let retry = Retry::fixed(std::time::Duration::ZERO).max_attempts(3).retry_refusals();
    /// let bulkhead = Bulkhead::builder("reports").build()?;
    /// bulkhead.resize(0);
    /// let policy = Policy::new().retry(retry).bulkhead(&bulkhead);
    /// assert!(policy.call(&ctx, |_| Ok::<_, ()>(1)).is_err() && bulkhead.stats().refused == 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn retry_refusals(self) -> Retry<Refusals<J>> {
        let Retry { backoff, judge, budget, on_retry, counts } = self;
        Retry { backoff, judge: Refusals(judge), budget, on_retry, counts }
    }

    fn with_judge<K>(self, judge: K) -> Retry<K> {
        let Retry { backoff, budget, on_retry, counts, .. } = self;
        Retry { backoff, judge, budget, on_retry, counts }
    }

    /// Calls `f` until it is done or must be given up, and returns the last result.
    ///
    /// # Cancellation
    /// A stopped context fails the call before the first attempt, and ends the wait for the next: then
    /// the last result is returned, not the stop, which would hide it.
    ///
    /// # Errors
    /// [`Failed`](CallError::Failed): the error of the last attempt.
    /// [`Stopped`](CallError::Stopped) before the first.
    ///
    /// # Panics
    /// With a panic of `f`: it is not retried.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let retry = Retry::fixed(std::time::Duration::ZERO);
    /// let mut answers = [Err("not yet"), Ok(2)].into_iter();
    /// assert_eq!(retry.call(&ctx, |_| answers.next().unwrap()), Ok(2));
    /// ```
    #[inline]
    #[track_caller]
    pub fn call<T, E>(
        &self,
        ctx: &Context,
        mut f: impl FnMut(&Context) -> Result<T, E>,
    ) -> Result<T, CallError<E>>
    where
        J: Judge<T, E>,
    {
        ctx.check()?;
        self.run(ctx, |ctx| f(ctx).map_err(CallError::Failed))
    }

    #[inline]
    #[track_caller]
    pub(super) fn run<T, E>(
        &self,
        ctx: &Context,
        mut f: impl FnMut(&Context) -> Result<T, CallError<E>>,
    ) -> Result<T, CallError<E>>
    where
        J: Judge<T, E>,
    {
        self.counts.calls.add_one();
        if let Some(budget) = &self.budget {
            budget.deposit();
        }
        let start = self.backoff.elapsed_limit().map(|_| ctx.clock().now());
        match f(ctx) {
            Ok(value) if self.judge.value(&value) == Verdict::Done => Ok(value),
            out => self.again(ctx, f, out, start),
        }
    }

    #[cold]
    #[track_caller]
    fn again<T, E>(
        &self,
        ctx: &Context,
        mut f: impl FnMut(&Context) -> Result<T, CallError<E>>,
        mut out: Result<T, CallError<E>>,
        start: Option<Instant>,
    ) -> Result<T, CallError<E>>
    where
        J: Judge<T, E>,
    {
        let mut delays = self.backoff.delays();
        let mut attempt = 1_u32;
        let why: fn(&mut RetryStats) = loop {
            let verdict = match &out {
                Ok(value) => self.judge.value(value),
                Err(error) => self.judge.error(error),
            };
            let at_least = match verdict {
                Verdict::Done => break |stats: &mut RetryStats| stats.recovered += 1,
                Verdict::Permanent => break |stats: &mut RetryStats| stats.permanent += 1,
                Verdict::Transient => Duration::ZERO,
                Verdict::TransientAfter(time) => time,
            };
            if ctx.is_stopped() {
                break |stats: &mut RetryStats| stats.stopped += 1;
            }
            let elapsed = start
                .map_or(Duration::ZERO, |start| ctx.clock().now().saturating_duration_since(start));
            let delay = delays.next_after(elapsed).map(|delay| delay.max(at_least));
            let in_time = |delay: &Duration| {
                let limit = self.backoff.elapsed_limit();
                limit.is_none_or(|limit| elapsed.saturating_add(*delay) <= limit)
            };
            let Some(delay) = delay.filter(in_time) else {
                break |stats: &mut RetryStats| stats.exhausted += 1;
            };
            if ctx.remaining().is_some_and(|left| left <= delay) {
                break |stats: &mut RetryStats| stats.out_of_time += 1;
            }
            if self.budget.as_ref().is_some_and(|budget| !budget.withdraw()) {
                break |stats: &mut RetryStats| stats.over_budget += 1;
            }
            attempt = attempt.saturating_add(1);
            if let Some(on_retry) = &self.on_retry {
                on_retry(&Retrying { attempt, delay });
            }
            if delay != Duration::ZERO && ctx.sleep(delay).is_err() {
                break |stats: &mut RetryStats| stats.stopped += 1;
            }
            self.note(|stats| stats.retries += 1);
            out = f(ctx);
        };
        self.note(why);
        out
    }

    fn note(&self, f: impl FnOnce(&mut RetryStats)) {
        f(&mut self.counts.rest.lock());
    }

    /// Returns the counts, of all clones together.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let retry = Retry::fixed(std::time::Duration::ZERO);
    /// retry.call(&ctx, |_| Ok::<_, ()>(1)).unwrap();
    /// assert_eq!((retry.stats().calls, retry.stats().retries), (1, 0));
    /// ```
    #[must_use]
    pub fn stats(&self) -> RetryStats {
        let rest = *self.counts.rest.lock();
        RetryStats { calls: self.counts.calls.sum(), ..rest }
    }

    pub(super) fn explain(&self) -> String {
        let budget = if self.budget.is_some() { ", within a budget" } else { "" };
        format!("retry: {}{budget}", self.backoff.explain())
    }
}

impl<J> fmt::Debug for Retry<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry")
            .field("backoff", &self.backoff)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}
