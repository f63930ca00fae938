//! Where the log comes from, cut into blocks of whole lines.
//!
//! 1. A block begins where a line begins, and ends where one or its source ends: what is left over of
//!    a line at the end of a buffer is carried to the front of the next one.
//! 2. Nothing but the buffers handed in through `free` holds text, so a line longer than a buffer
//!    cannot be read: its block is the prefix that fits, marked as `spoiled`; the rest is skipped.
//! 3. A source that cannot be read (any further) ends with a block that carries the `fault`. The
//!    next source is read all the same.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use flate2::bufread::MultiGzDecoder;
use ironsys::Context;
use ironsys::channel::{Receiver, Sender};
use memchr::{memchr, memrchr};

use crate::line::Reason;
use crate::progress::Progress;
use crate::sample::Sample;

/// Bytes in a buffer; a line that is read whole is shorter.
pub(crate) const BLOCK: usize = 1 << 20;
pub(crate) const TOO_LONG: Reason = "longer than 1 MiB";

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
    fn open<'a>(&self, progress: &'a Progress) -> io::Result<(Box<dyn Read + 'a>, bool)> {
        let raw: Box<dyn Read> = match self {
            Source::File(path) => Box::new(File::open(path)?),
            Source::Stdin => Box::new(io::stdin()),
            Source::Sample(size) => Box::new(Sample::new(*size)),
        };
        let mut raw = Counted { raw, progress };
        let mut magic = Vec::with_capacity(2);
        raw.by_ref().take(2).read_to_end(&mut magic)?;
        let gzipped = magic == [0x1f, 0x8b];
        let raw = io::Cursor::new(magic).chain(raw);
        let text: Box<dyn Read> = if gzipped {
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
    raw: Box<dyn Read>,
    progress: &'a Progress,
}

impl Read for Counted<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.raw.read(into)?;
        self.progress.read(n);
        Ok(n)
    }
}

pub(crate) struct Block {
    /// Index of the source.
    pub(crate) source: usize,
    pub(crate) text: Vec<u8>,
    /// The text is part of a single line, which is bad for this reason.
    pub(crate) spoiled: Option<Reason>,
    /// Why nothing more can be read from the source.
    pub(crate) fault: Option<String>,
}

/// Reads sources into blocks: the task of the reader thread.
pub(crate) struct Reader<'a> {
    pub(crate) ctx: &'a Context,
    pub(crate) free: Receiver<Vec<u8>>,
    pub(crate) blocks: Sender<Block>,
    pub(crate) progress: &'a Progress,
}

/// The other end of a channel is gone or the context is stopped: no more reading, and no error.
struct Ended;

impl Reader<'_> {
    /// Reads all sources, or until the context is stopped.
    pub(crate) fn run(self, sources: &[Source]) {
        for (source, from) in sources.iter().enumerate() {
            if self.cut(source, from).is_err() {
                return;
            }
        }
    }

    /// Cuts one source into blocks.
    fn cut(&self, source: usize, from: &Source) -> Result<(), Ended> {
        let mut text = self.take_free()?;
        let (mut reader, gzipped) = match from.open(self.progress) {
            Ok(opened) => opened,
            Err(error) => return self.send(source, text, None, Some(error.to_string())),
        };
        let mut skipping = false;
        loop {
            let room = BLOCK - text.len();
            let read = reader.by_ref().take(room as u64).read_to_end(&mut text);
            let full = read.is_ok() && text.len() == BLOCK;
            if skipping {
                let rest = memchr(b'\n', &text).map(|newline| newline + 1);
                skipping = rest.is_none();
                text.drain(..rest.unwrap_or(text.len()));
                if full {
                    continue;
                }
            }
            let lines = memrchr(b'\n', &text).map_or(0, |newline| newline + 1);
            let (end, spoiled) = match read {
                Ok(_) if !full => (text.len(), None),
                Ok(_) if lines == 0 => (BLOCK, Some(TOO_LONG)),
                _ => (lines, None),
            };
            let mut tail = self.take_free()?;
            tail.extend_from_slice(&text[end..]);
            text.truncate(end);
            self.send(source, text, spoiled, None)?;
            if !full {
                let spoiled = (!tail.is_empty()).then_some("cut off where reading failed");
                let what = if gzipped { "damaged or cut-off gzip data: " } else { "" };
                let fault = read.err().map(|error| format!("{what}{error}"));
                return self.send(source, tail, spoiled, fault);
            }
            skipping = spoiled.is_some();
            text = tail;
        }
    }

    fn take_free(&self) -> Result<Vec<u8>, Ended> {
        let mut buffer = self.free.recv(self.ctx).map_err(|_| Ended)?;
        buffer.clear();
        Ok(buffer)
    }

    fn send(
        &self,
        source: usize,
        text: Vec<u8>,
        spoiled: Option<Reason>,
        fault: Option<String>,
    ) -> Result<(), Ended> {
        self.blocks.send(self.ctx, Block { source, text, spoiled, fault }).map_err(|_| Ended)
    }
}
