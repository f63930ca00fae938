//! What users hold of a breaker.

use super::admission::Admission;
use super::builder::BreakerBuilder;
use super::core::{Core, Pass, Shared};
use super::stats::BreakerStats;
use super::{Answer, BreakerState, Open};
use crate::context::{Context, Op, Stop};
use crate::resilience::CallError;
use crate::sync::{Arc, is_unwinding};
use crate::wait::{Place, Site, WaitKind, Waiter, Wakes};
use std::fmt;
use std::time::Instant;

/// Stops calling what keeps failing, and finds out when it has recovered.
///
/// *Closed*, it lets calls through and watches how they end. When a [`Trip`](super::Trip) says so it
/// *opens*: calls are turned away at once. After some time it is *half-open*: it admits exactly
/// [`probes`](BreakerBuilder::probes) calls, and closes or opens again by their answers.
///
/// Cheap to clone; all clones are handles to one breaker. Give one to each thing that may fail on its
/// own: a host, a shard, a stage of a pipeline.
///
/// # What counts
/// * A panic is a failure.
/// * An answer counts only for the state in which the call was admitted: what was asked before the
///   breaker opened says nothing about whether to close it.
/// * A probe that is ignored gives its place to another.
///
/// # Cost
/// Closed, with no failure in its windows, a call takes one load to be admitted and one load and one
/// addition to succeed. Otherwise, and for failures, an uncontended lock. Rules over time, or over slow
/// calls, read the clock.
///
/// ```
/// use ironsys::Context;
/// use ironsys::resilience::{Breaker, BreakerState, CallError, Trip};
/// use ironsys::time::VirtualClock;
/// use std::time::Duration;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let time = VirtualClock::new();
/// let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
/// let breaker = Breaker::builder("db")
///     .trip(Trip::consecutive(2))
///     .open_for(Duration::from_secs(10))
///     .clock(ctx.clock())
///     .build()?;
/// for _ in 0..2 {
///     let _ = breaker.call(&ctx, |_| Err::<(), _>("down"));
/// }
/// let turned_away = breaker.call(&ctx, |_| Ok::<_, &str>(1)).unwrap_err();
/// assert_eq!(turned_away.retry_after(), Some(Duration::from_secs(10)));
/// time.advance(Duration::from_secs(10));
/// assert!(breaker.call(&ctx, |_| Ok::<_, &str>(1)).is_ok()); // the probe
/// assert_eq!(breaker.state(), BreakerState::Closed);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Breaker {
    pub(super) core: Shared,
}

impl Breaker {
    /// Starts to build a breaker; the name is for errors and waits.
    ///
    /// ```
    /// # use ironsys::resilience::*;
    /// assert_eq!(Breaker::builder("db").build()?.state(), BreakerState::Closed);
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn builder(name: impl Into<String>) -> BreakerBuilder {
        BreakerBuilder::new(name.into().into())
    }

    /// Calls `f` if the breaker admits it. `Ok` is a success, `Err` a failure, unless `ctx` has been
    /// cancelled by then: that is the caller's doing, and is ignored. A deadline is a failure.
    ///
    /// # Cancellation
    /// A stopped context fails the call before `f`. The call itself does not wait.
    ///
    /// # Errors
    /// [`Open`](CallError::Open), [`Stopped`](CallError::Stopped), or `f`'s own as
    /// [`Failed`](CallError::Failed).
    ///
    /// # Panics
    /// With the panic of `f`, which counts as a failure.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let breaker = Breaker::builder("db").build()?;
    /// let out = breaker.call(&ctx, |_| Err::<(), _>("down"));
    /// assert_eq!(out, Err(CallError::Failed("down")));
    /// assert_eq!(breaker.stats().failed, 1);
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    #[inline]
    pub fn call<T, E>(
        &self,
        ctx: &Context,
        f: impl FnOnce(&Context) -> Result<T, E>,
    ) -> Result<T, CallError<E>> {
        ctx.check()?;
        let pass = self.core.admit()?;
        let unwound = Unwound { core: &self.core, pass };
        let out = f(ctx);
        std::mem::forget(unwound); // It came back.
        match out {
            Ok(value) => {
                self.core.succeeded(pass);
                Ok(value)
            }
            Err(error) => {
                self.core.answer(pass, of_an_error(ctx));
                Err(CallError::Failed(error))
            }
        }
    }

