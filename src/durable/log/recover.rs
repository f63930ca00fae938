//! Opening a log: what is there, where it ends, and whether anything acknowledged is missing.

use super::cursor::{self, Cursor};
use super::frame::{HEADER, Kind, RECORD, SEGMENT_HEADER, SegmentHead, decode_record};
use super::group::{FolderLock, Log};
use super::limits::Limits;
use super::scan::{Scan, Step};
use super::writer::{Mark, Sealed, TAIL, Trouble, Writer, segment_base, segment_name, spare_name};
use crate::durable::storage::{Storage, StorageError, StorageFile, read_full};
use crate::sync::Arc;
use std::collections::{BTreeMap, VecDeque};

/// What is done about acknowledged events that do not verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnDamage {
    /// The log is not opened; the error says where the damage is.
    #[default]
    Refuse,
    /// The log is opened, new events go to a new segment, and a reader that comes to the damage is
    /// told, and may [skip](super::super::Reader::skip_damage) it.
    Open,
}

/// What a log was found to be when it was opened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OpenReport {
    /// Events that are there and that not every reader has acked.
    pub pending: u64,
    /// Whether something stood behind the end and was cut off: a group that was being written when
    /// the process or machine died, or what an earlier use of the file had left.
    pub torn_tail: bool,
    /// Damage found, with [`OnDamage::Open`].
    pub damaged: Option<StorageError>,
}

/// An opened log.
pub(super) struct Recovered {
    pub(super) writer: Writer,
    pub(super) sealed: VecDeque<Sealed>,
    /// Where the log ends: the next event's number.
    pub(super) end: Mark,
    /// Where each reader stands.
    pub(super) readers: BTreeMap<String, u64>,
    /// The first event that somebody may still want.
    pub(super) floor: u64,
    pub(super) spares: Vec<String>,
    pub(super) report: OpenReport,
}

/// Reads the hint, as far as it verifies: how far readers may go, and what is on disk.
pub(super) fn read_hint(file: &dyn StorageFile) -> Option<(Mark, u64)> {
    let mut bytes = [0; 2 * RECORD];
    read_full(file, &mut bytes, 0).ok().filter(|got| *got == bytes.len())?;
    let (place, rest) = bytes.split_at(RECORD);
    let [base, offset, id] = decode_record(place.first_chunk()?)?;
    let [synced, again, _] = decode_record(rest.first_chunk()?)?;
    (id == again).then_some((Mark { base, offset, id }, synced))
}

/// Opens a segment and reads its header.
pub(super) fn open_segment(
    storage: &dyn Storage,
    name: &str,
) -> Result<(Arc<dyn StorageFile>, SegmentHead), StorageError> {
    let path = storage.path().join(name);
    let failed = |call, e| StorageError::io(call, &path, 0, e);
    let file = storage.open(name).map_err(|e| failed("open", e))?;
    let mut bytes = [0; SEGMENT_HEADER];
    let got = read_full(&*file, &mut bytes, 0).map_err(|e| failed("read", e))?;
    let head =
        if got == bytes.len() { SegmentHead::decode(&bytes) } else { Err("it is too short") };
    match head {
        Ok(head) => Ok((file.into(), head)),
        Err(problem) => Err(StorageError::Foreign { path, problem }),
    }
}

/// The end of the last segment.
struct End {
    /// Where the next group would go.
    tail: u64,
    /// The number of the next event.
    next: u64,
    sealed: bool,
    damage: Option<StorageError>,
}

/// Reads the last segment through.
fn find_end(
    storage: &dyn Storage,
    file: &Arc<dyn StorageFile>,
    head: SegmentHead,
    size: u64,
    known: u64,
) -> Result<End, StorageError> {
    let path = storage.path().join(segment_name(head.base));
    let mut scan = Scan::new(file.clone(), head.seed(), SEGMENT_HEADER as u64);
    let mut end = End { tail: scan.offset(), next: head.base, sealed: false, damage: None };
    loop {
        let offset = scan.offset();
        let step = scan.step(size).map_err(|e| StorageError::io("read", &path, offset, e))?;
        let good = match step {
            Step::Frame(head, _) if head.kind == Kind::Event && head.id == end.next => {
                end.next += 1;
                true
            }
            Step::Frame(head, _) if head.kind == Kind::Marker => head.id <= end.next,
            Step::Frame(head, _) if head.kind == Kind::Seal && head.id >= end.next => {
                end.next = head.id;
                end.sealed = true;
                return Ok(end);
            }
            _ => false,
        };
        if good {
            end.tail = scan.offset();
            continue;
        }
        let damaged = || StorageError::Damaged { path: path.clone(), offset, id: end.next };
        scan.seek(offset);
        let sure = if size.saturating_sub(offset) < HEADER as u64 {
            None
        } else {
            scan.resync(end.next, size).map_err(|e| StorageError::io("read", &path, offset, e))?
        };
        match sure {
            Some(next) => {
                end.damage.get_or_insert_with(damaged);
                end.next = next;
                end.tail = scan.offset();
            }
            None => {
                // A torn tail, unless what is gone is known to have been on disk.
                if known > end.next {
                    end.damage.get_or_insert_with(damaged);
                    end.next = known;
                }
                return Ok(end);
            }
        }
    }
}

