//! A plain file, cut into blocks of whole lines without being read: only where a block should end is it
//! looked at. The text is read by whoever parses it, and so into the cache of the core that does.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use memchr::{memchr, memrchr};

use crate::block::{BLOCK, Block, TOO_LONG, fill};

/// Bytes that are looked at for the end of a line, to begin with.
const LOOK: usize = 4096;

/// Text that is still to be read.
pub(crate) struct Unread {
    file: Arc<File>,
    from: u64,
}

impl Unread {
    /// Reads into the buffer until it is full, or the file has ended sooner than it should.
    pub(crate) fn read(&self, into: &mut [u8]) -> (usize, io::Result<()>) {
        let mut len = 0;
        let read = fill(&mut At { file: &self.file, from: self.from }, into, &mut len);
        (len, read)
    }
}

/// A place in a file, to read from there.
struct At<'a> {
    file: &'a File,
    from: u64,
}

impl Read for At<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(into, self.from)?;
        self.from += n as u64;
        Ok(n)
    }
}

pub(crate) struct Plain {
    file: Arc<File>,
    at: u64,
    /// What it was when it was opened.
    size: u64,
}

impl Plain {
    pub(crate) fn new(file: File, size: u64) -> Self {
        Plain { file: Arc::new(file), at: 0, size }
    }

    /// The next block, without its text; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Block>> {
        let (from, left) = (self.at, self.size - self.at);
        if left == 0 {
            return Ok(None);
        }
        let unread = Some(Unread { file: self.file.clone(), from });
        let mut block = Block { unread, ..Block::default() };
        if left < BLOCK as u64 {
            (block.len, self.at) = (left as usize, self.size);
        } else if let Some(end) = self.last_newline(from)? {
            (block.len, self.at) = (end, from + end as u64);
        } else {
            (block.len, block.spoiled) = (BLOCK, TOO_LONG);
            self.at = self.next_line(from + BLOCK as u64)?;
            return Ok(Some(block));
        }
        block.whole = block.len;
        Ok(Some(block))
    }

    /// How far behind `from` the last line ends that fits.
    fn last_newline(&self, from: u64) -> io::Result<Option<usize>> {
        let (mut look, mut text) = (LOOK, Vec::new());
        loop {
            let start = BLOCK - look;
            text.resize(look, 0);
            let mut len = 0;
            fill(&mut At { file: &self.file, from: from + start as u64 }, &mut text, &mut len)?;
            match memrchr(b'\n', &text[..len]) {
                Some(newline) => return Ok(Some(start + newline + 1)),
                // It has become shorter: what is left of it is the rest.
                None if len < look => {
                    return Ok(Some((self.size - from).min(BLOCK as u64) as usize));
                }
                None if look == BLOCK => return Ok(None),
                None => look = (look * 4).min(BLOCK),
            }
        }
    }

    /// Where the next line begins.
    fn next_line(&self, mut at: u64) -> io::Result<u64> {
        let mut text = vec![0; BLOCK];
        while at < self.size {
            let mut len = 0;
            fill(&mut At { file: &self.file, from: at }, &mut text, &mut len)?;
            match memchr(b'\n', &text[..len]) {
                Some(newline) => return Ok(at + newline as u64 + 1),
                None if len == 0 => break,
                None => at += len as u64,
            }
        }
        Ok(self.size)
    }
}
