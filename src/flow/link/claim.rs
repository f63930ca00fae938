//! How many items one of several readers takes at a time.

use crate::sync::{self, MODEL};
use std::time::{Duration, Instant};

/// Aims at runs that take some time to work on: long enough to make the lock cheap, short enough to
/// share the work out evenly. A slow function gets one item at a time.
#[derive(Debug, Default)]
pub(super) struct Claim {
    size: usize,
    since: Option<Instant>,
}

/// The work in one run: a wake-up at its end is a small part of it.
const TARGET: Duration = Duration::from_micros(100);
const MAX: usize = 1024;
/// A run is at most so many times as long as the one before: the first say little.
const GROWTH: usize = 8;

impl Claim {
    /// How many to take now.
    pub(super) fn size(&self) -> usize {
        // A model has no clock to go by, and looks at runs that can be split.
        self.size.max(if MODEL { 2 } else { 1 })
    }

    /// Whether `left` items are so much work that it pays to wake another reader for half of them.
    pub(super) fn is_worth_sharing(&self, left: usize) -> bool {
        left > self.size / 4
    }

    /// A run begins.
    pub(super) fn begin(&mut self) {
        if !MODEL {
            self.since = Some(sync::time::now());
        }
    }

    /// The run of `count` items is worked off.
    pub(super) fn end(&mut self, count: usize) {
        let Some(since) = self.since.take() else { return };
        if count == 0 {
            return;
        }
        let each = sync::time::now().saturating_duration_since(since).as_nanos() as u64;
        let fits = TARGET.as_nanos() as u64 * count as u64 / each.max(1);
        let most = (self.size() * GROWTH).min(MAX);
        self.size = (fits as usize).clamp(1, most);
    }
}
