//! Durable hand-off. One test binary: a module for each part of the room.
//!
//! Nothing sleeps: a test waits for a state (`until`), a message, or a virtual clock.

mod consumer;
mod crash;
mod damage;
mod faults;
mod fuzz;
mod kill;
mod outbox;
mod power;
#[cfg(unix)]
mod queue;
#[cfg(unix)]
mod queue_kill;
#[cfg(unix)]
mod queue_rude;
mod relay;
mod saga;
mod saga_kill;
mod store;

use ironsys::durable::{Builder, Memory, Outbox, Reader};
use ironsys::{Canceller, Context};
use std::process::Child;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A child process that does not outlive its test.
pub(crate) struct Guard(pub(crate) Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn root() -> (Context, Canceller) {
    Context::root()
}

/// An outbox in memory with small segments.
pub(crate) fn small(memory: &Memory) -> Builder {
    Outbox::over(Arc::new(memory.clone())).segment_bytes(4096).group_bytes(2048)
}

/// The bodies that a reader gets without waiting.
pub(crate) fn rest(reader: &mut Reader) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(event) = reader.try_next().expect("nothing is damaged") {
        all.push(String::from_utf8(event.body).expect("what was written"));
    }
    all
}

/// Waits, giving way to others, until `condition` holds.
#[track_caller]
pub(crate) fn until(condition: impl Fn() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(20);
    while !condition() {
        let late = Instant::now() >= give_up;
        assert!(!late, "what the test waits for does not come:\n{}", ironsys::observe::tasks());
        std::thread::yield_now();
    }
}

/// SplitMix64.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n.max(1)
    }
}
