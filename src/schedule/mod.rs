//! When things happen: delay sequences, and what runs at a time.
//!
//! * `backoff`: how long to wait between attempts, as a value.

mod backoff;
mod delays;

pub use backoff::{Backoff, Jitter};
pub use delays::Delays;
