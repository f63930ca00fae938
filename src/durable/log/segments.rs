//! Reading events in order, across segments, up to a mark.

use super::frame::{Kind, SEGMENT_HEADER};
use super::recover::open_segment;
use super::scan::{Scan, Step};
use super::writer::{Mark, segment_base, segment_name};
use crate::durable::storage::{Storage, StorageError, StorageFile};
use crate::sync::Arc;

/// A position in the log that moves forward over the events.
pub(in crate::durable) struct Segments {
    storage: Arc<dyn Storage>,
    /// The number of the next event to be read.
    next: u64,
    open: Option<Open>,
}

struct Open {
    base: u64,
    scan: Scan,
    /// Its length, once it is known not to grow any more.
    size: Option<u64>,
    file: Arc<dyn StorageFile>,
    /// The number that the next frame must have, except for events before `next`.
    expected: u64,
    /// Where the last frame was looked at.
    bad: u64,
    /// A sealed segment is at its end: the next one begins with this.
    sealed: Option<u64>,
}

impl Segments {
    /// Stands before the event `next`.
    pub(in crate::durable) fn at(storage: &Arc<dyn Storage>, next: u64) -> Self {
        Segments { storage: storage.clone(), next, open: None }
    }

    pub(in crate::durable) fn next(&self) -> u64 {
        self.next
    }

    /// The segment that is open.
    pub(in crate::durable) fn holds(&self) -> Option<u64> {
        self.open.as_ref().map(|open| open.base)
    }

    /// Goes to the event `next`.
    pub(in crate::durable) fn go_to(&mut self, next: u64) {
        self.next = next;
        self.open = None;
    }

    /// Reads the next event; `None` at the mark.
    pub(in crate::durable) fn read(
        &mut self,
        mark: Mark,
    ) -> Result<Option<(u64, Vec<u8>)>, StorageError> {
        while self.next < mark.id {
            let storage = self.storage.clone();
            let next = self.next;
            let open = match &mut self.open {
                Some(open) => open,
                None => {
                    let base = base_of(&*storage, next, true)?;
                    self.open.insert(Open::new(&*storage, base, next)?)
                }
            };
            if let Some(base) = open.sealed {
                let found = base_of(&*storage, base, false)?;
                // A gap between two segments is damage, but for those who want nothing of it.
                let expected = base.min(open.expected).max(next);
                self.open = Some(Open::new(&*storage, found, expected)?);
                continue;
            }
            if let Some((id, body)) = open.step(&*storage, mark, next)? {
                self.next = id + 1;
                return Ok(Some((id, body)));
            }
        }
        Ok(None)
    }

    /// Steps over damage at the present place. Returns the numbers of the events that are lost;
    /// empty if there is no damage before the mark.
    pub(in crate::durable) fn skip_damage(
        &mut self,
        mark: Mark,
    ) -> Result<std::ops::Range<u64>, StorageError> {
        let from = self.next;
        match self.read(mark) {
            Ok(_) => {
                self.next = from;
                self.open = None;
                return Ok(from..from);
            }
            Err(StorageError::Damaged { .. } | StorageError::Foreign { .. }) => {}
            Err(e) => return Err(e),
        }
        let sure = match &mut self.open {
            Some(open) => {
                let limit = open.limit(mark)?;
                if open.sealed.is_none()
                    && let Ok(Step::Frame(head, _)) = open.scan.step(limit)
                    && head.kind == Kind::Seal
                {
                    open.sealed = Some(head.id);
                    open.expected = head.id;
                    self.next = head.id.max(from);
                    return Ok(from..self.next);
                }
                let offset = open.bad;
                open.scan.seek(offset);
                let path = self.storage.path().join(segment_name(open.base));
                let found = open.scan.resync(open.expected, limit);
                found.map_err(|e| StorageError::io("read", path, offset, e))?
            }
            None => None,
        };
        let base = self.open.as_ref().map_or(from, |open| open.base);
        match sure {
            Some(sure) => {
                if let Some(open) = &mut self.open {
                    open.expected = sure;
                }
                self.next = sure.max(from);
            }
            None if base < mark.base => {
                // Nothing sure is left of this segment.
                let mut at = base;
                let found = loop {
                    at = base_of(&*self.storage, at + 1, false)?;
                    match Open::new(&*self.storage, at, at) {
                        Ok(found) => break found,
                        Err(StorageError::Foreign { .. }) if at < mark.base => {}
                        Err(e) => return Err(e),
                    }
                };
                self.open = Some(found);
                self.next = at.max(from);
            }
            None => {
                self.open = None;
                self.next = mark.id;
            }
        }
        Ok(from..self.next)
    }
}

