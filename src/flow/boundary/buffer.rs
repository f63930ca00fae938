//! A queue between two threads.

use super::super::handle::Flow;
use super::super::link::{Lanes, Reader};
use super::super::raise::Raise;
use super::super::stage::{ErrorOf, Head, Stage};
use super::super::topology::Topology;
use super::super::wiring::Wiring;

pub(in super::super) struct Buffer<S> {
    pub(in super::super) up: S,
    pub(in super::super) capacity: usize,
}

impl<S: Stage> Stage for Buffer<S> {
    type Item = S::Item;
    type Fault = S::Fault;
    type Run = Reader<S::Item>;
    const HEAD: Head = Head::Link;

    fn start<'env>(self, wiring: &mut Wiring<'env>, raise: Raise<ErrorOf<Self>>) -> Self::Run
    where
        Self: 'env,
    {
        let name = wiring.boundary("buffer");
        let (ctx, reader, writer) = wiring.link(&name, Lanes::one(self.capacity));
        wiring.segment(self.up, raise, &ctx, writer);
        reader
    }

    fn describe(&self, topology: &mut Topology) {
        self.up.describe(topology);
        topology.boundary(format!("buffer({})", self.capacity));
    }
}

impl<S: Stage> Flow<S> {
    /// Puts a queue of at most `capacity` items here: what stands before runs on a thread of its own,
    /// in parallel with what comes after. Order is kept. When the queue is full, the stages before
    /// wait.
    ///
    /// At most `capacity` items lie between the two threads, wherever they are. With 0 an item is
    /// handed over only when the next stage waits for it; `usize::MAX` is no bound at all.
    ///
    /// # Cancellation
    /// Both sides wait under the run's context, and halt when it stops.
    ///
    /// # Cost
    /// Some nanoseconds an item when both sides are busy, since items change hands in chunks; an item
    /// is never kept back while the other side has nothing to do. A thread for each run.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let sum = Flow::range(0..100).map(|n| n + 1).buffer(16).fold(&ctx, 0, |a, b| a + b)?;
    /// assert_eq!(sum, 5050);
    /// # Ok(()) }
    /// ```
    pub fn buffer(self, capacity: usize) -> Flow<impl Stage<Item = S::Item, Fault = S::Fault>> {
        Flow(Buffer { up: self.0, capacity })
    }
}
