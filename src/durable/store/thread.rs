//! The thread that owns the file.

use super::record;
use crate::channel::{Receiver, RecvError, Reply};
use crate::context::Context;
use crate::panics;
use crate::session::{Snapshot, StoreError};
use crate::sync::catch_unwind;
use redb::{Database, ReadableDatabase, ReadableTableMetadata, TableDefinition};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

const TABLE: TableDefinition<'static, &'static [u8], &'static [u8]> =
    TableDefinition::new("snapshots");

/// Requests that are written with one sync, at most.
const GROUP: usize = 4096;
/// Bytes of them, but for the last one.
const GROUP_BYTES: usize = 8 << 20;

pub(super) type Done = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

pub(super) enum Request<Id> {
    Save { id: Id, key: Vec<u8>, record: Vec<u8>, done: Done },
    Load { id: Id, key: Vec<u8>, reply: Reply<Result<Option<Snapshot>, StoreError>> },
    Len { reply: Reply<Result<u64, String>> },
}

/// The file. After an error of the disk redb refuses everything until the file is opened again: that
/// happens with the next request, when there may be room again.
pub(super) struct File {
    path: PathBuf,
    open: Option<Open>,
}

struct Open {
    file: Database,
    /// Which file it is: under its path there may be another by now, or none.
    inode: Inode,
}

impl File {
    /// Opens the file, or makes it.
    pub(super) fn open(path: &Path) -> Result<File, String> {
        // The same one, wherever the process goes.
        let path = std::path::absolute(path).map_err(|e| e.to_string())?;
        let made = contained(|| {
            let file = Database::create(&path)?;
            let txn = file.begin_write()?;
            txn.open_table(TABLE)?;
            txn.commit()?;
            Ok(Open { file, inode: inode(&path)? })
        });
        Ok(File { open: Some(made?), path })
    }

    fn with<R>(
        &mut self,
        f: impl FnOnce(&Database) -> Result<R, redb::Error>,
    ) -> Result<R, String> {
        contained(|| {
            let open = match self.open.take() {
                Some(open) => open,
                // Not made anew: a file that is gone is not an empty one.
                None => Open { file: Database::open(&self.path)?, inode: inode(&self.path)? },
            };
            let result = f(&open.file);
            if !matches!(result, Err(redb::Error::Io(_) | redb::Error::PreviousIo)) {
                self.open = Some(open);
            }
            result
        })
    }

    /// Writes, and makes sure that it is the file that whoever opens the path will read.
    fn save<'a>(
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

/// Serves until the handle is gone and everything in the queue is done.
pub(super) fn serve<Id: fmt::Debug>(
    file: &mut File,
    requests: &Receiver<Request<Id>>,
    ctx: &Context,
) {
    let mut group = Vec::new();
    loop {
        let first = match requests.recv(ctx) {
            Ok(first) => first,
            Err(RecvError::Closed) => return,
            Err(RecvError::Stopped(_)) => match requests.try_recv() {
                Ok(first) => first,
                Err(_) => return,
            },
        };
        let mut bytes = weight(&first);
        group.push(first);
        while group.len() < GROUP && bytes < GROUP_BYTES {
            let Ok(next) = requests.try_recv() else { break };
            bytes += weight(&next);
            group.push(next);
        }
        perform(file, &mut group);
    }
}

fn weight<Id>(request: &Request<Id>) -> usize {
    match request {
        Request::Save { record, .. } => record.len(),
        _ => 0,
    }
}

/// What is to be saved first, all in one transaction; then everybody is answered in order.
fn perform<Id: fmt::Debug>(file: &mut File, group: &mut Vec<Request<Id>>) {
    let saves = group.iter().filter_map(|request| match request {
        Request::Save { key, record, .. } => Some((&key[..], &record[..])),
        _ => None,
    });
    let saved = file.save(saves);
    for request in group.drain(..) {
        match request {
            Request::Save { id, done, .. } => {
                let result = saved.as_ref().map_err(|problem| StoreError::Failed {
                    id: panics::name(&id),
                    problem: problem.clone(),
                });
                panics::contain(|| done(result.copied()));
            }
            Request::Load { id, key, reply } => drop(reply.send(load(file, &id, &key))),
            Request::Len { reply } => drop(reply.send(file.with(len))),
        }
    }
}

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

fn load<Id: fmt::Debug>(
    file: &mut File,
    id: &Id,
    key: &[u8],
) -> Result<Option<Snapshot>, StoreError> {
    let found = file.with(|file| {
        let table = file.begin_read()?.open_table(TABLE)?;
        Ok(table.get(key)?.map(|record| record::decode(key, record.value())))
    });
    let id = || panics::name(id);
    match found {
        Ok(Some(Ok(snapshot))) => Ok(Some(snapshot)),
        Ok(Some(Err(problem))) => Err(StoreError::Corrupt { id: id(), problem }),
        Ok(None) => Ok(None),
        Err(problem) => Err(StoreError::Failed { id: id(), problem }),
    }
}

fn len(file: &Database) -> Result<u64, redb::Error> {
    Ok(file.begin_read()?.open_table(TABLE)?.len()?)
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
