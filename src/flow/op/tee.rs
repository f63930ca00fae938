//! A copy of every item, elsewhere.

use super::super::cx::{At, Cx};
use super::super::fused::{Fused, Operator, item};
use super::super::handle::Flow;
use super::super::stage::{Halt, Pull, Stage, Step};
use crate::channel::{SendError, Sender, TrySendError};
use std::time::Instant;

struct Tee<'a, T> {
    to: &'a Sender<T>,
    /// A copy for which there was no room, and the item that goes on when there is.
    held: Option<(T, T)>,
    /// The copy has been sent.
    ready: Option<T>,
    closed: bool,
}

impl<T: Clone + Send> Operator<T> for Tee<'_, T> {
    type Out = T;

    fn step<P: Pull<Item = T>>(
        &mut self,
        up: &mut P,
        at: &mut At,
        cx: &Cx,
    ) -> Result<Step<T>, Halt> {
        if let Some(item) = self.ready.take() {
            return Ok(Step::Item(item));
        }
        if self.held.is_some() {
            return Ok(Step::Wait);
        }
        let item = item!(up.step(cx));
        if self.closed {
            return Ok(Step::Item(item));
        }
        let copy = at.item(cx, || item.clone());
        match self.to.try_send(copy) {
            Ok(()) => Ok(Step::Item(item)),
            Err(TrySendError::Full(copy)) => {
                self.held = Some((copy, item));
                Ok(Step::Wait)
            }
            Err(refused) => {
                self.closed = true;
                at.call(cx, || drop(refused));
                Ok(Step::Item(item))
            }
        }
    }

    fn wait<P: Pull<Item = T>>(
        &mut self,
        up: &mut P,
        cx: &Cx,
        until: Option<Instant>,
    ) -> Result<(), Halt> {
        let Some((copy, item)) = self.held.take() else { return up.wait(cx, until) };
        match self.to.send(&cx.ctx, copy) {
            Ok(()) => {}
            Err(SendError::Stopped { .. }) => return Err(Halt),
            Err(_) => self.closed = true,
        }
        self.ready = Some(item);
        Ok(())
    }
}

impl<S: Stage> Flow<S> {
    /// Sends a copy of every item into `channel`, before the item goes on. While that is full both
    /// wait; once it is closed, items go on without.
    ///
    /// # Panics
    /// A panic in `Clone` fails the run, as for [`map`](Flow::map).
    ///
    /// ```
    /// use ironsys::{Context, channel, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let (audit, log) = channel::bounded(10);
    /// let sum = Flow::of(1..4).tee(&audit).fold(&ctx, 0, |sum, n| sum + n)?;
    /// assert_eq!((sum, log.drain()), (6, vec![1, 2, 3]));
    /// # Ok(()) }
    /// ```
    pub fn tee(
        self,
        channel: &Sender<S::Item>,
    ) -> Flow<impl Stage<Item = S::Item, Fault = S::Fault>>
    where
        S::Item: Clone,
    {
        let op = Tee { to: channel, held: None, ready: None, closed: false };
        Flow(Fused { up: self.0, op, name: "tee" })
    }
}
