//! Calls under guards. One test binary: a module for each guard.
//!
//! Nothing sleeps: all time is virtual, and a test waits for a state (`until`) or a message.

mod breaker;
mod breaker_windows;
mod budget;
mod guards;
mod hedge;
mod overload;
mod policy;
mod retry;
mod single_flight;

use ironsys::time::VirtualClock;
use ironsys::{Canceller, Context};
use std::time::{Duration, Instant};

/// A root on a clock that the test moves.
pub(crate) fn by_hand() -> (VirtualClock, Context, Canceller) {
    let time = VirtualClock::new();
    let (ctx, cancel) = Context::builder().clock(time.clock()).build();
    (time, ctx, cancel)
}

/// Waits, giving way to others, until `condition` holds.
#[track_caller]
pub(crate) fn until(condition: impl Fn() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < give_up, "what the test waits for does not come");
        std::thread::yield_now();
    }
}

pub(crate) const SECOND: Duration = Duration::from_secs(1);
