//! Building an outbox.

use super::errors::OpenError;
use super::handle::Outbox;
use crate::context::Context;
use crate::durable::log::{self, Durability, Limits, MAX_BODY, OnDamage, OpenReport, WhenFull};
use crate::durable::storage::{Folder, Storage, StorageError};
use crate::error::BuildError;
use crate::sync::Arc;
use std::path::PathBuf;

/// Opens an [`Outbox`]. Made by [`Outbox::builder`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `open`"]
pub struct Builder {
    place: Place,
    name: Option<String>,
    limits: Limits,
    on_damage: OnDamage,
    parent: Option<Context>,
}

#[derive(Debug, Clone)]
enum Place {
    Path(PathBuf),
    Storage(Arc<dyn Storage>),
}

impl Builder {
    pub(super) fn at(path: PathBuf) -> Self {
        Builder::new(Place::Path(path))
    }

    pub(super) fn over(storage: Arc<dyn Storage>) -> Self {
        Builder::new(Place::Storage(storage))
    }

    fn new(place: Place) -> Self {
        let (limits, on_damage) = (Limits::default(), OnDamage::default());
        Builder { place, name: None, limits, on_damage, parent: None }
    }

    /// Sets the name under which waits show. The default is the path.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets when an event is acknowledged. The default is [`Durability::Always`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.limits.durability = durability;
        self
    }

    /// Sets what a submit does when the disk space is used up. The default is to wait.
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.limits.when_full = when_full;
        self
    }

    /// Sets how many bytes of events, with 20 to 24 bytes for each, may be on disk. The default is
    /// 8 GiB; `u64::MAX` is no limit. The files may take one segment more than that.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.limits.max_bytes = bytes;
        self
    }

    /// Sets the size from which a segment is ended and another begun. The default is 64 MiB. Space is
    /// given back by whole segments.
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.limits.segment_bytes = bytes;
        self
    }

    /// Sets how many bytes may wait in memory to be written; an event must fit in. The default is
    /// 4 MiB.
    pub fn group_bytes(mut self, bytes: usize) -> Self {
        self.limits.group_bytes = bytes;
        self
    }

    /// Sets what is done about acknowledged events that do not verify. The default is not to open.
    pub fn on_damage(mut self, what: OnDamage) -> Self {
        self.on_damage = what;
        self
    }

    /// Sets the context under which the thread of [`Durability::Every`] runs, and whose clock it
    /// reads. The default is a root of its own. The other kinds have no thread.
    pub fn context(mut self, ctx: &Context) -> Self {
        self.parent = Some(ctx.clone());
        self
    }

    /// Opens the outbox: makes the directory if need be, locks it, and finds the end of the log.
    ///
    /// # Errors
    /// [`Build`](OpenError::Build): `segment_bytes` is below 4,096; `group_bytes` is below 64 or
    /// above 256 MiB; `max_bytes` is below two segments and two groups; or the thread does not start.
    /// [`Storage`](OpenError::Storage): the directory cannot be read or written, is in use, or holds
    /// acknowledged events that do not verify.
    pub fn open(self) -> Result<Outbox, OpenError> {
        Ok(self.open_with_report()?.0)
    }

    /// Like [`open`](Self::open), and says what was found.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn open_with_report(self) -> Result<(Outbox, OpenReport), OpenError> {
        self.check()?;
        let storage: Arc<dyn Storage> = match self.place {
            Place::Storage(storage) => storage,
            Place::Path(path) => {
                let folder = Folder::new(&path);
                Arc::new(folder.map_err(|e| StorageError::io("create", path, 0, e))?)
            }
        };
        let name = self.name.unwrap_or_else(|| storage.path().display().to_string());
        let (log, report, lock) = log::open(storage, name.into(), self.limits, self.on_damage)?;
        let parent = self.parent.unwrap_or_else(|| Context::root().0);
        let outbox = Outbox::new(Arc::new(log), lock, self.limits.durability, &parent)?;
        Ok((outbox, report))
    }

    fn check(&self) -> Result<(), BuildError> {
        let wrong = |field, problem: String| Err(BuildError::new("outbox", field, problem));
        let Limits { segment_bytes, group_bytes, max_bytes, .. } = self.limits;
        if segment_bytes < MIN_SEGMENT {
            return wrong("segment_bytes", format!("must be at least {MIN_SEGMENT}"));
        }
        if !(MIN_GROUP..=MAX_BODY).contains(&group_bytes) {
            let problem = format!("must be between {MIN_GROUP} and {MAX_BODY}, not {group_bytes}");
            return wrong("group_bytes", problem);
        }
        let least = segment_bytes.saturating_add(group_bytes as u64).saturating_mul(2);
        if max_bytes < least {
            return wrong(
                "max_bytes",
                format!("must be at least {least}: two segments, two groups"),
            );
        }
        Ok(())
    }
}

const MIN_SEGMENT: u64 = 4096;
const MIN_GROUP: usize = 64;
