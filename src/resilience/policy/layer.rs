//! What a policy is made of.

use crate::context::Context;
use crate::resilience::breaker::{Answer, Breaker, of_an_error};
use crate::resilience::bulkhead::Bulkhead;
use crate::resilience::error::CallError;
use crate::resilience::fallback::{Fallback, Rescue};
use crate::resilience::hedge::Hedge;
use crate::resilience::retry::{Judge, Retry};
use crate::resilience::shed::{Shed, ShedLimit};
use crate::resilience::timeout::Timeout;

/// What is inside a layer: the layers below it, and at last the call. It may be called several times,
/// also from several threads at once.
pub type Next<'a, T, E> = &'a (dyn Fn(&Context) -> Result<T, CallError<E>> + Sync);

/// One guard around a call. The policy looks at the context before the call itself, so a layer that does
/// not wait need not. All of this module are one; write your own for what is missing.
///
/// ```
/// use ironsys::Context;
/// use ironsys::resilience::{CallError, Layer, Next, Policy};
///
/// struct Traced;
/// impl<T, E> Layer<T, E> for Traced {
///     fn call(&self, ctx: &Context, next: Next<'_, T, E>) -> Result<T, CallError<E>> {
///         // log that it begins ...
///         next(ctx)
///     }
///     fn explain(&self) -> String {
///         "traced".into()
///     }
/// }
///
/// let (ctx, _cancel) = Context::root();
/// let policy = Policy::new().layer(Traced);
/// assert_eq!(policy.call(&ctx, |_| Ok::<_, ()>(1)), Ok(1));
/// ```
pub trait Layer<T, E>: Send + Sync {
    /// Calls what is inside, as often as it sees fit.
    ///
    /// # Errors
    /// Those of what is inside, or its own.
    fn call(&self, ctx: &Context, next: Next<'_, T, E>) -> Result<T, CallError<E>>;

    /// Says in a few words what it does.
    fn explain(&self) -> String;
}

impl<T, E> Layer<T, E> for Breaker {
    /// A timeout is a failure; a refusal by a guard inside says nothing.
    #[track_caller]
    fn call(&self, ctx: &Context, next: Next<'_, T, E>) -> Result<T, CallError<E>> {
        let judge = |out: &Result<T, CallError<E>>| match out {
            Ok(_) => Answer::Success,
            Err(CallError::Failed(_)) => of_an_error(ctx),
            Err(CallError::TimedOut { .. } | CallError::Panicked(_)) => Answer::Failure,
            Err(_) => Answer::Ignore, // The call was not made.
        };
        self.guarded(ctx, judge, next)?
    }

    fn explain(&self) -> String {
        self.explain()
    }
}

impl<T, E, J: Judge<T, E> + Send + Sync> Layer<T, E> for Retry<J> {
    #[track_caller]
    fn call(&self, ctx: &Context, next: Next<'_, T, E>) -> Result<T, CallError<E>> {
        self.run(ctx, next)
    }

    fn explain(&self) -> String {
        self.explain()
    }
}

impl<T, E> Layer<T, E> for Timeout {
    fn call(&self, ctx: &Context, next: Next<'_, T, E>) -> Result<T, CallError<E>> {
        self.run(ctx, next)
    }

    fn explain(&self) -> String {
        self.explain()
    }
}

impl<T, E> Layer<T, E> for Bulkhead {
    #[track_caller]
    fn call(&self, ctx: &Context, next: Next<'_, T, E>) -> Result<T, CallError<E>> {
        self.run(ctx, next)
    }

    fn explain(&self) -> String {
        self.explain()
    }
}

impl<T, E, L: ShedLimit> Layer<T, E> for Shed<L> {
    fn call(&self, ctx: &Context, next: Next<'_, T, E>) -> Result<T, CallError<E>> {
        self.run(ctx, next)
    }

    fn explain(&self) -> String {
        "shed: turns calls away when its limit is reached".into()
    }
}

impl<T, E, F: Rescue<T, E> + Send + Sync> Layer<T, E> for Fallback<F> {
    fn call(&self, ctx: &Context, next: Next<'_, T, E>) -> Result<T, CallError<E>> {
        self.run(ctx, next)
    }

    fn explain(&self) -> String {
        "fallback: answers when what is inside has no value".into()
    }
}

impl<T: Send, E: Send> Layer<T, E> for Hedge {
    #[track_caller]
    fn call(&self, ctx: &Context, next: Next<'_, T, E>) -> Result<T, CallError<E>> {
        self.run(ctx, next)
    }

    fn explain(&self) -> String {
        self.explain()
    }
}
