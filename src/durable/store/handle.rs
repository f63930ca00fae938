//! The store that users hold.

use super::key::StoreKey;
use super::record;
use super::thread::{self, Done, File, Request};
use crate::channel::{self, SendError, Sender};
use crate::context::Context;
use crate::session::{Snapshot, Store, StoreError};
use crate::sync::Arc;
use crate::threads::Owned;
use std::fmt;
use std::panic::Location;
use std::path::{Path, PathBuf};

/// Requests that may wait for the thread; who comes then waits for room.
const QUEUE: usize = 4096;

/// Keeps the states of sessions in a file: what is saved is synced, together with whatever else is
/// saved at the time.
///
/// A [`Store`] for a [`Manager`](crate::session::Manager), built on redb: one file, no server. Each
/// snapshot has a checksum; a damaged one is [`StoreError::Corrupt`] and names its id. What is saved while
/// the disk is full fails; when there is room again it goes on. So does a save after the file was removed
/// or replaced under the store (on Unix), until it is back. Dropping the store writes everything that was
/// given to it.
///
/// # Cost
/// One thread. One sync for all snapshots that wait at the time, so sessions that save at once share
/// it: 16 threads save some eight times as many a second as one.
///
/// ```
/// use ironsys::{Context, durable::DiskStore, session::{Snapshot, Store}};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("boards.redb");
/// let (ctx, _cancel) = Context::root();
/// let store = DiskStore::<u64>::open(&path)?;
/// store.save(&ctx, &7, &Snapshot::new(1, "state"))?; // on disk now
/// drop(store);
///
/// let store = DiskStore::<u64>::open(&path)?;
/// assert_eq!(store.load(&ctx, &7)?, Some(Snapshot::new(1, "state")));
/// assert_eq!(store.load(&ctx, &8)?, None);
/// # Ok(()) }
/// ```
pub struct DiskStore<Id: Send + 'static> {
    requests: Sender<Request<Id>>,
    path: PathBuf,
    /// Dropped after the queue has been closed: it does what is left in it.
    _thread: Owned<()>,
}

/// A store that did not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot open the store {}: {problem}", path.display())]
#[non_exhaustive]
pub struct DiskStoreError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: String,
}

