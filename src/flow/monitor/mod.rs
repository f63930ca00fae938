//! What a run has done and what it waits for: counts, gauges, reports.

mod gauge;
mod handle;
mod link;
mod meter;
mod report;

pub(super) use gauge::Gauge;
pub use handle::Monitor;
pub(super) use link::LinkMeter;
pub(super) use meter::{Meter, Records, Segment};
pub use report::{LinkStats, Report, SegmentStats};
