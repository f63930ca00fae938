//! What is kept of a pipe: bytes up to a limit, or lines as they come.

use super::output::{Line, Stream};
use rustix::io::{Errno, ioctl_fionbio, read};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The user's function.
pub(super) type OnLine<'a> = Option<&'a mut dyn FnMut(Line<'_>)>;

/// The reading end of a pipe, and what came out of it.
pub(super) struct Intake {
    stream: Stream,
    pipe: Option<OwnedFd>,
    limit: usize,
    pub(super) kept: Vec<u8>,
    pub(super) excess: u64,
}

/// What a look into the pipe came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    Bytes(usize),
    Empty,
    End,
}

impl Intake {
    pub(super) fn new(
        stream: Stream,
        pipe: Option<impl Into<OwnedFd>>,
        limit: usize,
    ) -> io::Result<Self> {
        let pipe = pipe.map(Into::into);
        if let Some(pipe) = &pipe {
            ioctl_fionbio(pipe, true)?;
        }
        Ok(Intake { stream, pipe, limit, kept: Vec::new(), excess: 0 })
    }

    /// What to wait for, until its end.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Takes what is there, but no more than a chunk.
    pub(super) fn look(&mut self, on_line: &mut OnLine<'_>) -> io::Result<Look> {
        let Some(pipe) = &self.pipe else { return Ok(Look::End) };
        let mut chunk = [0; CHUNK];
        let got = match read(pipe, &mut chunk) {
            Ok(0) => {
                self.pipe = None;
                return Ok(Look::End);
            }
            Ok(got) => got,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(Look::Empty),
            Err(e) => return Err(e.into()),
        };
        match on_line {
            None => self.keep(&chunk[..got]),
            Some(f) => self.cut(&chunk[..got], *f),
        }
        Ok(Look::Bytes(got))
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = self.limit.saturating_sub(self.kept.len()).min(bytes.len());
        self.kept.extend_from_slice(&bytes[..room]);
        self.excess += (bytes.len() - room) as u64;
    }

    fn cut(&mut self, bytes: &[u8], f: &mut dyn FnMut(Line<'_>)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (piece, false),
            };
            self.keep(text);
            if ends {
                self.line(f);
            }
        }
    }

    fn line(&mut self, f: &mut dyn FnMut(Line<'_>)) {
        f(Line { stream: self.stream, bytes: &self.kept });
        self.kept.clear();
    }

    /// Nothing more comes: the last line has no end.
    pub(super) fn finish(&mut self, on_line: &mut OnLine<'_>) {
        if let Some(f) = on_line
            && !self.kept.is_empty()
        {
            self.line(*f);
        }
        self.pipe = None;
    }
}

const CHUNK: usize = 16 << 10;