impl Open {
    fn new(storage: &dyn Storage, base: u64, expected: u64) -> Result<Self, StorageError> {
        let (file, head) = open_segment(storage, &segment_name(base))?;
        let scan = Scan::new(file.clone(), head.seed(), SEGMENT_HEADER as u64);
        if head.base != base {
            let path = storage.path().join(segment_name(base));
            return Err(StorageError::Foreign { path, problem: "its header is another segment's" });
        }
        let open = Open { base, scan, size: None, file, expected: base, bad: 0, sealed: None };
        if base > expected {
            return Err(open.damaged(storage, expected));
        }
        Ok(open)
    }

    fn damaged(&self, storage: &dyn Storage, id: u64) -> StorageError {
        let path = storage.path().join(segment_name(self.base));
        StorageError::Damaged { path, offset: self.scan.offset(), id }
    }

    fn limit(&mut self, mark: Mark) -> Result<u64, StorageError> {
        if self.base == mark.base {
            return Ok(mark.offset);
        }
        let size = match self.size {
            Some(size) => size,
            None => self
                .file
                .size()
                .map_err(|e| StorageError::io("stat", segment_name(self.base), 0, e))?,
        };
        self.size = Some(size);
        Ok(size)
    }

    /// One frame on: the event, if it is one that is wanted.
    fn step(
        &mut self,
        storage: &dyn Storage,
        mark: Mark,
        next: u64,
    ) -> Result<Option<(u64, Vec<u8>)>, StorageError> {
        let limit = self.limit(mark)?;
        let offset = self.scan.offset();
        self.bad = offset;
        let step = self.scan.step(limit).map_err(|e| {
            let path = storage.path().join(segment_name(self.base));
            StorageError::io("read", path, offset, e)
        })?;
        match step {
            Step::Frame(head, body) if head.kind == Kind::Event && head.id == self.expected => {
                self.expected += 1;
                let wanted = head.id >= next;
                Ok(wanted.then(|| (head.id, self.scan.body(body).to_vec())))
            }
            Step::Frame(head, _) if head.kind == Kind::Marker && head.id <= self.expected => {
                Ok(None)
            }
            Step::Frame(head, _) if head.kind == Kind::Seal && head.id >= self.expected => {
                if head.id > self.expected.max(next) {
                    let lost = self.expected.max(next);
                    self.scan.seek(offset);
                    return Err(self.damaged(storage, lost));
                }
                self.sealed = Some(head.id);
                Ok(None)
            }
            _ => {
                self.scan.seek(offset);
                Err(self.damaged(storage, self.expected))
            }
        }
    }
}

/// The segment in which `id` is, or which begins behind it.
fn base_of(storage: &dyn Storage, id: u64, inside: bool) -> Result<u64, StorageError> {
    let failed = |e| StorageError::io("list", storage.path(), 0, e);
    let names = storage.list().map_err(failed)?;
    let bases = names.iter().filter_map(|name| segment_base(name));
    let (below, above): (Vec<u64>, Vec<u64>) = bases.partition(|base| *base <= id);
    let exact = below.contains(&id).then_some(id);
    let below = below.into_iter().max().filter(|_| inside);
    let found = exact.or(below).or_else(|| above.into_iter().min());
    found.ok_or_else(|| {
        StorageError::io(
            "open",
            storage.path().join(segment_name(id)),
            0,
            std::io::ErrorKind::NotFound.into(),
        )
    })
}
