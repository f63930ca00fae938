//! One flow to several outputs.

use super::super::cx::{At, Cx};
use super::super::error::FlowError;
use super::super::handle::Flow;
use super::super::router::Router;
use super::super::stage::{ErrorOf, Halt, Pull, Stage, Step};
use crate::channel::{SendError, Sender};
use crate::context::Context;
use crate::sync::Arc;

/// How routing a flow went.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Routed<T> {
    /// How many items went their way, those that were dropped as unmatched among them.
    pub count: u64,
    /// The item that found its output closed, and the name of the output; `None` if the flow came to
    /// its end.
    pub undelivered: Option<(Arc<str>, T)>,
}

impl<S: Stage> Flow<S> {
    /// Runs the flow and sends each item where the rules of `router` say, waiting while that output is
    /// full. Ends early when an output is closed, and hands back the item that was for it. The outputs
    /// stay open.
    ///
    /// # Cancellation
    /// As for [`fold`](Flow::fold); an item that could not be sent by then is dropped.
    ///
    /// # Errors
    /// The first failure of any stage.
    ///
    /// # Panics
    /// A panic in a rule fails the run, as for [`map`](Flow::map).
    ///
    /// See [`Router`] for an example.
    ///
    /// ```
    /// # use ironsys::{Context, channel, flow::{Flow, Router, Rules}};
    /// # let (ctx, _cancel) = Context::root();
    /// let (odd, odds) = channel::bounded(10);
    /// let router = Router::new(Rules::new().when("odd", |n: &u32| n % 2 == 1, &odd))?;
    /// assert_eq!(Flow::of(0..5).route_to(&ctx, &router)?.count, 5);
    /// assert_eq!(odds.drain(), [1, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn route_to(
        self,
        ctx: &Context,
        router: &Router<S::Item>,
    ) -> Result<Routed<S::Item>, FlowError<ErrorOf<S>>> {
        self.run_plain(ctx, "route_to", |pull, cx, at| {
            deliver(pull, cx, at, |item, at| {
                let way = at.call(cx, || router.way(&item));
                let refused = match way.to() {
                    Some(to) => send(to, item, cx)?,
                    None => {
                        at.call(cx, || drop(item));
                        None
                    }
                };
                if refused.is_none() {
                    way.gone();
                }
                let name = way.name();
                at.call(cx, || drop(way)); // Perhaps the last to hold rules that were replaced.
                Ok(refused.zip(name).map(|(item, name)| (name, item)))
            })
        })
    }

    /// Runs the flow and sends each item into the one of `outputs` whose index `pick` returns, waiting
    /// while that is full. Ends early when it is closed, and hands back the item. With two outputs and
    /// `usize::from(..)` of a condition that is a partition.
    ///
    /// # Cancellation
    /// As for [`fold`](Flow::fold); an item that could not be sent by then is dropped.
    ///
    /// # Errors
    /// The first failure of any stage.
    ///
    /// # Panics
    /// A panic in `pick`, or an index for which there is no output, fails the run, as for
    /// [`map`](Flow::map).
    ///
    /// ```
    /// use ironsys::{Context, channel, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let ((small, smalls), (big, bigs)) = (channel::bounded(9), channel::bounded(9));
    /// let split = Flow::of([1, 70, 3]).split_to(&ctx, &[small, big], |n| usize::from(*n > 9))?;
    /// assert_eq!((split.count, smalls.drain(), bigs.drain()), (3, vec![1, 3], vec![70]));
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn split_to(
        self,
        ctx: &Context,
        outputs: &[Sender<S::Item>],
        mut pick: impl FnMut(&S::Item) -> usize,
    ) -> Result<Routed<S::Item>, FlowError<ErrorOf<S>>> {
        self.run_plain(ctx, "split_to", |pull, cx, at| {
            deliver(pull, cx, at, |item, at| {
                let i = at.call(cx, || {
                    let i = pick(&item);
                    assert!(i < outputs.len(), "there is no output {i}, only {}", outputs.len());
                    i
                });
                let refused = send(&outputs[i], item, cx)?;
                Ok(refused.map(|item| (i.to_string().into(), item)))
            })
        })
    }
}

/// Sends an item; hands it back if the channel is closed.
fn send<T>(to: &Sender<T>, item: T, cx: &Cx) -> Result<Option<T>, Halt> {
    match to.send(&cx.ctx, item) {
        Ok(()) => Ok(None),
        Err(SendError::Stopped { stop, .. }) => Err(Cx::halt(stop)),
        Err(refused) => Ok(Some(refused.into_inner())),
    }
}

/// Pulls until the end, or until `f` has an item left over.
fn deliver<P: Pull>(
    pull: &mut P,
    cx: &Cx,
    at: &mut At,
    mut f: impl FnMut(P::Item, &At) -> Result<Option<(Arc<str>, P::Item)>, Halt>,
) -> Result<Routed<P::Item>, Halt> {
    loop {
        match pull.step(cx)? {
            Step::Item(item) => {
                let undelivered = f(item, at)?;
                if undelivered.is_some() {
                    return Ok(Routed { count: at.item, undelivered });
                }
                at.item += 1;
                cx.delivered(at.item);
            }
            Step::Wait => pull.wait(cx, None)?,
            Step::End => return Ok(Routed { count: at.item, undelivered: None }),
        }
    }
}