    /// Like [`call`](Self::call), and `judge` says what the result means. It is called with no lock
    /// held; if it panics, that is a failure.
    ///
    /// # Cancellation
    /// As for [`call`](Self::call).
    ///
    /// # Errors
    /// As for [`call`](Self::call).
    ///
    /// # Panics
    /// With the panic of `f`, which counts as a failure, or of `judge`.
    ///
    /// ```
    /// use ironsys::Context;
    /// use ironsys::resilience::{Answer, Breaker};
    /// # fn main() -> Result<(), ironsys::BuildError> {
    /// let (ctx, _cancel) = Context::root();
    /// let breaker = Breaker::builder("http").build()?;
    /// // The server is well, the request is not.
    /// let judge = |status: &Result<u16, &str>| match status {
    ///     Ok(500..) | Err(_) => Answer::Failure,
    ///     Ok(400..) => Answer::Ignore,
    ///     Ok(_) => Answer::Success,
    /// };
    /// assert_eq!(breaker.call_judged(&ctx, judge, |_| Ok(404)), Ok(404));
    /// assert_eq!((breaker.stats().failed, breaker.stats().ignored), (0, 1));
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn call_judged<T, E>(
        &self,
        ctx: &Context,
        judge: impl FnOnce(&Result<T, E>) -> Answer,
        f: impl FnOnce(&Context) -> Result<T, E>,
    ) -> Result<T, CallError<E>> {
        ctx.check()?;
        self.guarded(ctx, judge, f)?.map_err(CallError::Failed)
    }

    pub(in crate::resilience) fn guarded<R, E>(
        &self,
        ctx: &Context,
        judge: impl FnOnce(&R) -> Answer,
        f: impl FnOnce(&Context) -> R,
    ) -> Result<R, CallError<E>> {
        let pass = self.core.admit()?;
        let unwound = Unwound { core: &self.core, pass };
        let out = f(ctx);
        let answer = judge(&out);
        std::mem::forget(unwound); // It came back.
        self.core.answer(pass, answer);
        Ok(out)
    }

    pub(in crate::resilience) fn explain(&self) -> String {
        let trips: Vec<_> = self.core.config.trips.iter().map(ToString::to_string).collect();
        format!("breaker `{}`: opens at {}", self.name(), trips.join(" or "))
    }

    /// Admits a call that is made elsewhere: the first of two steps, the second being the answer that
    /// the [`Admission`] takes.
    ///
    /// # Errors
    /// The breaker is open, and for how long at least.
    ///
    /// ```
    /// use ironsys::resilience::Breaker;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let breaker = Breaker::builder("stage").build()?;
    /// let admission = breaker.try_admit()?;
    /// // ... the call ...
    /// admission.success();
    /// assert_eq!(breaker.stats().succeeded, 1);
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn try_admit(&self) -> Result<Admission<'_>, Open> {
        let pass = self.core.admit()?;
        Ok(Admission { core: &self.core, pass, unwinding: is_unwinding() })
    }

    /// Waits until the breaker admits a call: for a stage that rather holds its input up than loses
    /// it. Whoever waits is turned to when the breaker closes, or has a place for a probe.
    ///
    /// # Cancellation
    /// Gives up, and holds no admission.
    ///
    /// # Errors
    /// Why the context stopped.
    ///
    /// ```
    /// use ironsys::{Context, resilience::Breaker, time::VirtualClock};
    /// use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let time = VirtualClock::auto();
    /// let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// let minute = Duration::from_secs(60);
    /// let breaker = Breaker::builder("stage").open_for(minute).clock(ctx.clock()).build()?;
    /// breaker.trip();
    /// let since = ctx.clock().now();
    /// breaker.admit(&ctx)?.success(); // a minute later, in no time
    /// assert_eq!(ctx.clock().now() - since, minute);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn admit(&self, ctx: &Context) -> Result<Admission<'_>, Stop> {
        ctx.check()?;
        let site = Site::new(WaitKind::Permit, Some(self.core.config.name.clone()));
        let mut op = Admit { core: &self.core, place: Place::default(), until: None };
        let pass = match self.core.admit() {
            Ok(pass) => pass,
            Err(_) => loop {
                let until = op.until;
                if let Some(Looked::Admitted(pass)) =
                    ctx.block_until(until, site.clone(), &mut op)?
                {
                    break pass;
                }
            },
        };
        Ok(Admission { core: &self.core, pass, unwinding: is_unwinding() })
    }

    /// Returns the state. An open breaker is open until somebody calls, even if its time is up.
    ///
    /// ```
    /// # use ironsys::resilience::*;
    /// let breaker = Breaker::builder("db").open_for(std::time::Duration::ZERO).build()?;
    /// breaker.trip();
    /// assert_eq!(breaker.state(), BreakerState::Open); // though a call would be let through
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    #[must_use]
    pub fn state(&self) -> BreakerState {
        self.core.with(|inner, _, _| inner.state())
    }

    /// Returns the name.
    ///
    /// ```
    /// # use ironsys::resilience::*;
    /// assert_eq!(Breaker::builder("db").build()?.name(), "db");
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        &self.core.config.name
    }

    /// Opens the breaker as if a rule had said so: it probes when its time is up.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let breaker = Breaker::builder("db").build()?;
    /// breaker.trip();
    /// assert!(breaker.call(&ctx, |_| Ok::<_, ()>(1)).unwrap_err().is_refusal());
    /// assert!(breaker.stats().retry_after.is_some());
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn trip(&self) {
        self.force(BreakerState::Open);
    }

    /// Opens the breaker until somebody says otherwise.
    ///
    /// ```
    /// # use ironsys::resilience::*;
    /// let breaker = Breaker::builder("db").open_for(std::time::Duration::ZERO).build()?;
    /// breaker.force_open();
    /// assert!(breaker.try_admit().is_err());
    /// assert_eq!(breaker.stats().retry_after, None); // There is no telling.
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn force_open(&self) {
        self.force(BreakerState::ForcedOpen);
    }

    /// Lets all calls through without looking at them.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let breaker = Breaker::builder("db").trip(Trip::consecutive(1)).build()?;
    /// breaker.disable();
    /// breaker.call(&ctx, |_| Err::<(), _>("down")).unwrap_err();
    /// assert_eq!(breaker.state(), BreakerState::Disabled);
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn disable(&self) {
        self.force(BreakerState::Disabled);
    }

    /// Lets all calls through and goes on counting: to see what the rules would see.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let breaker = Breaker::builder("db").trip(Trip::consecutive(1)).build()?;
    /// breaker.metrics_only();
    /// breaker.call(&ctx, |_| Err::<(), _>("down")).unwrap_err();
    /// assert!(breaker.try_admit().is_ok());
    /// assert_eq!(breaker.stats().failed, 1);
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn metrics_only(&self) {
        self.force(BreakerState::MetricsOnly);
    }

    /// Lets probes through now.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let breaker = Breaker::builder("db").build()?;
    /// breaker.force_open();
    /// breaker.half_open();
    /// assert_eq!(breaker.call(&ctx, |_| Ok::<_, ()>(1)), Ok(1)); // the probe
    /// assert_eq!(breaker.state(), BreakerState::Closed);
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn half_open(&self) {
        self.force(BreakerState::HalfOpen);
    }

    /// Closes the breaker, and forgets the calls so far.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let breaker = Breaker::builder("db").trip(Trip::consecutive(2)).build()?;
    /// breaker.call(&ctx, |_| Err::<(), _>("down")).unwrap_err();
    /// breaker.reset();
    /// breaker.call(&ctx, |_| Err::<(), _>("down")).unwrap_err(); // the first again
    /// assert_eq!(breaker.state(), BreakerState::Closed);
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn reset(&self) {
        self.force(BreakerState::Closed);
    }

    fn force(&self, to: BreakerState) {
        let now = self.core.config.clock.now();
        self.core.with(|inner, wakes, config| inner.force(to, now, config, wakes));
    }

    /// Returns the counts.
    ///
    /// ```
    /// # use ironsys::resilience::*;
    /// let breaker = Breaker::builder("db").build()?;
    /// breaker.trip();
    /// assert!(breaker.try_admit().is_err());
    /// assert_eq!((breaker.stats().opened, breaker.stats().rejected), (1, 1));
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> BreakerStats {
        let now = self.core.config.clock.now();
        let succeeded = self.core.count_succeeded();
        self.core.with(|inner, _, config| BreakerStats::of(inner, config, succeeded, now))
    }
}

