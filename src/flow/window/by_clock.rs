//! Windows by the time at which items arrive.

use super::super::aggregate::Aggregate;
use super::super::boundary::Linked;
use super::super::cx::{At, Cx};
use super::super::fused::{Fused, Operator};
use super::super::handle::Flow;
use super::super::stage::{Halt, Pull, Stage, Step};
use super::panes::{Pane, Panes};
use super::shape::Window;
use crate::context::earliest;
use std::time::Instant;

struct ByClock<A, N> {
    panes: Panes<A, N>,
    /// When the run has begun.
    origin: Option<Instant>,
    ended: bool,
}

impl<T, A, N> Operator<T> for ByClock<A, N>
where
    T: Send,
    A: Aggregate<T>,
    N: FnMut() -> A + Send,
{
    type Out = Pane<A>;

    fn step<P: Pull<Item = T>>(
        &mut self,
        up: &mut P,
        at: &mut At,
        cx: &Cx,
    ) -> Result<Step<Pane<A>>, Halt> {
        let clock = cx.ctx.clock();
        let origin = *self.origin.get_or_insert_with(|| clock.now());
        while !self.ended {
            let now = clock.now().saturating_duration_since(origin);
            self.panes.advance(now);
            if let Some(pane) = self.panes.pop() {
                return Ok(Step::Item(pane));
            }
            match up.step(cx)? {
                Step::Item(item) => at.item(cx, || {
                    self.panes.add(now, &item);
                    drop(item);
                }),
                Step::Wait => return Ok(Step::Wait),
                Step::End => self.ended = true,
            }
        }
        Ok(self.panes.pop_last().map_or(Step::End, Step::Item))
    }

    fn wait<P: Pull<Item = T>>(
        &mut self,
        up: &mut P,
        cx: &Cx,
        until: Option<Instant>,
    ) -> Result<(), Halt> {
        let next = self.origin.zip(self.panes.next_end());
        up.wait(cx, earliest(until, next.and_then(|(origin, end)| origin.checked_add(end))))
    }
}

impl<S: Stage> Flow<S> {
    /// Gathers the items that arrive in each window, and passes a window on when it ends. One without
    /// items does not come, and nothing wakes up for it. At the end of the flow the open ones come.
    ///
    /// The time is that of the context's clock, from the start of the run; to go by the time that items
    /// carry, see [`window_by`](Flow::window_by). What stands before runs on a thread of its own, unless
    /// it is a boundary or a channel.
    ///
    /// # Panics
    /// As for [`map`](Flow::map).
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, Sum, Window}};
    /// use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let seconds = Window::tumbling(Duration::from_secs(1))?;
    /// let bytes = Flow::of([3u32, 4, 5]).window(seconds, Sum::<u64>::default);
    /// assert_eq!(bytes.fold(&ctx, 0, |all, pane| all + pane.value.0)?, 12);
    /// # Ok(()) }
    /// ```
    pub fn window<A, N>(
        self,
        window: Window,
        new: N,
    ) -> Flow<impl Stage<Item = Pane<A>, Fault = S::Fault>>
    where
        A: Aggregate<S::Item>,
        N: FnMut() -> A + Send,
    {
        let op = ByClock { panes: Panes::new(window, new), origin: None, ended: false };
        Flow(Fused { up: Linked { up: self.0 }, op, name: "window" })
    }
}
