//! Where items come from.
//!
//! A source is an [`Origin`] in a [`Source`]: it yields, and says whether it may block inside.

mod generate;
mod iter;
mod prompt;
mod read;
mod receiver;

use super::cx::{At, Cx};
use super::fault::Fault;
use super::raise::Raise;
use super::stage::{ErrorOf, Halt, Head, Pull, Stage, Step};
use super::topology::Topology;
use super::wiring::Wiring;
use std::time::Instant;

/// What a source does.
pub(crate) trait Origin: Send {
    /// What it yields.
    type Item: Send;
    /// How it can fail.
    type Fault: Fault;
    /// Whether `step` may block.
    const HEAD: Head;

    /// Yields the next item. It need not look at the context unless it blocks.
    fn step(
        &mut self,
        at: &At,
        cx: &Cx,
        raise: &Raise<<Self::Fault as Fault>::Error>,
    ) -> Result<Step<Self::Item>, Halt>;

    /// Waits after a [`Step::Wait`]; sources that never say so need none.
    fn wait(&mut self, _cx: &Cx, _until: Option<Instant>) -> Result<(), Halt> {
        Ok(())
    }

    /// Called when the run begins, on the thread of the source.
    fn open(&mut self, _cx: &Cx) {}

    /// Called when nothing more is taken, and at the end.
    fn close(&mut self) {}
}

/// The stage of an [`Origin`].
pub(crate) struct Source<O> {
    pub(super) origin: O,
    pub(super) name: &'static str,
}

/// The same, running.
pub(crate) struct SourceRun<O: Origin> {
    origin: O,
    at: At,
    raise: Raise<<O::Fault as Fault>::Error>,
    open: bool,
}

impl<O: Origin> Stage for Source<O> {
    type Item = O::Item;
    type Fault = O::Fault;
    type Run = SourceRun<O>;
    const HEAD: Head = O::HEAD;

    fn start<'env>(self, wiring: &mut Wiring<'env>, raise: Raise<ErrorOf<Self>>) -> Self::Run
    where
        Self: 'env,
    {
        SourceRun { origin: self.origin, at: wiring.stage(self.name), raise, open: false }
    }

    fn describe(&self, topology: &mut Topology) {
        topology.stage(self.name);
    }
}

impl<O: Origin> Pull for SourceRun<O> {
    type Item = O::Item;

    #[inline]
    fn step(&mut self, cx: &Cx) -> Result<Step<O::Item>, Halt> {
        cx.check()?;
        if !self.open {
            self.open = true;
            self.origin.open(cx);
        }
        let step = self.origin.step(&self.at, cx, &self.raise)?;
        match step {
            Step::Item(_) => {
                self.at.item += 1;
                cx.taken(self.at.item);
            }
            Step::End => {
                self.origin.close();
                // It may have ended because of the stop: a part must not look like all of it.
                if cx.ctx.is_stopped() {
                    return Err(Halt);
                }
            }
            Step::Wait => {}
        }
        Ok(step)
    }

    fn wait(&mut self, cx: &Cx, until: Option<Instant>) -> Result<(), Halt> {
        self.origin.wait(cx, until)
    }

    fn close(&mut self) {
        self.origin.close();
    }
}
