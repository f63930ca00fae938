//! What the lock of a log guards: the group that is being collected, how far the log is, and who
//! waits. No file is touched here.

use super::frame::{frame, push_event};
use super::limits::{Durability, Limits, WhenFull};
use super::line::{Line, Want};
use super::writer::{Mark, Sealed, Trouble, Writer};
use crate::durable::storage::StorageError;
use crate::sync::{Arc, planted};
use crate::wait::{WaitQueue, Waiter, Wakes};
use std::collections::{BTreeMap, VecDeque};

pub(in crate::durable) struct State {
    pub(super) limits: Limits,
    /// The frames of the next group.
    pub(super) group: Vec<u8>,
    /// The buffer of the group before.
    pub(super) spare_group: Vec<u8>,
    /// The number of the next event.
    pub(super) next: u64,
    /// Everything below was given to the system.
    pub(super) written: u64,
    /// Everything below is on disk.
    pub(super) synced: u64,
    /// How far readers may go.
    pub(super) readable: Mark,
    /// `None` while a leader is out with it.
    pub(super) writer: Option<Box<Writer>>,
    pub(super) sealed: VecDeque<Sealed>,
    pub(super) sealed_bytes: u64,
    pub(super) tail_bytes: u64,
    pub(super) spares: Vec<String>,
    pub(super) closed: bool,
    /// The error after which nothing is written any more.
    pub(super) failed: Option<StorageError>,
    pub(super) readers: BTreeMap<String, Position>,
    /// The first event that a reader may still want; it only grows.
    pub(super) floor: u64,
    /// Calls that wait until an event is on disk.
    pub(super) line: Line,
    /// Calls that wait for room, in memory or on disk.
    pub(super) room: WaitQueue,
    /// Readers that wait for events.
    pub(super) feeds: WaitQueue,
    /// The thread that syncs now and then.
    pub(super) flusher: WaitQueue,
    pub(super) counts: Counts,
}

/// Where a reader stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    pub(super) next: u64,
    /// Whether somebody reads under this name.
    pub(super) open: bool,
    /// The segment that it has open: the file must not get another use yet.
    pub(super) holds: u64,
}

/// No segment is open.
pub(in crate::durable) const NONE: u64 = u64::MAX;

#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counts {
    pub(super) at_open: u64,
    pub(super) submitted: u64,
    pub(super) done: u64,
    pub(super) refused: u64,
    pub(super) groups: u64,
    pub(super) syncs: u64,
    pub(super) bytes: u64,
}

/// Why an event was not taken.
#[derive(Debug)]
pub(in crate::durable) enum Refusal {
    Closed,
    TooLarge { len: usize, max: usize },
    DiskFull,
    Failed(StorageError),
}

/// What an attempt to take an event comes to.
pub(super) enum Taken {
    Yes(u64),
    No(Refusal),
    /// There is no room, and nobody out to make some.
    Lead(Work),
    Wait,
}

/// What a leader takes along: the writer, and the group.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) writer: Box<Writer>,
    pub(super) group: Vec<u8>,
    pub(super) first: u64,
    pub(super) end: u64,
    pub(super) synced: u64,
    pub(super) sync: bool,
    pub(super) spare: Option<String>,
    /// What a roll on the way has ended.
    pub(super) rolled: Option<Sealed>,
}

/// How a wait for an event stands.
pub(super) enum Standing {
    Done,
    Failed(StorageError),
    /// The last try to write it failed; it is still in the group.
    Unwritten(StorageError),
    Lead(Work),
    Wait,
}

impl State {
    /// The most bytes of an event.
    pub(super) fn largest(&self) -> usize {
        self.limits.group_bytes - frame(0)
    }

    /// Takes an event if there is room.
    pub(super) fn take(&mut self, body: &[u8], sum: u32, wakes: &mut Wakes) -> Taken {
        let Limits { group_bytes, max_bytes, when_full, .. } = self.limits;
        if self.closed {
            return Taken::No(Refusal::Closed);
        }
        if let Some(error) = &self.failed {
            return Taken::No(Refusal::Failed(error.clone()));
        }
        let bytes = frame(body.len());
        if bytes > group_bytes {
            let max = self.largest();
            return Taken::No(Refusal::TooLarge { len: body.len(), max });
        }
        if self.used() + bytes as u64 > max_bytes {
            return match when_full {
                WhenFull::Refuse => {
                    self.counts.refused += 1;
                    Taken::No(Refusal::DiskFull)
                }
                WhenFull::Wait => Taken::Wait,
            };
        }
        if self.group.len() + bytes > group_bytes {
            let lead = self.lead(false, wakes);
            return lead.map_or(Taken::Wait, Taken::Lead);
        }
        let id = self.next;
        self.next += 1;
        push_event(&mut self.group, id, body, sum);
        self.counts.submitted += 1;
        self.counts.bytes += body.len() as u64;
        self.flusher.notify_one(wakes);
        Taken::Yes(id)
    }

