//! The file of a store, and what of its errors redb keeps to itself.
//!
//! redb ends with a last write, and drops its error. So it reaches the disk through `Watched`, which
//! tells of each error over a channel, and what comes out of it after the drop is the error of the end.

use crate::channel::{self, Receiver, Sender};
use crate::panics;
use crate::sync::catch_unwind;
use redb::backends::FileBackend;
use redb::{Database, StorageBackend, TableDefinition};
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

pub(super) const TABLE: TableDefinition<'static, &'static [u8], &'static [u8]> =
    TableDefinition::new("snapshots");

/// The file. After an error of the disk redb refuses everything until the file is opened again: that
/// happens with the next request, when there may be room again.
pub(super) struct File {
    path: PathBuf,
    open: Option<Open>,
}

struct Open {
    file: Database,
    /// Of the disk, the last one.
    errors: Receiver<String>,
    /// Which file it is: under its path there may be another by now, or none.
    inode: Inode,
}

impl File {
    /// Opens the file, or makes it.
    pub(super) fn open(path: &Path) -> Result<File, String> {
        // The same one, wherever the process goes.
        let path = std::path::absolute(path).map_err(|e| e.to_string())?;
        let made = contained(|| {
            let open = Open::at(&path, true)?;
            let txn = open.file.begin_write()?;
            txn.open_table(TABLE)?;
            txn.commit()?;
            Ok(open)
        });
        Ok(File { open: Some(made?), path })
    }

    pub(super) fn with<R>(
        &mut self,
        f: impl FnOnce(&Database) -> Result<R, redb::Error>,
    ) -> Result<R, String> {
        contained(|| {
            let open = match self.open.take() {
                Some(open) => open,
                // Not made anew: a file that is gone is not an empty one.
                None => Open::at(&self.path, false)?,
            };
            let result = f(&open.file);
            if !matches!(result, Err(redb::Error::Io(_) | redb::Error::PreviousIo)) {
                self.open = Some(open);
            }
            result
        })
    }

    /// Writes, and makes sure that it is the file that whoever opens the path will read.
    pub(super) fn save<'a>(
        &mut self,
        saves: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<(), String> {
        let mut saves = saves.peekable();
        if saves.peek().is_none() {
            return Ok(());
        }
        let (path, before) = (self.path.clone(), self.open.as_ref().map(|open| open.inode));
        self.with(|file| {
            commit(file, saves)?;
            if before.is_some_and(|before| inode(&path).ok() != Some(before)) {
                return Err(redb::Error::Io(io::Error::other("the file was removed or replaced")));
            }
            Ok(())
        })
    }

    /// Ends the use of the file.
    pub(super) fn close(&mut self) -> Result<(), String> {
        match self.open.take() {
            Some(open) => open.close(),
            None => Ok(()), // The request that met the error was told.
        }
    }
}

impl Open {
    fn at(path: &Path, make: bool) -> Result<Open, redb::Error> {
        let file =
            OpenOptions::new().read(true).write(true).create(make).truncate(false).open(path)?;
        if !make && file.metadata()?.len() == 0 {
            return Err(redb::Error::Io(io::Error::other("the file is empty")));
        }
        Open::on(FileBackend::new(file)?, inode(path)?)
    }

    fn on(disk: impl StorageBackend, inode: Inode) -> Result<Open, redb::Error> {
        let (tell, errors) = channel::bounded(1);
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE);
        let file = builder.create_with_backend(Watched { disk, tell })?;
        Ok(Open { file, errors, inode })
    }

    fn close(self) -> Result<(), String> {
        let Open { file, errors, .. } = self;
        let _ = errors.try_recv(); // Told before.
        contained(|| {
            drop(file);
            Ok(())
        })?;
        errors.try_recv().map_or(Ok(()), Err)
    }
}

/// Bytes of pages that are kept in memory. redb's own default is 1 GiB, and the system keeps them too.
const CACHE: usize = 64 << 20;

fn commit<'a>(
    file: &Database,
    saves: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) -> Result<(), redb::Error> {
    let mut txn = file.begin_write()?;
    // So that a file that was not closed opens at once, whatever its size.
    txn.set_quick_repair(true);
    let mut table = txn.open_table(TABLE)?;
    for (key, record) in saves {
        table.insert(key, record)?;
    }
    drop(table);
    Ok(txn.commit()?)
}

/// A disk that tells of its errors.
#[derive(Debug)]
struct Watched<D> {
    disk: D,
    tell: Sender<String>,
}

impl<D> Watched<D> {
    fn seen<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if let Err(e) = &result {
            let _ = self.tell.try_send(e.to_string()); // There is one already.
        }
        result
    }
}

impl<D: StorageBackend> StorageBackend for Watched<D> {
    fn len(&self) -> io::Result<u64> {
        self.seen(self.disk.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.seen(self.disk.read(offset, out))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.seen(self.disk.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.seen(self.disk.sync_data())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.seen(self.disk.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.seen(self.disk.close())
    }
}

/// What tells a file from another one that takes its place.
type Inode = (u64, u64);

#[cfg(unix)]
fn inode(path: &Path) -> io::Result<Inode> {
    use std::os::unix::fs::MetadataExt;
    let there = std::fs::metadata(path)?;
    Ok((there.dev(), there.ino()))
}

/// A file that is open cannot be removed here.
#[cfg(not(unix))]
fn inode(_: &Path) -> io::Result<Inode> {
    Ok((0, 0))
}

/// What went wrong in words. redb may panic on a file that somebody damaged; that is no reason to die.
fn contained<R>(f: impl FnOnce() -> Result<R, redb::Error>) -> Result<R, String> {
    match catch_unwind(f) {
        Ok(result) => result.map_err(|e| e.to_string()),
        Err(payload) => {
            let text = panics::message(&*payload).to_string();
            panics::discard(payload);
            Err(format!("the store's file is damaged: {text}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redb::backends::InMemoryBackend;

    /// Syncs as long as nothing is in the channel.
    #[derive(Debug)]
    struct Breaks(InMemoryBackend, Receiver<()>);

    impl StorageBackend for Breaks {
        fn len(&self) -> io::Result<u64> {
            self.0.len()
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.0.read(offset, out)
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            self.0.set_len(len)
        }

        fn sync_data(&self) -> io::Result<()> {
            if self.1.is_empty() { Ok(()) } else { Err(io::Error::other("no such luck")) }
        }

        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.0.write(offset, data)
        }
    }

    fn file() -> (File, Sender<()>) {
        let (breaks, broken) = channel::bounded(1);
        let open = Open::on(Breaks(InMemoryBackend::new(), broken), (0, 0)).unwrap();
        (File { path: PathBuf::from("nowhere"), open: Some(open) }, breaks)
    }

    #[test]
    fn the_error_of_the_last_write_is_told() {
        let (mut good, _breaks) = file();
        good.with(|file| commit(file, [(&b"a"[..], &b"b"[..])].into_iter())).unwrap();
        assert_eq!(good.close(), Ok(()));
        let (mut bad, breaks) = file();
        bad.with(|file| commit(file, [(&b"a"[..], &b"b"[..])].into_iter())).unwrap();
        breaks.try_send(()).unwrap();
        assert_eq!(bad.close(), Err("no such luck".into()));
    }
}
