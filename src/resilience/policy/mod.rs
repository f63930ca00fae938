//! Several guards around one call.
//!
//! * `layer`: what a policy is made of; here: how they are put together.

mod layer;

pub use layer::{Layer, Next};

use super::breaker::Breaker;
use super::bulkhead::Bulkhead;
use super::error::CallError;
use super::fallback::Fallback;
use super::hedge::Hedge;
use super::retry::Retry;
use super::shed::Shed;
use super::timeout::Timeout;
use crate::context::Context;
use crate::sync::Arc;
use std::fmt;

/// Guards around a call, in the order in which they are written: the first is the outermost.
///
/// A value that many threads may use. Handles such as a [`Breaker`] stay shared with whoever else has a
/// clone; so look at their `stats()` there.
///
/// # Which order
/// Unless there is a reason for another:
///
/// | | guard | why there |
/// |---|---|---|
/// | 1 | [`fallback`](Self::fallback) | answers for everything that may go wrong inside |
/// | 2 | [`timeout`](Self::timeout) | the whole, waits and retries included |
/// | 3 | [`shed`](Self::shed) | before anything is spent on the call |
/// | 4 | [`bulkhead`](Self::bulkhead) | a call holds its place through its retries, so retries add no load |
/// | 5 | [`retry`](Self::retry) | outside of the breaker, so that each attempt counts and an open breaker ends the retries |
/// | 6 | [`breaker`](Self::breaker) | sees single attempts, timeouts included |
/// | 7 | [`hedge`](Self::hedge) | a hedged attempt is one attempt |
/// | 8 | [`timeout`](Self::timeout) | each attempt |
///
/// # Cost
/// One indirect call a guard, beyond what each costs alone.
///
/// ```
/// use ironsys::Context;
/// use ironsys::resilience::{Breaker, Bulkhead, Fallback, Policy, Retry, Timeout};
/// use std::time::Duration;
/// # fn main() -> Result<(), ironsys::BuildError> {
/// let (ctx, _cancel) = Context::root();
/// let ms = Duration::from_millis;
/// let policy = Policy::new()
///     .fallback(Fallback::value(0))
///     .timeout(Timeout::new(ms(2000)))
///     .bulkhead(&Bulkhead::builder("prices").concurrent(8).queue(16).build()?)
///     .retry(Retry::exponential(ms(50)).max_attempts(3))
///     .breaker(&Breaker::builder("prices").build()?)
///     .timeout(Timeout::new(ms(500)));
/// assert_eq!(policy.call(&ctx, |_ctx| "42".parse::<u32>()), Ok(42));
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use = "a policy does nothing until `call`"]
pub struct Policy<L = Bare> {
    layers: L,
}

/// No guard at all.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Bare;

/// One guard inside others.
#[derive(Clone)]
pub struct Inside<L, I> {
    outer: L,
    inner: I,
}

/// Guards of any kind, behind one name. Made by [`Policy::boxed`].
pub struct Boxed<T, E>(Arc<dyn Layer<T, E>>);

impl Policy {
    /// Makes a policy without guards.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// assert_eq!(Policy::new().call(&ctx, |_| Ok::<_, ()>(1)), Ok(1));
    /// ```
    pub fn new() -> Policy {
        Policy { layers: Bare }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Policy::new()
    }
}

impl<L> Policy<L> {
    /// Puts a guard inside those so far.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let policy = Policy::new().layer(Fallback::value(0));
    /// assert_eq!(policy.call(&ctx, |_| Err("no disk")), Ok(0));
    /// ```
    pub fn layer<I>(self, inner: I) -> Policy<Inside<L, I>> {
        Policy { layers: Inside { outer: self.layers, inner } }
    }

    /// Puts a fallback inside those so far.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let policy = Policy::new().fallback(Fallback::value(0));
    /// assert_eq!(policy.call(&ctx, |_| Err("no disk")), Ok(0));
    /// ```
    pub fn fallback<F>(self, fallback: Fallback<F>) -> Policy<Inside<L, Fallback<F>>> {
        self.layer(fallback)
    }