    /// Bytes on disk, those included that are to be written.
    pub(super) fn used(&self) -> u64 {
        self.sealed_bytes + self.tail_bytes + self.group.len() as u64
    }

    /// Passes the room that is left on to the next submitter that waits.
    pub(super) fn pass_room(&mut self, wakes: &mut Wakes) {
        let room =
            self.group.len() < self.limits.group_bytes && self.used() < self.limits.max_bytes;
        if room || self.closed || self.failed.is_some() || self.writer.is_some() {
            self.room.notify_one(wakes);
        }
    }

    /// Lets a reader that waits write what nobody else may be about to.
    pub(super) fn call_a_reader(&mut self, wakes: &mut Wakes) {
        if self.readers_lead() && self.writer.is_some() && self.written < self.next {
            self.feeds.notify_one(wakes);
        }
    }

    fn readers_lead(&self) -> bool {
        !matches!(self.limits.durability, Durability::Every(_))
    }

    /// Everything below is acknowledged.
    pub(super) fn acked(&self) -> u64 {
        match self.limits.durability {
            Durability::Always => self.synced,
            Durability::Every(_) | Durability::Os => self.written,
        }
    }

    fn is_met(&self, want: Want) -> bool {
        want.id < if want.synced { self.synced } else { self.acked() }
    }

    /// Makes the caller the leader, if nobody is and there is something to do.
    pub(super) fn lead(&mut self, sync: bool, wakes: &mut Wakes) -> Option<Work> {
        let sync = sync || matches!(self.limits.durability, Durability::Always);
        if self.written == self.next && !(sync && self.synced < self.written) {
            return None;
        }
        let writer = self.writer.take()?;
        let group = std::mem::replace(&mut self.group, std::mem::take(&mut self.spare_group));
        let spare = if writer.is_full() { self.spares.pop() } else { None };
        let (first, end) = (self.written, self.next);
        // What is out counts as written, as far as the bytes go.
        self.tail_bytes += group.len() as u64;
        self.pass_room(wakes);
        let synced = self.synced;
        Some(Work { writer, group, first, end, synced, sync, spare, rolled: None })
    }

    /// Looks after an event: is it there, or is it for the caller to write it?
    pub(super) fn look(
        &mut self,
        want: Want,
        place: &mut u64,
        waiter: &Arc<Waiter>,
        wakes: &mut Wakes,
    ) -> Standing {
        let told = self.line.told(*place);
        let standing = if self.is_met(want) {
            Standing::Done
        } else if let Some(error) = &self.failed {
            Standing::Failed(error.clone())
        } else if let Some(error) = told {
            Standing::Unwritten(error)
        } else if let Some(work) = self.lead(want.synced, wakes) {
            Standing::Lead(work)
        } else {
            self.line.enter(want, place, waiter);
            return Standing::Wait;
        };
        self.line.leave(place);
        if !matches!(standing, Standing::Lead(_)) {
            self.call_a_leader(wakes);
        }
        standing
    }

    /// Leaves the line. If this call was to lead, another one is.
    pub(super) fn give_up(&mut self, want: Want, place: &mut u64, wakes: &mut Wakes) -> bool {
        self.line.leave(place);
        self.call_a_leader(wakes);
        self.call_a_reader(wakes);
        self.is_met(want)
    }

    /// If there is something to write and nobody writing, the first in the line is told.
    pub(super) fn call_a_leader(&mut self, wakes: &mut Wakes) {
        if self.writer.is_some() && self.failed.is_none() && !planted("no_next_leader") {
            self.line.wake_first(wakes);
        }
    }

