//! Reading frames from a segment, one after the other, and finding out why one does not verify.

use super::frame::{ALIGN, HEADER, Head, Kind, checksum};
use crate::durable::storage::{StorageFile, read_full};
use crate::sync::Arc;
use std::io;
use std::ops::Range;

/// Reads the frames of one segment.
pub(super) struct Scan {
    file: Arc<dyn StorageFile>,
    seed: u32,
    /// Where in the file `buffer` starts.
    start: u64,
    buffer: Vec<u8>,
    /// The next frame, in `buffer`.
    next: usize,
}

/// What stands at the next place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A frame that verifies, and where its body is in the buffer.
    Frame(Head, Range<usize>),
    /// No frame that verifies.
    Bad,
    /// The limit is reached.
    End,
}

/// What is read at a time.
const CHUNK: usize = 256 << 10;

impl Scan {
    pub(super) fn new(file: Arc<dyn StorageFile>, seed: u32, offset: u64) -> Self {
        Scan { file, seed, start: offset, buffer: Vec::new(), next: 0 }
    }

    /// Where the next frame starts in the file.
    pub(super) fn offset(&self) -> u64 {
        self.start + self.next as u64
    }

    pub(super) fn body(&self, range: Range<usize>) -> &[u8] {
        &self.buffer[range]
    }

    /// Steps over the next frame. Nothing at or after `limit` is looked at: it may be written just
    /// now.
    ///
    /// The memory is bounded: a body is read only when its header has verified and it ends before
    /// the limit.
    pub(super) fn step(&mut self, limit: u64) -> io::Result<Step> {
        let left = limit.saturating_sub(self.offset());
        if left == 0 {
            return Ok(Step::End);
        }
        if left < HEADER as u64 || !self.fill(HEADER, limit)? {
            return Ok(Step::Bad);
        }
        let Some(head) = self.head_at(self.next) else { return Ok(Step::Bad) };
        let frame = head.frame();
        if left < frame as u64 || !self.fill(frame, limit)? {
            return Ok(Step::Bad);
        }
        let body = self.next + HEADER..self.next + HEADER + head.len as usize;
        if head.kind == Kind::Event && checksum(&self.buffer[body.clone()]) != head.body {
            return Ok(Step::Bad);
        }
        self.next += frame;
        Ok(Step::Frame(head, body))
    }

    fn head_at(&self, at: usize) -> Option<Head> {
        let bytes = self.buffer.get(at..at + HEADER)?;
        Head::decode(bytes.first_chunk()?, self.seed)
    }

    /// Makes `bytes` from the next place on available; `false` if the file ends before.
    fn fill(&mut self, bytes: usize, limit: u64) -> io::Result<bool> {
        if self.buffer.len() >= self.next + bytes {
            return Ok(true);
        }
        self.start += self.next as u64;
        self.buffer.drain(..self.next.min(self.buffer.len()));
        self.next = 0;
        let there = self.buffer.len();
        let left = limit.saturating_sub(self.start + there as u64);
        let wanted = (bytes.max(CHUNK) - there).min(usize::try_from(left).unwrap_or(usize::MAX));
        self.buffer.resize(there + wanted, 0);
        let got = read_full(&*self.file, &mut self.buffer[there..], self.start + there as u64)?;
        self.buffer.truncate(there + got);
        Ok(self.buffer.len() >= bytes)
    }

    /// Goes on behind a place that does not verify, to the next group whose marker proves that the
    /// event `id`, which should stand there, was on disk before the group was written: either the
    /// marker says so, or the group begins behind the place. Returns the first number that is sure
    /// again; `None` if there is no such group: then the place is a torn tail.
    pub(super) fn resync(&mut self, id: u64, limit: u64) -> io::Result<Option<u64>> {
        let bad = self.offset();
        loop {
            self.next += ALIGN;
            let offset = self.offset();
            if limit.saturating_sub(offset) < HEADER as u64 || !self.fill(HEADER, limit)? {
                self.seek(bad);
                return Ok(None);
            }
            let Some(head) = self.head_at(self.next) else { continue };
            let group = match head.kind {
                Kind::Event => continue,
                Kind::Marker => offset.saturating_sub(u64::from(head.body)),
                Kind::Seal => offset,
            };
            if head.id >= id && group > bad {
                self.seek(group);
                return Ok(Some(head.id));
            }
        }
    }

    /// Goes to another place.
    pub(super) fn seek(&mut self, offset: u64) {
        self.start = offset;
        self.buffer.clear();
        self.next = 0;
    }
}
