//! The items of many callers, gathered into one call.
//!
//! A channel of items, and one thread that receives, gathers, calls and tells each caller; so there is
//! no lock of its own but that of the counts. The rooms: `handle` and `builder` are what users hold;
//! `thread` gathers and calls; `errors` is what a ticket says.

mod builder;
mod errors;
mod handle;
mod thread;

pub use builder::BatcherBuilder;
pub use errors::BatchError;
pub use handle::{BatchDrained, BatchStats, BatchTicket, Batcher};