    /// A reader's look: how far it may go, or work to do before it may go on.
    pub(super) fn feed(&mut self, after: u64, wakes: &mut Wakes) -> Option<Fed> {
        if self.readable.id > after {
            return Some(Fed::Ready(self.readable));
        }
        if let Some(error) = &self.failed {
            return Some(Fed::Failed(error.clone()));
        }
        if self.readers_lead()
            && let Some(work) = self.lead(false, wakes)
        {
            return Some(Fed::Lead(work));
        }
        (self.closed && self.writer.is_some() && self.synced == self.next).then_some(Fed::End)
    }

    /// The leader is back.
    pub(super) fn finish(&mut self, work: Work, result: &Result<(), Trouble>, wakes: &mut Wakes) {
        let Work { writer, mut group, first, end, sync, spare, rolled, .. } = work;
        self.tail_bytes = writer.mark(0).offset;
        if let Some(sealed) = rolled {
            self.sealed_bytes += sealed.bytes;
            self.sealed.push_back(sealed);
        } else if let Some(spare) = spare {
            self.spares.push(spare);
        }
        match result {
            Ok(()) => {
                self.counts.groups += u64::from(first < end);
                self.counts.syncs += u64::from(sync);
                self.written = end;
                if sync {
                    self.synced = end;
                }
                if sync || matches!(self.limits.durability, Durability::Os) {
                    self.readable = writer.mark(end);
                    self.feeds.notify_all(wakes);
                }
                group.clear();
                self.spare_group = group;
                let met = |state: &State, want: Want| state.is_met(want);
                let line = std::mem::take(&mut self.line);
                self.line = line.let_go(|want| met(self, want), wakes);
            }
            Err(trouble) => {
                group.extend_from_slice(&self.group);
                self.spare_group = std::mem::replace(&mut self.group, group);
                self.spare_group.clear();
                if trouble.fatal {
                    self.fail(trouble.error.clone(), wakes);
                } else {
                    // They are told, and may try again; the events stay where they are.
                    self.line.tell_all(&trouble.error, wakes);
                    self.feeds.notify_all(wakes);
                }
            }
        }
        self.writer = Some(writer);
        self.call_a_leader(wakes);
        self.pass_room(wakes);
        self.call_a_reader(wakes);
        if self.written < self.next || self.synced < self.written {
            self.flusher.notify_one(wakes);
        }
    }

    /// Nothing is written any more.
    pub(super) fn fail(&mut self, error: StorageError, wakes: &mut Wakes) {
        self.failed.get_or_insert(error);
        self.tell_everybody(wakes);
    }

    pub(super) fn close(&mut self, wakes: &mut Wakes) -> bool {
        if std::mem::replace(&mut self.closed, true) {
            return false;
        }
        self.tell_everybody(wakes);
        true
    }

    fn tell_everybody(&mut self, wakes: &mut Wakes) {
        self.line.wake_all(wakes);
        self.room.notify_all(wakes);
        self.feeds.notify_all(wakes);
        self.flusher.notify_all(wakes);
    }

    /// A reader has got to `position`: returns the segments that nobody wants any more.
    pub(super) fn advance(&mut self, reader: &str, position: u64) -> Vec<Sealed> {
        if let Some(reader) = self.readers.get_mut(reader) {
            reader.next = reader.next.max(position);
        }
        self.raise_floor()
    }

    pub(super) fn raise_floor(&mut self) -> Vec<Sealed> {
        if let Some(lowest) = self.readers.values().map(|reader| reader.next).min()
            && lowest > self.floor
        {
            self.counts.done += lowest - self.floor;
            self.floor = lowest;
        }
        let held = self.readers.values().map(|reader| reader.holds).min().unwrap_or(NONE);
        let mut gone = Vec::new();
        while let Some(first) = self.sealed.front()
            && first.next <= self.floor
            && first.base < held
            && let Some(sealed) = self.sealed.pop_front()
        {
            gone.push(sealed);
        }
        gone
    }

    /// The files of these are gone, or waiting for their next use.
    pub(super) fn reclaimed(&mut self, gone: &[Sealed], spare: Option<String>, wakes: &mut Wakes) {
        self.sealed_bytes -= gone.iter().map(|sealed| sealed.bytes).sum::<u64>();
        self.spares.extend(spare);
        self.pass_room(wakes);
    }
}

/// How a reader's wait ends.
pub(super) enum Fed {
    Ready(Mark),
    Lead(Work),
    Failed(StorageError),
    /// The log is closed, and read to its end.
    End,
}
