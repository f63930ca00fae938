//! Things to build services from: writers, resource and buffer pools, the bus, single owners.
//!
//! One test binary: a module for each part. Nothing sleeps: a test waits for a message, for a state
//! (`until`), or on a virtual clock.

mod batcher;
mod buffers;
mod bus;
mod goflow_writer;
mod logs;
mod owner;
mod resource;
mod sink;
mod writer;

use ironsys::time::VirtualClock;
use ironsys::{Canceller, Context};
use std::panic::resume_unwind;
use std::time::{Duration, Instant};

/// A root that ends a test that hangs.
pub(crate) fn root() -> (Context, Canceller) {
    Context::builder().timeout(PATIENCE).build()
}

/// A root on a clock that only the test moves.
pub(crate) fn timeless() -> (VirtualClock, Context, Canceller) {
    let time = VirtualClock::new();
    let (ctx, cancel) = Context::builder().clock(time.clock()).build();
    (time, ctx, cancel)
}

/// Waits, giving way to others, until `condition` holds.
#[track_caller]
pub(crate) fn until(condition: impl Fn() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < give_up, "what the test waits for does not come");
        std::thread::yield_now();
    }
}

/// Panics without a word on standard error.
pub(crate) fn throw(payload: &'static str) -> ! {
    resume_unwind(Box::new(payload))
}

pub(crate) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Longer than any test takes, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);
