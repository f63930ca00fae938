//! A sum that jobs on several threads add to, to check that all of them ran.
//!
//! Each thread adds to a place of its own, so that what is measured is the pool and not the sum.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crossbeam_utils::CachePadded;

const PLACES: usize = 64;

#[derive(Debug)]
pub(crate) struct Tally([CachePadded<AtomicU64>; PLACES]);

impl Tally {
    pub(crate) const fn new() -> Self {
        Tally([const { CachePadded::new(AtomicU64::new(0)) }; PLACES])
    }

    pub(crate) fn add(&self, value: u64) {
        self.0[place()].fetch_add(value, Ordering::Release);
    }

    /// Whether the sum since the last `take` is this already.
    pub(crate) fn is(&self, sum: u64) -> bool {
        self.0.iter().map(|place| place.load(Ordering::Acquire)).sum::<u64>() == sum
    }

    /// The sum since the last call. The threads that added must be done.
    pub(crate) fn take(&self) -> u64 {
        self.0.iter().map(|place| place.swap(0, Ordering::AcqRel)).sum()
    }
}

fn place() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static PLACE: Cell<usize> = const { Cell::new(usize::MAX) });
    PLACE.with(|place| {
        if place.get() == usize::MAX {
            place.set(NEXT.fetch_add(1, Ordering::Relaxed) % PLACES);
        }
        place.get()
    })
}
