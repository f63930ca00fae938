//! Where the log comes from, cut into blocks of whole lines.
//!
//! 1. A block begins where a line begins, and ends where one or its source ends: what is left over of
//!    a line at the end of a buffer is carried to the front of the next one.
//! 2. Nothing but the buffers handed in through `free` holds text, so a line longer than a buffer
//!    cannot be read: its block is the prefix that fits, said to be `spoiled`; the rest is skipped.
//! 3. A source that cannot be read (any further) ends with a block that carries the `fault`. The
//!    next source is read all the same.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::iter::Enumerate;
use std::path::PathBuf;
use std::slice;

use flate2::bufread::MultiGzDecoder;
use ironsys::channel::Receiver;
use ironsys::{Context, Stop};
use memchr::{memchr, memrchr};

use crate::line::Reason;
use crate::progress::Progress;
use crate::sample::Sample;

/// Bytes in a buffer; a line that is read whole is shorter.
pub(crate) const BLOCK: usize = 1 << 18;
pub(crate) const TOO_LONG: Reason = "longer than 256 KiB";

#[derive(Debug, Clone)]
pub(crate) enum Source {
    File(PathBuf),
    Stdin,
    /// So many bytes of made-up log.
    Sample(u64),
}

impl Source {
    /// Bytes there are to read, if that is known.
    pub(crate) fn size(&self) -> Option<u64> {
        match self {
            Source::File(path) => path.metadata().ok().filter(|m| m.is_file()).map(|m| m.len()),
            Source::Stdin => None,
            Source::Sample(size) => Some(*size),
        }
    }

    /// The text to read, and whether it is unpacked on the way.
    fn open<'a>(&self, progress: &'a Progress) -> io::Result<(Box<dyn Read + Send + 'a>, bool)> {
        let raw: Box<dyn Read + Send> = match self {
            Source::File(path) => Box::new(File::open(path)?),
            Source::Stdin => Box::new(io::stdin()),
            Source::Sample(size) => Box::new(Sample::new(*size)),
        };
        let mut raw = Counted { raw, progress };
        let mut magic = Vec::with_capacity(2);
        raw.by_ref().take(2).read_to_end(&mut magic)?;
        let gzipped = magic == [0x1f, 0x8b];
        let raw = io::Cursor::new(magic).chain(raw);
        let text: Box<dyn Read + Send> = if gzipped {
            Box::new(MultiGzDecoder::new(io::BufReader::with_capacity(128 * 1024, raw)))
        } else {
            Box::new(raw)
        };
        Ok((text, gzipped))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(path) => path.display().fmt(f),
            Source::Stdin => f.write_str("(stdin)"),
            Source::Sample(_) => f.write_str("(sample)"),
        }
    }
}

/// Tells the progress bar what is read from disk, compressed or not.
struct Counted<'a> {
    raw: Box<dyn Read + Send>,
    progress: &'a Progress,
}

impl Read for Counted<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.raw.read(into)?;
        self.progress.read(n);
        Ok(n)
    }
}

#[derive(Default)]
pub(crate) struct Block {
    /// Index of the source.
    pub(crate) source: usize,
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
}

/// Cuts sources into blocks, one after the other.
pub(crate) struct Reader<'a> {
    sources: Enumerate<slice::Iter<'a, Source>>,
    open: Option<Open<'a>>,
    free: Receiver<Vec<u8>>,
    progress: &'a Progress,
}

struct Open<'a> {
    source: usize,
    text: Box<dyn Read + Send + 'a>,
    gzipped: bool,
    /// The beginning of a line, for the front of the next block.
    tail: Vec<u8>,
    /// In the rest of a line that is too long.
    skipping: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(
        sources: &'a [Source],
        free: Receiver<Vec<u8>>,
        progress: &'a Progress,
    ) -> Self {
        Reader { sources: sources.iter().enumerate(), open: None, free, progress }
    }

    /// Waits for a free buffer and reads the next block into it; `None` when all is read.
    pub(crate) fn next(&mut self, ctx: &Context) -> Result<Option<Block>, Stop> {
        let Ok(mut buffer) = self.free.recv(ctx) else { return ctx.check().map(|()| None) };
        let mut open = match self.open.take() {
            Some(open) => open,
            None => {
                let Some((source, from)) = self.sources.next() else { return Ok(None) };
                match from.open(self.progress) {
                    Ok((text, gzipped)) => {
                        Open { source, text, gzipped, tail: Vec::new(), skipping: false }
                    }
                    Err(error) => {
                        let fault = Some(error.to_string());
                        return Ok(Some(Block { source, buffer, fault, ..Block::default() }));
                    }
                }
            }
        };
        let mut len = open.tail.len();
        buffer[..len].copy_from_slice(&open.tail);
        open.tail.clear();
        let read = fill(&mut open.text, &mut buffer, &mut len);
        let full = len == BLOCK;
        if open.skipping {
            let rest = memchr(b'\n', &buffer[..len]).map(|newline| newline + 1);
            open.skipping = rest.is_none();
            let skipped = rest.unwrap_or(len);
            buffer.copy_within(skipped..len, 0);
            len -= skipped;
        }
        let whole = memrchr(b'\n', &buffer[..len]).map_or(0, |newline| newline + 1);
        let mut block = Block { source: open.source, whole, ..Block::default() };
        match read {
            Err(error) => {
                let what = if open.gzipped { "damaged or cut-off gzip data: " } else { "" };
                block.fault = Some(format!("{what}{error}"));
                block.spoiled = "cut off where reading failed";
            }
            Ok(()) if !full => block.whole = len, // all is read
            Ok(()) => {
                if whole == 0 && len == BLOCK {
                    block.spoiled = TOO_LONG;
                    open.skipping = true;
                } else {
                    open.tail.extend_from_slice(&buffer[whole..len]);
                    len = whole;
                }
                self.open = Some(open);
            }
        }
        (block.buffer, block.len) = (buffer, len);
        Ok(Some(block))
    }
}

/// Reads until the buffer is full, or all is read; `len` says how far it is filled.
fn fill(from: &mut dyn Read, buffer: &mut [u8], len: &mut usize) -> io::Result<()> {
    while *len < buffer.len() {
        match from.read(&mut buffer[*len..]) {
            Ok(0) => break,
            Ok(n) => *len += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
