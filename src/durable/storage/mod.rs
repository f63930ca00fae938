//! What a log needs of a disk: named files in one folder, written and read at offsets, made durable on
//! request.
//!
//! Two kinds exist: [`Folder`], a directory of the file system, and, with the feature `testing`,
//! `Memory`, which fails on demand and loses power. A log is written against the trait, so a test can
//! stand between it and the disk.

mod error;
mod folder;
#[cfg(feature = "testing")]
mod memory;

pub use error::StorageError;
pub use folder::Folder;
#[cfg(feature = "testing")]
pub use memory::{Fault, FaultAt, Memory};

use std::any::Any;
use std::fmt;
use std::io;
use std::path::Path;

/// A folder of files. What a call has done is durable only after a sync.
///
/// Calls are made without a lock held, from any thread.
///
/// ```
/// use ironsys::durable::{Folder, Storage};
/// # fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// let folder = Folder::new(dir.path())?;
/// let file = folder.create("a")?;
/// assert_eq!(file.write_at(b"abc", 2)?, 3);
/// file.sync()?; // the bytes
/// folder.sync_names()?; // the name
/// assert_eq!(folder.list()?, ["a"]);
/// # Ok(()) }
/// ```
pub trait Storage: fmt::Debug + Send + Sync {
    /// Returns the folder's path, for messages.
    fn path(&self) -> &Path;

    /// Lists the names of the files, in no order.
    ///
    /// # Errors
    /// The system's.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Opens a file that exists, for reading and writing.
    ///
    /// # Errors
    /// The system's.
    fn open(&self, name: &str) -> io::Result<Box<dyn StorageFile>>;

    /// Makes a file, or empties one that exists.
    ///
    /// # Errors
    /// The system's.
    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>>;

    /// Gives a file another name. The content stays reachable by handles that are open.
    ///
    /// # Errors
    /// The system's.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// The system's.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes names durable: files made, renamed and removed.
    ///
    /// # Errors
    /// The system's.
    fn sync_names(&self) -> io::Result<()>;

    /// Locks the file `name`, which is made if need be, until the guard is dropped or the process
    /// ends; `None` if another handle holds it.
    ///
    /// # Errors
    /// The system's.
    fn lock(&self, name: &str) -> io::Result<Option<Box<dyn Any + Send + Sync>>>;
}

/// An open file of a [`Storage`].
pub trait StorageFile: fmt::Debug + Send + Sync {
    /// Reads up to `into.len()` bytes at `offset`; 0 at the end of the file.
    ///
    /// # Errors
    /// The system's.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes at `offset`, perhaps only a part; returns how many bytes.
    ///
    /// # Errors
    /// The system's.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Makes what was written durable. After an error nobody knows what is on disk, and asking again
    /// tells nothing.
    ///
    /// # Errors
    /// The system's.
    fn sync(&self) -> io::Result<()>;

    /// Returns the length in bytes.
    ///
    /// # Errors
    /// The system's.
    fn size(&self) -> io::Result<u64>;

    /// Cuts the file off, or extends it with zeros.
    ///
    /// # Errors
    /// The system's.
    fn truncate(&self, size: u64) -> io::Result<()>;
}

/// Writes all of `bytes`. On an error, how many bytes were written before it.
pub(super) fn write_all(
    file: &dyn StorageFile,
    bytes: &[u8],
    offset: u64,
) -> Result<(), (u64, io::Error)> {
    let mut done = 0;
    while done < bytes.len() {
        match file.write_at(&bytes[done..], offset + done as u64) {
            Ok(0) => return Err((done as u64, io::ErrorKind::WriteZero.into())),
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err((done as u64, e)),
        }
    }
    Ok(())
}

/// Fills as much of `into` as the file has, and returns how much that is.
pub(super) fn read_full(file: &dyn StorageFile, into: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < into.len() {
        match file.read_at(&mut into[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}
