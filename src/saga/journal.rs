//! The journal: records on disk, and the table of what they say.

use super::errors::{OpenError, SagaError};
use super::record::Snapshot;
use super::table::{Entry, Table};
use crate::context::Context;
use crate::durable::{AppendError, Outbox, ReadError, StorageError, SubmitError};
use crate::sync::Mutex;
use std::collections::BTreeMap;

pub(super) struct Journal {
    outbox: Outbox,
    /// The most bytes of a record.
    largest: usize,
    /// Guards what is known of the sagas. No file is touched under it.
    table: Mutex<Table>,
}

const READER: &str = "sagas";
const REASON: usize = 1024;

impl Journal {
    /// Reads what is there.
    pub(super) fn open(outbox: Outbox) -> Result<Self, OpenError> {
        let mut reader = outbox.reader(READER)?;
        let (mut read, mut last) = (Vec::new(), BTreeMap::new());
        while let Some(event) = reader.try_next().map_err(ReadError::from)? {
            let snapshot = Snapshot::decode(&event.body).ok_or(OpenError::Record(event.id))?;
            last.insert(snapshot.id.clone(), event.id);
            read.push((snapshot, event));
        }
        reader.skip_to(reader.position());
        let mut table = Table::new(reader, outbox.stats().next);
        for (snapshot, event) in read {
            table.read(snapshot, event.body.into(), event.id);
        }
        table.settle(&last);
        let largest = outbox.largest();
        Ok(Journal { outbox, largest, table: Mutex::new(table) })
    }

    pub(super) fn with<R>(&self, f: impl FnOnce(&mut Table) -> R) -> R {
        f(&mut self.table.lock())
    }

    /// Looks at a saga.
    pub(super) fn look<R>(&self, id: &str, f: impl FnOnce(&mut Entry) -> R) -> Option<R> {
        self.with(|table| table.entries.get_mut(id).map(f))
    }

    /// The number from which on new records are.
    pub(super) fn next(&self) -> u64 {
        self.outbox.stats().next
    }

    /// The most bytes of a reason. The rest of a longer one is not kept.
    pub(super) fn reason(&self) -> usize {
        (self.largest / 8).min(REASON)
    }

    /// Writes a record; it is on disk when this returns. On an error the table is as it was, and the
    /// record may be in the journal or not.
    ///
    /// `next` is the step that may turn the saga round: one that goes forward leaves room for what is
    /// added then, so that it can always go back.
    pub(super) fn record(
        &self,
        ctx: &Context,
        snapshot: &Snapshot,
        next: Option<&str>,
    ) -> Result<(), AppendError> {
        let bytes = snapshot.encode();
        let spare = next.map_or(0, |name| 2 * (name.len() + self.reason()) + 8);
        if bytes.len().saturating_add(spare) > self.largest {
            let (len, max) = (bytes.len(), self.largest.saturating_sub(spare));
            return Err(AppendError::Refused(SubmitError::TooLarge { len, max }));
        }
        let at = self.outbox.append(ctx, &bytes)?;
        self.with(|table| table.recorded(snapshot, bytes.into(), at));
        self.copy_forward(ctx);
        self.ack();
        Ok(())
    }

    /// Keeps the journal short.
    fn copy_forward(&self, ctx: &Context) {
        let mut next = self.with(Table::choose_copy);
        while let Some(copy) = next {
            let at = match self.outbox.append(ctx, &copy.bytes) {
                Ok(at) => Some(at),
                Err(e) => {
                    // The next record tries again; nothing is lost but space.
                    log::warn!("ironsys: saga `{}` is not copied forward: {e}", copy.id);
                    None
                }
            };
            next = self.with(|table| table.copied(copy, at));
        }
    }

    /// Gives back the space of what nobody wants. One thread acks at a time, for all.
    fn ack(&self) {
        let take = |table: &mut Table| {
            let floor = table.floor();
            if floor <= table.acked {
                return None;
            }
            let reader = table.reader.take()?;
            table.acked = floor;
            Some((reader, floor))
        };
        while let Some((mut reader, floor)) = self.with(take) {
            reader.skip_to(floor);
            if let Err(e) = reader.ack(floor - 1) {
                // It counts all the same; after a restart these are read again.
                log::warn!("ironsys: the journal of sagas: {e}");
            }
            self.with(|table| table.reader = Some(reader));
        }
    }

    /// How many records are kept.
    pub(super) fn len(&self) -> u64 {
        self.outbox.len()
    }
}

impl From<StorageError> for OpenError {
    fn from(e: StorageError) -> Self {
        OpenError::Read(e.into())
    }
}

impl SagaError {
    /// A record that failed: is it the context's stop, or the journal's fault?
    pub(super) fn of_a_record(id: &str, e: AppendError) -> Self {
        match e.stop() {
            Some(stop) => SagaError::Interrupted { id: id.into(), stop: stop.clone() },
            None => SagaError::Journal { id: id.into(), source: e },
        }
    }
}