impl<Id: StoreKey + Clone + fmt::Debug + Send + 'static> DiskStore<Id> {
    /// Opens a file, or makes it. Its folder must be there.
    ///
    /// # Errors
    /// The file cannot be made or read, is not such a file, or another store has it open, here or in
    /// another process; or no thread could be started.
    ///
    /// ```
    /// use ironsys::durable::DiskStore;
    /// # let dir = tempfile::tempdir()?;
    /// let path = dir.path().join("boards.redb");
    /// let store = DiskStore::<u64>::open(&path)?;
    /// let second = DiskStore::<u64>::open(&path).unwrap_err(); // a file belongs to one
    /// assert!(second.to_string().contains("boards.redb"));
    /// drop(store);
    /// assert!(DiskStore::<u64>::open(&path).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn open(path: impl AsRef<Path>) -> Result<Self, DiskStoreError> {
        let path = path.as_ref().to_path_buf();
        let wrong = |problem: String| DiskStoreError { path: path.clone(), problem };
        let mut file = File::open(&path).map_err(wrong)?;
        let name: Arc<str> = "store".into();
        let builder = channel::builder(QUEUE).name(&*name);
        let (requests, queue) = builder.build().map_err(|e| wrong(e.to_string()))?;
        let serve = move |ctx: &Context| thread::serve(&mut file, &queue, ctx);
        match Owned::start(&Context::root().0, name, Location::caller(), serve) {
            Ok(_thread) => Ok(DiskStore { requests, path, _thread }),
            Err(e) => Err(wrong(format!("no thread could be started: {e}"))),
        }
    }

    /// Gives a snapshot to be saved, and `done` to be called when it is on disk, or cannot be.
    ///
    /// For a session that answers only when its change is durable, and goes on with the next message
    /// meanwhile: whoever loads the id later gets this snapshot or a later one. `done` is called on the
    /// thread of the store, in the order of the calls; it should be short, such as to send a reply. If
    /// the store's thread dies it is dropped without having been called.
    ///
    /// # Cancellation
    /// Waits for room in the queue only. Then nothing is saved, and `done` is dropped.
    ///
    /// # Errors
    /// The context stopped.
    ///
    /// ```
    /// use ironsys::{Context, channel, durable::DiskStore, session::Snapshot};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// let (ctx, _cancel) = Context::root();
    /// let store = DiskStore::<String>::open(dir.path().join("boards.redb"))?;
    /// let (reply, mut answer) = channel::oneshot();
    /// store.save_then(&ctx, &"board".to_owned(), &Snapshot::new(1, "state"), |saved| {
    ///     let _ = reply.send(saved);
    /// })?;
    /// answer.recv(&ctx)??;
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn save_then(
        &self,
        ctx: &Context,
        id: &Id,
        snapshot: &Snapshot,
        done: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) -> Result<(), StoreError> {
        let (key, id) = (id.store_key(), id.clone());
        let record = record::encode(&key, snapshot);
        self.request(ctx, Request::Save { id, key, record, done: Box::new(done) as Done })
    }

    /// Returns how many snapshots there are, once everything given before has been saved.
    ///
    /// # Cancellation
    /// Waits for its turn in the queue; changes nothing.
    ///
    /// # Errors
    /// The context stopped, or the file cannot be read.
    ///
    /// ```
    /// use ironsys::{Context, durable::DiskStore, session::{Snapshot, Store}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// let (ctx, _cancel) = Context::root();
    /// let store = DiskStore::<u64>::open(dir.path().join("boards.redb"))?;
    /// store.save(&ctx, &7, &Snapshot::new(1, "state"))?;
    /// assert_eq!(store.len(&ctx)?, 1);
    /// # Ok(()) }
    /// ```
    pub fn len(&self, ctx: &Context) -> Result<u64, DiskStoreError> {
        let (reply, mut answer) = channel::oneshot();
        let wrong = |problem| DiskStoreError { path: self.path.clone(), problem };
        self.request(ctx, Request::Len { reply }).map_err(|e| wrong(e.to_string()))?;
        answer.recv(ctx).map_err(|e| wrong(e.to_string()))?.map_err(wrong)
    }

    #[track_caller]
    fn request(&self, ctx: &Context, request: Request<Id>) -> Result<(), StoreError> {
        let (request, problem) = match self.requests.send(ctx, request) {
            Ok(()) => return Ok(()),
            Err(SendError::Stopped { value, stop }) => (value, stop.to_string()),
            Err(e) => (e.into_inner(), "the store's thread has ended".to_owned()),
        };
        let id = match request {
            Request::Save { id, .. } | Request::Load { id, .. } => format!("{id:?}"),
            Request::Len { .. } => "(all)".to_owned(),
        };
        Err(StoreError::Failed { id, problem })
    }
}

impl<Id: StoreKey + Clone + fmt::Debug + Send + Sync + 'static> Store<Id> for DiskStore<Id> {
    fn load(&self, ctx: &Context, id: &Id) -> Result<Option<Snapshot>, StoreError> {
        let (reply, mut answer) = channel::oneshot();
        self.request(ctx, Request::Load { id: id.clone(), key: id.store_key(), reply })?;
        answer.recv(ctx).unwrap_or_else(|e| Err(gone(id, &e)))
    }

    fn save(&self, ctx: &Context, id: &Id, snapshot: &Snapshot) -> Result<(), StoreError> {
        let (reply, mut answer) = channel::oneshot();
        self.save_then(ctx, id, snapshot, |saved| drop(reply.send(saved)))?;
        answer.recv(ctx).unwrap_or_else(|e| Err(gone(id, &e)))
    }
}

fn gone<Id: fmt::Debug>(id: &Id, e: &channel::AnswerError) -> StoreError {
    let problem = match e {
        channel::AnswerError::Stopped(stop) => format!("it is not known to be done: {stop}"),
        _ => "the store's thread has ended".to_owned(),
    };
    StoreError::Failed { id: format!("{id:?}"), problem }
}

impl<Id: Send + 'static> Drop for DiskStore<Id> {
    fn drop(&mut self) {
        self.requests.close();
    }
}

impl<Id: Send + 'static> fmt::Debug for DiskStore<Id> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskStore").field("path", &self.path).finish_non_exhaustive()
    }
}
