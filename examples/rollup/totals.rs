//! What is counted: requests and bytes by client, by status, by day and by path.
//!
//! Every parser fills a `Totals` of its own, without locks; they are merged at the end. A key is
//! copied only when it is new. Memory is bounded however many keys a log has: a `Totals` is made with
//! room for so many bytes of keys, and once that is used up, requests with keys that it does not have
//! are counted under *other*. Every sum is still right then; which keys have rows, and what was
//! counted in them before there was no room, depends on how the blocks fell to the parsers.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::line::Line;

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Count {
    pub(crate) requests: u64,
    /// Saturates: one absurd size in a log must not stop the job.
    pub(crate) bytes: u64,
}

impl Count {
    fn add(&mut self, more: Count) {
        self.requests += more.requests;
        self.bytes = self.bytes.saturating_add(more.bytes);
    }
}

/// Counts by key, and the count of what had no room as a key of its own.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: HashMap<Box<[u8]>, Count, RandomState>,
    pub(crate) other: Count,
}

impl Table {
    /// What a key costs beside its own bytes: row, free slots of the hash table, allocator.
    const ROW: usize = 128;

    fn add(&mut self, key: &[u8], more: Count, room: &mut usize) {
        if let Some(count) = self.rows.get_mut(key) {
            count.add(more);
        } else if let Some(left) = room.checked_sub(key.len() + Self::ROW) {
            *room = left;
            self.rows.insert(key.into(), more);
        } else {
            self.other.add(more);
        }
    }

    fn merge(&mut self, mut from: Table) {
        if self.len() < from.len() {
            std::mem::swap(self, &mut from);
        }
        for (key, count) in from.rows {
            self.rows.entry(key).or_default().add(count);
        }
        self.other.add(from.other);
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The rows, most requests first, equal ones by key: the same order on every run.
    pub(crate) fn ranked(&self) -> Vec<(&[u8], Count)> {
        let mut rows: Vec<_> = self.rows.iter().map(|(key, count)| (&key[..], *count)).collect();
        rows.sort_unstable_by(|a, b| b.1.requests.cmp(&a.1.requests).then(a.0.cmp(b.0)));
        rows
    }
}

/// What the tables of a `Totals` count by, in their order.
pub(crate) const NAMES: [&str; 4] = ["clients", "statuses", "days", "paths"];

#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) all: Count,
    pub(crate) tables: [Table; 4],
    /// Bytes left for new keys.
    room: usize,
}

impl Totals {
    pub(crate) fn with_room(room: usize) -> Self {
        Totals { room, ..Totals::default() }
    }

    pub(crate) fn add(&mut self, line: &Line<'_>) {
        let one = Count { requests: 1, bytes: line.bytes };
        let keys = [line.client, line.status, line.day, line.path];
        self.all.add(one);
        for (table, key) in self.tables.iter_mut().zip(keys) {
            table.add(key, one, &mut self.room);
        }
    }

    pub(crate) fn merge(&mut self, from: Totals) {
        self.all.add(from.all);
        for (table, from) in self.tables.iter_mut().zip(from.tables) {
            table.merge(from);
        }
    }
}
