//! Several items into one.

use super::super::boundary::Linked;
use super::super::cx::{At, Cx};
use super::super::fused::{Fused, Operator};
use super::super::handle::Flow;
use super::super::stage::{Halt, Pull, Stage, Step};
use crate::context::earliest;
use crate::error::BuildError;
use std::time::{Duration, Instant};

struct Batch<T> {
    name: &'static str,
    size: usize,
    /// How long the first item of a batch waits at most.
    window: Option<Duration>,
    held: Vec<T>,
    /// When what is held must go.
    due: Option<Instant>,
    ended: bool,
}

/// While items come without a pause, the clock is looked at for every so many.
const LOOK_EVERY: usize = 64;

impl<T: Send> Batch<T> {
    fn new(name: &'static str, size: usize, window: Option<Duration>) -> Self {
        Batch { name, size, window, held: Vec::new(), due: None, ended: false }
    }

    fn is_due(&self, cx: &Cx) -> bool {
        self.due.is_some_and(|due| cx.ctx.clock().now() >= due)
    }

    /// Items may come without a pause. A window of zero takes all that is there.
    fn is_late(&self, cx: &Cx) -> bool {
        self.window.is_some_and(|window| !window.is_zero()) && self.is_due(cx)
    }

    fn give(&mut self) -> Step<Vec<T>> {
        self.due = None;
        Step::Item(std::mem::take(&mut self.held))
    }
}

impl<T: Send> Operator<T> for Batch<T> {
    type Out = Vec<T>;

    fn step<P: Pull<Item = T>>(
        &mut self,
        up: &mut P,
        at: &mut At,
        cx: &Cx,
    ) -> Result<Step<Vec<T>>, Halt> {
        while !self.ended {
            match up.step(cx)? {
                Step::Item(item) => {
                    at.item += 1;
                    if self.held.is_empty()
                        && let Some(window) = self.window
                    {
                        self.due = cx.ctx.clock().now().checked_add(window);
                    }
                    self.held.push(item);
                    let looks = self.held.len().is_multiple_of(LOOK_EVERY);
                    if self.held.len() >= self.size || (looks && self.is_late(cx)) {
                        return Ok(self.give());
                    }
                }
                Step::Wait => {
                    return Ok(if self.is_due(cx) { self.give() } else { Step::Wait });
                }
                Step::End => self.ended = true,
            }
        }
        Ok(if self.held.is_empty() { Step::End } else { self.give() })
    }

    fn wait<P: Pull<Item = T>>(
        &mut self,
        up: &mut P,
        cx: &Cx,
        until: Option<Instant>,
    ) -> Result<(), Halt> {
        up.wait(cx, earliest(until, self.due))
    }

    fn check(&self) -> Result<(), BuildError> {
        match self.size {
            0 => Err(BuildError::new(self.name, "size", "0 items make no batch")),
            _ => Ok(()),
        }
    }
}

impl<S: Stage> Flow<S> {
    /// Gathers `size` items into each `Vec`; the last may be shorter.
    ///
    /// An incomplete chunk waits for as long as the items do: where that matters, see
    /// [`batch`](Flow::batch). `usize::MAX` gathers everything there is.
    ///
    /// # Errors
    /// With a size of 0 the run fails before it begins, as misbuilt.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let chunks = Flow::of(1..6).chunk(2).collect::<Vec<_>>(&ctx)?;
    /// assert_eq!(chunks, [vec![1, 2], vec![3, 4], vec![5]]);
    /// # Ok(()) }
    /// ```
    pub fn chunk(self, size: usize) -> Flow<impl Stage<Item = Vec<S::Item>, Fault = S::Fault>> {
        Flow(Fused { up: self.0, op: Batch::new("chunk", size, None), name: "chunk" })
    }

    /// Gathers items into a `Vec` until there are `size` of them, or until `window` after the first
    /// one, whichever comes first; what is left goes at the end. No batch is empty.
    ///
    /// The time is that of the context's clock. What stands before runs on a thread of its own, unless
    /// it is a boundary or a channel, so that its pace cannot hold up a batch. With a window of zero
    /// whatever is there at once makes a batch; `Duration::MAX` never ends one.
    ///
    /// # Errors
    /// With a size of 0 the run fails before it begins, as misbuilt.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// use std::time::Duration;
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let rows = Flow::of(0..1000).batch(500, Duration::from_millis(50));
    /// let inserted = rows.map(|rows| rows.len()).fold(&ctx, 0, |sum, n| sum + n)?;
    /// assert_eq!(inserted, 1000);
    /// # Ok(()) }
    /// ```
    pub fn batch(
        self,
        size: usize,
        window: Duration,
    ) -> Flow<impl Stage<Item = Vec<S::Item>, Fault = S::Fault>> {
        let op = Batch::new("batch", size, Some(window));
        Flow(Fused { up: Linked { up: self.0 }, op, name: "batch" })
    }
}
