//! One item in, at most one out.

use super::super::cx::{At, Cx};
use super::super::fused::{Fused, Operator, item};
use super::super::handle::Flow;
use super::super::stage::{Halt, Pull, Stage, Step};

struct Filter<F>(F);

impl<T: Send, F: FnMut(&T) -> bool + Send> Operator<T> for Filter<F> {
    type Out = T;

    #[inline]
    fn step<P: Pull<Item = T>>(
        &mut self,
        up: &mut P,
        at: &mut At,
        cx: &Cx,
    ) -> Result<Step<T>, Halt> {
        loop {
            let item = item!(up.step(cx));
            if at.item(cx, || (self.0)(&item)) {
                return Ok(Step::Item(item));
            }
        }
    }
}

struct FilterMap<F>(F);

impl<T, U: Send, F: FnMut(T) -> Option<U> + Send> Operator<T> for FilterMap<F> {
    type Out = U;

    #[inline]
    fn step<P: Pull<Item = T>>(
        &mut self,
        up: &mut P,
        at: &mut At,
        cx: &Cx,
    ) -> Result<Step<U>, Halt> {
        loop {
            let item = item!(up.step(cx));
            if let Some(out) = at.item(cx, || (self.0)(item)) {
                return Ok(Step::Item(out));
            }
        }
    }
}

impl<S: Stage> Flow<S> {
    /// Passes on the items for which `f` is true, and drops the others.
    ///
    /// # Panics
    /// As for [`map`](Flow::map).
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// assert_eq!(Flow::of(0..10).filter(|n| n % 3 == 0).count(&ctx)?, 4);
    /// # Ok(()) }
    /// ```
    pub fn filter<F>(self, f: F) -> Flow<impl Stage<Item = S::Item, Fault = S::Fault>>
    where
        F: FnMut(&S::Item) -> bool + Send,
    {
        Flow(Fused { up: self.0, op: Filter(f), name: "filter" })
    }

    /// Applies `f` to every item and passes on what it returns, if anything.
    ///
    /// # Panics
    /// As for [`map`](Flow::map).
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let numbers = Flow::of(["1", "x", "3"]).filter_map(|s| s.parse::<u32>().ok());
    /// assert_eq!(numbers.collect::<Vec<_>>(&ctx)?, [1, 3]);
    /// # Ok(()) }
    /// ```
    pub fn filter_map<U, F>(self, f: F) -> Flow<impl Stage<Item = U, Fault = S::Fault>>
    where
        F: FnMut(S::Item) -> Option<U> + Send,
        U: Send,
    {
        Flow(Fused { up: self.0, op: FilterMap(f), name: "filter_map" })
    }
}
