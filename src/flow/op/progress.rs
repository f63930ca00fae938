//! Looking at a run while it is under way.

use super::super::handle::Flow;
use super::super::monitor::Report;
use super::super::raise::Raise;
use super::super::stage::{ErrorOf, Head, Stage};
use super::super::topology::Topology;
use super::super::wiring::Wiring;
use std::time::Duration;

struct Progress<S, F> {
    up: S,
    every: Duration,
    f: F,
}

impl<S: Stage, F: FnMut(&Report) + Send> Stage for Progress<S, F> {
    type Item = S::Item;
    type Fault = S::Fault;
    type Run = S::Run;
    const HEAD: Head = S::HEAD;

    fn start<'env>(self, wiring: &mut Wiring<'env>, raise: Raise<ErrorOf<Self>>) -> Self::Run
    where
        Self: 'env,
    {
        let Progress { up, every, mut f } = self;
        wiring.daemons.push(Box::new(move |ctx, records| {
            while ctx.sleep(every).is_ok() {
                f(&Report::of(records));
            }
        }));
        up.start(wiring, raise)
    }

    fn describe(&self, topology: &mut Topology) {
        self.up.describe(topology);
    }
}

impl<S: Stage> Flow<S> {
    /// Shows the whole run to `f`, again and again: `every` after the call before has ended, by the
    /// context's clock, for as long as the flow runs. `f` has a thread of its own.
    ///
    /// With `Duration::ZERO` it never pauses; with `Duration::MAX` it is never called.
    ///
    /// # Panics
    /// A panic in `f` stops the run and is returned as a failure of the sink.
    ///
    /// ```
    /// use ironsys::{Context, Stop, flow::{Flow, FlowError}, time::VirtualClock};
    /// use std::time::Duration;
    /// # fn main() -> Result<(), FlowError<Stop>> {
    /// let (ctx, _cancel) = Context::builder().clock(VirtualClock::auto().clock()).build();
    /// let mut n = 0;
    /// let ticks = Flow::generate(|ctx| {
    ///     ctx.sleep(Duration::from_secs(1))?;
    ///     n += 1;
    ///     Ok::<_, Stop>(Some(n))
    /// });
    /// let mut seen = Vec::new();
    /// let progress = |report: &ironsys::flow::Report| seen.push(report.segments[0].taken);
    /// ticks.progress(Duration::from_millis(1700), progress).take(4).count(&ctx)?;
    /// assert_eq!(seen, [1, 3]);
    /// # Ok(()) }
    /// ```
    pub fn progress(
        self,
        every: Duration,
        f: impl FnMut(&Report) + Send,
    ) -> Flow<impl Stage<Item = S::Item, Fault = S::Fault>> {
        Flow(Progress { up: self.0, every, f })
    }
}
