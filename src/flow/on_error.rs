//! What a fallible stage does with an error: give one of these to [`Flow::on_error`](super::Flow::on_error).

mod guarded;

pub use guarded::{Diverting, Guarded, breaker};

use super::cx::{At, Cx};
use super::error::FlowCause;
use super::raise::Raise;
use super::stage::Halt;
use crate::channel::Sender;
use crate::context::{Cause, Stop};
use crate::schedule::Backoff;
use crate::sync::Ordering;

/// What becomes of an item for which a stage's closure returned an error: see [`Flow::on_error`](super::Flow::on_error).
pub trait OnError<T, E>: Send + Sync {
    /// Calls `f` with the item, and again if that is the policy. `None`: there is nothing to yield.
    #[doc(hidden)]
    #[inline]
    fn attempt<U>(
        &self,
        item: T,
        at: &At,
        cx: &Cx,
        mut f: impl FnMut(T) -> Result<U, E>,
    ) -> Result<Option<U>, Failed<E>> {
        match at.call(cx, || f(item)) {
            Ok(out) => Ok(Some(out)),
            Err(error) => self.give_up(error, at, cx).map(|()| None),
        }
    }

    /// Deals with the last error of an item. `Ok`: the item is skipped.
    #[doc(hidden)]
    fn give_up(&self, error: E, at: &At, cx: &Cx) -> Result<(), Failed<E>>;
}

/// The stage fails, or the run has stopped anyway.
#[derive(Debug)]
pub enum Failed<E> {
    /// The run fails with this.
    Error(E),
    /// The reason is known elsewhere.
    Halt(Halt),
    /// A channel that the policy needs is closed.
    Closed(&'static str),
}

impl<E: Send + 'static> Failed<E> {
    /// Fails the run, if that has not happened elsewhere.
    pub(super) fn raise(self, at: &At, cx: &Cx, raise: &Raise<E>) -> Halt {
        match self {
            Failed::Error(error) => raise.error(at, cx, error),
            Failed::Halt(halt) => halt,
            Failed::Closed(why) => {
                let cause = Cause::new(why.into(), std::panic::Location::caller());
                raise.raise(at, Some(at.item), FlowCause::Stopped(Stop::Cancelled(cause)))
            }
        }
    }
}

/// The first error fails the run: the default.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fail;

impl<T, E> OnError<T, E> for Fail {
    #[inline]
    fn give_up(&self, error: E, _: &At, _: &Cx) -> Result<(), Failed<E>> {
        Err(Failed::Error(error))
    }
}

/// The item is skipped, and counted in the report. Made by [`skip`].
#[derive(Debug, Clone, Copy)]
pub struct Skip;

/// Skips an item that fails, and counts it in the report.
///
/// ```
/// use ironsys::{Context, flow::{Flow, FlowError, on_error}};
/// # fn main() -> Result<(), FlowError<std::num::ParseIntError>> {
/// let (ctx, _cancel) = Context::root();
/// let numbers = Flow::of(["1", "x", "3"]).try_map(|s| s.parse::<u32>());
/// assert_eq!(numbers.on_error(on_error::skip()).collect::<Vec<_>>(&ctx)?, [1, 3]);
/// # Ok(()) }
/// ```
#[must_use]
pub fn skip() -> Skip {
    Skip
}

impl<T, E> OnError<T, E> for Skip {
    fn give_up(&self, error: E, at: &At, cx: &Cx) -> Result<(), Failed<E>> {
        at.call(cx, || drop(error));
        count(cx);
        Ok(())
    }
}

/// The error is given away, and the item skipped. Made by [`dead_letter`].
#[derive(Clone)]
pub struct DeadLetter<F>(F);

/// Gives the error of an item that fails to `f`, with the index of the item, and goes on with the next
/// one. The stage counts it as skipped.
///
/// `f` may be called by several threads at once, if the stage has several.
///
/// ```
/// use ironsys::{Context, channel, flow::{Flow, FlowError, on_error}};
/// # fn main() -> Result<(), FlowError<std::num::ParseIntError>> {
/// let (ctx, _cancel) = Context::root();
/// let (tx, rx) = channel::bounded(10);
/// let numbers = Flow::of(["1", "x"]).try_map(|s| s.parse::<u32>());
/// let numbers = numbers.on_error(on_error::dead_letter(|i, e| {
///     let _ = tx.try_send((i, e));
/// }));
/// assert_eq!(numbers.count(&ctx)?, 1);
/// assert_eq!(rx.try_recv().map(|(i, _)| i), Ok(1));
/// # Ok(()) }
/// ```
pub fn dead_letter<F>(f: F) -> DeadLetter<F> {
    DeadLetter(f)
}

impl<T, E, F: Fn(u64, E) + Send + Sync> OnError<T, E> for DeadLetter<F> {
    fn give_up(&self, error: E, at: &At, cx: &Cx) -> Result<(), Failed<E>> {
        at.call(cx, || (self.0)(at.item, error));
        count(cx);
        Ok(())
    }
}

