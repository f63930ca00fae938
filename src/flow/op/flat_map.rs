//! One item in, many out.

use super::super::cx::{At, Cx};
use super::super::fused::{Fused, Operator, item};
use super::super::handle::Flow;
use super::super::stage::{Halt, Pull, Stage, Step};

struct FlatMap<F, I> {
    f: F,
    inner: Option<I>,
}

impl<T, I, F> Operator<T> for FlatMap<F, I::IntoIter>
where
    I: IntoIterator,
    I::IntoIter: Send,
    I::Item: Send,
    F: FnMut(T) -> I + Send,
{
    type Out = I::Item;

    #[inline]
    fn step<P: Pull<Item = T>>(
        &mut self,
        up: &mut P,
        at: &mut At,
        cx: &Cx,
    ) -> Result<Step<I::Item>, Halt> {
        loop {
            if let Some(inner) = &mut self.inner {
                cx.check()?; // What is inside may have no end.
                if let Some(out) = at.call(cx, || inner.next()) {
                    return Ok(Step::Item(out));
                }
                at.call(cx, || self.inner = None);
                at.item += 1;
            }
            let item = item!(up.step(cx));
            self.inner = Some(at.call(cx, || (self.f)(item).into_iter()));
        }
    }
}

impl<S: Stage> Flow<S> {
    /// Applies `f` to every item and yields everything that is in the result.
    ///
    /// # Panics
    /// As for [`map`](Flow::map).
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let words = Flow::of(["a b", "c"]).flat_map(|line| line.split(' '));
    /// assert_eq!(words.collect::<Vec<_>>(&ctx)?, ["a", "b", "c"]);
    /// # Ok(()) }
    /// ```
    pub fn flat_map<I, F>(self, f: F) -> Flow<impl Stage<Item = I::Item, Fault = S::Fault>>
    where
        F: FnMut(S::Item) -> I + Send,
        I: IntoIterator,
        I::IntoIter: Send,
        I::Item: Send,
    {
        let op = FlatMap::<F, I::IntoIter> { f, inner: None };
        Flow(Fused { up: self.0, op, name: "flat_map" })
    }
}
