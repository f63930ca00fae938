//! What can go wrong with a queue.

use crate::context::Stop;
use crate::durable::outbox::ReaderError;
use crate::durable::storage::StorageError;
use crate::error::BuildError;
use std::io;
use std::path::PathBuf;

/// A queue that was not started, or ended before it was drained; or a source that cannot be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// The path of the socket is longer than the system allows: a shorter directory helps, or a link
    /// to it, or a path relative to where the process is.
    #[error("{path}: {bytes} bytes are too many for a socket: {error}", path = path.display())]
    Path {
        /// Where the socket would be.
        path: PathBuf,
        /// How long that is.
        bytes: usize,
        /// What the system says.
        error: io::Error,
    },
    /// The socket or the file beside it failed.
    #[error("{path}: {error}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The outbox has no reader of the name.
    #[error(transparent)]
    Reader(#[from] ReaderError),
    /// The outbox cannot be read; with [`Damaged`](StorageError::Damaged) a reader of the same name
    /// can [skip](crate::durable::Reader::skip_damage) the place.
    #[error("the queue cannot read its outbox: {0}")]
    Storage(#[from] StorageError),
    /// The thread does not start.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// It panicked, which is a bug.
    #[error("the queue panicked: {0}")]
    Panicked(String),
    /// The context stopped.
    #[error(transparent)]
    Stopped(#[from] Stop),
}