    /// Puts a timeout inside those so far.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*, time::VirtualClock};
    /// # use std::time::Duration;
    /// # let time = VirtualClock::auto();
    /// # let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// let policy = Policy::new().timeout(Timeout::new(Duration::from_secs(1)));
    /// let out = policy.call(&ctx, |ctx| ctx.sleep(Duration::from_secs(5)));
    /// assert!(out.unwrap_err().is_timeout());
    /// ```
    pub fn timeout(self, timeout: Timeout) -> Policy<Inside<L, Timeout>> {
        self.layer(timeout)
    }

    /// Puts a shed inside those so far.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// # use ironsys::limit::Semaphore;
    /// let policy = Policy::new().shed(&Shed::by(Semaphore::new(0)));
    /// assert_eq!(policy.call(&ctx, |_| Ok::<_, ()>(1)), Err(CallError::Shed));
    /// ```
    pub fn shed<S>(self, shed: &Shed<S>) -> Policy<Inside<L, Shed<S>>> {
        self.layer(shed.clone())
    }

    /// Puts a bulkhead inside those so far.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let bulkhead = Bulkhead::builder("reports").build()?;
    /// let policy = Policy::new().bulkhead(&bulkhead);
    /// bulkhead.resize(0);
    /// assert!(policy.call(&ctx, |_| Ok::<_, ()>(1)).unwrap_err().is_refusal());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn bulkhead(self, bulkhead: &Bulkhead) -> Policy<Inside<L, Bulkhead>> {
        self.layer(bulkhead.clone())
    }

    /// Puts a retry inside those so far.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let retry = Retry::fixed(std::time::Duration::ZERO).max_attempts(3);
    /// let policy = Policy::new().retry(retry.clone());
    /// assert!(policy.call(&ctx, |_| Err::<(), _>("no")).is_err());
    /// assert_eq!(retry.stats().retries, 2);
    /// ```
    pub fn retry<J>(self, retry: Retry<J>) -> Policy<Inside<L, Retry<J>>> {
        self.layer(retry)
    }

    /// Puts a breaker inside those so far.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let breaker = Breaker::builder("db").build()?;
    /// breaker.force_open();
    /// let policy = Policy::new().breaker(&breaker);
    /// assert!(policy.call(&ctx, |_| Ok::<_, ()>(1)).unwrap_err().is_refusal());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn breaker(self, breaker: &Breaker) -> Policy<Inside<L, Breaker>> {
        self.layer(breaker.clone())
    }

    /// Puts a hedge inside those so far.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let policy = Policy::new().hedge(Hedge::after(std::time::Duration::MAX));
    /// assert_eq!(policy.call(&ctx, |_| Ok::<_, ()>("pong")), Ok("pong"));
    /// ```
    pub fn hedge(self, hedge: Hedge) -> Policy<Inside<L, Hedge>> {
        self.layer(hedge)
    }

    /// Calls `f` under the guards.
    ///
    /// # Cancellation
    /// A stopped context fails the call before `f`; what waits inside stops with it.
    ///
    /// # Errors
    /// `f`'s own as [`Failed`](CallError::Failed), or that of the guard which said no.
    ///
    /// # Panics
    /// With a panic of `f`.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let policy = Policy::new().fallback(Fallback::value(0));
    /// assert_eq!(policy.call(&ctx, |_| Ok::<_, ()>(1)), Ok(1));
    /// ```
    #[track_caller]
    pub fn call<T, E>(
        &self,
        ctx: &Context,
        f: impl Fn(&Context) -> Result<T, E> + Sync,
    ) -> Result<T, CallError<E>>
    where
        L: Layer<T, E>,
    {
        ctx.check()?;
        self.layers.call(ctx, &|ctx: &Context| {
            // One look for all the guards that stand around it: each would read the clock.
            ctx.check()?;
            f(ctx).map_err(CallError::Failed)
        })
    }

    /// Says what the guards do, from the outermost in, a line each, and what is unusual about their
    /// order.
    ///
    /// ```
    /// use ironsys::resilience::{Policy, Retry, Timeout};
    /// use std::time::Duration;
    /// let second = Duration::from_secs(1);
    /// let policy = Policy::new()
    ///     .timeout(Timeout::new(second * 5))
    ///     .retry(Retry::fixed(second).max_attempts(3));
    /// assert_eq!(
    ///     policy.explain::<(), ()>(),
    ///     "timeout: 5s\n  retry: 3 attempts, 1s each time\n    the call"
    /// );
    /// ```
    #[must_use]
    pub fn explain<T, E>(&self) -> String
    where
        L: Layer<T, E>,
    {
        let layers = self.layers.explain();
        let mut lines: Vec<&str> = layers.lines().collect();
        lines.push("the call");
        let indented = lines.iter().enumerate().map(|(i, line)| format!("{:1$}{line}", "", i * 2));
        let notes = notes(&lines).map(|note| format!("note: {note}"));
        indented.chain(notes).collect::<Vec<_>>().join("\n")
    }

    /// Puts the guards behind a type that has a short name, for a field.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let policy: Policy<Boxed<i32, ()>> = Policy::new().fallback(Fallback::value(0)).boxed();
    /// assert_eq!(policy.call(&ctx, |_| Err(())), Ok(0));
    /// ```
    pub fn boxed<T, E>(self) -> Policy<Boxed<T, E>>
    where
        L: Layer<T, E> + 'static,
    {
        Policy { layers: Boxed(Arc::new(self.layers)) }
    }
}

