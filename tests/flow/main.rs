//! Flows: one module for each idea. Nothing sleeps: a test waits for a message or on a virtual clock.

mod ends;
mod failures;
mod goflow;
mod laws;
mod links;
mod operators;
mod order;
mod parallel;
mod peers;
mod sinks;
mod sources;
mod tables;
mod timed;
mod ways;
mod windows;

use ironsys::{Canceller, Context};
use std::time::Duration;

/// A root that ends a test that hangs.
pub(crate) fn root() -> (Context, Canceller) {
    Context::builder().timeout(PATIENCE).build()
}

/// Panics without a word on standard error.
pub(crate) fn throw(text: &'static str) -> ! {
    std::panic::resume_unwind(Box::new(text))
}

/// Longer than any test takes, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
