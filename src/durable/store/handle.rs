//! The store that users hold.

use super::file::File;
use super::key::StoreKey;
use super::record;
use super::thread::{self, Done, Request};
use crate::channel::{self, SendError, Sender};
use crate::context::Context;
use crate::panics;
use crate::session::{Snapshot, Store, StoreError};
use crate::sync::Arc;
use crate::threads::{Owned, is_current};
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
/// given to it, and logs what goes wrong with that; [`close`](Self::close) returns it.
///
/// # Cost
/// One thread, and up to 64 MiB for pages of the file. One sync for all snapshots that wait at the
/// time, so sessions that save at once share it: 16 threads save some eight times as many a second as one.
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
    thread: Owned<Result<(), String>>,
}

/// A store that did not open, could not be read, or did not close well.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the store {}: {problem}", path.display())]
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
        let its = path.clone();
        let serve = move |ctx: &Context| {
            thread::serve(&mut file, &queue, ctx);
            file.close().inspect_err(|e| {
                let its = its.display();
                panics::contain(|| {
                    log::error!("ironsys: the store {its} was not closed well: {e}")
                });
            })
        };
        match Owned::start(&Context::root().0, name, Location::caller(), serve) {
            Ok(thread) => Ok(DiskStore { requests, path, thread }),
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

    /// Writes everything that was given, ends the thread, and says whether the file was closed well.
    ///
    /// What [`save`](Store::save) has returned is on disk whatever this says; of what goes wrong here the
    /// next [`open`](Self::open) may have more to do. It is logged as well, as by a drop.
    ///
    /// # Cancellation
    /// None: it waits for what was given to be written, as a drop does. When `ctx` stops, the thread's
    /// context is cancelled.
    ///
    /// # Errors
    /// The last write to the file failed, or the thread had died before; or it was called by what
    /// [`save_then`](Self::save_then) was given, on the store's own thread, which goes on to write what is left.
    ///
    /// ```
    /// # use ironsys::{Context, durable::DiskStore, session::{Snapshot, Store}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// let (ctx, _cancel) = Context::root();
    /// let store = DiskStore::<u64>::open(dir.path().join("boards.redb"))?;
    /// store.save(&ctx, &7, &Snapshot::new(1, "state"))?;
    /// store.close(&ctx)?;
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn close(mut self, ctx: &Context) -> Result<(), DiskStoreError> {
        self.requests.close();
        if !is_current(self.thread.number())
            && let Err(stop) = self.thread.wait(ctx)
        {
            self.thread.cancel(format!("the store is to close: {stop}"));
        }
        let problem = match self.thread.join() {
            Some(Ok(Ok(()))) => return Ok(()),
            Some(Ok(Err(problem))) => problem,
            Some(Err(panicked)) => panicked.to_string(),
            None => "its own thread closes it".to_owned(),
        };
        Err(DiskStoreError { path: self.path.clone(), problem })
    }

    #[track_caller]
    fn request(&self, ctx: &Context, request: Request<Id>) -> Result<(), StoreError> {
        let (request, problem) = match self.requests.send(ctx, request) {
            Ok(()) => return Ok(()),
            Err(SendError::Stopped { value, stop }) => (value, stop.to_string()),
            Err(e) => (e.into_inner(), "the store's thread has ended".to_owned()),
        };
        let id = match request {
            Request::Save { id, .. } | Request::Load { id, .. } => panics::name(&id),
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
    StoreError::Failed { id: panics::name(id), problem }
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
