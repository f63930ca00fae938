//! The counts of one link. They live outside of the link, which may hold borrowed items.

use super::gauge::Gauge;
use super::report::LinkStats;
use crate::observe::Ledger;
use crate::sync::{Arc, AtomicU64, LeakTrack, Mutex, Ordering};
use std::time::Duration;

/// Written by the threads of the link, under its lock, but for the gauges; read by reports.
#[derive(Debug)]
pub(crate) struct LinkMeter {
    name: Arc<str>,
    capacity: usize,
    lanes: Vec<Lane>,
    depth: AtomicU64,
    peak: AtomicU64,
    dropped: AtomicU64,
    /// Guards how long readers have waited.
    empty: Mutex<Gauge>,
    _leak: LeakTrack,
}

#[derive(Debug)]
struct Lane {
    accepted: AtomicU64,
    /// Guards how long writers have waited.
    full: Mutex<Gauge>,
}

// Relaxed everywhere: the link's lock orders the writers, and a report may be a little old.
impl LinkMeter {
    pub(crate) fn new(name: &str, capacity: usize, lanes: usize) -> Arc<LinkMeter> {
        let lane = |_| Lane { accepted: AtomicU64::new(0), full: Mutex::default() };
        Arc::new(LinkMeter {
            name: name.into(),
            capacity,
            lanes: (0..lanes).map(lane).collect(),
            depth: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            empty: Mutex::default(),
            _leak: LeakTrack::new(),
        })
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    #[inline]
    pub(crate) fn accepted(&self, lane: usize, count: u64) {
        self.lanes[lane].accepted.store(count, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn level(&self, depth: usize, dropped: u64) {
        let depth = depth as u64;
        self.depth.store(depth, Ordering::Relaxed);
        if self.peak.load(Ordering::Relaxed) < depth {
            self.peak.store(depth, Ordering::Relaxed);
        }
        self.dropped.store(dropped, Ordering::Relaxed);
    }

    /// Times a wait for room.
    pub(crate) fn full<R>(&self, lane: usize, wait: impl FnOnce() -> R) -> R {
        Gauge::time(&self.lanes[lane].full, wait)
    }

    /// Times a wait for items.
    pub(crate) fn empty<R>(&self, wait: impl FnOnce() -> R) -> R {
        Gauge::time(&self.empty, wait)
    }

    pub(super) fn time_empty(&self) -> Duration {
        self.empty.lock().total()
    }

    pub(super) fn lane_time_full(&self, lane: usize) -> Duration {
        self.lanes[lane].full.lock().total()
    }

    pub(super) fn lane_accepted(&self, lane: usize) -> u64 {
        self.lanes[lane].accepted.load(Ordering::Relaxed)
    }

    pub(super) fn stats(&self) -> LinkStats {
        let dropped = self.dropped.load(Ordering::Relaxed);
        let depth = self.depth.load(Ordering::Relaxed);
        let accepted: u64 = (0..self.lanes.len()).map(|i| self.lane_accepted(i)).sum();
        let accepted = accepted.max(depth + dropped); // Read at different moments.
        LinkStats {
            name: self.name.to_string(),
            ledger: Ledger {
                accepted,
                done: accepted - dropped - depth,
                dropped,
                in_flight: depth,
                ..Ledger::default()
            },
            capacity: self.capacity,
            depth: depth as usize,
            peak: self.peak.load(Ordering::Relaxed) as usize,
            time_full: (0..self.lanes.len()).map(|i| self.lane_time_full(i)).sum(),
            time_empty: self.time_empty(),
        }
    }
}
