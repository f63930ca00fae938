//! Two flows into one.

use super::super::fault::Joins;
use super::super::handle::Flow;
use super::super::link::{Lanes, Order, Reader};
use super::super::raise::Raise;
use super::super::stage::{ErrorOf, Head, Stage};
use super::super::topology::Topology;
use super::super::wiring::Wiring;

struct Merge<A, B> {
    a: A,
    b: B,
    order: Order,
}

/// How many items wait in each of the two lanes at most.
const CAPACITY: usize = 64;

impl<A, B> Stage for Merge<A, B>
where
    A: Stage,
    B: Stage<Item = A::Item>,
    A::Fault: Joins<B::Fault>,
{
    type Item = A::Item;
    type Fault = <A::Fault as Joins<B::Fault>>::Both;
    type Run = Reader<A::Item>;
    const HEAD: Head = Head::Link;

    fn start<'env>(self, wiring: &mut Wiring<'env>, raise: Raise<ErrorOf<Self>>) -> Self::Run
    where
        Self: 'env,
    {
        let name = wiring.boundary(self.name());
        let lanes = Lanes { count: 2, order: self.order, ..Lanes::one(CAPACITY) };
        let (ctx, reader, a) = wiring.link(&name, lanes);
        let b = a.of_lane(1);
        let left = raise.clone().convert(<A::Fault as Joins<B::Fault>>::left);
        let right = raise.convert(<A::Fault as Joins<B::Fault>>::right);
        wiring.segment(self.a, left, &ctx, a);
        wiring.segment(self.b, right, &ctx, b);
        reader
    }

    fn describe(&self, topology: &mut Topology) {
        self.a.describe(topology);
        topology.branch(|topology| self.b.describe(topology));
        topology.boundary(self.name());
    }
}

impl<A, B> Merge<A, B> {
    fn name(&self) -> &'static str {
        match self.order {
            Order::Fair => "merge",
            Order::Priority => "merge_priority",
        }
    }
}

impl<S: Stage> Flow<S> {
    /// Makes one flow of two, each on a thread of its own. Items come as they are made; while both
    /// have some, the two take turns. Each flow keeps its own order.
    ///
    /// # Cancellation
    /// Ends both.
    ///
    /// # Errors
    /// The first failure of either. The errors of `other` become those of this flow, as with `?`.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// assert_eq!(Flow::of(0..3).merge(Flow::of(0..4)).count(&ctx)?, 7);
    /// # Ok(()) }
    /// ```
    pub fn merge<B>(
        self,
        other: Flow<B>,
    ) -> Flow<impl Stage<Item = S::Item, Fault = <S::Fault as Joins<B::Fault>>::Both>>
    where
        B: Stage<Item = S::Item>,
        S::Fault: Joins<B::Fault>,
    {
        Flow(Merge { a: self.0, b: other.0, order: Order::Fair })
    }

    /// Like [`merge`](Flow::merge), but an item of `other` is taken only when none of this flow is
    /// there. An `other` behind a flow that never pauses starves.
    ///
    /// # Cancellation
    /// Ends both.
    ///
    /// # Errors
    /// As for [`merge`](Flow::merge).
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let urgent = Flow::of([1, 2]);
    /// assert_eq!(urgent.merge_priority(Flow::of([3])).fold(&ctx, 0, |a, b| a + b)?, 6);
    /// # Ok(()) }
    /// ```
    pub fn merge_priority<B>(
        self,
        other: Flow<B>,
    ) -> Flow<impl Stage<Item = S::Item, Fault = <S::Fault as Joins<B::Fault>>::Both>>
    where
        B: Stage<Item = S::Item>,
        S::Fault: Joins<B::Fault>,
    {
        Flow(Merge { a: self.0, b: other.0, order: Order::Priority })
    }
}
