//! One test binary: a module for each room.
//!
//! Nothing sleeps: a test waits for a state (`until`), a message, or a virtual clock.

mod adaptive;
mod broadcast;
mod channel;
mod context;
mod keyed;
mod oneshot;
mod rate;
mod select;
mod semaphore;
mod time;
mod watch;

use std::time::{Duration, Instant};

/// Waits, giving way to others, until `condition` holds.
#[track_caller]
pub(crate) fn until(condition: impl Fn() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < give_up, "what the test waits for does not come");
        std::thread::yield_now();
    }
}
