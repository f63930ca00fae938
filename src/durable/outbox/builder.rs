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
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// let outbox = Outbox::builder(dir.path()).name("orders").open()?;
    /// assert!(format!("{outbox:?}").contains("orders")); // and not the path
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets when an event is acknowledged. The default is [`Durability::Always`].
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// let outbox = Outbox::builder(dir.path()).durability(Durability::Os).open()?;
    /// outbox.append(&ctx, b"a click, not an order")?;
    /// assert_eq!((outbox.stats().groups, outbox.stats().syncs), (1, 0)); // nothing waited for the disk
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn durability(mut self, durability: Durability) -> Self {
        self.limits.durability = durability;
        self
    }

    /// Sets what a submit does when the disk space is used up. The default is to wait.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// let small = Outbox::builder(dir.path()).segment_bytes(4096).group_bytes(4000).max_bytes(1 << 14);
    /// let outbox = small.when_full(WhenFull::Refuse).open()?;
    /// let taken = (0..100).take_while(|_| outbox.append(&ctx, &[7; 1000]).is_ok()).count();
    /// assert!((10..20).contains(&taken)); // it said no, where it would have waited for a reader
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.limits.when_full = when_full;
        self
    }

    /// Sets how many bytes of events, with 20 to 24 bytes for each, may be on disk. The default is
    /// 8 GiB; `u64::MAX` is no limit. The files may take one segment more than that.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// let builder = Outbox::builder(dir.path()).segment_bytes(4096).group_bytes(4000);
    /// let outbox = builder.max_bytes(20_000).when_full(WhenFull::Refuse).open()?;
    /// while outbox.append(&ctx, &[7; 1000]).is_ok() {}
    /// assert!(outbox.len() * 1020 <= 20_000 && outbox.len() > 15);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.limits.max_bytes = bytes;
        self
    }

    /// Sets the size from which a segment is ended and another begun. The default is 64 MiB. Space is
    /// given back by whole segments.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// let outbox = Outbox::builder(dir.path()).segment_bytes(4096).open()?;
    /// for _ in 0..10 {
    ///     outbox.append(&ctx, &[7; 1000])?;
    /// }
    /// assert!(outbox.stats().segments > 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.limits.segment_bytes = bytes;
        self
    }

    /// Sets how many bytes may wait in memory to be written; an event must fit in. The default is
    /// 4 MiB.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// let outbox = Outbox::builder(dir.path()).group_bytes(100).open()?;
    /// assert!(outbox.append(&ctx, &[7; 60]).is_ok());
    /// let refused = outbox.submit(&ctx, &[7; 200]);
    /// assert!(matches!(refused, Err(SubmitError::TooLarge { len: 200, .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn group_bytes(mut self, bytes: usize) -> Self {
        self.limits.group_bytes = bytes;
        self
    }

    /// Sets what is done about acknowledged events that do not verify. The default is not to open.
    ///
    /// ```
    /// # use ironsys::durable::*;
    /// # let memory = Memory::new();
    /// # use ironsys::{Context, sync::Arc};
    /// # let (ctx, _cancel) = Context::root();
    /// # let write = || Outbox::over(Arc::new(memory.clone()));
    /// # let outbox = write().open()?;
    /// # outbox.append(&ctx, b"a")?;
    /// # outbox.append(&ctx, b"b")?;
    /// # outbox.append(&ctx, b"c")?;
    /// # drop(outbox);
    /// memory.flip("00000000000000000001.seg", 52, 1)?; // in the first event
    /// assert!(write().open().is_err());
    /// assert!(write().on_damage(OnDamage::Open).open().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_damage(mut self, what: OnDamage) -> Self {
        self.on_damage = what;
        self
    }

    /// Sets the context under which the thread of [`Durability::Every`] runs, and whose clock it
    /// reads. The default is a root of its own. The other kinds have no thread.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// use ironsys::time::VirtualClock;
    /// use std::time::Duration;
    /// let (ctx, _cancel) = Context::builder().clock(VirtualClock::auto().clock()).build();
    /// let hourly = Outbox::builder(dir.path()).durability(Durability::Every(Duration::from_secs(3600)));
    /// let outbox = hourly.context(&ctx).open()?;
    /// outbox.append(&ctx, b"a click")?;
    /// assert_eq!(outbox.reader("mail")?.next(&ctx)?.body, b"a click"); // when it is synced
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// let outbox = Outbox::builder(dir.path()).open()?;
    /// let again = Outbox::builder(dir.path()).open().unwrap_err();
    /// assert!(again.storage().unwrap().is_in_use()); // a directory belongs to one
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(self) -> Result<Outbox, OpenError> {
        Ok(self.open_with_report()?.0)
    }

    /// Like [`open`](Self::open), and says what was found.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// let outbox = Outbox::open(dir.path())?;
    /// outbox.append_many(&ctx, ["a", "b"])?;
    /// drop(outbox);
    /// let (outbox, report) = Outbox::builder(dir.path()).open_with_report()?;
    /// assert_eq!((report.pending, report.torn_tail), (2, false));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
