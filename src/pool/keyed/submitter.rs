//! The handle that only submits.

use super::keys::{Entered, Keys, Places};
use super::turn::Shared;
use crate::channel::{SendError, TrySendError};
use crate::context::{Context, Op, Stop};
use crate::observe::Ledger;
use crate::pool::errors::{SubmitError, TrySubmitError};
use crate::pool::options::JobOptions;
use crate::pool::queued::Queued;
use crate::pool::report::Stats;
use crate::pool::submit;
use crate::pool::ticket::Ticket;
use crate::pool::worker;
use crate::sync::Arc;
use crate::wait::{Site, WaitKind, Waiter};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::Location;

/// Submits to a [`KeyedPool`](super::KeyedPool) without keeping it alive. Cheap to clone.
#[derive(Clone)]
pub struct KeyedSubmitter {
    pub(super) shared: Arc<Shared>,
}

/// A keyed pool at one moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KeyedStats {
    /// What became of the jobs; exact when nothing is under way.
    pub ledger: Ledger,
    /// Keys that have a job, or somebody who waits to submit one.
    pub keys: usize,
    /// Jobs that wait for their turn.
    pub waiting: usize,
    /// Calls that wait for room.
    pub blocked: usize,
    /// Jobs that were refused for want of room.
    pub rejected: u64,
    /// The threads. What is queued there are turns, not jobs.
    pub threads: Stats,
}

impl KeyedSubmitter {
    /// Submits a job for `key`, waiting for room: for the key to be one of those that may have jobs,
    /// and in its queue.
    ///
    /// # Cancellation
    /// Of the wait for room: the job has not been accepted, and the closure is in the error.
    ///
    /// # Errors
    /// The pool is closed, or `ctx` stopped, or there is no room and the caller is a job of this pool;
    /// with the closure.
    ///
    /// # Fairness
    /// Those who wait for a new key, and those who wait for room in a key's queue, are served in the
    /// order they came.
    ///
    /// ```
    /// use ironsys::{Context, pool::{KeyedPool, Pool}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let pool = KeyedPool::over(Pool::builder("files").workers(2)).keys(10).queue(4).build()?;
    /// let ticket = pool.submit(&ctx, &("dir", 7), |_| "written")?;
    /// assert_eq!(ticket.join(&ctx)?, "written");
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn submit<K, F, R>(
        &self,
        ctx: &Context,
        key: &K,
        job: F,
    ) -> Result<Ticket<R>, SubmitError<F>>
    where
        K: Hash + ?Sized,
        F: FnOnce(&Context) -> R + Send + 'static,
        R: Send + 'static,
    {
        self.submit_with(ctx, key, JobOptions::new(), job)
    }

