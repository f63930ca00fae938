//! ironsys
#![deny(unsafe_code)]
pub mod channel;
pub mod context;
mod error;
pub mod limit;
pub mod observe;
pub mod panics;
pub mod sync;
pub mod time;
mod wait;
pub use context::{Canceller, Context, Stop};
pub use error::BuildError;
