//! Writing without waiting for what is written to.
//!
//! | you want | use |
//! |---|---|
//! | bytes of many callers buffered and written by one thread | [`BackgroundWriter`] |
//! | items of many callers gathered into one call | [`Batcher`] |
//!
//! Both own one thread, never run two calls of the sink at a time, keep a bounded amount, try again by
//! a [`Backoff`](crate::schedule::Backoff), and hand back what did not get through.
//!
//! The rooms: `handle` and `builder` are what users hold; `state` what the one lock guards; `ops` the
//! calls that wait; `thread` the one that writes; `io` a [`std::io::Write`] over it; `errors` what a
//! call says. `README.md` in this folder has the protocol. `batch` is the other writer.

mod batch;
mod builder;
mod errors;
mod handle;
mod io;
mod ops;
mod state;
mod thread;

pub use batch::{BatchDrained, BatchError, BatchStats, BatchTicket, Batcher, BatcherBuilder};
pub use builder::Builder;
pub use errors::{Failure, Reason, WriteError};
pub use handle::{BackgroundWriter, Drained, Stats};
pub use io::Io;
