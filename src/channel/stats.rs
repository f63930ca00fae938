//! What a channel has done, and how long it made others wait.

use crate::observe::Ledger;
use crate::sync::{self, MODEL};
use std::time::{Duration, Instant};

/// A channel at one moment, taken under its lock: the numbers agree with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// `accepted` messages were sent; `done` were received; `dropped` fell to the overflow policy or
    /// were left when the last receiver went; `in_flight` are queued.
    pub ledger: Ledger,
    /// How many messages it holds at most; 0 for a rendezvous.
    pub capacity: usize,
    /// How many are queued.
    pub depth: usize,
    /// How many were queued at the most.
    pub peak: usize,
    /// Sends refused because the channel was full.
    pub rejected: u64,
    /// Senders blocked now.
    pub blocked_senders: usize,
    /// Receivers blocked now.
    pub blocked_receivers: usize,
    /// How long at least one sender was blocked since the channel is full: it is too small, or the
    /// receivers are too slow. Real time.
    pub time_full: Duration,
    /// How long at least one receiver was blocked since the channel is empty: the receivers starve.
    /// Real time.
    pub time_empty: Duration,
    /// Sender handles.
    pub senders: usize,
    /// Receiver handles.
    pub receivers: usize,
}

/// The part that is counted as it happens.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) sent: u64,
    pub(super) peak: usize,
    pub(super) dropped: u64,
    pub(super) rejected: u64,
    full: Stopwatch,
    empty: Stopwatch,
}

impl Counts {
    #[inline]
    pub(super) fn on_sent(&mut self, depth: usize) {
        self.sent += 1;
        if depth > self.peak {
            self.peak = depth;
        }
        self.not_empty();
    }

    pub(super) fn full(&mut self) {
        self.full.start();
    }

    pub(super) fn not_full(&mut self) {
        self.full.stop();
    }

    pub(super) fn empty(&mut self) {
        self.empty.start();
    }

    #[inline]
    pub(super) fn not_empty(&mut self) {
        if self.empty.since.is_some() {
            self.empty.stop();
        }
    }

    pub(super) fn times(&self) -> (Duration, Duration) {
        (self.full.total(), self.empty.total())
    }
}

/// Adds up the time between starts and stops. Reads the clock only on the way into a wait.
#[derive(Default)]
pub(crate) struct Stopwatch {
    since: Option<Instant>,
    sum: Duration,
}

impl Stopwatch {
    pub(crate) fn start(&mut self) {
        if !MODEL && self.since.is_none() {
            self.since = Some(sync::time::now());
        }
    }

    #[cold]
    pub(crate) fn stop(&mut self) {
        if let Some(since) = self.since.take() {
            self.sum += sync::time::now().saturating_duration_since(since);
        }
    }

    pub(crate) fn total(&self) -> Duration {
        let running = |since| sync::time::now().saturating_duration_since(since);
        self.sum + self.since.map_or(Duration::ZERO, running)
    }
}
