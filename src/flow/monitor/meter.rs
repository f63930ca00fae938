//! What the parts of a run count, and who can read it.

use super::gauge::Gauge;
use super::link::LinkMeter;
use super::report::SegmentStats;
use crate::sync::{Arc, AtomicU64, LeakTrack, Mutex, Ordering};

/// The counts of one segment. Written by its threads, read by reports.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// What the source at its head has yielded, if there is one.
    pub(crate) taken: AtomicU64,
    /// What its sink has consumed, if there is one.
    pub(crate) delivered: AtomicU64,
    /// Errors that a policy has passed over.
    pub(crate) skipped: AtomicU64,
    /// Guards how long its threads have run.
    pub(crate) running: Mutex<Gauge>,
    /// Guards how long they have waited for input that comes from no link.
    pub(crate) starved: Mutex<Gauge>,
    _leak: LeakTrack,
}

/// A segment and what it is connected to.
pub(crate) struct Segment {
    pub(crate) name: String,
    pub(crate) meter: Arc<Meter>,
    /// The links it takes from; none if it begins with a source.
    pub(crate) from: Vec<Arc<LinkMeter>>,
    /// The link it gives to, and the lane; `None` if it ends in the sink.
    pub(crate) to: Option<(Arc<LinkMeter>, usize)>,
}

impl Segment {
    pub(super) fn stats(&self) -> SegmentStats {
        let running = self.meter.running.lock().total();
        let mut starved = self.meter.starved.lock().total();
        starved += self.from.iter().map(|link| link.time_empty()).sum();
        let blocked = self.to.as_ref().map(|(link, lane)| link.lane_time_full(*lane));
        let blocked = blocked.unwrap_or_default();
        let taken = match &*self.from {
            // Relaxed: a report may be a little old.
            [] => self.meter.taken.load(Ordering::Relaxed),
            links => links.iter().map(|link| link.stats().ledger.done).sum(),
        };
        let delivered = match &self.to {
            None => self.meter.delivered.load(Ordering::Relaxed),
            Some((link, lane)) => link.lane_accepted(*lane),
        };
        SegmentStats {
            name: self.name.clone(),
            taken,
            delivered,
            skipped: self.meter.skipped.load(Ordering::Relaxed),
            busy: running.saturating_sub(starved).saturating_sub(blocked),
            starved,
            blocked,
            depth: self.from.iter().map(|link| link.stats().depth).sum(),
        }
    }
}

/// Everything that one run can be asked about. Built before it starts.
#[derive(Default)]
pub(crate) struct Records {
    pub(crate) segments: Vec<Segment>,
    pub(crate) links: Vec<Arc<LinkMeter>>,
}
