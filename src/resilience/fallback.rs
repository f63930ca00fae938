//! Something else, when there is no value.

use super::error::CallError;
use crate::context::Context;
use crate::observe::Counter;
use crate::sync::Arc;
use std::fmt;

/// Answers for a call that has failed, timed out or been refused.
///
/// If the context has stopped there is nobody to answer, and the error is returned as it is; so put
/// the timeout inside. A value that many threads may use; clones count together.
///
/// ```
/// use ironsys::{Context, resilience::Fallback};
/// let (ctx, _cancel) = Context::root();
/// let fallback = Fallback::value("a default");
/// assert_eq!(fallback.call(&ctx, |_| Err::<&str, _>("no disk")), Ok("a default"));
/// assert_eq!(fallback.used(), 1);
/// ```
#[derive(Clone)]
#[must_use = "a fallback does nothing until `call`"]
pub struct Fallback<F> {
    rescue: F,
    used: Arc<Counter>,
}

/// Makes a result of an error. Closures given to [`Fallback::new`] are one.
pub trait Rescue<T, E> {
    /// Answers for a call that ended in `error`, or returns an error itself.
    ///
    /// # Errors
    /// The same, or another: there is no answer either.
    fn rescue(&self, ctx: &Context, error: CallError<E>) -> Result<T, CallError<E>>;
}

impl<T, E, F> Rescue<T, E> for F
where
    F: Fn(&Context, CallError<E>) -> Result<T, CallError<E>>,
{
    fn rescue(&self, ctx: &Context, error: CallError<E>) -> Result<T, CallError<E>> {
        self(ctx, error)
    }
}

/// The same value each time.
#[derive(Debug, Clone, Copy)]
pub struct Value<T>(T);

impl<T: Clone, E> Rescue<T, E> for Value<T> {
    fn rescue(&self, _: &Context, _: CallError<E>) -> Result<T, CallError<E>> {
        Ok(self.0.clone())
    }
}

impl<T: Clone> Fallback<Value<T>> {
    /// Makes a fallback that answers with a clone of `value`.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let fallback = Fallback::value(0);
    /// assert_eq!(fallback.call(&ctx, |_| Err("no disk")), Ok(0));
    /// ```
    pub fn value(value: T) -> Self {
        Fallback { rescue: Value(value), used: Arc::new(Counter::new()) }
    }
}

impl<F> Fallback<F> {
    /// Makes a fallback that asks `f`, which may look at the error, and call somebody else.
    ///
    /// ```
    /// use ironsys::{Context, resilience::{CallError, Fallback}};
    /// let (ctx, _cancel) = Context::root();
    /// let fallback = Fallback::new(|_: &Context, e: CallError<&str>| match e {
    ///     CallError::Failed("not found") => Ok(0),
    ///     e => Err(e),
    /// });
    /// assert_eq!(fallback.call(&ctx, |_| Err("not found")), Ok(0));
    /// assert!(fallback.call(&ctx, |_| Err("no disk")).is_err());
    /// ```
    pub fn new<T, E>(f: F) -> Self
    where
        F: Fn(&Context, CallError<E>) -> Result<T, CallError<E>>,
    {
        Fallback { rescue: f, used: Arc::new(Counter::new()) }
    }

    /// Calls `f`, and answers for it if need be.
    ///
    /// # Cancellation
    /// A stopped context fails the call before `f`.
    ///
    /// # Errors
    /// What the fallback returns, or `f`'s own if the context has stopped.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// assert_eq!(Fallback::value(0).call(&ctx, |_| Ok::<_, ()>(1)), Ok(1));
    /// ```
    pub fn call<T, E>(
        &self,
        ctx: &Context,
        f: impl FnOnce(&Context) -> Result<T, E>,
    ) -> Result<T, CallError<E>>
    where
        F: Rescue<T, E>,
    {
        ctx.check()?;
        self.run(ctx, |ctx| f(ctx).map_err(CallError::Failed))
    }

    pub(super) fn run<T, E>(
        &self,
        ctx: &Context,
        f: impl FnOnce(&Context) -> Result<T, CallError<E>>,
    ) -> Result<T, CallError<E>>
    where
        F: Rescue<T, E>,
    {
        match f(ctx) {
            Err(error) if !ctx.is_stopped() => {
                self.used.add_one();
                self.rescue.rescue(ctx, error)
            }
            out => out,
        }
    }

    /// Returns how often it was asked, by all clones together.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let fallback = Fallback::value(0);
    /// fallback.call(&ctx, |_| Err("no disk")).unwrap();
    /// assert_eq!(fallback.used(), 1);
    /// ```
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.sum()
    }
}

impl<F> fmt::Debug for Fallback<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fallback").field("used", &self.used()).finish_non_exhaustive()
    }
}
