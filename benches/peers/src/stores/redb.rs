//! redb: a transaction for each event.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use ::redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::{Event, Store};

const EVENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");

pub(crate) struct Redb {
    database: Database,
    next: AtomicU64,
}

impl Store for Redb {
    fn open(dir: &Path) -> Self {
        let database = Database::create(dir.join("events.redb")).expect("redb opens");
        Redb { database, next: AtomicU64::new(0) }
    }

    fn append(&self, event: &Event) {
        let key = self.next.fetch_add(1, Ordering::Relaxed);
        let transaction = self.database.begin_write().expect("redb begins");
        let mut table = transaction.open_table(EVENTS).expect("redb opens the table");
        table.insert(key, event.bytes()).expect("redb inserts");
        drop(table);
        transaction.commit().expect("redb commits");
    }

    fn read(&self, each: &mut dyn FnMut(&[u8])) {
        let transaction = self.database.begin_read().expect("redb begins");
        let table = transaction.open_table(EVENTS).expect("redb opens the table");
        for event in table.iter().expect("redb reads") {
            each(event.expect("redb reads").1.value());
        }
    }
}