/// The error is sent away, and the item skipped. Made by [`dead_letter_to`].
#[derive(Debug, Clone)]
pub struct DeadLetterTo<E>(Sender<(u64, E)>);

/// Sends the error of an item that fails into a channel, with the index of the item, and goes on with
/// the next one. While the channel is full the stage waits. If it is closed, the error fails the run.
///
/// ```
/// use ironsys::{Context, channel, flow::{Flow, FlowError, on_error}};
/// # fn main() -> Result<(), FlowError<std::num::ParseIntError>> {
/// let (ctx, _cancel) = Context::root();
/// let (tx, rx) = channel::bounded(10);
/// let numbers = Flow::of(["1", "x"]).try_map(|s| s.parse::<u32>());
/// assert_eq!(numbers.on_error(on_error::dead_letter_to(&tx)).count(&ctx)?, 1);
/// assert_eq!(rx.try_recv().map(|(i, _)| i), Ok(1));
/// # Ok(()) }
/// ```
pub fn dead_letter_to<E>(letters: &Sender<(u64, E)>) -> DeadLetterTo<E> {
    DeadLetterTo(letters.clone())
}

impl<T, E: Send> OnError<T, E> for DeadLetterTo<E> {
    fn give_up(&self, error: E, at: &At, cx: &Cx) -> Result<(), Failed<E>> {
        match self.0.send(&cx.ctx, (at.item, error)) {
            Ok(()) => {
                count(cx);
                Ok(())
            }
            Err(e) if e.stop().is_some() => Err(Failed::Halt(Halt)),
            Err(e) => Err(Failed::Error(e.into_inner().1)),
        }
    }
}

/// The item is tried again. Made by [`retry`].
#[derive(Debug, Clone)]
pub struct Retry<P> {
    backoff: Backoff,
    then: P,
}

/// Tries an item that fails again, after the delays of `backoff`, on the context's clock; when there
/// are no more delays, the last error fails the run. The items after it wait.
///
/// ```
/// use ironsys::{Context, flow::{Flow, FlowError, on_error}, schedule::Backoff, time::VirtualClock};
/// use std::time::Duration;
/// # fn main() -> Result<(), FlowError<&'static str>> {
/// let (ctx, _cancel) = Context::builder().clock(VirtualClock::auto().clock()).build();
/// let mut calls = 0;
/// let flaky = Flow::of(["a"]).try_map(|s| {
///     calls += 1;
///     if calls < 3 { Err("not yet") } else { Ok(s) }
/// });
/// let backoff = Backoff::fixed(Duration::from_secs(1));
/// assert_eq!(flaky.on_error(on_error::retry(backoff)).count(&ctx)?, 1);
/// assert_eq!(calls, 3);
/// # Ok(()) }
/// ```
#[must_use]
pub fn retry(backoff: Backoff) -> Retry<Fail> {
    Retry { backoff, then: Fail }
}

impl Retry<Fail> {
    /// Sets what becomes of an item that has failed to the last.
    ///
    /// ```
    /// use ironsys::{flow::on_error, schedule::Backoff};
    /// use std::time::Duration;
    /// let twice = Backoff::fixed(Duration::from_millis(50)).max_attempts(2);
    /// let policy = on_error::retry(twice).then(on_error::skip());
    /// # let _ = policy;
    /// ```
    #[must_use]
    pub fn then<P>(self, policy: P) -> Retry<P> {
        Retry { backoff: self.backoff, then: policy }
    }
}

impl<T: Clone, E, P: OnError<T, E>> OnError<T, E> for Retry<P> {
    fn attempt<U>(
        &self,
        item: T,
        at: &At,
        cx: &Cx,
        mut f: impl FnMut(T) -> Result<U, E>,
    ) -> Result<Option<U>, Failed<E>> {
        let clock = cx.ctx.clock();
        let began = clock.now();
        let mut delays = self.backoff.delays();
        loop {
            let error = match at.call(cx, || f(item.clone())) {
                Ok(out) => return Ok(Some(out)),
                Err(error) => error,
            };
            let elapsed = clock.now().saturating_duration_since(began);
            let Some(delay) = delays.next_after(elapsed) else {
                return self.give_up(error, at, cx).map(|()| None);
            };
            at.call(cx, || drop(error));
            cx.ctx.sleep(delay).map_err(|stop| Failed::Halt(Cx::halt(stop)))?;
        }
    }

    fn give_up(&self, error: E, at: &At, cx: &Cx) -> Result<(), Failed<E>> {
        self.then.give_up(error, at, cx)
    }
}

fn count(cx: &Cx) {
    // Relaxed: a count for the report.
    cx.meter.skipped.fetch_add(1, Ordering::Relaxed);
}

impl<F> std::fmt::Debug for DeadLetter<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeadLetter")
    }
}
