//! A reduction on several threads.

use super::super::cx::{At, Cx};
use super::super::error::FlowError;
use super::super::handle::Flow;
use super::super::link::{Lanes, Reader, Writer};
use super::super::raise::Raise;
use super::super::stage::{ErrorOf, Halt, Head, Pull, Stage, Step};
use super::super::topology::Topology;
use super::super::wiring::Wiring;
use super::intervals::{Intervals, Part};
use super::par::Par;
use crate::context::Context;
use crate::sync::Arc;

/// Yields the reduction of everything before it: one item, or none.
struct ParReduce<S, F> {
    up: S,
    par: Par,
    f: F,
}

impl<S, F> Stage for ParReduce<S, F>
where
    S: Stage,
    F: Fn(S::Item, S::Item) -> S::Item + Send + Sync,
{
    type Item = S::Item;
    type Fault = S::Fault;
    type Run = Reader<S::Item>;
    const HEAD: Head = Head::Link;

    fn start<'env>(self, wiring: &mut Wiring<'env>, raise: Raise<ErrorOf<Self>>) -> Self::Run
    where
        Self: 'env,
    {
        let ParReduce { up, par, f } = self;
        let name = wiring.boundary("par_reduce");
        let par = par.check(&At::new(name.clone()), &raise);
        let lanes = Lanes { writers: par.workers, ..Lanes::one(1) };
        let (ctx, out, writer) = wiring.link(&format!("{name} result"), lanes);
        let ((items, at), seat) = wiring.before(&ctx, Some(writer.meter()), |wiring| {
            let at = wiring.stage(name.clone());
            let (ctx, reader, writer) = wiring.link(&name, Lanes::one(par.window));
            wiring.segment(up, raise, &ctx, writer);
            (reader.shared(false), at)
        });
        let shared = Arc::new((Intervals::new(par.workers), f));
        for _ in 1..par.workers {
            let parts = (items.sibling(), writer.sibling(), at.clone(), shared.clone());
            wiring.task(seat.clone(), parts, |parts, cx| work(parts, cx));
        }
        wiring.task(seat, (items, writer, at, shared), |parts, cx| work(parts, cx));
        out
    }

    fn describe(&self, topology: &mut Topology) {
        self.up.describe(topology);
        topology.workers("par_reduce", self.par);
    }
}

/// What a worker has: where its items come from, where the whole goes, and what all share.
type Parts<T, F> = (Reader<T>, Writer<T>, At, Arc<(Intervals<T>, F)>);

/// What each worker does: reduces its runs by itself, and adds what has come out of each.
fn work<T: Send, F: Fn(T, T) -> T>(
    (items, writer, at, shared): &mut Parts<T, F>,
    cx: &Cx,
) -> Result<(), Halt> {
    let (intervals, f) = &**shared;
    let mut mine: Option<Part<T>> = None;
    loop {
        match items.step(cx)? {
            Step::Item(item) => {
                at.item = items.number();
                mine = Some(match mine.take() {
                    None => Part { first: at.item, items: 1, value: item },
                    Some(part) => Part {
                        items: part.items + 1,
                        value: at.call(cx, || f(part.value, item)),
                        ..part
                    },
                });
                if items.is_at_end_of_run()
                    && let Some(part) = mine.take()
                {
                    at.call(cx, || intervals.add(part, f));
                }
            }
            Step::Wait => items.wait(cx, None)?,
            Step::End => {
                if let Some(whole) = intervals.leave() {
                    writer.push(whole, cx)?;
                    writer.flush(cx)?;
                }
                writer.finish();
                return Ok(());
            }
        }
    }
}

impl<S: Stage> Flow<S> {
    /// Runs the flow and combines its items on several threads; `None` if there are none.
    ///
    /// `f` must be associative, `f(f(a, b), c) == f(a, f(b, c))`, and need not commute: only
    /// neighbours are combined, the earlier one to the left. Which ones come first differs from run
    /// to run, so sums of floats do in their last digits.
    ///
    /// # Cancellation
    /// As for [`fold`](Flow::fold).
    ///
    /// # Errors
    /// The first failure of any stage.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let words = Flow::of(["a", "b", "c"]).map(str::to_string);
    /// assert_eq!(words.par_reduce(&ctx, 2, |a, b| a + &b)?, Some("abc".to_string()));
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn par_reduce<F>(
        self,
        ctx: &Context,
        par: impl Into<Par>,
        f: F,
    ) -> Result<Option<S::Item>, FlowError<ErrorOf<S>>>
    where
        F: Fn(S::Item, S::Item) -> S::Item + Send + Sync,
    {
        Flow(ParReduce { up: self.0, par: par.into(), f }).find_first(ctx, |_| true)
    }
}
