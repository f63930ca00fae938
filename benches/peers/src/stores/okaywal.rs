//! okaywal. Its events are read once, while it is opened; so here that is when they are kept.

use std::io;
use std::path::Path;
use std::sync::Arc;

use ::okaywal::{Configuration, Entry, EntryId, LogManager, SegmentReader, WriteAheadLog};
use parking_lot::Mutex;

use super::{Event, Store};

pub(crate) struct Okaywal {
    wal: WriteAheadLog,
    found: Found,
}

/// The events that were there when it was opened.
#[derive(Debug, Default, Clone)]
struct Found(Arc<Mutex<Vec<Vec<u8>>>>);

impl LogManager for Found {
    fn recover(&mut self, entry: &mut Entry<'_>) -> io::Result<()> {
        if let Some(chunks) = entry.read_all_chunks()? {
            self.0.lock().extend(chunks);
        }
        Ok(())
    }

    fn checkpoint_to(
        &mut self,
        _last: EntryId,
        _entries: &mut SegmentReader,
        _wal: &WriteAheadLog,
    ) -> io::Result<()> {
        Ok(()) // Not before more is written than ever is.
    }
}

impl Store for Okaywal {
    fn open(dir: &Path) -> Self {
        let found = Found::default();
        // One file for all that is written, made before the rounds: its best case.
        let wal = Configuration::default_for(dir)
            .preallocate_bytes(64 << 20)
            .checkpoint_after_bytes(1 << 40)
            .open(found.clone())
            .expect("okaywal opens");
        Okaywal { wal, found }
    }

    fn append(&self, event: &Event) {
        let mut entry = self.wal.begin_entry().expect("okaywal begins");
        entry.write_chunk(event.bytes()).expect("okaywal writes");
        entry.commit().expect("okaywal commits");
    }

    fn read(&self, each: &mut dyn FnMut(&[u8])) {
        self.found.0.lock().iter().for_each(|event| each(event));
    }
}

impl Drop for Okaywal {
    fn drop(&mut self) {
        self.wal.clone().shutdown().expect("okaywal ends");
    }
}
