//! A steady pace.

use super::super::cx::{At, Cx};
use super::super::fused::{Fused, Operator, item};
use super::super::handle::Flow;
use super::super::stage::{Halt, Pull, Stage, Step};
use crate::context::earliest;
use crate::error::BuildError;
use std::time::{Duration, Instant};

struct Throttle<T> {
    count: u32,
    per: Duration,
    /// An item that came too early.
    held: Option<T>,
    /// When the next item may go; `None` if that lies beyond the end of time, once one has gone.
    next: Option<Instant>,
    gone: bool,
}

impl<T: Send> Operator<T> for Throttle<T> {
    type Out = T;

    fn step<P: Pull<Item = T>>(
        &mut self,
        up: &mut P,
        at: &mut At,
        cx: &Cx,
    ) -> Result<Step<T>, Halt> {
        let waited = self.held.is_some();
        let item = match self.held.take() {
            Some(item) => item,
            None => {
                let item = item!(up.step(cx));
                at.item += 1;
                item
            }
        };
        let now = cx.ctx.clock().now();
        if self.gone && self.next.is_none_or(|next| now < next) {
            self.held = Some(item);
            return Ok(Step::Wait);
        }
        // After a wait the pace counts from when the item was due: a wake-up that is a little late
        // does not lower the rate.
        let due = match (self.next, now.checked_sub(self.gap())) {
            (Some(next), Some(floor)) if waited => next.max(floor),
            _ => now,
        };
        (self.next, self.gone) = (due.checked_add(self.gap()), true);
        Ok(Step::Item(item))
    }

    fn wait<P: Pull<Item = T>>(
        &mut self,
        up: &mut P,
        cx: &Cx,
        until: Option<Instant>,
    ) -> Result<(), Halt> {
        if self.held.is_none() {
            return up.wait(cx, until);
        }
        let now = cx.ctx.clock().now();
        let until = earliest(until, self.next);
        let time = until.map_or(Duration::MAX, |until| until.saturating_duration_since(now));
        cx.ctx.sleep(time).map_err(Cx::halt)
    }

    fn check(&self) -> Result<(), BuildError> {
        match self.count {
            0 => Err(BuildError::new("throttle", "count", "at a pace of 0 nothing ever passes")),
            _ => Ok(()),
        }
    }
}

impl<T> Throttle<T> {
    fn gap(&self) -> Duration {
        self.per / self.count.max(1)
    }
}

impl<S: Stage> Flow<S> {
    /// Passes on at most `count` items in each `per`, evenly spaced; early ones wait, and with them
    /// the stages before. Nothing is dropped: for that see [`sample`](Flow::sample).
    ///
    /// The time is that of the context's clock. The first item goes at once, and so does the first
    /// after a pause; there are no bursts. With a `per` of zero every item passes at once.
    ///
    /// # Errors
    /// With a count of 0 the run fails before it begins, as misbuilt.
    ///
    /// ```
    /// use ironsys::{Context, time::VirtualClock, flow::{Flow, FlowError, Never}};
    /// use std::time::Duration;
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let time = VirtualClock::auto(); // a minute that takes no time
    /// let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// let start = ctx.clock().now();
    /// Flow::of(0..601).throttle(10, Duration::from_secs(1)).count(&ctx)?;
    /// assert_eq!(ctx.clock().now() - start, Duration::from_secs(60));
    /// # Ok(()) }
    /// ```
    pub fn throttle(
        self,
        count: u32,
        per: Duration,
    ) -> Flow<impl Stage<Item = S::Item, Fault = S::Fault>> {
        let op = Throttle { count, per, held: None, next: None, gone: false };
        Flow(Fused { up: self.0, op, name: "throttle" })
    }
}