/// Dropped only by a panic of the call.
struct Unwound<'a> {
    core: &'a Core,
    pass: Pass,
}

impl Drop for Unwound<'_> {
    #[cold]
    fn drop(&mut self) {
        self.core.answer(self.pass, Answer::Failure);
    }
}

/// What an error means without anybody's opinion on it.
pub(in crate::resilience) fn of_an_error(ctx: &Context) -> Answer {
    if ctx.check().is_err_and(|stop| stop.is_cancelled()) {
        return Answer::Ignore;
    }
    Answer::Failure
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker")
            .field("name", &self.name())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

// ===== impl Admit =====

/// A wait for an admission.
struct Admit<'a> {
    core: &'a Core,
    place: Place,
    /// When to look again without being told, as of the last look.
    until: Option<Instant>,
}

enum Looked {
    Admitted(Pass),
    /// There is another time at which to look.
    Again,
}

impl Op for Admit<'_> {
    type Out = Looked;

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<Looked> {
        let now = self.core.config.clock.now();
        let admitted = self.core.with(|inner, _: &mut Wakes, config| {
            let admitted = inner.admit(now, config);
            match &admitted {
                Err(until) if *until == self.until => {
                    inner.waiting.enter(&mut self.place, waiter);
                }
                _ => inner.waiting.leave(&mut self.place),
            }
            admitted
        });
        match admitted {
            Err(until) if until == self.until => None,
            Err(until) => {
                self.until = until;
                Some(Looked::Again)
            }
            admitted => self.core.pass(admitted, now).ok().map(Looked::Admitted),
        }
    }

    fn withdraw(&mut self) -> Option<Looked> {
        // All are told together, so there is no baton to pass.
        self.core.with(|inner, _, _| inner.waiting.leave(&mut self.place));
        None
    }
}
