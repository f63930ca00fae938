//! The embedded broker: an outbox as a queue between processes of one machine, with no server.
//!
//! The owner of the outbox and a reader talk over a socket in the outbox's directory. It is written
//! down why in `docs/adr/0005`.
//!
//! * `frame`: what goes over the socket; `wire`: the socket under a context;
//! * `place`: where the socket is, and who the queue is;
//! * `serve`: the owner's loop; `handle`: starting and ending it;
//! * `source`: the reader's side.

mod error;
mod frame;
mod handle;
mod place;
mod serve;
mod source;
mod wire;

pub use error::QueueError;
pub use handle::{Queue, QueueReport};
pub use serve::QueueStats;
pub use source::{QueueCommitter, QueueSource};
