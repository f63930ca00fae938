//! What keeps events on a disk: each under one trait, so that all do the very same work.
//!
//! Every one is opened as its manual has it for an append that is on disk when it returns, by the way
//! to write that is its fastest. Whoever shares one sync among threads that wait may do so.

mod bare;
mod fjall;
mod okaywal;
mod ours;
mod raft_engine;
mod redb;
mod sqlite;

pub(crate) use bare::Bare;
pub(crate) use fjall::Fjall;
pub(crate) use okaywal::Okaywal;
pub(crate) use ours::{Ours, ReadBack, Reopened, Tickets, fill, reopen};
pub(crate) use raft_engine::RaftEngine;
pub(crate) use redb::Redb;
pub(crate) use sqlite::Sqlite;

use std::path::Path;

/// Bytes of an event.
pub(crate) const EVENT: usize = 256;

/// Keeps events in a directory. A failure of the disk is one of the benchmark, so it panics.
pub(crate) trait Store: Sync + Sized {
    /// Opens the directory, which is empty or has what was appended before.
    fn open(dir: &Path) -> Self;

    /// Appends an event: it is on disk when this returns.
    fn append(&self, event: &Event);

    /// Reads all events, in any order.
    fn read(&self, each: &mut dyn FnMut(&[u8]));
}

/// An event: its thread and its number there, which has no gaps, and then filling.
#[derive(Debug, Clone)]
pub(crate) struct Event([u8; EVENT]);

impl Event {
    pub(crate) fn new(thread: u64, number: u64) -> Self {
        let mut event = Event([b'e'; EVENT]);
        event.0[..8].copy_from_slice(&thread.to_le_bytes());
        event.0[8..16].copy_from_slice(&number.to_le_bytes());
        event
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn thread(&self) -> u64 {
        thread_of(&self.0)
    }
}

/// The thread of an event that was read.
pub(crate) fn thread_of(event: &[u8]) -> u64 {
    u64::from_le_bytes(*event.first_chunk().expect("an event"))
}

/// The number of an event that was read.
pub(crate) fn number_of(event: &[u8]) -> u64 {
    u64::from_le_bytes(*event[8..].first_chunk().expect("an event"))
}
