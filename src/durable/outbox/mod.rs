//! The handles of an outbox.

mod builder;
mod errors;
mod handle;
mod reader;
mod ticket;

pub use builder::Builder;
pub use errors::{AppendError, OpenError, ReadError, ReaderError, SubmitError, WaitError};
pub use handle::Outbox;
pub use reader::{Event, Reader};

pub(in crate::durable) use reader::{Acks, Feed};
pub use ticket::Ticket;