/// What is unusual about an order.
fn notes<'a>(lines: &'a [&'a str]) -> impl Iterator<Item = &'static str> + 'a {
    let place = |what: &str| lines.iter().position(|line| line.starts_with(what));
    let outside = move |a: &str, b: &str| place(a).zip(place(b)).is_some_and(|(a, b)| a < b);
    UNUSUAL.iter().filter(move |(a, b, _)| outside(a, b)).map(|(.., note)| *note)
}

const UNUSUAL: &[(&str, &str, &str)] = &[
    ("breaker", "retry", "the breaker sees calls with all their retries, not single attempts"),
    ("retry", "bulkhead", "each attempt takes a place of its own, and may be refused one"),
    ("retry", "shed", "a retry may be shed though its first attempt was let in"),
    ("hedge", "retry", "each hedged attempt has retries of its own"),
    ("retry", "fallback", "the fallback answers for single attempts, so there is nothing to retry"),
];

impl<T, E> Layer<T, E> for Bare {
    #[inline]
    fn call(&self, ctx: &Context, next: Next<'_, T, E>) -> Result<T, CallError<E>> {
        next(ctx)
    }

    fn explain(&self) -> String {
        String::new()
    }
}

impl<T, E, L: Layer<T, E>, I: Layer<T, E>> Layer<T, E> for Inside<L, I> {
    #[inline]
    #[track_caller]
    fn call(&self, ctx: &Context, next: Next<'_, T, E>) -> Result<T, CallError<E>> {
        self.outer.call(ctx, &|ctx: &Context| self.inner.call(ctx, next))
    }

    fn explain(&self) -> String {
        match self.outer.explain() {
            none if none.is_empty() => self.inner.explain(),
            outer => format!("{outer}\n{}", self.inner.explain()),
        }
    }
}

impl<T, E> Layer<T, E> for Boxed<T, E> {
    #[track_caller]
    fn call(&self, ctx: &Context, next: Next<'_, T, E>) -> Result<T, CallError<E>> {
        self.0.call(ctx, next)
    }

    fn explain(&self) -> String {
        self.0.explain()
    }
}

impl<T, E> Clone for Boxed<T, E> {
    fn clone(&self) -> Self {
        Boxed(self.0.clone())
    }
}

impl<L> fmt::Debug for Policy<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").finish_non_exhaustive()
    }
}

impl<L, I> fmt::Debug for Inside<L, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inside").finish_non_exhaustive()
    }
}

impl<T, E> fmt::Debug for Boxed<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Boxed")
    }
}
