//! ironsys
#![deny(unsafe_code)]
// The fence around the seam, see clippy.toml: only `sync` and `testing` may name the primitives.
#![deny(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]
pub mod channel;
pub mod context;
pub mod cpu;
mod error;
pub mod limit;
pub mod observe;
pub mod panics;
pub mod pool;
pub mod scope;
pub mod sync;
#[cfg(feature = "testing")]
pub mod testing;
pub mod threads;
pub mod time;
mod wait;
pub use context::{Canceller, Context, Stop};
pub use error::BuildError;
pub use scope::scope;
