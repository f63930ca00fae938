//! A flow that must not pause for long.

use super::super::boundary::Linked;
use super::super::cx::{At, Cx};
use super::super::error::FlowCause;
use super::super::handle::Flow;
use super::super::raise::Raise;
use super::super::stage::{ErrorOf, Halt, Head, Pull, Stage, Step};
use super::super::topology::Topology;
use super::super::wiring::Wiring;
use crate::context::Stop;
use crate::context::earliest;
use std::time::{Duration, Instant};

struct Timeout<S> {
    up: S,
    limit: Duration,
}

struct TimeoutRun<P, E> {
    up: P,
    limit: Duration,
    /// When the next item must be there; `None` before the wait for it has begun.
    due: Option<Instant>,
    waiting: bool,
    at: At,
    raise: Raise<E>,
}

impl<S: Stage> Stage for Timeout<S> {
    type Item = S::Item;
    type Fault = S::Fault;
    type Run = TimeoutRun<S::Run, ErrorOf<S>>;
    const HEAD: Head = S::HEAD.fused();

    fn start<'env>(self, wiring: &mut Wiring<'env>, raise: Raise<ErrorOf<Self>>) -> Self::Run
    where
        Self: 'env,
    {
        let at = wiring.stage("timeout");
        let up = self.up.start(wiring, raise.clone());
        TimeoutRun { up, limit: self.limit, due: None, waiting: false, at, raise }
    }

    fn describe(&self, topology: &mut Topology) {
        self.up.describe(topology);
        topology.stage("timeout");
    }
}

impl<P: Pull, E: Send + 'static> Pull for TimeoutRun<P, E> {
    type Item = P::Item;

    #[inline]
    fn step(&mut self, cx: &Cx) -> Result<Step<P::Item>, Halt> {
        let step = self.up.step(cx)?;
        match &step {
            Step::Item(_) => {
                self.at.item += 1;
                self.waiting = false;
            }
            Step::End => {}
            Step::Wait => {
                let now = cx.ctx.clock().now();
                if !self.waiting {
                    self.waiting = true;
                    self.due = now.checked_add(self.limit);
                } else if self.due.is_some_and(|due| now >= due) {
                    let cause = FlowCause::Stopped(Stop::DeadlineExceeded);
                    return Err(self.raise.raise(&self.at, Some(self.at.item), cause));
                }
            }
        }
        Ok(step)
    }

    fn wait(&mut self, cx: &Cx, until: Option<Instant>) -> Result<(), Halt> {
        self.up.wait(cx, earliest(until, self.due))
    }

    fn close(&mut self) {
        self.up.close();
    }
}

impl<S: Stage> Flow<S> {
    /// Fails the run if the next stage has to wait longer than `limit` for an item.
    ///
    /// The time is that of the context's clock, and counts only while somebody waits: a slow consumer
    /// does not make a flow late. What stands before runs on a thread of its own, unless it is a
    /// boundary or a channel. `Duration::MAX` never fails; zero fails at the first wait.
    ///
    /// # Errors
    /// [`Stop::DeadlineExceeded`], from the stage `timeout`, with the index of the item that did not
    /// come.
    ///
    /// ```
    /// use ironsys::{Context, channel, flow::Flow, time::VirtualClock};
    /// use std::time::Duration;
    /// let time = VirtualClock::auto();
    /// let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// let silent = |ctx: &Context, n: u64| ctx.sleep(Duration::from_secs(n));
    /// let flow = Flow::of([1, 2, 60]).try_map(|n| silent(&ctx, n));
    /// let error = flow.timeout(Duration::from_secs(10)).count(&ctx).unwrap_err();
    /// assert_eq!((error.stage(), error.item(), error.is_timeout()), ("timeout", Some(2), true));
    /// ```
    pub fn timeout(self, limit: Duration) -> Flow<impl Stage<Item = S::Item, Fault = S::Fault>> {
        Flow(Timeout { up: Linked { up: self.0 }, limit })
    }
}
