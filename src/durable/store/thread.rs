//! The thread that owns the file.

use super::file::{File, TABLE};
use super::record;
use crate::channel::{Receiver, RecvError, Reply};
use crate::context::Context;
use crate::panics;
use crate::session::{Snapshot, StoreError};
use redb::{Database, ReadableDatabase, ReadableTableMetadata};
use std::fmt;

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
