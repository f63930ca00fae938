//! What can be wrong with a log on disk. Each error names the file and the offset.

use crate::sync::Arc;
use std::io;
use std::path::{Path, PathBuf};

/// The storage of a log failed, or what it holds cannot be trusted.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// A call to the system failed.
    #[error("{call} {} at byte {offset}: {source}", path.display())]
    Io {
        /// The call: `write`, `sync`, …
        call: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Where in the file; 0 if the call is not about a place.
        offset: u64,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// An event that was acknowledged does not verify: a bit flipped, a sector lost, a file cut.
    #[error("{} is damaged at byte {offset}: event {id} was acknowledged and does not verify", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the first frame starts that does not verify.
        offset: u64,
        /// The number of the event that is expected there.
        id: u64,
    },
    /// Another handle, in this process or another, has it open.
    #[error("{} is in use by another handle or process", path.display())]
    InUse {
        /// The lock.
        path: PathBuf,
    },
    /// The file is none of ours, or of another version.
    #[error("{} is no file of this log: {problem}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl StorageError {
    pub(in crate::durable) fn io(
        call: &'static str,
        path: impl Into<PathBuf>,
        offset: u64,
        source: io::Error,
    ) -> Self {
        StorageError::Io { call, path: path.into(), offset, source: Arc::new(source) }
    }

    /// Returns the file or folder.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// let _outbox = Outbox::open(dir.path())?;
    /// let error = Outbox::open(dir.path()).unwrap_err();
    /// assert!(error.storage().unwrap().path().starts_with(dir.path())); // the lock
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            StorageError::Io { path, .. }
            | StorageError::Damaged { path, .. }
            | StorageError::InUse { path }
            | StorageError::Foreign { path, .. } => path,
        }
    }

    /// Returns where in the file, if it is about a place.
    ///
    /// ```
    /// # use ironsys::durable::*;
    /// # let memory = Memory::new();
    /// # use ironsys::{Context, sync::Arc};
    /// # let (ctx, _cancel) = Context::root();
    /// let outbox = Outbox::over(Arc::new(memory.clone())).open()?;
    /// outbox.append(&ctx, b"a")?;
    /// memory.flip("00000000000000000001.seg", 52, 1)?;
    /// let error = outbox.reader("mail")?.try_next().unwrap_err();
    /// assert_eq!(error.offset(), Some(32)); // where the event begins
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        match self {
            StorageError::Io { offset, .. } | StorageError::Damaged { offset, .. } => Some(*offset),
            _ => None,
        }
    }

    /// Returns whether the disk, or the quota, is full: a later try may succeed.
    ///
    /// ```
    /// # use ironsys::durable::*;
    /// # let memory = Memory::new();
    /// # use ironsys::{Context, sync::Arc};
    /// # use std::io::ErrorKind;
    /// # let (ctx, _cancel) = Context::root();
    /// let outbox = Outbox::over(Arc::new(memory.clone())).open()?;
    /// memory.fail(Fault { at: FaultAt::Write, skip: 0, times: 1, error: ErrorKind::StorageFull });
    /// let error = outbox.append(&ctx, b"a").unwrap_err();
    /// assert!(error.storage().unwrap().is_disk_full()); // worth another try
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        matches!(self.kind(), Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }

    /// Returns whether the place may not be written to.
    ///
    /// ```
    /// # use ironsys::durable::*;
    /// # let memory = Memory::new();
    /// # use ironsys::sync::Arc;
    /// # use std::io::ErrorKind;
    /// let no = Fault { at: FaultAt::Create, skip: 0, times: 1, error: ErrorKind::PermissionDenied };
    /// memory.fail(no);
    /// let error = Outbox::over(Arc::new(memory)).open().unwrap_err();
    /// assert!(error.storage().unwrap().is_read_only());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        matches!(self.kind(), Some(PermissionDenied | ReadOnlyFilesystem))
    }

    /// Returns whether acknowledged data does not verify.
    ///
    /// ```
    /// # use ironsys::durable::*;
    /// # let memory = Memory::new();
    /// # use ironsys::{Context, sync::Arc};
    /// # let (ctx, _cancel) = Context::root();
    /// let outbox = Outbox::over(Arc::new(memory.clone())).open()?;
    /// outbox.append(&ctx, b"a")?;
    /// memory.flip("00000000000000000001.seg", 52, 1)?;
    /// assert!(outbox.reader("mail")?.try_next().unwrap_err().is_damaged());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        matches!(self, StorageError::Damaged { .. })
    }

    /// Returns whether another handle or process has it open.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// let second = Outbox::open(dir.path()).unwrap_err();
    /// assert!(second.storage().unwrap().is_in_use());
    /// drop(outbox);
    /// assert!(Outbox::open(dir.path()).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        matches!(self, StorageError::InUse { .. })
    }

    fn kind(&self) -> Option<io::ErrorKind> {
        match self {
            StorageError::Io { source, .. } => Some(source.kind()),
            _ => None,
        }
    }
}
