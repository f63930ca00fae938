//! Any iterator as a source.

use super::super::cx::{At, Cx};
use super::super::fault::Never;
use super::super::handle::Flow;
use super::super::raise::Raise;
use super::super::stage::{Halt, Head, Stage, Step};
use super::{Origin, Source};

pub(super) struct Iter<I>(pub(super) Option<I>);

impl<I> Origin for Iter<I>
where
    I: Iterator + Send,
    I::Item: Send,
{
    type Item = I::Item;
    type Fault = Never;
    const HEAD: Head = Head::Opaque;

    #[inline]
    fn step(&mut self, at: &At, cx: &Cx, _: &Raise<Never>) -> Result<Step<I::Item>, Halt> {
        let Some(iter) = &mut self.0 else { return Ok(Step::End) };
        Ok(at.call(cx, || iter.next()).map_or(Step::End, Step::Item))
    }

    fn close(&mut self) {
        self.0 = None;
    }
}

impl Flow<()> {
    /// Makes a flow of the items of anything that iterates.
    ///
    /// The iterator may block, so each item is passed on before the next is asked for, also over
    /// boundaries. For ranges, slices and vectors, which never block, [`range`](Flow::range),
    /// [`slice`](Flow::slice) and [`vec`](Flow::vec) are faster before a boundary.
    ///
    /// # Cancellation
    /// Looked at before each item. An iterator that blocks holds the run up until it returns.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let words = ["lazy", "until", "the", "sink"];
    /// let long: Vec<&&str> = Flow::of(&words).filter(|w| w.len() > 3).collect(&ctx)?;
    /// assert_eq!(long, [&"lazy", &"until", &"sink"]);
    /// # Ok(()) }
    /// ```
    pub fn of<I>(items: I) -> Flow<impl Stage<Item = I::Item, Fault = Never>>
    where
        I: IntoIterator,
        I::IntoIter: Send,
        I::Item: Send,
    {
        Flow(Source { origin: Iter(Some(items.into_iter())), name: "iter" })
    }
}