    /// Submits a job for `key` with a name, a deadline counted from now, or a context of its own. A
    /// priority means nothing here.
    ///
    /// # Cancellation
    /// As for [`submit`](Self::submit).
    ///
    /// # Errors
    /// As for [`submit`](Self::submit).
    ///
    /// ```
    /// # use ironsys::{Context, pool::{JobOptions, KeyedPool, Pool}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let pool = KeyedPool::over(Pool::builder("files").workers(1)).build()?;
    /// let options = JobOptions::new().name("write");
    /// let ticket = pool.submit_with(&ctx, "a.txt", options, |_| 7)?;
    /// assert_eq!(ticket.join(&ctx)?, 7);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn submit_with<K, F, R>(
        &self,
        ctx: &Context,
        key: &K,
        options: JobOptions,
        job: F,
    ) -> Result<Ticket<R>, SubmitError<F>>
    where
        K: Hash + ?Sized,
        F: FnOnce(&Context) -> R + Send + 'static,
        R: Send + 'static,
    {
        let send = |job| self.send(ctx, self.number(key), job);
        submit::submit(send, self.ctx(), NOBODY, options, Location::caller(), job)
    }

    /// Runs a job for `key` of which nobody wants a result. Its panic is logged, and counted as
    /// `failed`.
    ///
    /// # Cancellation
    /// As for [`submit`](Self::submit).
    ///
    /// # Errors
    /// As for [`submit`](Self::submit).
    ///
    /// ```
    /// # use ironsys::{Context, pool::{KeyedPool, Pool}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let pool = KeyedPool::over(Pool::builder("files").workers(1)).build()?;
    /// pool.execute(&ctx, "a.txt", |_| ())?;
    /// assert_eq!(pool.drain(&ctx).done, 1);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn execute<K, F>(&self, ctx: &Context, key: &K, job: F) -> Result<(), SubmitError<F>>
    where
        K: Hash + ?Sized,
        F: FnOnce(&Context) + Send + 'static,
    {
        submit::execute(|job| self.send(ctx, self.number(key), job), Location::caller(), job)
    }

    /// Submits a job for `key` if there is room now.
    ///
    /// # Errors
    /// There is no room, for another key or in the queue of this one, or the pool is closed; with the
    /// closure.
    ///
    /// ```
    /// # use ironsys::{Context, pool::{KeyedPool, Pool}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let pool = KeyedPool::over(Pool::builder("files").workers(1)).build()?;
    /// assert_eq!(pool.try_submit("a.txt", |_| 7)?.join(&ctx)?, 7);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn try_submit<K, F, R>(&self, key: &K, job: F) -> Result<Ticket<R>, TrySubmitError<F>>
    where
        K: Hash + ?Sized,
        F: FnOnce(&Context) -> R + Send + 'static,
        R: Send + 'static,
    {
        let send = |job| self.try_send(self.number(key), job);
        submit::try_submit(send, self.ctx(), NOBODY, JobOptions::new(), Location::caller(), job)
    }

    /// Returns the counts of the pool.
    ///
    /// ```
    /// # use ironsys::pool::{KeyedPool, Pool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pool = KeyedPool::over(Pool::builder("files").workers(1)).build()?;
    /// assert_eq!(pool.stats().keys, 0);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn stats(&self) -> KeyedStats {
        // The ends first: what ends in between then still counts as accepted.
        let threads = self.shared.threads.stats();
        let counts = self.shared.keys.counts();
        let Ledger { done, failed, .. } = threads.ledger;
        let cancelled = threads.ledger.cancelled + counts.cancelled;
        let (accepted, dropped) = (counts.accepted, counts.handed_back);
        let in_flight = accepted.saturating_sub(done + failed + cancelled + dropped);
        KeyedStats {
            ledger: Ledger { accepted, done, failed, cancelled, dropped, in_flight },
            keys: counts.live,
            waiting: counts.waiting,
            blocked: counts.blocked,
            rejected: counts.rejected,
            threads,
        }
    }

    /// Returns the name of the pool.
    ///
    /// ```
    /// # use ironsys::pool::{KeyedPool, Pool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = KeyedPool::over(Pool::builder("files").workers(1)).build()?;
    /// assert_eq!(pool.name(), "files");
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        self.shared.threads.name()
    }

    /// Returns why the pool is over, as [`Submitter::over`](crate::pool::Submitter::over) does.
    ///
    /// ```
    /// # use ironsys::{Context, pool::{KeyedPool, Pool}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// let pool = KeyedPool::over(Pool::builder("files").workers(1)).build()?;
    /// let submitter = pool.submitter();
    /// assert!(submitter.over().is_none());
    /// pool.drain(&ctx);
    /// assert!(submitter.over().unwrap().to_string().contains("the pool was drained"));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn over(&self) -> Option<Stop> {
        self.shared.threads.over()
    }

    fn ctx(&self) -> &Context {
        &self.shared.threads.crew.ctx
    }

    /// What is kept of a key. The user's code: no lock is held.
    fn number<K: Hash + ?Sized>(&self, key: &K) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.shared.seed.hash(&mut hasher); // So that nobody can choose keys that meet.
        key.hash(&mut hasher);
        hasher.finish()
    }

    #[track_caller]
    fn send(&self, ctx: &Context, key: u64, job: Queued) -> Result<(), SendError<Queued>> {
        if let Err(stop) = ctx.check() {
            return Err(SendError::Stopped { value: job, stop });
        }
        if worker::helper(self.shared.threads.crew.id).is_some() {
            return self.try_send(key, job).map_err(|e| match e {
                TrySendError::Full(job) => SendError::Full(job),
                TrySendError::Closed(job) => SendError::Closed(job),
            });
        }
        let keys = &self.shared.keys;
        let mut op = Enter { keys, key, job: Some(job), places: Places::default() };
        let site = Site::new(WaitKind::Send, Some(self.shared.threads.crew.name.clone()));
        match ctx.block(site, &mut op) {
            Ok(Ok(first)) => {
                if first {
                    self.shared.give_turn(key);
                }
                Ok(())
            }
            Ok(Err(job)) => Err(SendError::Closed(job)),
            Err(stop) => match op.job {
                Some(value) => Err(SendError::Stopped { value, stop }),
                None => unreachable!("a wait that was stopped has its job"),
            },
        }
    }

    fn try_send(&self, key: u64, job: Queued) -> Result<(), TrySendError<Queued>> {
        match self.shared.keys.enter(key, job, &mut Places::default(), None) {
            Entered::First => {
                self.shared.give_turn(key);
                Ok(())
            }
            Entered::Behind => Ok(()),
            Entered::Full(job) => Err(TrySendError::Full(job)),
            Entered::Closed(job) => Err(TrySendError::Closed(job)),
        }
    }
}

impl fmt::Debug for KeyedSubmitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedSubmitter").field("pool", &self.name()).finish_non_exhaustive()
    }
}

/// No pool has this id: nobody runs a job of a keyed pool before its turn.
const NOBODY: u64 = 0;

/// The wait for room. `Ok(true)`: queued, and the key needs a turn.
struct Enter<'a> {
    keys: &'a Keys,
    key: u64,
    job: Option<Queued>,
    places: Places,
}

impl Op for Enter<'_> {
    type Out = Result<bool, Queued>;

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<Self::Out> {
        let job = self.job.take()?;
        match self.keys.enter(self.key, job, &mut self.places, Some(waiter)) {
            Entered::First => Some(Ok(true)),
            Entered::Behind => Some(Ok(false)),
            Entered::Closed(job) => Some(Err(job)),
            Entered::Full(job) => {
                self.job = Some(job);
                None
            }
        }
    }

    fn withdraw(&mut self) -> Option<Self::Out> {
        self.keys.leave(self.key, &mut self.places);
        None
    }
}
