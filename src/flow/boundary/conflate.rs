//! A boundary that never holds up what stands before it.

use super::super::cx::{At, Cx};
use super::super::handle::Flow;
use super::super::monitor::Gauge;
use super::super::raise::Raise;
use super::super::stage::{ErrorOf, Halt, Head, Pull, Stage, Step};
use super::super::topology::Topology;
use super::super::wiring::Wiring;
use crate::channel::{self, Receiver, Sender, TryRecvError};
use crate::context::Canceller;
use std::marker::PhantomData;
use std::time::Instant;

struct Conflate<S, N, F, U> {
    up: S,
    first: N,
    merge: F,
    value: PhantomData<fn() -> U>,
}

/// What the thread before the boundary works with. It puts the value into the channel, and takes it
/// back as long as nobody else has: so there is never more than one, and always room for it.
struct Merging<P, U, N, F> {
    up: P,
    first: N,
    merge: F,
    give: Sender<U>,
    take_back: Receiver<U>,
    at: At,
}

impl<P, U, N, F> Merging<P, U, N, F>
where
    P: Pull,
    N: FnMut(P::Item) -> U,
    F: FnMut(U, P::Item) -> U,
{
    fn run(&mut self, cx: &Cx) -> Result<(), Halt> {
        loop {
            match self.up.step(cx)? {
                Step::Item(item) => {
                    let held = self.take_back.try_recv().ok();
                    let value = self.at.item(cx, || match held {
                        Some(held) => (self.merge)(held, item),
                        None => (self.first)(item),
                    });
                    cx.delivered(self.at.item);
                    if let Err(refused) = self.give.try_send(value) {
                        self.at.call(cx, || drop(refused)); // Nobody wants any more.
                        return Err(Halt);
                    }
                }
                Step::Wait => self.up.wait(cx, None)?,
                Step::End => return Ok(()),
            }
        }
    }
}

/// The side after the boundary.
struct Merged<U: Send> {
    from: Receiver<U>,
    cancel: Canceller,
    taken: u64,
}

impl<U: Send> Pull for Merged<U> {
    type Item = U;

    fn step(&mut self, cx: &Cx) -> Result<Step<U>, Halt> {
        cx.check()?;
        match self.from.try_recv() {
            Ok(value) => {
                self.taken += 1;
                cx.taken(self.taken);
                Ok(Step::Item(value))
            }
            Err(TryRecvError::Empty) => Ok(Step::Wait),
            Err(TryRecvError::Closed) => {
                // It has ended, or has halted: for a deadline perhaps, which only the clock knows yet.
                if cx.ctx.is_stopped() { Err(Halt) } else { Ok(Step::End) }
            }
        }
    }

    fn wait(&mut self, cx: &Cx, until: Option<Instant>) -> Result<(), Halt> {
        Gauge::time(&cx.meter.starved, || self.from.wait_ready(&cx.ctx, until)).map_err(Cx::halt)
    }

    fn close(&mut self) {
        self.from.close();
        self.cancel.cancel_with("the rest of the flow wants no more");
    }
}

impl<U: Send> Drop for Merged<U> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<S, U, N, F> Stage for Conflate<S, N, F, U>
where
    S: Stage,
    U: Send,
    N: FnMut(S::Item) -> U + Send,
    F: FnMut(U, S::Item) -> U + Send,
{
    type Item = U;
    type Fault = S::Fault;
    type Run = Merged<U>;
    const HEAD: Head = Head::Link;

    fn start<'env>(self, wiring: &mut Wiring<'env>, raise: Raise<ErrorOf<Self>>) -> Self::Run
    where
        Self: 'env,
    {
        let name = wiring.boundary("conflate");
        let (ctx, cancel) = wiring.child();
        let (give, from) = channel::bounded(1);
        let take_back = from.clone();
        let Conflate { up, first, merge, .. } = self;
        let ((up, at), seat) = wiring.before(&ctx, None, |wiring| {
            let at = wiring.stage(name);
            (up.start(wiring, raise), at)
        });
        let merging = Merging { up, first, merge, give, take_back, at };
        wiring.task(seat, merging, Merging::run);
        Merged { from, cancel, taken: 0 }
    }

    fn describe(&self, topology: &mut Topology) {
        self.up.describe(topology);
        topology.stage("conflate");
        topology.boundary("latest".to_owned());
    }
}

impl<S: Stage> Flow<S> {
    /// Merges items while the next stage is busy, so that what stands before never waits: the first
    /// item becomes a value by `first`, each further one is put into it by `merge`, until the next stage
    /// takes it. What stands before runs on a thread of its own. Nothing is dropped that `merge` does
    /// not drop: `|_, new| new` keeps the latest.
    ///
    /// # Panics
    /// As for [`map`](Flow::map).
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let sums = Flow::of(1..=100).conflate(|n| n, |sum, n| sum + n);
    /// assert_eq!(sums.fold(&ctx, 0, |all, sum| all + sum)?, 5050);
    /// # Ok(()) }
    /// ```
    pub fn conflate<U, N, F>(
        self,
        first: N,
        merge: F,
    ) -> Flow<impl Stage<Item = U, Fault = S::Fault>>
    where
        U: Send,
        N: FnMut(S::Item) -> U + Send,
        F: FnMut(U, S::Item) -> U + Send,
    {
        Flow(Conflate { up: self.0, first, merge, value: PhantomData })
    }
}
