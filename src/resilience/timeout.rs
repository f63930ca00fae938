//! A time limit for a call.

use super::error::CallError;
use crate::context::{Context, Stop};
use crate::observe::Counter;
use crate::sync::{Arc, Mutex};
use std::time::Duration;

/// Gives a call a context that stops after some time.
///
/// The call runs on the calling thread and is waited for: nothing is left behind. When it has come
/// back, one look at the clock decides:
///
/// | it returned | in time | too late |
/// |---|---|---|
/// | a value | the value | the value, counted as `overran`; [`strict`](Self::strict): `TimedOut` |
/// | an error | the error | [`TimedOut`](CallError::TimedOut), with the error inside |
///
/// If the context that it was called with has stopped, or has the earlier deadline, that is not this
/// timeout, and the result is returned as it is. A call that does not look at its context cannot be
/// held to the limit; `overran` shows it.
///
/// A value that many threads may use; clones count together.
///
/// ```
/// use ironsys::resilience::{CallError, Timeout};
/// use ironsys::{Context, time::VirtualClock};
/// use std::time::Duration;
/// let time = VirtualClock::auto();
/// let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
/// let second = Duration::from_secs(1);
/// let out = Timeout::new(second).call(&ctx, |ctx| ctx.sleep(second * 5));
/// assert!(matches!(out, Err(CallError::TimedOut { .. })));
/// ```
#[derive(Debug, Clone)]
#[must_use = "a timeout does nothing until `call`"]
pub struct Timeout {
    limit: Duration,
    strict: bool,
    counts: Arc<Counts>,
}

#[derive(Debug)]
struct Counts {
    calls: Counter,
    /// Guards what happened to calls that were late.
    late: Mutex<Late>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Late {
    timed_out: u64,
    overran: u64,
}

/// What became of the calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeoutStats {
    /// Calls that were made.
    pub calls: u64,
    /// Calls that ended as [`TimedOut`](CallError::TimedOut).
    pub timed_out: u64,
    /// Calls that returned a value too late, taken or not.
    pub overran: u64,
}

impl Timeout {
    /// Makes a timeout. Zero times out whatever heeds its context; `Duration::MAX` is no limit.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*, time::VirtualClock};
    /// # use std::time::Duration;
    /// # let time = VirtualClock::auto();
    /// # let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// let out = Timeout::new(Duration::from_secs(1)).call(&ctx, |ctx| ctx.sleep(Duration::MAX));
    /// assert!(out.unwrap_err().is_timeout());
    /// ```
    pub fn new(limit: Duration) -> Timeout {
        let counts = Counts { calls: Counter::new(), late: Mutex::new(Late::default()) };
        Timeout { limit, strict: false, counts: Arc::new(counts) }
    }

    /// Makes a value that comes too late a timeout as well; the value is dropped.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*, time::VirtualClock};
    /// # use std::time::Duration;
    /// # let time = VirtualClock::auto();
    /// # let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// let late = |_: &Context| { time.advance(Duration::from_secs(5)); Ok::<_, ()>(1) };
    /// let timeout = Timeout::new(Duration::from_secs(1));
    /// assert_eq!(timeout.call(&ctx, late), Ok(1));
    /// assert!(timeout.strict().call(&ctx, late).unwrap_err().is_timeout());
    /// ```
    pub fn strict(mut self) -> Timeout {
        self.strict = true;
        self
    }

    /// Calls `f` under a context with the limit.
    ///
    /// # Cancellation
    /// A stopped context fails the call before `f`; later it is for `f` to notice.
    ///
    /// # Errors
    /// [`TimedOut`](CallError::TimedOut), [`Stopped`](CallError::Stopped), or `f`'s own as
    /// [`Failed`](CallError::Failed).
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let timeout = Timeout::new(std::time::Duration::from_secs(60));
    /// assert_eq!(timeout.call(&ctx, |_| Ok::<_, ()>(1)), Ok(1));
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
        self.counts.calls.add_one();
        let limited = ctx.with_timeout(self.limit);
        let out = f(&limited);
        let Some(deadline) = limited.deadline().filter(|at| ctx.deadline() != Some(*at)) else {
            return out; // The limit is not what ends it.
        };
        // The one look that decides.
        if ctx.clock().now() < deadline {
            return out;
        }
        self.late(ctx, out)
    }

    #[cold]
    fn late<T, E>(&self, ctx: &Context, out: Result<T, CallError<E>>) -> Result<T, CallError<E>> {
        let timed_out = |failed| Err(CallError::TimedOut { limit: self.limit, failed });
        match out {
            Ok(value) => {
                self.note(|late| {
                    late.overran += 1;
                    late.timed_out += u64::from(self.strict);
                });
                if self.strict { timed_out(None) } else { Ok(value) }
            }
            Err(error) if ctx.is_stopped() => Err(error),
            Err(CallError::Failed(error)) => {
                self.note(|late| late.timed_out += 1);
                timed_out(Some(error))
            }
            Err(CallError::Stopped(Stop::DeadlineExceeded)) => {
                self.note(|late| late.timed_out += 1);
                timed_out(None)
            }
            refused => refused,
        }
    }

    fn note(&self, f: impl FnOnce(&mut Late)) {
        f(&mut self.counts.late.lock());
    }

    /// Returns the counts, of all clones together.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*, time::VirtualClock};
    /// # use std::time::Duration;
    /// # let time = VirtualClock::auto();
    /// # let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// let timeout = Timeout::new(Duration::from_secs(1));
    /// timeout.call(&ctx, |ctx| ctx.sleep(Duration::MAX)).unwrap_err();
    /// assert_eq!(timeout.stats().timed_out, 1);
    /// ```
    #[must_use]
    pub fn stats(&self) -> TimeoutStats {
        let late = *self.counts.late.lock();
        let Late { timed_out, overran } = late;
        TimeoutStats { calls: self.counts.calls.sum(), timed_out, overran }
    }

    pub(super) fn explain(&self) -> String {
        let strict = if self.strict { ", strictly" } else { "" };
        format!("timeout: {:?}{strict}", self.limit)
    }
}
