//! A block: a piece of a log with whole lines, and what its parser found.

use std::io::{self, ErrorKind, Read};

use memchr::memrchr;

use crate::line::Reason;
use crate::plain::Unread;
use crate::progress::Progress;

/// Bytes in a buffer; a line that is read whole is shorter.
pub(crate) const BLOCK: usize = 1 << 18;
pub(crate) const TOO_LONG: Reason = "longer than 256 KiB";
pub(crate) const CUT_OFF: Reason = "cut off where reading failed";

#[derive(Default)]
pub(crate) struct Block {
    /// Index of the source.
    pub(crate) source: usize,
    /// Where the text is to be read, if it is not in the buffer.
    pub(crate) unread: Option<Unread>,
    /// A whole buffer, of which the first `len` bytes are the block's.
    pub(crate) buffer: Vec<u8>,
    pub(crate) len: usize,
    /// Bytes of whole lines. What follows them is part of a single line, which is bad.
    pub(crate) whole: usize,
    pub(crate) spoiled: Reason,
    /// Why nothing more can be read from the source.
    pub(crate) fault: Option<String>,
    /// Filled by the parser: how many lines there are.
    pub(crate) lines: u64,
    /// And where bad ones start; `u32` because there may be one a byte.
    pub(crate) bad: Vec<u32>,
}

impl Block {
    pub(crate) fn text(&self) -> &[u8] {
        &self.buffer[..self.len]
    }

    /// Reads the text, if it has not been read, into the buffer that `spare` gives.
    pub(crate) fn load(&mut self, spare: impl FnOnce() -> Vec<u8>, progress: &Progress) {
        let Some(unread) = self.unread.take() else { return };
        self.buffer = spare();
        let (len, read) = unread.read(&mut self.buffer[..self.len]);
        progress.read(len);
        if let Err(error) = read {
            self.fault = Some(error.to_string());
            self.spoiled = CUT_OFF;
            self.whole = memrchr(b'\n', &self.buffer[..len]).map_or(0, |newline| newline + 1);
        }
        self.len = len;
        self.whole = self.whole.min(len);
    }
}

/// Reads until the buffer is full, or all is read; `len` says how far it is filled.
pub(crate) fn fill(from: &mut dyn Read, buffer: &mut [u8], len: &mut usize) -> io::Result<()> {
    while *len < buffer.len() {
        match from.read(&mut buffer[*len..]) {
            Ok(0) => break,
            Ok(n) => *len += n,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
