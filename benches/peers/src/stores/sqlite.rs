//! SQLite: one connection that the threads take in turns, its write-ahead log synced for each event.

use std::path::Path;

use parking_lot::Mutex;
use rusqlite::Connection;

use super::{Event, Store};

pub(crate) struct Sqlite(Mutex<Connection>);

impl Store for Sqlite {
    fn open(dir: &Path) -> Self {
        let connection = Connection::open(dir.join("events.sqlite")).expect("sqlite opens");
        let set = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
                   CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY, body BLOB NOT NULL)";
        connection.execute_batch(set).expect("sqlite is set up");
        Sqlite(Mutex::new(connection))
    }

    fn append(&self, event: &Event) {
        let connection = self.0.lock();
        let mut insert =
            connection.prepare_cached("INSERT INTO events (body) VALUES (?1)").expect("it is SQL");
        assert_eq!(insert.execute([event.bytes()]).expect("sqlite inserts"), 1);
    }

    fn read(&self, each: &mut dyn FnMut(&[u8])) {
        let connection = self.0.lock();
        let mut select = connection.prepare("SELECT body FROM events").expect("it is SQL");
        let mut rows = select.query([]).expect("sqlite reads");
        while let Some(row) = rows.next().expect("sqlite reads") {
            each(row.get_ref(0).and_then(|body| Ok(body.as_blob()?)).expect("a body"));
        }
    }
}
