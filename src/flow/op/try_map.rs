//! Operators whose closures can fail.

use super::super::cx::{At, Cx};
use super::super::fallible::Lenient;
use super::super::fault::Becomes;
use super::super::fused::{TryFused, TryOperator, item};
use super::super::handle::Flow;
use super::super::on_error::{Fail, OnError};
use super::super::raise::Raise;
use super::super::stage::{Halt, Pull, Stage, Step};
use std::marker::PhantomData;

/// The operator of [`Flow::try_map`].
#[derive(Debug)]
pub struct TryMap<F, P> {
    f: F,
    policy: P,
}

impl<F, P, Q> Lenient<Q> for TryMap<F, P> {
    type With = TryMap<F, Q>;

    fn with(self, policy: Q) -> TryMap<F, Q> {
        TryMap { f: self.f, policy }
    }
}

impl<T, U, E, F, P> TryOperator<T, E> for TryMap<F, P>
where
    U: Send,
    E: Send + 'static,
    F: FnMut(T) -> Result<U, E> + Send,
    P: OnError<T, E>,
{
    type Out = U;

    #[inline]
    fn step<Up: Pull<Item = T>>(
        &mut self,
        up: &mut Up,
        at: &mut At,
        cx: &Cx,
        raise: &Raise<E>,
    ) -> Result<Step<U>, Halt> {
        loop {
            let item = item!(up.step(cx));
            match self.policy.attempt(item, at, cx, &mut self.f) {
                Ok(out) => {
                    at.item += 1;
                    if let Some(out) = out {
                        return Ok(Step::Item(out));
                    }
                }
                Err(failed) => return Err(failed.raise(at, cx, raise)),
            }
        }
    }
}

impl<S: Stage> Flow<S> {
    /// Applies `f` to every item; the first error fails the run, unless
    /// [`on_error`](Flow::on_error) says otherwise.
    ///
    /// # Errors
    /// The sink returns the error as it is, with the name of the stage and the index of the item. If
    /// the flow could fail before with an `E0`, `E: From<E0>` is needed, as for `?`.
    ///
    /// ```
    /// use ironsys::{Context, flow::Flow};
    /// let (ctx, _cancel) = Context::root();
    /// let numbers = Flow::of(["1", "2", "x"]).try_map(|s| s.parse::<u32>());
    /// let error = numbers.collect::<Vec<_>>(&ctx).unwrap_err();
    /// assert_eq!(error.to_string(), "stage `try_map`, item 2: invalid digit found in string");
    /// ```
    pub fn try_map<U, E, F>(self, f: F) -> Flow<TryFused<S, TryMap<F, Fail>, E>>
    where
        F: FnMut(S::Item) -> Result<U, E> + Send,
        U: Send,
        E: Send + 'static,
        S::Fault: Becomes<E>,
    {
        let op = TryMap { f, policy: Fail };
        Flow(TryFused { up: self.0, op, name: "try_map", error: PhantomData })
    }
}
