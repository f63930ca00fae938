//! One item in, one item out.

use super::super::cx::{At, Cx};
use super::super::fused::{Fused, Operator, item};
use super::super::handle::Flow;
use super::super::stage::{Halt, Pull, Stage, Step};

struct Map<F>(F);

impl<T, U: Send, F: FnMut(T) -> U + Send> Operator<T> for Map<F> {
    type Out = U;

    #[inline]
    fn step<P: Pull<Item = T>>(
        &mut self,
        up: &mut P,
        at: &mut At,
        cx: &Cx,
    ) -> Result<Step<U>, Halt> {
        let item = item!(up.step(cx));
        Ok(Step::Item(at.item(cx, || (self.0)(item))))
    }
}

struct Inspect<F>(F);

impl<T: Send, F: FnMut(&T) + Send> Operator<T> for Inspect<F> {
    type Out = T;

    #[inline]
    fn step<P: Pull<Item = T>>(
        &mut self,
        up: &mut P,
        at: &mut At,
        cx: &Cx,
    ) -> Result<Step<T>, Halt> {
        let item = item!(up.step(cx));
        at.item(cx, || (self.0)(&item));
        Ok(Step::Item(item))
    }
}

struct Scan<A, F>(A, F);

impl<T, A: Send, U: Send, F: FnMut(&mut A, T) -> U + Send> Operator<T> for Scan<A, F> {
    type Out = U;

    #[inline]
    fn step<P: Pull<Item = T>>(
        &mut self,
        up: &mut P,
        at: &mut At,
        cx: &Cx,
    ) -> Result<Step<U>, Halt> {
        let item = item!(up.step(cx));
        let Scan(state, f) = self;
        Ok(Step::Item(at.item(cx, || f(state, item))))
    }
}

impl<S: Stage> Flow<S> {
    /// Applies `f` to every item, on the thread of the stage before.
    ///
    /// # Panics
    /// A panic in `f` fails the run, with the name of the stage and the index of the item.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let squares: Vec<u32> = Flow::of(1..4).map(|n| n * n).collect(&ctx)?;
    /// assert_eq!(squares, [1, 4, 9]);
    /// # Ok(()) }
    /// ```
    pub fn map<U, F>(self, f: F) -> Flow<impl Stage<Item = U, Fault = S::Fault>>
    where
        F: FnMut(S::Item) -> U + Send,
        U: Send,
    {
        Flow(Fused { up: self.0, op: Map(f), name: "map" })
    }

    /// Shows every item to `f`, and passes it on.
    ///
    /// # Panics
    /// As for [`map`](Flow::map).
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let mut seen = 0;
    /// Flow::of(0..5).inspect(|_| seen += 1).count(&ctx)?;
    /// assert_eq!(seen, 5);
    /// # Ok(()) }
    /// ```
    pub fn inspect<F>(self, f: F) -> Flow<impl Stage<Item = S::Item, Fault = S::Fault>>
    where
        F: FnMut(&S::Item) + Send,
    {
        Flow(Fused { up: self.0, op: Inspect(f), name: "inspect" })
    }

    /// Applies `f` to every item and a state that it may change.
    ///
    /// # Panics
    /// As for [`map`](Flow::map).
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let sums = Flow::of(1..5).scan(0, |sum, n| {
    ///     *sum += n;
    ///     *sum
    /// });
    /// assert_eq!(sums.collect::<Vec<_>>(&ctx)?, [1, 3, 6, 10]);
    /// # Ok(()) }
    /// ```
    pub fn scan<A, U, F>(self, state: A, f: F) -> Flow<impl Stage<Item = U, Fault = S::Fault>>
    where
        A: Send,
        F: FnMut(&mut A, S::Item) -> U + Send,
        U: Send,
    {
        Flow(Fused { up: self.0, op: Scan(state, f), name: "scan" })
    }
}
