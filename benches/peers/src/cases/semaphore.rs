//! Free permits: taking one and giving it back, on one thread.

use std::error::Error;
use std::hint::black_box;

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

pub(crate) fn try_pair(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    let n = settings.iterations(2_000_000);
    Ok(Case::new("semaphore_try_pair", "ns/pair", || ours::semaphore_try(n))
        .peer(NAME, versions::PARKING_LOT, Bar::AtMost(1.0), || by_hand(n))
        .limit("two compare-and-swaps", || limits::two_cas(n))
        .measure(settings))
}

/// A semaphore as one writes it by hand: not fair, cannot be cancelled.
fn by_hand(n: u64) -> f64 {
    let (free, released) = (Mutex::new(8_u64), Condvar::new());
    let each = ns_each(n, || {
        for _ in 0..n {
            let free = black_box(&free);
            let mut permits = free.lock();
            released.wait_while(&mut permits, |permits| *permits == 0);
            *permits -= 1;
            drop(permits);
            *free.lock() += 1;
            released.notify_one();
        }
    });
    assert_eq!(free.into_inner(), 8);
    each
}
