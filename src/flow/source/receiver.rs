//! A channel as a source.

use super::super::cx::{At, Cx};
use super::super::fault::Never;
use super::super::handle::Flow;
use super::super::monitor::Gauge;
use super::super::raise::Raise;
use super::super::stage::{Halt, Head, Stage, Step};
use super::{Origin, Source};
use crate::channel::{Receiver, TryRecvError};
use std::borrow::Borrow;
use std::marker::PhantomData;
use std::time::Instant;

struct Messages<R, T> {
    receiver: R,
    items: PhantomData<fn() -> T>,
    closed: bool,
}

impl<T: Send, R: Borrow<Receiver<T>> + Send> Origin for Messages<R, T> {
    type Item = T;
    type Fault = Never;
    const HEAD: Head = Head::Link;

    #[inline]
    fn step(&mut self, _: &At, _: &Cx, _: &Raise<Never>) -> Result<Step<T>, Halt> {
        if self.closed {
            return Ok(Step::End);
        }
        match self.receiver.borrow().try_recv() {
            Ok(item) => Ok(Step::Item(item)),
            Err(TryRecvError::Empty) => Ok(Step::Wait),
            Err(TryRecvError::Closed) => Ok(Step::End),
        }
    }

    fn wait(&mut self, cx: &Cx, until: Option<Instant>) -> Result<(), Halt> {
        let receiver = self.receiver.borrow();
        Gauge::time(&cx.meter.starved, || receiver.wait_ready(&cx.ctx, until)).map_err(Cx::halt)
    }

    fn close(&mut self) {
        self.closed = true;
    }
}

impl Flow<()> {
    /// Makes a flow of the messages of a channel, until it is closed and empty. The receiver is
    /// borrowed or given.
    ///
    /// A message is taken only when the stage after it asks for one; however the run ends, what was
    /// not taken stays in the channel.
    ///
    /// # Cancellation
    /// A wait for a message ends at once, and has taken nothing.
    ///
    /// ```
    /// use ironsys::{Context, channel, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let (tx, rx) = channel::bounded(8);
    /// (0..5).for_each(|n| tx.try_send(n).unwrap());
    /// assert_eq!(Flow::receiver(&rx).take(2).collect::<Vec<_>>(&ctx)?, [0, 1]);
    /// assert_eq!(rx.try_recv(), Ok(2));
    /// # Ok(()) }
    /// ```
    pub fn receiver<R, T>(receiver: R) -> Flow<impl Stage<Item = T, Fault = Never>>
    where
        R: Borrow<Receiver<T>> + Send,
        T: Send,
    {
        let origin = Messages { receiver, items: PhantomData, closed: false };
        Flow(Source { origin, name: "receiver" })
    }
}
