//! Where the log comes from, cut into blocks of whole lines.
//!
//! 1. A block begins where a line begins, and ends where one or its source ends. A plain file is only
//!    cut here (`plain`); of everything else the text is read here, and what is left over of a line at
//!    the end of a buffer is carried to the front of the next one.
//! 2. Nothing but buffers of one size holds text, so a line longer than a buffer cannot be read: its
//!    block is the prefix that fits, said to be `spoiled`; the rest is skipped.
//! 3. A source that cannot be read (any further) ends with a block that carries the `fault`. The
//!    next source is read all the same.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::iter::Enumerate;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::slice;

use flate2::bufread::MultiGzDecoder;
use ironsys::channel::Receiver;
use memchr::{memchr, memrchr};

use crate::block::{BLOCK, Block, CUT_OFF, TOO_LONG, fill};
use crate::plain::Plain;
use crate::progress::Progress;
use crate::sample::Sample;

/// What gzipped files begin with.
const GZIP: [u8; 2] = [0x1f, 0x8b];

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

    fn open<'a>(&self, progress: &'a Progress) -> io::Result<Open<'a>> {
        let raw: Box<dyn Read + Send> = match self {
            Source::File(path) => {
                let file = File::open(path)?;
                let (size, mut magic) = (file.metadata()?, [0; 2]);
                // The files of the system say that they are empty, and are not.
                if size.is_file() && size.len() > 0 {
                    let read = file.read_at(&mut magic, 0)?;
                    if magic[..read] != GZIP {
                        return Ok(Open::Plain(Plain::new(file, size.len())));
                    }
                }
                Box::new(file)
            }
            Source::Stdin => Box::new(io::stdin()),
            Source::Sample(size) => Box::new(Sample::new(*size)),
        };
        let mut raw = Counted { raw, progress };
        let mut magic = Vec::with_capacity(2);
        raw.by_ref().take(2).read_to_end(&mut magic)?;
        let gzipped = magic == GZIP;
        let raw = io::Cursor::new(magic).chain(raw);
        let text: Box<dyn Read + Send> = if gzipped {
            Box::new(MultiGzDecoder::new(io::BufReader::with_capacity(128 * 1024, raw)))
        } else {
            Box::new(raw)
        };
        Ok(Open::Stream(Stream { text, gzipped, tail: Vec::new(), skipping: false, over: false }))
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

/// Cuts sources into blocks, one after the other.
pub(crate) struct Reader<'a> {
    sources: Enumerate<slice::Iter<'a, Source>>,
    open: Option<(usize, Open<'a>)>,
    free: Receiver<Vec<u8>>,
    progress: &'a Progress,
}

enum Open<'a> {
    Plain(Plain),
    Stream(Stream<'a>),
}

/// What can only be read from the front.
struct Stream<'a> {
    text: Box<dyn Read + Send + 'a>,
    gzipped: bool,
    /// The beginning of a line, for the front of the next block.
    tail: Vec<u8>,
    /// In the rest of a line that is too long.
    skipping: bool,
    /// All is read.
    over: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(
        sources: &'a [Source],
        free: Receiver<Vec<u8>>,
        progress: &'a Progress,
    ) -> Self {
        Reader { sources: sources.iter().enumerate(), open: None, free, progress }
    }
}

impl Iterator for Reader<'_> {
    type Item = Block;

    fn next(&mut self) -> Option<Block> {
        loop {
            let (source, open) = match &mut self.open {
                Some((source, open)) => (*source, open),
                None => {
                    let (source, from) = self.sources.next()?;
                    match from.open(self.progress) {
                        Ok(open) => (source, &mut self.open.insert((source, open)).1),
                        Err(error) => return Some(failed(source, &error)),
                    }
                }
            };
            let next = match open {
                Open::Plain(plain) => plain.next(),
                Open::Stream(stream) => {
                    let free = self.free.try_recv();
                    Ok(stream.next(free.unwrap_or_else(|_| vec![0; BLOCK])))
                }
            };
            let next = next.unwrap_or_else(|error| Some(failed(source, &error)));
            if next.as_ref().is_none_or(|block| block.fault.is_some()) {
                self.open = None;
            }
            if let Some(block) = next {
                return Some(Block { source, ..block });
            }
        }
    }
}

fn failed(source: usize, error: &io::Error) -> Block {
    Block { source, fault: Some(error.to_string()), ..Block::default() }
}

impl Stream<'_> {
    /// Reads the next block into the buffer; `None` at the end.
    fn next(&mut self, mut buffer: Vec<u8>) -> Option<Block> {
        if self.over {
            return None;
        }
        let mut len = self.tail.len();
        buffer[..len].copy_from_slice(&self.tail);
        self.tail.clear();
        let read = fill(&mut self.text, &mut buffer, &mut len);
        let full = len == BLOCK;
        self.over = !full || read.is_err();
        if self.skipping {
            let rest = memchr(b'\n', &buffer[..len]).map(|newline| newline + 1);
            self.skipping = rest.is_none();
            let skipped = rest.unwrap_or(len);
            buffer.copy_within(skipped..len, 0);
            len -= skipped;
        }
        let whole = memrchr(b'\n', &buffer[..len]).map_or(0, |newline| newline + 1);
        let mut block = Block { whole, ..Block::default() };
        match read {
            Err(error) => {
                let what = if self.gzipped { "damaged or cut-off gzip data: " } else { "" };
                block.fault = Some(format!("{what}{error}"));
                block.spoiled = CUT_OFF;
            }
            Ok(()) if !full => block.whole = len, // all is read
            Ok(()) if whole == 0 && len == BLOCK => {
                block.spoiled = TOO_LONG;
                self.skipping = true;
            }
            Ok(()) => {
                self.tail.extend_from_slice(&buffer[whole..len]);
                len = whole;
            }
        }
        (block.buffer, block.len) = (buffer, len);
        Some(block)
    }
}
