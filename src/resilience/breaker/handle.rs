//! What users hold of a breaker.

use super::builder::{BreakerBuilder, Config};
use super::core::{Core, Inner, Pass, Phase, Shared};
use super::{Answer, BreakerState, Open};
use crate::context::{Context, Op, Stop};
use crate::resilience::CallError;
use crate::sync::{Arc, is_unwinding};
use crate::wait::{Place, Site, WaitKind, Waiter, Wakes};
use std::fmt;
use std::time::{Duration, Instant};

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
    #[must_use]
    pub fn state(&self) -> BreakerState {
        self.core.with(|inner, _, _| inner.state())
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.core.config.name
    }

    /// Opens the breaker as if a rule had said so: it probes when its time is up.
    pub fn trip(&self) {
        self.force(BreakerState::Open);
    }

    /// Opens the breaker until somebody says otherwise.
    pub fn force_open(&self) {
        self.force(BreakerState::ForcedOpen);
    }

    /// Lets all calls through without looking at them.
    pub fn disable(&self) {
        self.force(BreakerState::Disabled);
    }

    /// Lets all calls through and goes on counting: to see what the rules would see.
    pub fn metrics_only(&self) {
        self.force(BreakerState::MetricsOnly);
    }

    /// Lets probes through now.
    pub fn half_open(&self) {
        self.force(BreakerState::HalfOpen);
    }

    /// Closes the breaker, and forgets the calls so far.
    pub fn reset(&self) {
        self.force(BreakerState::Closed);
    }

    fn force(&self, to: BreakerState) {
        let now = self.core.config.clock.now();
        self.core.with(|inner, wakes, config| inner.force(to, now, config, wakes));
    }

    /// Returns the counts.
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

/// A breaker at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerStats {
    /// The state.
    pub state: BreakerState,
    /// Its number; each transition adds one.
    pub generation: u64,
    /// Calls that ended well, whenever they were admitted.
    pub succeeded: u64,
    /// Calls that failed or panicked.
    pub failed: u64,
    /// Calls whose answer said nothing.
    pub ignored: u64,
    /// Answers that came after the state they were for; those of successes are in `succeeded` too.
    pub stale: u64,
    /// Calls turned away.
    pub rejected: u64,
    /// Calls that were slow, if a rule looks at that.
    pub slow: u64,
    /// How often it opened.
    pub opened: u64,
    /// Probes that have not answered.
    pub probes_out: u32,
    /// Calls of [`admit`](Breaker::admit) that wait.
    pub waiting: usize,
    /// How long until it is worth another try, as in [`Open`].
    pub retry_after: Option<Duration>,
    /// What each rule sees; of an open breaker, what it saw when it opened.
    pub windows: Vec<WindowStats>,
    /// Transitions that the listeners were too slow to be told.
    pub untold: u64,
}

/// What one rule of a breaker sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WindowStats {
    /// Calls in its window, as of the last call; of a consecutive rule, the bad ones in a row.
    pub calls: u64,
    /// Of these, those that failed, or were slow.
    pub bad: u64,
}

impl BreakerStats {
    fn of(inner: &Inner, _: &Config, succeeded: u64, now: Instant) -> Self {
        let (probes_out, until) = match inner.phase {
            Phase::HalfOpen { out, until, .. } => (out, until),
            Phase::Open { until } => (0, until),
            _ => (0, None),
        };
        let counts = &inner.counts;
        let window = |(calls, bad)| WindowStats { calls, bad };
        BreakerStats {
            state: inner.state(),
            generation: inner.generation,
            succeeded,
            failed: counts.failed,
            ignored: counts.ignored,
            stale: counts.stale,
            rejected: counts.rejected,
            slow: counts.slow,
            opened: counts.opened,
            probes_out,
            waiting: inner.waiting.len(),
            retry_after: until.map(|until| until.saturating_duration_since(now)),
            windows: inner.windows.iter().map(|w| window(w.counts())).collect(),
            untold: inner.news.untold,
        }
    }
}

// ===== impl Admission =====

/// A call that a breaker admitted, and whose answer it awaits. Made by [`Breaker::try_admit`].
///
/// Dropped without an answer it is [`ignore`](Self::ignore), as for a caller that gave up; dropped by a
/// panic that began since, it is [`failure`](Self::failure).
#[must_use = "a breaker learns from answers: say how the call ended"]
pub struct Admission<'a> {
    core: &'a Core,
    pass: Pass,
    /// Whether the thread was unwinding already: then a drop says nothing.
    unwinding: bool,
}

impl Admission<'_> {
    /// Answers that the call did what it should.
    #[inline]
    pub fn success(self) {
        let (core, pass) = (self.core, self.pass);
        std::mem::forget(self); // Answered; it holds nothing else.
        core.succeeded(pass);
    }

    /// Answers that the call failed.
    pub fn failure(self) {
        self.answer(Answer::Failure);
    }

    /// Answers that the call says nothing about what was called.
    pub fn ignore(self) {
        self.answer(Answer::Ignore);
    }

    /// Gives the answer.
    pub fn answer(self, answer: Answer) {
        let (core, pass) = (self.core, self.pass);
        std::mem::forget(self);
        core.answer(pass, answer);
    }

    /// Returns the number of the state that admitted the call.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.pass.generation
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        let panicked = !self.unwinding && is_unwinding();
        let answer = if panicked { Answer::Failure } else { Answer::Ignore };
        self.core.answer(self.pass, answer);
    }
}

impl fmt::Debug for Admission<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission")
            .field("generation", &self.pass.generation)
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
