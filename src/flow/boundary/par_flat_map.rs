//! Many results of one item, made on several threads.

use super::super::handle::Flow;
use super::super::link::Reader;
use super::super::raise::Raise;
use super::super::stage::{ErrorOf, Head, Stage};
use super::super::topology::Topology;
use super::super::wiring::Wiring;
use super::par::Par;
use super::unordered::unordered;

struct ParFlatMap<S, F> {
    up: S,
    par: Par,
    f: F,
}

impl<S, I, F> Stage for ParFlatMap<S, F>
where
    S: Stage,
    I: IntoIterator,
    I::Item: Send,
    F: Fn(S::Item) -> I + Send + Sync,
{
    type Item = I::Item;
    type Fault = S::Fault;
    type Run = Reader<I::Item>;
    const HEAD: Head = Head::Link;

    fn start<'env>(self, wiring: &mut Wiring<'env>, raise: Raise<ErrorOf<Self>>) -> Self::Run
    where
        Self: 'env,
        Self::Item: 'env,
    {
        let ParFlatMap { up, par, f } = self;
        let name = "par_flat_map";
        unordered(wiring, up, raise.clone(), &raise, name, par, true, move |item, at, cx, out| {
            let mut items = at.call(cx, || f(item).into_iter());
            while let Some(item) = at.call(cx, || items.next()) {
                cx.check()?;
                out(item)?;
            }
            Ok(())
        })
    }

    fn describe(&self, topology: &mut Topology) {
        self.up.describe(topology);
        topology.workers("par_flat_map", self.par);
    }
}

impl<S: Stage> Flow<S> {
    /// Applies `f` to the items on several threads and yields everything that is in the results, as it
    /// is made. The results of one item keep their order; those of different items mix.
    ///
    /// # Cancellation
    /// Looked at before each item and each result.
    ///
    /// # Panics
    /// As for [`par_map`](Flow::par_map).
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let texts = ["a b", "c"];
    /// let words = Flow::slice(&texts).par_flat_map(2, |text| text.split(' '));
    /// assert_eq!(words.count(&ctx)?, 3);
    /// # Ok(()) }
    /// ```
    pub fn par_flat_map<I, F>(
        self,
        par: impl Into<Par>,
        f: F,
    ) -> Flow<impl Stage<Item = I::Item, Fault = S::Fault>>
    where
        F: Fn(S::Item) -> I + Send + Sync,
        I: IntoIterator,
        I::Item: Send,
    {
        Flow(ParFlatMap { up: self.0, par: par.into(), f })
    }
}
