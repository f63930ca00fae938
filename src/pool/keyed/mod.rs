//! A pool that keeps the order of each key.
//!
//! It is two things: the live [`keys`] with their queues, and a plain pool whose threads take turns for
//! them. A key that has jobs has one turn in the queue of the threads; the turn runs the next job of
//! the key and goes to the end of the line if there are more. So the jobs of one key never meet, keys
//! go in rotation, and threads, limits and the end are those of the plain pool.

mod keys;
mod submitter;
mod turn;

pub use self::submitter::{KeyedStats, KeyedSubmitter};

use self::keys::{Keys, Limits};
use self::turn::Shared;
use super::builder::Builder;
use super::handle::Pool;
use super::order::Order;
use super::queued::{Job, Queued};
use super::report::Drained;
use super::worker;
use crate::context::{Context, OnStop, Op};
use crate::error::BuildError;
use crate::panics;
use crate::sync::{self, Arc, LeakTrack};
use crate::wait::{Place, Site, WaitKind, Waiter};
use std::fmt;
use std::ops::Deref;
use std::time::Duration;

/// Runs the jobs of one key one after the other, in the order of their submission, and those of
/// different keys in parallel.
///
/// A key is anything that can be hashed: an account, a file, a session. Only a number of 64 bits is
/// kept of it, and only while it has jobs: keys that idle cost nothing. (Two keys with the same number,
/// one in 2^64, would wait for each other.)
///
/// Keys that have jobs take turns of one job each. A job that panics ends its turn, and no more. What
/// is true of the threads of a [`Pool`] is true here, and dropping or draining does the same.
///
/// # Jobs that submit and join
/// A job may submit to its own pool; if there is no room it gets [`SubmitError::Full`](super::SubmitError::Full) instead of
/// waiting for itself. It must not *join* a job of its own key, which comes after it; the wait ends
/// with its context. Nor is a job run before its turn to serve one that joins it, as a plain pool
/// would: all threads can be taken by jobs that join jobs of other keys.
///
/// ```
/// use ironsys::{Context, pool::{KeyedPool, Pool}};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (ctx, _cancel) = Context::root();
/// let pool = KeyedPool::over(Pool::builder("accounts").workers(2)).build()?;
/// let (log, logged) = ironsys::channel::bounded(100);
/// for n in 0..10 {
///     let log = log.clone();
///     pool.execute(&ctx, &"alice", move |job| drop(log.send(job, n)))?;
/// }
/// assert_eq!(pool.drain(&ctx).done, 10);
/// assert_eq!(logged.drain(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
/// # Ok(()) }
/// ```
pub struct KeyedPool {
    submitter: KeyedSubmitter,
    /// `None` once it has been drained.
    threads: Option<Pool>,
    /// Closes it when its context stops.
    _on_stop: OnStop,
}

/// Builds a [`KeyedPool`]. Made by [`KeyedPool::over`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct KeyedBuilder {
    threads: Builder,
    limits: Limits,
}

impl KeyedBuilder {
    /// Sets how many keys may have jobs at a time. The default is 1024; 0 is refused.
    ///
    /// ```
    /// use ironsys::pool::{KeyedPool, Pool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = KeyedPool::over(Pool::builder("files").workers(2)).keys(10).build()?;
    /// assert_eq!(pool.stats().keys, 0);
    /// # Ok(()) }
    /// ```
    pub fn keys(mut self, keys: usize) -> Self {
        self.limits.keys = keys;
        self
    }

    /// Sets how many jobs of one key may wait, beside the one that runs. The default is 64; 0 is
    /// refused.
    ///
    /// ```
    /// use ironsys::{Context, pool::{KeyedPool, Pool}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let pool = KeyedPool::over(Pool::builder("files").workers(1)).queue(1).build()?;
    /// let wait = |job: &Context| job.wait_stopped();
    /// let tickets: Vec<_> = (0..9).map(|_| pool.try_submit("a", wait)).collect();
    /// assert!(tickets.last().is_some_and(|last| last.is_err())); // One runs, one waits.
    /// assert!(pool.try_submit("b", |_| ()).is_ok()); // Another key has a queue of its own.
    /// # Ok(()) }
    /// ```
    pub fn queue(mut self, jobs: usize) -> Self {
        self.limits.queue = jobs;
        self
    }

