//! Fewer items, by the clock.

use super::super::boundary::Linked;
use super::super::cx::{At, Cx};
use super::super::fused::{Fused, Operator};
use super::super::handle::Flow;
use super::super::stage::{Halt, Pull, Stage, Step};
use crate::context::earliest;
use std::time::{Duration, Instant};

/// Keeps the last item until it is due.
struct Latest<T> {
    rule: Rule,
    held: Option<T>,
    /// When it must go; `None` while nothing is held, or if that lies beyond the end of time.
    due: Option<Instant>,
    /// From when the intervals count.
    origin: Option<Instant>,
    ended: bool,
}

const NANOS: u128 = 1_000_000_000;

enum Rule {
    /// So long after the last item.
    Quiet(Duration),
    /// At the end of the interval in which it came.
    Every(Duration),
}

impl<T: Send> Latest<T> {
    fn new(rule: Rule) -> Self {
        Latest { rule, held: None, due: None, origin: None, ended: false }
    }

    fn hold(&mut self, item: T, now: Instant) {
        match self.rule {
            Rule::Quiet(time) => self.due = now.checked_add(time),
            Rule::Every(every) if self.held.is_none() => {
                self.due = self.end_of_interval(now, every)
            }
            Rule::Every(_) => {}
        }
        self.held = Some(item);
    }

    fn end_of_interval(&self, now: Instant, every: Duration) -> Option<Instant> {
        let past = now.saturating_duration_since(self.origin?).as_nanos();
        let into = past.checked_rem(every.as_nanos()).unwrap_or(0);
        let into = Duration::new((into / NANOS) as u64, (into % NANOS) as u32);
        now.checked_add(every - into)
    }

    fn give(&mut self) -> Option<T> {
        self.due = None;
        self.held.take()
    }
}

impl<T: Send> Operator<T> for Latest<T> {
    type Out = T;

    fn step<P: Pull<Item = T>>(
        &mut self,
        up: &mut P,
        at: &mut At,
        cx: &Cx,
    ) -> Result<Step<T>, Halt> {
        let clock = cx.ctx.clock();
        if self.origin.is_none() {
            self.origin = Some(clock.now());
        }
        while !self.ended {
            // First what is due, then what comes: an item never goes later than it should.
            if self.due.is_some_and(|due| clock.now() >= due)
                && let Some(item) = self.give()
            {
                return Ok(Step::Item(item));
            }
            match up.step(cx)? {
                Step::Item(item) => at.item(cx, || self.hold(item, clock.now())),
                Step::Wait => return Ok(Step::Wait),
                Step::End => self.ended = true,
            }
        }
        Ok(self.give().map_or(Step::End, Step::Item))
    }

    fn wait<P: Pull<Item = T>>(
        &mut self,
        up: &mut P,
        cx: &Cx,
        until: Option<Instant>,
    ) -> Result<(), Halt> {
        up.wait(cx, earliest(until, self.due))
    }
}

impl<S: Stage> Flow<S> {
    /// Passes an item on once no other has come for `quiet`; one that is followed sooner is dropped.
    /// The last item goes at the end.
    ///
    /// The time is that of the context's clock. What stands before runs on a thread of its own, unless
    /// it is a boundary or a channel. With zero every item passes; with `Duration::MAX` only the
    /// last one does.
    ///
    /// ```
    /// use ironsys::{Context, channel, flow::{Flow, FlowError, Never}};
    /// use std::time::Duration;
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// // A file that is saved three times in a row is compiled once.
    /// let saves = Flow::of(["main.rs", "main.rs", "main.rs"]);
    /// assert_eq!(saves.debounce(Duration::from_secs(1)).count(&ctx)?, 1);
    /// # Ok(()) }
    /// ```
    pub fn debounce(self, quiet: Duration) -> Flow<impl Stage<Item = S::Item, Fault = S::Fault>> {
        let op = Latest::new(Rule::Quiet(quiet));
        Flow(Fused { up: Linked { up: self.0 }, op, name: "debounce" })
    }

    /// Passes on, at the end of each interval of `every`, the last item that came in it; the others are
    /// dropped. Nothing goes for an interval without items, and nothing wakes up for it. The last item
    /// goes at the end.
    ///
    /// The time is that of the context's clock; intervals count from the start of the run. What stands
    /// before runs on a thread of its own, unless it is a boundary or a channel. With zero every item
    /// passes; with `Duration::MAX` only the last one does.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// use std::time::Duration;
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let positions = Flow::of(0..1000).sample(Duration::from_secs(3600));
    /// assert_eq!(positions.collect::<Vec<_>>(&ctx)?, [999]);
    /// # Ok(()) }
    /// ```
    pub fn sample(self, every: Duration) -> Flow<impl Stage<Item = S::Item, Fault = S::Fault>> {
        let op = Latest::new(Rule::Every(every));
        Flow(Fused { up: Linked { up: self.0 }, op, name: "sample" })
    }
}