/// Opens what is there, or makes an empty log.
pub(super) fn recover(
    storage: &Arc<dyn Storage>,
    segment_bytes: u64,
    on_damage: OnDamage,
) -> Result<Recovered, StorageError> {
    let failed = |call, name: &str, e| StorageError::io(call, storage.path().join(name), 0, e);
    let names = storage.list().map_err(|e| failed("list", "", e))?;
    let hint_file = if names.iter().any(|name| name == TAIL) {
        storage.open(TAIL)
    } else {
        storage.create(TAIL)
    };
    let hint_file = hint_file.map_err(|e| failed("open", TAIL, e))?;
    let known = read_hint(&*hint_file).map_or(0, |(_, synced)| synced);

    let mut spares: Vec<String> =
        names.iter().filter(|n| n.starts_with("spare-") && n.ends_with(".seg")).cloned().collect();
    let mut segments = Vec::new();
    let mut bases: Vec<u64> = names.iter().filter_map(|name| segment_base(name)).collect();
    bases.sort_unstable();
    let last = bases.last().copied();
    for base in bases {
        let name = segment_name(base);
        let (file, head) = match open_segment(&**storage, &name) {
            Ok(opened) => opened,
            // A reader will come upon it.
            Err(StorageError::Foreign { .. })
                if on_damage == OnDamage::Open && Some(base) != last =>
            {
                let file = storage.open(&name).map_err(|e| failed("open", &name, e))?;
                (file.into(), SegmentHead { base, epoch: 0 })
            }
            Err(e) => return Err(e),
        };
        let size = file.size().map_err(|e| failed("stat", &name, e))?;
        if head.base == base {
            segments.push((file, head, size));
        } else {
            // Its next use had begun, and the power went before its name was on disk.
            let spare = spare_name(base);
            storage.rename(&name, &spare).map_err(|e| failed("rename", &name, e))?;
            spares.push(spare);
        }
    }

    let mut sealed: VecDeque<Sealed> = segments
        .windows(2)
        .map(|two| Sealed { base: two[0].1.base, next: two[1].1.base, bytes: two[0].2 })
        .collect();
    let first = segments.first().map(|(_, head, _)| head.base);
    let mut readers = BTreeMap::new();
    for reader in names.iter().filter_map(|name| cursor::reader_of(name)) {
        let at = Cursor::open(&**storage, reader, first.unwrap_or(1))?.position;
        readers.insert(reader.to_owned(), at);
    }
    // A log of which the end was lost goes on behind what somebody has seen of it.
    let seen = readers.values().copied().max().unwrap_or(1).max(known).max(1);

    let mut report = OpenReport { pending: 0, torn_tail: false, damaged: None };
    let mut writer = None;
    let mut next = seen;
    let unmade = |trouble: Trouble| trouble.error;
    if let Some((file, head, size)) = segments.pop() {
        let end = find_end(&**storage, &file, head, size, known)?;
        report.damaged = end.damage;
        if let Some(damage) = report.damaged.clone()
            && on_damage == OnDamage::Refuse
        {
            return Err(damage);
        }
        next = end.next.max(seen);
        if end.sealed {
            sealed.push_back(Sealed { base: head.base, next: end.next, bytes: size });
        } else {
            let path = storage.path().join(segment_name(head.base));
            let mut behind = [0; HEADER];
            let got = read_full(&*file, &mut behind, end.tail)
                .map_err(|e| StorageError::io("read", &path, end.tail, e))?;
            report.torn_tail = behind[..got].iter().any(|byte| *byte != 0);
            // What is left behind the end could look like events some day.
            let cut = |e| StorageError::io("truncate", &path, end.tail, e);
            if size > end.tail {
                file.truncate(end.tail).map_err(cut)?;
            }
            // What stands there may be only in the page cache.
            file.sync().map_err(|e| StorageError::io("sync", &path, end.tail, e))?;
            let mut resumed = Writer::resume(
                storage,
                storage.open(TAIL).map_err(|e| failed("open", TAIL, e))?,
                segment_bytes,
                file,
                head,
                end.tail,
            );
            // The numbers in a segment have no gaps.
            resumed.ends = report.damaged.is_some() || next != end.next;
            writer = Some(resumed);
        }
    }
    let writer = match writer {
        Some(writer) => writer,
        None => {
            let spare = spares.pop();
            Writer::create(storage, hint_file, segment_bytes, next, spare.as_deref())
                .map_err(unmade)?
        }
    };
    let end = writer.mark(next);
    writer.note(end, next);
    storage.sync_names().map_err(|e| failed("sync", "", e))?;
    let oldest = sealed.front().map_or(end.base, |segment| segment.base);
    let floor = readers.values().copied().min().unwrap_or(oldest).max(oldest);
    report.pending = next - floor.min(next);
    Ok(Recovered { writer, sealed, end, readers, floor, spares, report })
}

/// The file that says that somebody has the log open.
const LOCK: &str = "lock";

/// Opens a log, and keeps others from doing so while the lock lives.
pub(in crate::durable) fn open(
    storage: Arc<dyn Storage>,
    name: Arc<str>,
    limits: Limits,
    on_damage: OnDamage,
) -> Result<(Log, OpenReport, FolderLock), StorageError> {
    let path = storage.path().join(LOCK);
    let lock = match storage.lock(LOCK) {
        Ok(Some(lock)) => lock,
        Ok(None) => return Err(StorageError::InUse { path }),
        Err(e) => return Err(StorageError::io("lock", path, 0, e)),
    };
    let found = recover(&storage, limits.segment_bytes, on_damage)?;
    let report = found.report.clone();
    Ok((Log::new(storage, name, limits, found), report, lock))
}