    /// Starts the workers.
    ///
    /// # Errors
    /// `keys` or `queue`: 0. `order`: the threads have an order of their own. And what
    /// [`Builder::build`] refuses.
    ///
    /// ```
    /// use ironsys::pool::{KeyedPool, Pool};
    /// assert!(KeyedPool::over(Pool::builder("files").workers(1)).build().is_ok());
    /// assert!(KeyedPool::over(Pool::builder("files").workers(1)).keys(0).build().is_err());
    /// ```
    #[track_caller]
    pub fn build(self) -> Result<KeyedPool, BuildError> {
        let Limits { keys, queue } = self.limits;
        for (field, value) in [("keys", keys), ("queue", queue)] {
            if value == 0 {
                return Err(BuildError::new("keyed pool", field, "must be at least 1"));
            }
        }
        if !self.threads.has_order(Order::Fifo) {
            let problem = "must be first come, first served: keys take turns";
            return Err(BuildError::new("keyed pool", "order", problem));
        }
        let pool = self.threads.queue(keys).build()?;
        let keys = Keys::new(self.limits);
        let (threads, seed) = (pool.submitter(), sync::random_u64());
        let shared = Shared { keys, threads, seed, _leak: LeakTrack::new() };
        let (shared, ctx) = (Arc::new(shared), &pool.crew().ctx);
        let stopped = shared.clone();
        let _on_stop = ctx.on_stop(move |stop| stopped.keys.stopped(&stop));
        Ok(KeyedPool { submitter: KeyedSubmitter { shared }, threads: Some(pool), _on_stop })
    }
}

// ===== impl KeyedPool =====

impl KeyedPool {
    /// Starts to build a keyed pool on the threads of `pool`: its name, workers, limits and context
    /// are kept, its queue is replaced.
    ///
    /// ```
    /// use ironsys::{Context, pool::{KeyedPool, Pool}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let pool = KeyedPool::over(Pool::builder("accounts").workers(2)).build()?;
    /// let ticket = pool.submit(&ctx, "alice", |_| "booked")?;
    /// assert_eq!(ticket.join(&ctx)?, "booked");
    /// # Ok(()) }
    /// ```
    pub fn over(pool: Builder) -> KeyedBuilder {
        KeyedBuilder { threads: pool, limits: Limits { keys: 1024, queue: 64 } }
    }

    /// Takes no more jobs, finishes those that wait, and joins the workers.
    ///
    /// # Cancellation
    /// When `ctx` stops, the running jobs are cancelled and what has not begun is handed back: the
    /// jobs of one key in their order. Called by one of its own jobs it does so at once.
    ///
    /// ```
    /// use ironsys::{Context, pool::{KeyedPool, Pool}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let pool = KeyedPool::over(Pool::builder("accounts").workers(2)).build()?;
    /// for account in ["alice", "bob", "alice"] {
    ///     pool.execute(&ctx, account, |_| ())?;
    /// }
    /// let report = pool.drain(&ctx);
    /// assert_eq!((report.done, report.undelivered.len()), (3, 0));
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn drain(mut self, ctx: &Context) -> Drained {
        panics::discard(self.shared.keys.close());
        let crew = &self.shared.threads.crew;
        let own = worker::helper(crew.id).is_some();
        if !own {
            // If the threads are stopped by their context, nobody takes the turns that are left.
            let either = Context::merge(ctx, &crew.ctx);
            let mut op = AllIdle { keys: &self.shared.keys, place: Place::default() };
            let _ = either.block(Site::new(WaitKind::Join, Some(crew.name.clone())), &mut op);
        }
        let (stopped, threads) = (ctx.with_timeout(Duration::ZERO), self.threads.take());
        // What the threads hand back are turns.
        let ended = threads.map(|threads| threads.drain(if own { &stopped } else { ctx }));
        let undelivered = self.hand_back();
        let ended = ended.unwrap_or_default();
        let cancelled = ended.cancelled + self.shared.keys.counts().cancelled;
        Drained { undelivered, cancelled, ..ended }
    }

    /// Returns a handle that submits to this pool and does not keep it alive.
    ///
    /// ```
    /// use ironsys::{Context, pool::{KeyedPool, Pool}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let pool = KeyedPool::over(Pool::builder("accounts").workers(2)).build()?;
    /// let submitter = pool.submitter();
    /// submitter.execute(&ctx, "alice", |_| ())?;
    /// drop(pool);
    /// assert!(submitter.execute(&ctx, "alice", |_| ()).is_err_and(|e| e.is_closed()));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn submitter(&self) -> KeyedSubmitter {
        self.submitter.clone()
    }

    fn hand_back(&self) -> Vec<Job> {
        let left = self.shared.keys.drain().into_iter().filter(Queued::waits);
        let left: Vec<Job> = left.map(|job| Job(Some(job))).collect();
        self.shared.keys.handed_back(left.len());
        left
    }
}

impl Deref for KeyedPool {
    type Target = KeyedSubmitter;

    fn deref(&self) -> &KeyedSubmitter {
        &self.submitter
    }
}

impl Drop for KeyedPool {
    fn drop(&mut self) {
        panics::discard(self.shared.keys.close());
        drop(self.threads.take());
        drop(self.hand_back());
    }
}

impl fmt::Debug for KeyedPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedPool").field("name", &self.name()).finish_non_exhaustive()
    }
}

/// The wait for the last key to go.
struct AllIdle<'a> {
    keys: &'a Keys,
    place: Place,
}

impl Op for AllIdle<'_> {
    type Out = ();

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<()> {
        self.keys.all_idle(&mut self.place, waiter).then_some(())
    }

    fn withdraw(&mut self) -> Option<()> {
        self.keys.stop_waiting(&mut self.place);
        None
    }
}
