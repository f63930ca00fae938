//! Sinks: what runs a flow. Each takes a context, blocks until every stage has ended, and returns a
//! value or the first failure.

mod each;
mod find;
mod fold;
mod give;
mod iter;
mod order;
mod route;

pub use give::{Sent, WriteErrorOf};
pub use iter::Items;
pub use route::Routed;

use super::cx::{At, Cx};
use super::stage::{Halt, Pull, Step};
use std::ops::ControlFlow;

/// Pulls every item on this thread, until the end or until `f` breaks. `f` is user code.
#[inline]
fn drive<P: Pull, B>(
    pull: &mut P,
    at: &mut At,
    cx: &Cx,
    mut f: impl FnMut(P::Item, &At) -> ControlFlow<B>,
) -> Result<Option<B>, Halt> {
    loop {
        match pull.step(cx)? {
            Step::Item(item) => {
                let flow = at.call(cx, || f(item, at));
                at.item += 1;
                cx.delivered(at.item);
                if let ControlFlow::Break(out) = flow {
                    return Ok(Some(out));
                }
            }
            Step::Wait => pull.wait(cx, None)?,
            Step::End => return Ok(None),
        }
    }
}
