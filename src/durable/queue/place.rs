//! Where the two sides meet: the socket in the outbox's directory, and who the queue is.

use super::error::QueueError;
use crate::context::{Context, OnStop};
use crate::durable::log::is_name;
use crate::durable::outbox::ReaderError;
use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// The file of the socket. An error if the path is longer than an address of a socket can be.
pub(super) fn socket_path(folder: &Path, name: &str) -> Result<PathBuf, QueueError> {
    if !is_name(name) {
        return Err(ReaderError::Name(name.into()).into());
    }
    let path = folder.join(format!("{name}.sock"));
    match SocketAddr::from_pathname(&path) {
        Ok(_) => Ok(path),
        Err(error) => {
            let bytes = path.as_os_str().len();
            Err(QueueError::Path { path, bytes, error })
        }
    }
}

/// Who the queue is, so that a reader notices when the outbox is another one, whose events have the
/// same numbers. Made at the first start; it goes with the directory.
pub(super) fn identity(folder: &Path, name: &str) -> Result<u64, QueueError> {
    let path = folder.join(format!("{name}.queue"));
    match fs::read(&path) {
        Ok(bytes) => {
            // A power failure may leave zeros.
            match <[u8; 8]>::try_from(bytes.as_slice()).map(u64::from_le_bytes) {
                Ok(known) if known != 0 => return Ok(known),
                _ => {}
            }
        }
        Err(e) if e.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(QueueError::Io { path, error }),
    }
    // The keys of a hasher are random. 0 stands for no queue.
    let new = RandomState::new().build_hasher().finish().max(1);
    // Not synced: no reader lives longer than the machine.
    match fs::write(&path, new.to_le_bytes()) {
        Ok(()) => Ok(new),
        Err(error) => Err(QueueError::Io { path, error }),
    }
}

/// The owner's end. Who holds it holds the outbox, and the reader of that name.
pub(super) struct Door {
    path: PathBuf,
    listener: Option<UnixListener>,
}

impl Door {
    /// Takes the place of a socket that a dead process has left.
    pub(super) fn open(path: PathBuf) -> Result<Self, QueueError> {
        let mut door = Door { path, listener: None };
        door.listener = Some(door.listen()?);
        Ok(door)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn failed(&self, error: io::Error) -> QueueError {
        QueueError::Io { path: self.path.clone(), error }
    }

    fn listen(&mut self) -> Result<UnixListener, QueueError> {
        if let Some(listener) = self.listener.take() {
            return Ok(listener);
        }
        match fs::remove_file(&self.path) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(self.failed(e)),
            _ => {}
        }
        UnixListener::bind(&self.path).map_err(|e| self.failed(e))
    }

    /// Waits for somebody to come in.
    pub(super) fn accept(&mut self, ctx: &Context) -> Result<UnixStream, QueueError> {
        let listener = self.listen()?;
        let guard = self.guard(&listener, ctx).map_err(|e| self.failed(e))?;
        let accepted = loop {
            // A stop shuts the listener down: the next one is made anew, and who waits comes again.
            ctx.check()?;
            match listener.accept() {
                Ok((socket, _)) => break Ok(socket),
                Err(e) => match e.kind() {
                    ErrorKind::Interrupted | ErrorKind::ConnectionAborted => {}
                    _ => break Err(e),
                },
            }
        };
        drop(guard);
        ctx.check()?;
        self.listener = Some(listener);
        accepted.map_err(|e| self.failed(e))
    }

    /// While it lives a stop of `ctx` ends the wait.
    fn guard(&self, listener: &UnixListener, ctx: &Context) -> io::Result<OnStop> {
        let (socket, path) = (UnixStream::from(OwnedFd::from(listener.try_clone()?)), self.path());
        let path = path.to_owned();
        Ok(ctx.on_stop(move |_| {
            // Not every system lets a listener be shut down; a guest wakes it, too.
            if socket.shutdown(Shutdown::Both).is_err() {
                let _ = UnixStream::connect(path);
            }
        }))
    }
}
