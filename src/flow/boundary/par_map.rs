//! One function on several threads.

use super::super::handle::Flow;
use super::super::link::Reader;
use super::super::raise::Raise;
use super::super::stage::{ErrorOf, Head, Stage};
use super::super::topology::Topology;
use super::super::wiring::Wiring;
use super::board::BoardReader;
use super::ordered::ordered;
use super::par::Par;
use super::unordered::unordered;

struct ParMap<S, F> {
    up: S,
    par: Par,
    f: F,
}

impl<S, U, F> Stage for ParMap<S, F>
where
    S: Stage,
    U: Send,
    F: Fn(S::Item) -> U + Send + Sync,
{
    type Item = U;
    type Fault = S::Fault;
    type Run = BoardReader<S::Item, U>;
    const HEAD: Head = Head::Link;

    fn start<'env>(self, wiring: &mut Wiring<'env>, raise: Raise<ErrorOf<Self>>) -> Self::Run
    where
        Self: 'env,
        Self::Item: 'env,
    {
        let f = self.f;
        ordered(wiring, self.up, raise.clone(), &raise, "par_map", self.par, move |item, at, cx| {
            Ok(Some(at.call(cx, || f(item))))
        })
    }

    fn describe(&self, topology: &mut Topology) {
        self.up.describe(topology);
        topology.workers("par_map", self.par);
    }
}

struct Unordered<S, F>(ParMap<S, F>);

impl<S, U, F> Stage for Unordered<S, F>
where
    S: Stage,
    U: Send,
    F: Fn(S::Item) -> U + Send + Sync,
{
    type Item = U;
    type Fault = S::Fault;
    type Run = Reader<U>;
    const HEAD: Head = Head::Link;

    fn start<'env>(self, wiring: &mut Wiring<'env>, raise: Raise<ErrorOf<Self>>) -> Self::Run
    where
        Self: 'env,
        Self::Item: 'env,
    {
        let ParMap { up, par, f } = self.0;
        let name = "par_map_unordered";
        unordered(wiring, up, raise.clone(), &raise, name, par, false, move |item, at, cx, out| {
            out(at.call(cx, || f(item)))
        })
    }

    fn describe(&self, topology: &mut Topology) {
        self.0.up.describe(topology);
        topology.workers("par_map_unordered", self.0.par);
    }
}

impl<S: Stage> Flow<S> {
    /// Applies `f` to the items on several threads, and yields the results in the order of the items.
    ///
    /// `par` is a number of workers, or a [`Par`]. At most the window of items is under way, done
    /// ones that wait for their turn among them: so one slow item holds the others up once the window
    /// is full, and memory is bounded. A worker takes as many items at a time as make some 60 µs of
    /// work, a slow function one; a run that turns out slow is shared with workers that have nothing
    /// to do.
    ///
    /// # Cancellation
    /// Looked at before each item.
    ///
    /// # Panics
    /// A panic in `f` fails the run, with the name of the stage and the index of the item.
    ///
    /// # Cost
    /// A thread for each worker and one for what stands before; some 30 ns an item.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let squares: Vec<u64> = Flow::range(0..5).par_map(2, |n: u64| n * n).collect(&ctx)?;
    /// assert_eq!(squares, [0, 1, 4, 9, 16]);
    /// # Ok(()) }
    /// ```
    pub fn par_map<U, F>(
        self,
        par: impl Into<Par>,
        f: F,
    ) -> Flow<impl Stage<Item = U, Fault = S::Fault>>
    where
        F: Fn(S::Item) -> U + Send + Sync,
        U: Send,
    {
        Flow(ParMap { up: self.0, par: par.into(), f })
    }

    /// Like [`par_map`](Flow::par_map), with the results as they are made: nothing waits for its turn.
    ///
    /// # Cancellation
    /// As for [`par_map`](Flow::par_map).
    ///
    /// # Panics
    /// As for [`par_map`](Flow::par_map).
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let sum = Flow::range(0..5).par_map_unordered(2, |n: u64| n * n).fold(&ctx, 0, |a, b| a + b)?;
    /// assert_eq!(sum, 30);
    /// # Ok(()) }
    /// ```
    pub fn par_map_unordered<U, F>(
        self,
        par: impl Into<Par>,
        f: F,
    ) -> Flow<impl Stage<Item = U, Fault = S::Fault>>
    where
        F: Fn(S::Item) -> U + Send + Sync,
        U: Send,
    {
        Flow(Unordered(ParMap { up: self.0, par: par.into(), f }))
    }
}
