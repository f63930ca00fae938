//! Turning calls away under load, by a limit that may learn from how they end.

use super::breaker::Answer;
use super::error::CallError;
use crate::context::Context;
use crate::limit::{AdaptiveLimit, AdaptivePermit, Outcome, Permit, Semaphore};
use crate::observe::Counter;
use crate::sync::Arc;
use std::fmt;

/// A limit that says at once whether a call may be made, and is told how it ended.
///
/// [`Semaphore`] is one that does not care; [`AdaptiveLimit`] learns.
pub trait ShedLimit: Send + Sync {
    /// What a call holds while it runs. Dropped by a panic it has not been told anything.
    type Permit;

    /// Takes a permit if the call may be made. The context may say whose call it is, and how urgent.
    fn try_enter(&self, ctx: &Context) -> Option<Self::Permit>;

    /// The call has ended: well, as one that overload made fail, or in a way that says nothing.
    fn leave(&self, permit: Self::Permit, answer: Answer);
}

impl ShedLimit for Semaphore {
    type Permit = Permit;

    fn try_enter(&self, _: &Context) -> Option<Permit> {
        self.try_acquire(1).ok()
    }

    fn leave(&self, permit: Permit, _: Answer) {
        drop(permit);
    }
}

impl ShedLimit for AdaptiveLimit {
    type Permit = AdaptivePermit;

    fn try_enter(&self, _: &Context) -> Option<AdaptivePermit> {
        self.try_acquire().ok()
    }

    fn leave(&self, permit: AdaptivePermit, answer: Answer) {
        permit.end(match answer {
            Answer::Success => Outcome::Success,
            Answer::Failure => Outcome::Dropped,
            Answer::Ignore => Outcome::Ignore,
        });
    }
}

/// Turns calls away as soon as a limit is reached: none waits.
///
/// What the limit is told: a value is a [`Success`](Answer::Success); a timeout, or a refusal by a guard
/// inside this one, is a [`Failure`](Answer::Failure), a sign of overload; any other error says nothing
/// about load.
///
/// Cheap to clone; clones count together.
///
/// ```
/// use ironsys::{Context, limit::Semaphore, resilience::{CallError, Shed}};
/// let (ctx, _cancel) = Context::root();
/// let slots = Semaphore::new(1);
/// let shed = Shed::by(slots.clone());
/// assert_eq!(shed.call(&ctx, |_| Ok::<_, ()>(1)), Ok(1));
/// let busy = slots.try_acquire(1).unwrap();
/// assert_eq!(shed.call(&ctx, |_| Ok::<_, ()>(1)), Err(CallError::Shed));
/// assert_eq!(shed.shed(), 1);
/// # drop(busy);
/// ```
pub struct Shed<L> {
    shared: Arc<Shared<L>>,
}

struct Shared<L> {
    limit: L,
    admitted: Counter,
    shed: Counter,
}

impl<L: ShedLimit> Shed<L> {
    /// Makes a shed of a limit.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// # use ironsys::limit::Semaphore;
    /// let shed = Shed::by(Semaphore::new(0));
    /// assert_eq!(shed.call(&ctx, |_| Ok::<_, ()>(1)), Err(CallError::Shed));
    /// ```
    pub fn by(limit: L) -> Self {
        let shared = Shared { limit, admitted: Counter::new(), shed: Counter::new() };
        Shed { shared: Arc::new(shared) }
    }

    /// Calls `f` if the limit lets it.
    ///
    /// # Cancellation
    /// A stopped context fails the call before `f`. The call itself does not wait.
    ///
    /// # Errors
    /// [`Shed`](CallError::Shed), [`Stopped`](CallError::Stopped), or `f`'s own as
    /// [`Failed`](CallError::Failed).
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// # use ironsys::limit::Semaphore;
    /// let shed = Shed::by(Semaphore::new(1));
    /// assert_eq!(shed.call(&ctx, |_| Ok::<_, ()>(1)), Ok(1));
    /// ```
    pub fn call<T, E>(
        &self,
        ctx: &Context,
        f: impl FnOnce(&Context) -> Result<T, E>,
    ) -> Result<T, CallError<E>> {
        ctx.check()?;
        self.run(ctx, |ctx| f(ctx).map_err(CallError::Failed))
    }

    pub(super) fn run<T, E>(
        &self,
        ctx: &Context,
        f: impl FnOnce(&Context) -> Result<T, CallError<E>>,
    ) -> Result<T, CallError<E>> {
        let Some(permit) = self.shared.limit.try_enter(ctx) else {
            self.shared.shed.add_one();
            return Err(CallError::Shed);
        };
        self.shared.admitted.add_one();
        let out = f(ctx);
        let answer = match &out {
            Ok(_) => Answer::Success,
            Err(e) if e.is_timeout() || e.is_refusal() => Answer::Failure,
            Err(_) if ctx.check().is_err_and(|stop| stop.is_timeout()) => Answer::Failure,
            Err(_) => Answer::Ignore,
        };
        self.shared.limit.leave(permit, answer);
        out
    }

    /// Returns the limit.
    ///
    /// ```
    /// # use ironsys::resilience::*;
    /// # use ironsys::limit::Semaphore;
    /// let shed = Shed::by(Semaphore::new(1));
    /// assert!(shed.limit().try_acquire(1).is_ok());
    /// ```
    #[must_use]
    pub fn limit(&self) -> &L {
        &self.shared.limit
    }
}

impl<L> Shed<L> {
    /// Returns how many calls were let in.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// # use ironsys::limit::Semaphore;
    /// let shed = Shed::by(Semaphore::new(1));
    /// shed.call(&ctx, |_| Ok::<_, ()>(1)).unwrap();
    /// assert_eq!((shed.admitted(), shed.shed()), (1, 0));
    /// ```
    #[must_use]
    pub fn admitted(&self) -> u64 {
        self.shared.admitted.sum()
    }

    /// Returns how many calls were turned away.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// # use ironsys::limit::Semaphore;
    /// let shed = Shed::by(Semaphore::new(0));
    /// shed.call(&ctx, |_| Ok::<_, ()>(1)).unwrap_err();
    /// assert_eq!((shed.admitted(), shed.shed()), (0, 1));
    /// ```
    #[must_use]
    pub fn shed(&self) -> u64 {
        self.shared.shed.sum()
    }
}

impl<L> Clone for Shed<L> {
    fn clone(&self) -> Self {
        Shed { shared: self.shared.clone() }
    }
}

impl<L> fmt::Debug for Shed<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shed")
            .field("admitted", &self.admitted())
            .field("shed", &self.shed())
            .finish_non_exhaustive()
    }
}
