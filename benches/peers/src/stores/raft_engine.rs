//! raft-engine: a group of its own for each thread, since the numbers in a group have no gaps.

use std::path::Path;

use ::raft_engine::{Config, Engine, LogBatch, MessageExt};
use protobuf::well_known_types::BytesValue;

use super::{Event, Store, number_of};

pub(crate) struct RaftEngine(Engine);

/// An entry is an event; its number is in it.
#[derive(Clone)]
struct Entry;

impl MessageExt for Entry {
    type Entry = BytesValue;

    fn index(entry: &BytesValue) -> u64 {
        number_of(&entry.value)
    }
}

impl Store for RaftEngine {
    fn open(dir: &Path) -> Self {
        let dir = dir.to_str().expect("a path of letters").into();
        RaftEngine(Engine::open(Config { dir, ..Config::default() }).expect("raft-engine opens"))
    }

    fn append(&self, event: &Event) {
        let mut entry = BytesValue::new();
        entry.value = event.bytes().to_vec();
        let mut batch = LogBatch::with_capacity(1);
        batch.add_entries::<Entry>(event.thread() + 1, &[entry]).expect("it is short");
        self.0.write(&mut batch, true).expect("raft-engine writes");
    }

    fn read(&self, each: &mut dyn FnMut(&[u8])) {
        for group in self.0.raft_groups() {
            let first = self.0.first_index(group).expect("it has entries");
            let end = self.0.last_index(group).expect("it has entries") + 1;
            let mut entries = Vec::new();
            let read = self.0.fetch_entries_to::<Entry>(group, first, end, None, &mut entries);
            read.expect("raft-engine reads");
            entries.iter().for_each(|entry: &BytesValue| each(&entry.value));
        }
    }
}
