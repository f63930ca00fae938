//! Workers whose results come out in the order of the items.

use super::super::cx::{At, Cx};
use super::super::link::{Lanes, Reader};
use super::super::monitor::LinkMeter;
use super::super::raise::Raise;
use super::super::stage::{ErrorOf, Halt, Pull, Stage, Step};
use super::super::wiring::Wiring;
use super::board::{Board, BoardReader, Worker};
use super::par::Par;
use crate::sync::Arc;

/// Wires `up`, the workers that call `job` with its items, and the board behind them.
pub(super) fn ordered<'env, S, U, E>(
    wiring: &mut Wiring<'env>,
    up: S,
    before: Raise<ErrorOf<S>>,
    raise: &Raise<E>,
    name: &'static str,
    par: Par,
    job: impl Fn(S::Item, &At, &Cx) -> Result<Option<U>, Halt> + Send + Sync + 'env,
) -> BoardReader<S::Item, U>
where
    S: Stage + 'env,
    U: Send + 'env,
    E: Send + 'static,
{
    let name = wiring.boundary(name);
    let par = par.check(&At::new(name.clone()), raise);
    let meter = LinkMeter::new(&format!("{name} results"), par.window, 1);
    let (ctx, cancel) = wiring.upstream(meter.clone());
    let board = Board::new(meter.clone(), par.workers);
    let ((items, at), seat) = wiring.before(&ctx, Some((meter, 0)), |wiring| {
        let at = wiring.stage(name.clone());
        let (ctx, reader, writer) = wiring.link(&name, Lanes::one(par.window));
        wiring.segment(up, before, &ctx, writer);
        (reader.shared(true), at)
    });
    let out = BoardReader::new(board.clone(), &items, par.window, cancel);
    let job = Arc::new(job);
    let mut first = Some(items);
    for _ in 1..par.workers {
        if let Some(items) = &first {
            let parts = (items.sibling(), Worker::new(board.clone()), at.clone(), job.clone());
            wiring.task(seat.clone(), parts, |parts, cx| work(parts, cx));
        }
    }
    if let Some(items) = first.take() {
        wiring.task(seat, (items, Worker::new(board), at, job), |parts, cx| work(parts, cx));
    }
    out
}

/// What each worker does.
fn work<T: Send, U: Send>(
    (items, out, at, job): &mut (
        Reader<T>,
        Worker<U>,
        At,
        Arc<impl Fn(T, &At, &Cx) -> Result<Option<U>, Halt>>,
    ),
    cx: &Cx,
) -> Result<(), Halt> {
    loop {
        match items.step(cx)? {
            Step::Item(item) => {
                at.item = items.number();
                out.push(at.item, job(item, at, cx)?);
                if items.is_at_end_of_run() || out.is_wanted() {
                    out.publish();
                }
            }
            Step::Wait => items.wait(cx, None)?,
            Step::End => {
                out.finish();
                return Ok(());
            }
        }
    }
}
