//! Workers whose results come out as they are made.

use super::super::cx::{At, Cx};
use super::super::link::{Lanes, Reader, Writer};
use super::super::raise::Raise;
use super::super::stage::{ErrorOf, Halt, Pull, Stage, Step};
use super::super::wiring::Wiring;
use super::par::Par;
use crate::sync::Arc;

/// Where a worker puts what it has made of an item.
pub(super) type Out<'a, U> = &'a mut dyn FnMut(U) -> Result<(), Halt>;

/// Wires `up`, the workers that call `job` with its items, and the link behind them. With `eager`
/// what a worker yields is visible at once, since its job may block between two results.
#[expect(clippy::too_many_arguments, reason = "each is another part of the wiring")]
pub(super) fn unordered<'env, S, U, E>(
    wiring: &mut Wiring<'env>,
    up: S,
    before: Raise<ErrorOf<S>>,
    raise: &Raise<E>,
    name: &'static str,
    par: Par,
    eager: bool,
    job: impl Fn(S::Item, &At, &Cx, Out<'_, U>) -> Result<(), Halt> + Send + Sync + 'env,
) -> Reader<U>
where
    S: Stage + 'env,
    U: Send + 'env,
    E: Send + 'static,
{
    let name = wiring.boundary(name);
    let par = par.check(&At::new(name.clone()), raise);
    let lanes = Lanes { writers: par.workers, ..Lanes::one(par.window) };
    let (ctx, out, mut writer) = wiring.link(&format!("{name} results"), lanes);
    writer.set_eager(eager);
    let ((items, at), seat) = wiring.before(&ctx, Some(writer.meter()), |wiring| {
        let at = wiring.stage(name.clone());
        let (ctx, reader, writer) = wiring.link(&name, Lanes::one(par.window));
        wiring.segment(up, before, &ctx, writer);
        (reader.shared(false), at)
    });
    let job = Arc::new(job);
    for _ in 1..par.workers {
        let parts = (items.sibling(), writer.sibling(), at.clone(), job.clone());
        wiring.task(seat.clone(), parts, |parts, cx| work(parts, cx));
    }
    wiring.task(seat, (items, writer, at, job), |parts, cx| work(parts, cx));
    out
}

/// What each worker does.
fn work<T: Send, U: Send>(
    (items, writer, at, job): &mut (
        Reader<T>,
        Writer<U>,
        At,
        Arc<impl Fn(T, &At, &Cx, Out<'_, U>) -> Result<(), Halt>>,
    ),
    cx: &Cx,
) -> Result<(), Halt> {
    loop {
        match items.step(cx)? {
            Step::Item(item) => {
                at.item = items.number();
                job(item, at, cx, &mut |out| writer.push(out, cx))?;
            }
            Step::Wait => {
                writer.flush(cx)?;
                items.wait(cx, None)?;
            }
            Step::End => {
                writer.flush(cx)?;
                writer.finish();
                return Ok(());
            }
        }
    }
}
