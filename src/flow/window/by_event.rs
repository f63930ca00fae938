//! Windows by the time that items carry.

use super::super::aggregate::Aggregate;
use super::super::cx::{At, Cx};
use super::super::fused::{Fused, Operator};
use super::super::handle::Flow;
use super::super::stage::{Halt, Pull, Stage, Step};
use super::panes::{Pane, Panes};
use super::shape::Window;
use crate::sync::Ordering;
use std::time::Duration;

struct ByEvent<A, N, F> {
    time: F,
    lateness: Duration,
    latest: Duration,
    panes: Panes<A, N>,
    ended: bool,
}

impl<T, A, N, F> Operator<T> for ByEvent<A, N, F>
where
    T: Send,
    A: Aggregate<T>,
    N: FnMut() -> A + Send,
    F: FnMut(&T) -> Duration + Send,
{
    type Out = Pane<A>;

    fn step<P: Pull<Item = T>>(
        &mut self,
        up: &mut P,
        at: &mut At,
        cx: &Cx,
    ) -> Result<Step<Pane<A>>, Halt> {
        while !self.ended {
            if let Some(pane) = self.panes.pop() {
                return Ok(Step::Item(pane));
            }
            match up.step(cx)? {
                Step::Item(item) => {
                    let in_time = at.item(cx, || {
                        let time = (self.time)(&item);
                        let in_time = self.panes.add(time, &item);
                        self.latest = self.latest.max(time);
                        drop(item);
                        in_time
                    });
                    if !in_time {
                        // Relaxed: one writer, and a report may be a little old.
                        cx.meter.skipped.fetch_add(1, Ordering::Relaxed);
                    }
                    self.panes.advance(self.latest.saturating_sub(self.lateness));
                }
                Step::Wait => return Ok(Step::Wait),
                Step::End => self.ended = true,
            }
        }
        Ok(self.panes.pop_last().map_or(Step::End, Step::Item))
    }
}

impl<S: Stage> Flow<S> {
    /// Gathers the items of each window, by the time that `time` reads off an item, and passes a window
    /// on when it is complete: when an item has come that is later than its end by the window's
    /// [`lateness`](Window::lateness), or at the end of the flow. Windows come in the order of their
    /// ends; one without items does not come.
    ///
    /// An item of which some window was complete already is late: it counts in the windows that are
    /// still open, and as skipped in the report.
    ///
    /// An item with a time far ahead completes all windows before it: filter what you do not trust.
    /// The open windows are those that the lateness reaches back to, and bounded so.
    ///
    /// # Panics
    /// As for [`map`](Flow::map).
    ///
    /// ```
    /// use ironsys::{Context, flow::{Count, Flow, Window}};
    /// use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let minutes = Window::tumbling(Duration::from_secs(60))?.lateness(Duration::from_secs(30));
    /// let requests = Flow::of([5, 50, 70, 55, 130]); // at these seconds; 55 is late, not too late
    /// let counts = requests
    ///     .window_by(minutes, |at| Duration::from_secs(*at), Count::default)
    ///     .map(|pane| (pane.start.as_secs(), pane.value.0))
    ///     .collect::<Vec<_>>(&ctx)?;
    /// assert_eq!(counts, [(0, 3), (60, 1), (120, 1)]);
    /// # Ok(()) }
    /// ```
    pub fn window_by<A, N, F>(
        self,
        window: Window,
        time: F,
        new: N,
    ) -> Flow<impl Stage<Item = Pane<A>, Fault = S::Fault>>
    where
        A: Aggregate<S::Item>,
        N: FnMut() -> A + Send,
        F: FnMut(&S::Item) -> Duration + Send,
    {
        let panes = Panes::new(window, new);
        let (lateness, latest) = (window.lateness, Duration::ZERO);
        let op = ByEvent { time, lateness, latest, panes, ended: false };
        Flow(Fused { up: self.0, op, name: "window" })
    }
}
