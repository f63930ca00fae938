//! fjall: an insert, and a sync of its journal.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use ::fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::{Event, Store};

pub(crate) struct Fjall {
    database: Database,
    events: Keyspace,
    next: AtomicU64,
}

impl Store for Fjall {
    fn open(dir: &Path) -> Self {
        let database = Database::builder(dir).open().expect("fjall opens");
        let events = database.keyspace("events", KeyspaceCreateOptions::default);
        let events = events.expect("fjall makes a keyspace");
        Fjall { database, events, next: AtomicU64::new(0) }
    }

    fn append(&self, event: &Event) {
        let key = self.next.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        self.events.insert(key, event.bytes()).expect("fjall inserts");
        self.database.persist(PersistMode::SyncData).expect("fjall syncs");
    }

    fn read(&self, each: &mut dyn FnMut(&[u8])) {
        for event in self.events.iter() {
            each(&event.value().expect("fjall reads"));
        }
    }
}
