//! A count that costs next to nothing to add to.

use crate::sync::{AtomicU64, MODEL, Ordering, thread_slot};

/// Counts without an atomic addition: the first few threads that are alive have a place of their own
/// in every counter, which nobody else writes; the rest share one.
///
/// A place passes from a thread that has ended to a later one, with everything written into it. So no
/// addition is lost; a sum taken while others add may miss the latest.
pub(crate) struct Counter {
    places: Box<[Place]>,
    shared: AtomicU64,
}

/// A cache line, so that threads do not disturb each other.
#[repr(align(64))]
#[derive(Default)]
struct Place(AtomicU64);

impl Counter {
    pub(crate) fn new() -> Self {
        // In a model there is no process-wide list of places, so all share.
        let places = if MODEL { 0 } else { thread_slot::COUNT };
        let places = (0..places).map(|_| Place::default()).collect();
        Counter { places, shared: AtomicU64::new(0) }
    }

    #[inline]
    pub(crate) fn add_one(&self) {
        match self.places.get(thread_slot::mine()) {
            Some(Place(mine)) => {
                // Only this thread writes it.
                let count = mine.load(Ordering::Relaxed); // loom: unreached: in a model all share.
                mine.store(count + 1, Ordering::Relaxed); // loom: unreached: in a model all share.
            }
            None => {
                self.shared.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn sum(&self) -> u64 {
        // loom: unreached: in a model all share.
        let places: u64 = self.places.iter().map(|place| place.0.load(Ordering::Relaxed)).sum();
        places + self.shared.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for Counter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Counter").field(&self.sum()).finish()
    }
}
