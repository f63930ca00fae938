//! The owner's handle of a queue.

use super::error::QueueError;
use super::place::{Door, identity, socket_path};
use super::serve::{QueueStats, Run};
use crate::channel::{self, Watcher};
use crate::context::{Canceller, Context};
use crate::durable::job;
use crate::durable::outbox::Outbox;
use crate::pool::{Pool, Ticket};
use crate::service::{Ended, Part};
use std::fmt;
use std::path::{Path, PathBuf};

/// An outbox as a queue for other processes of the machine: no server, one socket in its directory.
///
/// The process that has the outbox starts the queue; others read it with a
/// [`QueueSource`](super::QueueSource), by the directory and the name. One reader at a time has the
/// events, in order; others that connect stand by, and the next of them takes over when it goes or
/// dies. At least once: what a reader has not committed is handed out again. An event's space is given
/// back when it, and all before it, are committed: until then the bounds of the outbox hold, whether a
/// reader is there or not.
///
/// Each name is a reader of the outbox with a position of its own: two queues of one outbox have all
/// events each. The position is in the system's hands when the commit has come, and survives the end of
/// the process; a power failure may deliver again what was committed last.
///
/// A reader that lives and commits nothing is taken for slow, not for dead: it keeps the events it has.
/// Who may open the socket may read and commit everything, so the directory's permissions decide.
///
/// Dropping it stops the queue at once; readers wait for the next start. Unix only.
///
/// ```
/// use ironsys::Context;
/// use ironsys::durable::{Committer, Outbox, Queue, QueueSource, Source};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let (ctx, _cancel) = Context::root();
/// // One process has the outbox.
/// let outbox = Outbox::open(dir.path())?;
/// let queue = Queue::start(&ctx, &outbox, "billing")?;
/// outbox.append(&ctx, b"paid: 12.50")?;
///
/// // Another one reads. A `Consumer` would do the rest: workers, retries, commits.
/// let mut source = QueueSource::open(dir.path(), "billing")?;
/// let mut committer = source.committer();
/// let event = source.recv(&ctx)?.expect("a queue has no end");
/// assert_eq!(event.body, b"paid: 12.50");
/// committer.commit(&ctx, event.position)?;
///
/// // All is committed: nothing is left.
/// assert!(queue.drain(&ctx).error.is_none() && outbox.is_empty());
/// # Ok(()) }
/// ```
pub struct Queue {
    pool: Option<Pool>,
    intake: Canceller,
    job: Option<Ticket<Result<(), QueueError>>>,
    stats: Watcher<QueueStats>,
    path: PathBuf,
}

/// How a queue ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct QueueReport {
    /// What it did.
    pub stats: QueueStats,
    /// Why it ended before everything was committed.
    pub error: Option<QueueError>,
}

impl Queue {
    /// Starts the queue of a name: binds the socket `NAME.sock` in the directory of the outbox, in the
    /// place of one that a dead process has left, and starts a thread below `ctx`; a second one runs
    /// while a reader is there.
    ///
    /// # Errors
    /// [`Path`](QueueError::Path), [`Io`](QueueError::Io): there can be no socket, as the outbox is one
    /// in memory, say. [`Reader`](QueueError::Reader): the name is in use, or none.
    /// [`Build`](QueueError::Build): the thread does not start. [`Stopped`](QueueError::Stopped): so is
    /// `ctx`.
    ///
    /// ```
    /// # use ironsys::{Context, durable::{Outbox, Queue}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// let queue = Queue::start(&ctx, &outbox, "billing")?;
    /// let second = Queue::start(&ctx, &outbox, "billing").unwrap_err(); // a name belongs to one
    /// assert!(second.to_string().contains("billing"));
    /// assert!(Queue::start(&ctx, &outbox, "not/a/name").is_err());
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn start(ctx: &Context, outbox: &Outbox, name: &str) -> Result<Queue, QueueError> {
        let folder = outbox.folder();
        let path = socket_path(folder, name)?;
        // Who has the reader has the name, and who has the outbox the directory.
        let reader = outbox.reader(name)?;
        let identity = identity(folder, name)?;
        let door = Door::open(path.clone())?;
        let (shown, stats) = channel::watch(QueueStats::default());
        let outbox = outbox.clone();
        let mut run = Run { door, identity, shown, stats: QueueStats::default(), reader, outbox };
        let pool = Pool::builder(name).workers(1).queue(1).context(ctx).build()?;
        let (intake_ctx, intake) = ctx.with_cancel();
        let job = pool.try_submit(move |ctx| {
            let intake = Context::merge(ctx, &intake_ctx);
            run.run(ctx, &intake)
        });
        if job.is_err() {
            ctx.check()?;
        }
        Ok(Queue { pool: Some(pool), intake, job: job.ok(), stats, path })
    }

    /// Hands out everything that is in the outbox, waits until it is committed, and ends. It waits for
    /// a reader, too, if there is something left. What is appended meanwhile may stay in the outbox.
    ///
    /// # Cancellation
    /// The queue stops where it is, and is joined; what is not committed stays in the outbox.
    ///
    /// ```
    /// # use ironsys::{Context, durable::{Outbox, Queue}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// let queue = Queue::start(&ctx, &outbox, "billing")?;
    /// let report = queue.drain(&ctx); // at once: there is nothing that a reader would have to commit
    /// assert!(report.error.is_none());
    /// assert_eq!(report.stats.readers, 0);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn drain(mut self, ctx: &Context) -> QueueReport {
        self.intake.cancel_with("the queue drains");
        let error =
            job::end(ctx, &mut self.pool, &mut self.job, QueueError::Panicked, QueueError::Stopped);
        QueueReport { stats: self.stats(), error }
    }

    /// Returns whether it has ended: an error stopped it, or the outbox is closed and all committed.
    ///
    /// ```
    /// # use ironsys::{Context, durable::{Outbox, Queue}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// let queue = Queue::start(&ctx, &outbox, "billing")?;
    /// assert!(!queue.is_finished()); // it waits for events, and for readers
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.job.as_ref().is_none_or(Ticket::is_finished)
    }

    /// Returns its counts. How far it is behind, [`Outbox::stats`] says, with its name.
    ///
    /// ```
    /// # use ironsys::{Context, durable::{Outbox, Queue}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// let queue = Queue::start(&ctx, &outbox, "billing")?;
    /// assert_eq!(queue.stats().readers, 0); // nobody has read yet
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn stats(&self) -> QueueStats {
        *self.stats.get()
    }

    /// Returns a handle on its counts that does not keep it at work.
    ///
    /// ```
    /// # use ironsys::{Context, durable::{Outbox, Queue}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// let queue = Queue::start(&ctx, &outbox, "billing")?;
    /// let watcher = queue.watcher();
    /// drop(queue);
    /// assert_eq!(watcher.get().readers, 0); // the last counts are kept
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn watcher(&self) -> Watcher<QueueStats> {
        self.stats.clone()
    }

    /// Returns the path of the socket.
    ///
    /// ```
    /// # use ironsys::{Context, durable::{Outbox, Queue}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// let queue = Queue::start(&ctx, &outbox, "billing")?;
    /// assert!(queue.path().ends_with("billing.sock"));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// An error that ended the queue is one of the part; events that were not committed are in the outbox.
impl Part for Queue {
    fn drain(self: Box<Self>, ctx: &Context) -> Ended {
        match Queue::drain(*self, ctx).error {
            None => Ended::clean(),
            Some(error) => Ended::clean().error(error),
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        drop(self.pool.take()); // Cancels and joins.
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("path", &self.path)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
