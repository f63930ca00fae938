//! One limit a key: a user, an address, a tenant.
//!
//! * `shards` is the table: bounded, in shards with a lock each, where only what is idle is evicted;
//! * `hash` is how keys are spread;
//! * `limits` is what a key's place holds: for a rate limit the few bytes of its cell, for a semaphore a
//!   handle;
//! * `front` is what users hold, `rate` and `handle` what can be done with it.

mod front;
mod handle;
mod hash;
mod limits;
mod rate;
mod shards;

pub use front::{Keyed, KeyedBuilder, KeyedStats};
pub use handle::TooManyKeys;
pub use hash::SeededState;
pub use limits::Limit;
