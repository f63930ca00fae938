//! Sources that are in memory: they answer at once, so a segment may hand on whole chunks.

use super::super::cx::{At, Cx};
use super::super::fault::Never;
use super::super::handle::Flow;
use super::super::raise::Raise;
use super::super::stage::{Halt, Head, Stage, Step};
use super::{Origin, Source};
use std::ops::Range;

/// An iterator that is known not to block.
struct Prompt<I>(Option<I>);

impl<I> Origin for Prompt<I>
where
    I: Iterator + Send,
    I::Item: Send,
{
    type Item = I::Item;
    type Fault = Never;
    const HEAD: Head = Head::Prompt;

    #[inline]
    fn step(&mut self, _: &At, _: &Cx, _: &Raise<Never>) -> Result<Step<I::Item>, Halt> {
        let Some(iter) = &mut self.0 else { return Ok(Step::End) };
        Ok(iter.next().map_or(Step::End, Step::Item))
    }

    fn close(&mut self) {
        self.0 = None;
    }
}

impl Flow<()> {
    /// Makes a flow of a range of numbers.
    ///
    /// # Cancellation
    /// Looked at before each item.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// assert_eq!(Flow::range(1..5).fold(&ctx, 0, |sum, n| sum + n)?, 10);
    /// # Ok(()) }
    /// ```
    pub fn range<N>(numbers: Range<N>) -> Flow<impl Stage<Item = N, Fault = Never>>
    where
        Range<N>: Iterator<Item = N> + Send,
        N: Send,
    {
        Flow(Source { origin: Prompt(Some(numbers)), name: "range" })
    }

    /// Makes a flow of references to the items of a slice.
    ///
    /// # Cancellation
    /// Looked at before each item.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let numbers = vec![3, 1, 2];
    /// assert_eq!(Flow::slice(&numbers).map(|n| n * 10).max(&ctx)?, Some(30));
    /// # Ok(()) }
    /// ```
    pub fn slice<T: Sync>(items: &[T]) -> Flow<impl Stage<Item = &T, Fault = Never>> {
        Flow(Source { origin: Prompt(Some(items.iter())), name: "slice" })
    }

    /// Makes a flow of the items of a vector.
    ///
    /// # Cancellation
    /// Looked at before each item; items that were not taken are dropped.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let names = vec!["b".to_string(), "a".to_string()];
    /// assert_eq!(Flow::vec(names).count(&ctx)?, 2);
    /// # Ok(()) }
    /// ```
    pub fn vec<T: Send>(items: Vec<T>) -> Flow<impl Stage<Item = T, Fault = Never>> {
        Flow(Source { origin: Prompt(Some(items.into_iter())), name: "vec" })
    }
}
