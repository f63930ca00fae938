//! The writer as `std::io::Write`.

use super::errors::WriteError;
use super::handle::BackgroundWriter;
use crate::context::Context;
use std::fmt;
use std::io;

/// Writes into a [`BackgroundWriter`] under a context. Made by [`BackgroundWriter::io`].
///
/// A write that is larger than the buffer is cut, so that others may come in between; `flush` waits
/// for the sink. Errors are [`WriteError`]s inside of [`io::Error`]s.
pub struct Io<'a, W> {
    pub(super) writer: &'a BackgroundWriter<W>,
    pub(super) ctx: &'a Context,
}

impl<W> io::Write for Io<'_, W> {
    #[track_caller]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len().min(self.writer.shared.with(|state, _| state.capacity()));
        self.writer.write(self.ctx, &bytes[..n]).map_err(into_io)?;
        Ok(n)
    }

    #[track_caller]
    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush(self.ctx).map_err(into_io)
    }
}

fn into_io(error: WriteError) -> io::Error {
    let kind = match &error {
        WriteError::Closed => io::ErrorKind::BrokenPipe,
        WriteError::Stopped(stop) if stop.is_timeout() => io::ErrorKind::TimedOut,
        WriteError::Failed(failure) => failure.io().map_or(io::ErrorKind::Other, io::Error::kind),
        _ => io::ErrorKind::Other,
    };
    // `Interrupted` would make `write_all` try again for ever.
    let kind = if kind == io::ErrorKind::Interrupted { io::ErrorKind::Other } else { kind };
    io::Error::new(kind, error)
}

impl<W> fmt::Debug for Io<'_, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io").field("writer", self.writer).finish_non_exhaustive()
    }
}
