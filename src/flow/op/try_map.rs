//! Operators whose closures can fail.

use super::super::cx::{At, Cx};
use super::super::fault::{Becomes, Fails};
use super::super::flow::Flow;
use super::super::fused::{TryFused, TryOperator, item};
use super::super::raise::Raise;
use super::super::stage::{Halt, Pull, Stage, Step};
use std::marker::PhantomData;

pub(super) struct TryMap<F>(F);

impl<T, U: Send, E: Send + 'static, F: FnMut(T) -> Result<U, E> + Send> TryOperator<T, E>
    for TryMap<F>
{
    type Out = U;

    #[inline]
    fn step<P: Pull<Item = T>>(
        &mut self,
        up: &mut P,
        at: &mut At,
        cx: &Cx,
        raise: &Raise<E>,
    ) -> Result<Step<U>, Halt> {
        let item = item!(up.step(cx));
        match at.call(cx, || (self.0)(item)) {
            Ok(out) => {
                at.item += 1;
                Ok(Step::Item(out))
            }
            Err(error) => Err(raise.error(at, error)),
        }
    }
}

impl<S: Stage> Flow<S> {
    /// Applies `f` to every item; the first error fails the run.
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
    pub fn try_map<U, E, F>(self, f: F) -> Flow<impl Stage<Item = U, Fault = Fails<E>>>
    where
        F: FnMut(S::Item) -> Result<U, E> + Send,
        U: Send,
        E: Send + 'static,
        S::Fault: Becomes<E>,
    {
        Flow(TryFused { up: self.0, op: TryMap(f), name: "try_map", error: PhantomData })
    }
}
