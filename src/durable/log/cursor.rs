//! How far a reader is, on disk: two slots that are written in turns, so that one of them is whole at
//! any time. It is never synced for itself: an older position only delivers again.

use super::frame::{RECORD, decode_record, encode_record};
use crate::durable::storage::{Storage, StorageError, StorageFile, read_full, write_all};

/// The file with a reader's position.
#[derive(Debug)]
pub(in crate::durable) struct Cursor {
    name: String,
    file: Box<dyn StorageFile>,
    version: u64,
    /// The number of the first event that is not acked.
    pub(in crate::durable) position: u64,
}

/// The slots lie in different sectors and pages.
const SLOT: u64 = 4096;
const SUFFIX: &str = ".cursor";

/// The file of a reader.
pub(super) fn file_name(reader: &str) -> String {
    format!("{reader}{SUFFIX}")
}

/// The reader of a file.
pub(super) fn reader_of(file: &str) -> Option<&str> {
    file.strip_suffix(SUFFIX)
}

/// Whether a reader may have this name, which is that of a file too.
pub(in crate::durable) fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= 100 && !name.starts_with('.') && name.chars().all(plain)
}

impl Cursor {
    /// Opens a cursor; one that does not verify stands at `start`, as a new one does.
    pub(in crate::durable) fn open(
        storage: &dyn Storage,
        reader: &str,
        start: u64,
    ) -> Result<Self, StorageError> {
        let name = file_name(reader);
        let failed = |call, e| StorageError::io(call, storage.path().join(&name), 0, e);
        let exists = storage.list().map_err(|e| failed("list", e))?.contains(&name);
        let file = if exists { storage.open(&name) } else { storage.create(&name) };
        let file = file.map_err(|e| failed("open", e))?;
        let mut newest = None;
        for slot in 0..2 {
            let mut bytes = [0; RECORD];
            let got = read_full(&*file, &mut bytes, slot * SLOT).map_err(|e| failed("read", e))?;
            if let Some([version, position, _]) = decode_record(&bytes).filter(|_| got == RECORD) {
                newest = newest.max(Some((version, position)));
            }
        }
        let (version, position) = newest.unwrap_or((0, start));
        let mut cursor = Cursor { name, file, version, position: position.max(start) };
        if newest.is_none() {
            cursor.write(storage)?;
            storage.sync_names().map_err(|e| StorageError::io("sync", storage.path(), 0, e))?;
        }
        Ok(cursor)
    }

    /// Moves forward to `position`.
    pub(in crate::durable) fn advance(
        &mut self,
        storage: &dyn Storage,
        position: u64,
    ) -> Result<(), StorageError> {
        self.position = self.position.max(position);
        self.write(storage)
    }

    fn write(&mut self, storage: &dyn Storage) -> Result<(), StorageError> {
        self.version += 1;
        let slot = self.version % 2 * SLOT;
        let record = encode_record([self.version, self.position, 0]);
        write_all(&*self.file, &record, slot).map_err(|(done, e)| {
            StorageError::io("write", storage.path().join(&self.name), slot + done, e)
        })
    }

    /// Makes the position durable.
    pub(in crate::durable) fn sync(&self, storage: &dyn Storage) -> Result<(), StorageError> {
        let failed = |e| StorageError::io("sync", storage.path().join(&self.name), 0, e);
        self.file.sync().map_err(failed)
    }
}
