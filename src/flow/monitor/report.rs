//! A run at one moment, and what it says about the bottleneck.

use super::meter::Records;
use crate::observe::Ledger;
use std::fmt;
use std::time::Duration;

/// A run at one moment: its segments and the links between them.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Report {
    /// From the sources to the sink.
    pub segments: Vec<SegmentStats>,
    /// From the sources to the sink.
    pub links: Vec<LinkStats>,
}

/// One segment: stages that run on one thread, or on each of several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentStats {
    /// The names of its stages, joined.
    pub name: String,
    /// Items taken from its source or links.
    pub taken: u64,
    /// Items given to the next link, or consumed by the sink.
    pub delivered: u64,
    /// Errors that an `on_error` policy has passed over.
    pub skipped: u64,
    /// How long its threads ran, in sum. An opaque source that blocks counts as busy.
    pub busy: Duration,
    /// How long its threads waited for input, in sum.
    pub starved: Duration,
    /// How long its threads waited for room behind them, in sum.
    pub blocked: Duration,
    /// Items that wait for it.
    pub depth: usize,
}

/// One link between segments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkStats {
    /// The name of the boundary.
    pub name: String,
    /// `accepted` items were put in; `done` were taken by the next segment; `dropped` were left when
    /// that segment took no more; `in_flight` are in it.
    pub ledger: Ledger,
    /// How many items it holds at most.
    pub capacity: usize,
    /// How many it holds.
    pub depth: usize,
    /// How many were queued at the most.
    pub peak: usize,
    /// How long writers waited for room, in thread time.
    pub time_full: Duration,
    /// How long readers waited for items, in thread time.
    pub time_empty: Duration,
}

impl Report {
    pub(crate) fn of(records: &Records) -> Report {
        Report {
            segments: records.segments.iter().map(|segment| segment.stats()).collect(),
            links: records.links.iter().map(|link| link.stats()).collect(),
        }
    }

    /// Returns the segment that holds the others up: the one that was busy the longest. `None`
    /// before the run.
    ///
    /// ```
    /// # use ironsys::{Context, flow::{Flow, FlowError, Monitor, Never}};
    /// # let (ctx, _cancel) = Context::root();
    /// let monitor = Monitor::new();
    /// let slow = Flow::of(0..9).buffer(4).map(|n| std::hint::black_box((0..n * 100_000).sum::<u64>()));
    /// slow.named("sum").monitor(&monitor).count(&ctx)?;
    /// assert!(monitor.report().bottleneck().is_some_and(|segment| segment.name.contains("sum")));
    /// # Ok::<(), FlowError<Never>>(())
    /// ```
    #[must_use]
    pub fn bottleneck(&self) -> Option<&SegmentStats> {
        self.segments.iter().max_by_key(|segment| segment.busy)
    }

    /// Returns whether every link's ledger balances.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Monitor, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let monitor = Monitor::new();
    /// Flow::of(0..100).map(|n| n + 1).named("plus").buffer(8).monitor(&monitor).count(&ctx)?;
    /// assert!(monitor.report().is_balanced());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.links.iter().all(|link| link.ledger.is_balanced())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.segments.iter().map(|s| s.name.len()).max().unwrap_or(0).max(7);
        writeln!(
            f,
            "{:width$}  {:>12}  {:>12}  {:>8}  {:>10}  {:>10}  {:>10}  {:>8}",
            "segment", "in", "out", "skipped", "busy", "starved", "blocked", "queued"
        )?;
        for s in &self.segments {
            writeln!(
                f,
                "{:width$}  {:>12}  {:>12}  {:>8}  {:>10}  {:>10}  {:>10}  {:>8}",
                s.name,
                s.taken,
                s.delivered,
                s.skipped,
                short(s.busy),
                short(s.starved),
                short(s.blocked),
                s.depth
            )?;
        }
        for link in &self.links {
            writeln!(
                f,
                "link {}: {} of {} queued, peak {}, full {}, empty {}, {}",
                link.name,
                link.depth,
                link.capacity,
                link.peak,
                short(link.time_full),
                short(link.time_empty),
                link.ledger
            )?;
        }
        if let Some(s) = self.bottleneck() {
            let all = (s.busy + s.starved + s.blocked).as_secs_f64().max(f64::MIN_POSITIVE);
            writeln!(
                f,
                "bottleneck: {}, busy {:.0} % of its time, starved {:.0} %, blocked {:.0} %",
                s.name,
                100.0 * s.busy.as_secs_f64() / all,
                100.0 * s.starved.as_secs_f64() / all,
                100.0 * s.blocked.as_secs_f64() / all
            )?;
        }
        Ok(())
    }
}

/// Three digits and a unit.
fn short(time: Duration) -> String {
    format!("{time:.1?}")
}
