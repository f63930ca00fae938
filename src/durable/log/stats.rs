//! An outbox at one moment.

use super::state::State;
use crate::observe::Ledger;

impl State {
    /// The counts, for those who look on.
    pub(in crate::durable) fn stats(&self) -> Stats {
        let readers = self.readers.iter().map(|(name, at)| ReaderLag {
            name: name.clone(),
            position: at.next,
            lag: self.next.saturating_sub(at.next.max(self.floor)),
            open: at.open,
        });
        let in_flight = self.next - self.floor.min(self.next);
        Stats {
            ledger: Ledger {
                accepted: self.counts.at_open + self.counts.submitted,
                done: self.counts.done,
                in_flight,
                ..Ledger::default()
            },
            len: in_flight,
            oldest: (in_flight > 0).then_some(self.floor),
            next: self.next,
            unsynced: self.next - self.synced,
            readers: readers.collect(),
            bytes_on_disk: self.sealed_bytes + self.tail_bytes,
            bytes_in_memory: self.group.len(),
            segments: self.sealed.len() + 1,
            submitted_bytes: self.counts.bytes,
            groups: self.counts.groups,
            syncs: self.counts.syncs,
            refused: self.counts.refused,
            waiting: self.line.len() + self.room.len(),
        }
    }
}

/// An outbox at one moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Stats {
    /// What became of the events: those found at the start and those submitted since. *Done* is what
    /// every reader has acked.
    pub ledger: Ledger,
    /// Events that some reader has not acked. Without a reader: all that are kept.
    pub len: u64,
    /// The number of the oldest of these.
    pub oldest: Option<u64>,
    /// The number that the next event gets.
    pub next: u64,
    /// Events that are not on disk yet.
    pub unsynced: u64,
    /// How far each reader is.
    pub readers: Vec<ReaderLag>,
    /// Bytes of all segments.
    pub bytes_on_disk: u64,
    /// Bytes of the group that is being collected.
    pub bytes_in_memory: usize,
    /// How many segments there are.
    pub segments: usize,
    /// Bytes of all events submitted.
    pub submitted_bytes: u64,
    /// Groups written.
    pub groups: u64,
    /// Times the log was synced.
    pub syncs: u64,
    /// Events refused since the space was used up.
    pub refused: u64,
    /// Calls that wait to be on disk, or for room.
    pub waiting: usize,
}

/// How far a reader is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReaderLag {
    /// Its name.
    pub name: String,
    /// The number of the first event that it has not acked.
    pub position: u64,
    /// How many events it has not acked.
    pub lag: u64,
    /// Whether somebody reads under the name now.
    pub open: bool,
}
