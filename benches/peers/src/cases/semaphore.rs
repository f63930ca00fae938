//! Free permits: taking one and giving it back, on one thread.

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use crate::harness::{Bar, Case, Row, Settings, ns_each};
use crate::{limits, ours, versions};

const NAME: &str = "parking_lot Mutex and Condvar";

pub(crate) fn pair(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    let n = settings.iterations(2_000_000);
    Ok(Case::new("semaphore_pair", "ns/pair", || ours::semaphore(n))
        .peer(NAME, versions::PARKING_LOT, Bar::AtMost(1.0), || by_hand(n))
        .limit("two compare-and-swaps", || limits::two_cas(n))
        .measure(settings))
}

pub(crate) fn owned(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    let n = settings.iterations(2_000_000);
    Ok(Case::new("semaphore_owned", "ns/pair", || ours::semaphore_owned(n))
        .peer("the same in an Arc", versions::PARKING_LOT, Bar::AtMost(1.0), || by_hand_owned(n))
        .peer(NAME, versions::PARKING_LOT, Bar::AtMost(1.0), || by_hand(n))
        .limit("two compare-and-swaps", || limits::two_cas(n))
        .measure(settings))
}

/// A semaphore as one writes it by hand: not fair, cannot be cancelled.
struct ByHand {
    free: Mutex<u64>,
    released: Condvar,
}

impl ByHand {
    fn new(permits: u64) -> Self {
        ByHand { free: Mutex::new(permits), released: Condvar::new() }
    }

    fn acquire(&self) {
        let mut free = self.free.lock();
        self.released.wait_while(&mut free, |free| *free == 0);
        *free -= 1;
    }

    fn release(&self) {
        *self.free.lock() += 1;
        self.released.notify_one();
    }
}

/// Its guards: one borrows, one has a share.
struct Held<'a>(&'a ByHand);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.release();
    }
}

struct Owned(Arc<ByHand>);

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.release();
    }
}

fn by_hand(n: u64) -> f64 {
    let semaphore = ByHand::new(8);
    let each = ns_each(n, || {
        for _ in 0..n {
            let semaphore = black_box(&semaphore);
            semaphore.acquire();
            drop(black_box(Held(semaphore)));
        }
    });
    assert_eq!(semaphore.free.into_inner(), 8);
    each
}

fn by_hand_owned(n: u64) -> f64 {
    let semaphore = Arc::new(ByHand::new(8));
    let each = ns_each(n, || {
        for _ in 0..n {
            let semaphore = black_box(&semaphore);
            semaphore.acquire();
            drop(black_box(Owned(semaphore.clone())));
        }
    });
    assert_eq!(*semaphore.free.lock(), 8);
    each
}
