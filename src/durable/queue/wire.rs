//! One connection: frames in, bytes out, each under a context.

use super::frame::{self, Frame};
use crate::context::{Context, OnStop, Stop};
use crate::sync::Arc;
use crate::sync::time::now;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// How much is read, or written, at a time.
pub(super) const CHUNK: usize = 64 * 1024;

/// The half of a connection that reads.
pub(super) struct Wire {
    socket: Arc<UnixStream>,
    /// What has come and was not taken begins at `at`. Never more than a frame and a chunk.
    buf: Vec<u8>,
    at: usize,
    chunk: Box<[u8]>,
    /// The longest body the other side may send.
    most: usize,
    /// The read timeout of the socket.
    timeout: Option<Duration>,
}

/// Why a connection is no more.
#[derive(Debug)]
pub(super) enum Lost {
    /// The other side is gone, or the system says so.
    Io(io::Error),
    /// The other side says what it should not.
    Garbage(String),
    Stopped(Stop),
}

impl From<Stop> for Lost {
    fn from(stop: Stop) -> Self {
        Lost::Stopped(stop)
    }
}

impl Wire {
    pub(super) fn new(socket: Arc<UnixStream>, most: usize) -> Self {
        let chunk = vec![0; CHUNK].into_boxed_slice();
        Wire { socket, buf: Vec::new(), at: 0, chunk, most, timeout: None }
    }

    pub(super) fn socket(&self) -> &Arc<UnixStream> {
        &self.socket
    }

    /// Waits for the next frame. A cancel ends the reading for good; a deadline leaves it as it is.
    pub(super) fn next(&mut self, ctx: &Context) -> Result<Frame, Lost> {
        ctx.check()?;
        if let Some(frame) = self.try_next()? {
            return Ok(frame);
        }
        let _guard = self.guard(ctx);
        loop {
            ctx.check()?;
            self.read(ctx.remaining().and_then(|left| now().checked_add(left))).map_err(|e| {
                // It is we who have shut it down.
                ctx.check().map_or_else(Lost::Stopped, |()| Lost::Io(e))
            })?;
            if let Some(frame) = self.try_next()? {
                return Ok(frame);
            }
        }
    }

    /// Takes a frame that has come already.
    pub(super) fn try_next(&mut self) -> Result<Option<Frame>, Lost> {
        match frame::take(&self.buf[self.at..], self.most) {
            Ok(Some((frame, len))) => {
                self.at += len;
                Ok(Some(frame))
            }
            Ok(None) => Ok(None),
            Err(what) => Err(Lost::Garbage(what)),
        }
    }

    /// While it lives a cancel of `ctx` ends every wait here. What is written is not touched.
    fn guard(&self, ctx: &Context) -> OnStop {
        let socket = self.socket.clone();
        ctx.on_stop(move |why| {
            // A deadline is noticed by the read's own timeout.
            if matches!(why, Stop::Cancelled(_)) {
                let _ = socket.shutdown(Shutdown::Read);
            }
        })
    }

    /// Reads some, or nothing by `until`.
    fn read(&mut self, until: Option<Instant>) -> io::Result<()> {
        let left = until.map(|at| at.saturating_duration_since(now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(());
        }
        if self.timeout != left {
            self.socket.set_read_timeout(left)?;
            self.timeout = left;
        }
        self.buf.drain(..std::mem::take(&mut self.at));
        if self.buf.is_empty() {
            self.buf.shrink_to(CHUNK);
        }
        match (&*self.socket).read(&mut self.chunk) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                self.buf.extend_from_slice(&self.chunk[..n]);
                Ok(())
            }
            Err(e) => match e.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => Ok(()),
                _ => Err(e),
            },
        }
    }
}

/// Writes all of it. A stop in the midst cuts a frame, and ends the writing for good.
pub(super) fn write(socket: &Arc<UnixStream>, ctx: &Context, bytes: &[u8]) -> Result<(), Lost> {
    ctx.check()?;
    let stop = {
        let socket = socket.clone();
        ctx.on_stop(move |_| drop(socket.shutdown(Shutdown::Write)))
    };
    let written = (&**socket).write_all(bytes);
    drop(stop);
    written.map_err(|e| ctx.check().map_or_else(Lost::Stopped, |()| Lost::Io(e)))
}
