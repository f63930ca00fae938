//! ironsys
#![deny(unsafe_code)]
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
pub mod threads;
pub mod time;
mod wait;
pub use context::{Canceller, Context, Stop};
pub use error::BuildError;
pub use scope::scope;
