//! A breaker between two stages.

use super::{Fail, Failed, OnError};
use crate::channel::Sender;
use crate::flow::cx::{At, Cx};
use crate::flow::stage::Halt;
use crate::resilience::Breaker;

/// Items pass a breaker. Made by [`breaker`].
#[derive(Debug)]
pub struct Guarded<'a, P> {
    breaker: &'a Breaker,
    then: P,
}

/// Counts what the stage's closure returns on `breaker`: errors and panics are failures. While the
/// breaker is open the stage takes nothing, so the stages before it wait; when it is half-open, the
/// next items are the probes. Where the items shall go elsewhere meanwhile, see
/// [`or_divert`](Guarded::or_divert).
///
/// The error itself fails the run, unless [`then`](Guarded::then) says otherwise: without that a
/// breaker is of no use to this run, though others may share it.
///
/// ```
/// use ironsys::{Context, flow::{Flow, FlowError, on_error}, resilience::{Breaker, Trip}, time::VirtualClock};
/// use std::time::Duration;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (ctx, _cancel) = Context::builder().clock(VirtualClock::auto().clock()).build();
/// let minute = Duration::from_secs(60);
/// let trip = Trip::consecutive(2);
/// let breaker = Breaker::builder("db").trip(trip).open_for(minute).clock(ctx.clock()).build()?;
/// let start = ctx.clock().now();
/// // The database is down for the first two rows; then it gets a minute to recover.
/// let insert = |row: u32| if row < 2 { Err(std::io::Error::other("down")) } else { Ok(row) };
/// let rows = Flow::of(0..5).try_map(insert);
/// let inserted = rows.on_error(on_error::breaker(&breaker).then(on_error::skip())).count(&ctx)?;
/// assert_eq!((inserted, ctx.clock().now() - start), (3, minute));
/// # Ok(()) }
/// ```
pub fn breaker(breaker: &Breaker) -> Guarded<'_, Fail> {
    Guarded { breaker, then: Fail }
}

impl<'a> Guarded<'a, Fail> {
    /// Sets what becomes of an item that has failed.
    ///
    /// ```
    /// # use ironsys::{Context, flow::{Flow, on_error}, resilience::Breaker};
    /// # let (ctx, _cancel) = Context::root();
    /// let breaker = Breaker::builder("db").build()?;
    /// let insert = |row: u32| if row == 1 { Err(std::io::Error::other("no")) } else { Ok(row) };
    /// let policy = on_error::breaker(&breaker).then(on_error::skip());
    /// assert_eq!(Flow::of(0..3).try_map(insert).on_error(policy).count(&ctx)?, 2);
    /// assert_eq!(breaker.stats().failed, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn then<P>(self, policy: P) -> Guarded<'a, P> {
        Guarded { breaker: self.breaker, then: policy }
    }
}

impl<'a, P> Guarded<'a, P> {
    /// Sends items into `elsewhere` while the breaker is open, instead of holding them up. Those count
    /// as skipped. While that channel is full the stage waits; if it is closed, the run fails, as
    /// stopped, with a reason that says so.
    ///
    /// ```
    /// use ironsys::{Context, channel, flow::{Flow, on_error}, resilience::Breaker};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let (later, rows) = channel::bounded(10);
    /// let breaker = Breaker::builder("db").build()?;
    /// breaker.force_open();
    /// let insert = Flow::of(0..3).try_map(|row: u32| Ok::<_, std::io::Error>(row));
    /// let policy = on_error::breaker(&breaker).or_divert(&later);
    /// assert_eq!((insert.on_error(policy).count(&ctx)?, rows.drain()), (0, vec![0, 1, 2]));
    /// # Ok(()) }
    /// ```
    pub fn or_divert<T>(self, elsewhere: &'a Sender<T>) -> Diverting<'a, P, T> {
        Diverting { guarded: self, elsewhere }
    }
}

/// Items pass a breaker, or go elsewhere. Made by [`Guarded::or_divert`].
#[derive(Debug)]
pub struct Diverting<'a, P, T> {
    guarded: Guarded<'a, P>,
    elsewhere: &'a Sender<T>,
}

impl<T, E, P: OnError<T, E>> OnError<T, E> for Guarded<'_, P> {
    fn attempt<U>(
        &self,
        item: T,
        at: &At,
        cx: &Cx,
        mut f: impl FnMut(T) -> Result<U, E>,
    ) -> Result<Option<U>, Failed<E>> {
        let admission = self.breaker.admit(&cx.ctx).map_err(|_| Failed::Halt(Halt))?;
        // Unanswered while unwinding, the admission counts as a failure.
        match at.call(cx, || f(item)) {
            Ok(out) => {
                admission.success();
                Ok(Some(out))
            }
            Err(error) => {
                admission.failure();
                self.give_up(error, at, cx).map(|()| None)
            }
        }
    }

    fn give_up(&self, error: E, at: &At, cx: &Cx) -> Result<(), Failed<E>> {
        self.then.give_up(error, at, cx)
    }
}

impl<T: Send, E, P: OnError<T, E>> OnError<T, E> for Diverting<'_, P, T> {
    fn attempt<U>(
        &self,
        item: T,
        at: &At,
        cx: &Cx,
        mut f: impl FnMut(T) -> Result<U, E>,
    ) -> Result<Option<U>, Failed<E>> {
        let Ok(admission) = self.guarded.breaker.try_admit() else {
            return match self.elsewhere.send(&cx.ctx, item) {
                Ok(()) => {
                    super::count(cx);
                    Ok(None)
                }
                Err(refused) if refused.stop().is_some() => Err(Failed::Halt(Halt)),
                Err(refused) => {
                    at.call(cx, || drop(refused));
                    Err(Failed::Closed("the channel for what is diverted is closed"))
                }
            };
        };
        match at.call(cx, || f(item)) {
            Ok(out) => {
                admission.success();
                Ok(Some(out))
            }
            Err(error) => {
                admission.failure();
                self.give_up(error, at, cx).map(|()| None)
            }
        }
    }

    fn give_up(&self, error: E, at: &At, cx: &Cx) -> Result<(), Failed<E>> {
        self.guarded.give_up(error, at, cx)
    }
}
