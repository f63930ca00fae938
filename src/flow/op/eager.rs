//! Nothing is kept back.

use super::super::handle::Flow;
use super::super::raise::Raise;
use super::super::stage::{ErrorOf, Head, Stage};
use super::super::topology::Topology;
use super::super::wiring::Wiring;

struct Eager<S>(S);

impl<S: Stage> Stage for Eager<S> {
    type Item = S::Item;
    type Fault = S::Fault;
    type Run = S::Run;
    const HEAD: Head = Head::Opaque;

    fn start<'env>(self, wiring: &mut Wiring<'env>, raise: Raise<ErrorOf<Self>>) -> Self::Run
    where
        Self: 'env,
    {
        self.0.start(wiring, raise)
    }

    fn describe(&self, topology: &mut Topology) {
        self.0.describe(topology);
    }
}

impl<S: Stage> Flow<S> {
    /// Hands every item over the next boundary by itself, at once.
    ///
    /// Items that come in quick succession (less than half a microsecond each) are handed over in
    /// chunks while the other side is busy. So one may lie in a chunk while the closure of an operator
    /// works on the next one. That is never long, unless the closure suddenly *blocks*, or its `on_error`
    /// policy waits, as a retry, a breaker and a full channel for dead letters do. If what was made before
    /// is not to wait with it, or it waits for what the other side does with that, put this after it.
    ///
    /// A source that may block by itself needs no such thing: its items are handed over at once.
    ///
    /// # Cost
    /// A lock an item instead of a part of one: some 30 ns.
    ///
    /// ```
    /// use ironsys::{Context, channel, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let (seen, sees) = channel::bounded(1);
    /// // Each item is made when the one before has been seen.
    /// let asks = Flow::range(0..100).inspect(|n| if *n > 0 { let _ = sees.recv(&ctx); });
    /// asks.eager().buffer(1).for_each(&ctx, |n| drop(seen.send(&ctx, n)))?;
    /// # Ok(()) }
    /// ```
    pub fn eager(self) -> Flow<impl Stage<Item = S::Item, Fault = S::Fault>> {
        Flow(Eager(self.0))
    }
}
