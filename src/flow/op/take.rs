//! The beginning of a flow, or what comes after it.

use super::super::cx::{At, Cx};
use super::super::fused::{Fused, Operator, item};
use super::super::handle::Flow;
use super::super::stage::{Halt, Pull, Stage, Step};

struct Take(u64);

impl<T: Send> Operator<T> for Take {
    type Out = T;

    #[inline]
    fn step<P: Pull<Item = T>>(
        &mut self,
        up: &mut P,
        _: &mut At,
        cx: &Cx,
    ) -> Result<Step<T>, Halt> {
        if self.0 == 0 {
            up.close();
            return Ok(Step::End);
        }
        let item = item!(up.step(cx));
        self.0 -= 1;
        Ok(Step::Item(item))
    }
}

struct TakeWhile<F>(F);

impl<T: Send, F: FnMut(&T) -> bool + Send> Operator<T> for TakeWhile<F> {
    type Out = T;

    #[inline]
    fn step<P: Pull<Item = T>>(
        &mut self,
        up: &mut P,
        at: &mut At,
        cx: &Cx,
    ) -> Result<Step<T>, Halt> {
        let item = item!(up.step(cx));
        if at.item(cx, || (self.0)(&item)) {
            return Ok(Step::Item(item));
        }
        up.close();
        Ok(Step::End)
    }
}

struct Skip(u64);

impl<T: Send> Operator<T> for Skip {
    type Out = T;

    #[inline]
    fn step<P: Pull<Item = T>>(
        &mut self,
        up: &mut P,
        _: &mut At,
        cx: &Cx,
    ) -> Result<Step<T>, Halt> {
        loop {
            let item = item!(up.step(cx));
            if self.0 == 0 {
                return Ok(Step::Item(item));
            }
            self.0 -= 1;
        }
    }
}

impl<S: Stage> Flow<S> {
    /// Passes on the first `n` items, then closes what stands before it: sources stop, and nothing
    /// is taken that is not passed on, except by the boundaries between. With 0 there are none.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// assert_eq!(Flow::of(1..).take(3).collect::<Vec<i32>>(&ctx)?, [1, 2, 3]);
    /// # Ok(()) }
    /// ```
    pub fn take(self, n: u64) -> Flow<impl Stage<Item = S::Item, Fault = S::Fault>> {
        Flow(Fused { up: self.0, op: Take(n), name: "take" })
    }

    /// Passes on items for as long as `f` is true; the first for which it is not is dropped, and what
    /// stands before is closed.
    ///
    /// # Panics
    /// As for [`map`](Flow::map).
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// assert_eq!(Flow::of(1..).take_while(|n| n * n < 20).count(&ctx)?, 4);
    /// # Ok(()) }
    /// ```
    pub fn take_while<F>(self, f: F) -> Flow<impl Stage<Item = S::Item, Fault = S::Fault>>
    where
        F: FnMut(&S::Item) -> bool + Send,
    {
        Flow(Fused { up: self.0, op: TakeWhile(f), name: "take_while" })
    }

    /// Drops the first `n` items.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// assert_eq!(Flow::of(0..5).skip(3).collect::<Vec<_>>(&ctx)?, [3, 4]);
    /// # Ok(()) }
    /// ```
    pub fn skip(self, n: u64) -> Flow<impl Stage<Item = S::Item, Fault = S::Fault>> {
        Flow(Fused { up: self.0, op: Skip(n), name: "skip" })
    }
}
