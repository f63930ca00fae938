//! Eyes on a running program: numbers, the task tree, who waits for whom.
//!
//! One test binary: a module for each part. Nothing sleeps: a test waits for a message, for a state
//! (`until`), or on a virtual clock.

mod deadlock;
#[cfg(feature = "metrics")]
mod facade;
mod histogram;
mod json;
mod parts;
mod prometheus;
mod trace;
mod waits;

use ironsys::{Canceller, Context};
use std::time::{Duration, Instant};

/// A root that ends a test that hangs.
pub(crate) fn root() -> (Context, Canceller) {
    Context::builder().timeout(PATIENCE).build()
}

/// Waits, giving way to others, until `condition` holds.
#[track_caller]
pub(crate) fn until(mut condition: impl FnMut() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < give_up, "what the test waits for does not come");
        std::thread::yield_now();
    }
}

pub(crate) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Longer than any test takes, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);
