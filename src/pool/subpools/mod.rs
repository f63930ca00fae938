//! Several pools on a common number of threads.
//!
//! Two things: the [`share`]s with their queues, and a plain pool whose threads take turns for them. A
//! turn is given when a job may run; it runs one job of its subpool, and when it ends the next turn is
//! given. So the plain pool's queue holds no more turns than there are threads.

mod settings;
mod share;
mod turn;

pub use self::settings::{Share, SubpoolsBuilder};

pub(super) use self::turn::{Lane, Shared};

use self::share::Shares;
use super::builder::Builder;
use super::handle::Pool;
use super::queued::Job;
use super::report::{Drained, Stats};
use super::submit::Submitter;
use super::worker;
use crate::context::{Context, OnStop, Op};
use crate::panics;
use crate::sync::Arc;
use crate::wait::{Place, Site, WaitKind, Waiter};
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

/// Pools with names, queues and limits of their own that share one number of threads.
///
/// Each has a [`Share`]: how many of its jobs can run at a time whatever the others do, and how many
/// may run at the most. The threads that nobody has reserved go, in rotation, to those that have jobs
/// and are below their most. So none starves: one with a reserve always goes on, one without gets its
/// turn as the jobs of the others end.
///
/// A job that joins a job of its own subpool, or submits to it when it is full, runs that job itself,
/// as in a plain pool. For one of *another* subpool it waits, so give a reserve to what others wait for.
///
/// ```
/// use ironsys::{Context, pool::{Pool, Share, Subpools}};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (ctx, _cancel) = Context::root();
/// let pools = Subpools::over(Pool::builder("service").workers(4))
///     .pool("api", Share::new(2..=4).queue(100))
///     .pool("mail", Share::new(1..=2))
///     .pool("reports", Share::new(0..=1))
///     .build()?;
/// let mail = pools.get("mail").expect("it is there");
/// let ticket = mail.submit(&ctx, |_| "sent")?;
/// assert_eq!(ticket.join(&ctx)?, "sent");
/// let reports = pools.drain(&ctx);
/// assert_eq!(reports["mail"].done, 1);
/// # Ok(()) }
/// ```
pub struct Subpools {
    shared: Arc<Shared>,
    names: HashMap<Arc<str>, usize>,
    pools: Vec<Submitter>,
    /// `None` once it has been drained.
    threads: Option<Pool>,
    /// Closes them all when their context stops.
    _on_stop: OnStop,
}

impl Subpools {
    /// Starts to build subpools on the threads of `pool`: its name, workers, limits and context are
    /// kept, its queue is replaced. If its workers adapt, it is the most of them that is shared out.
    ///
    /// ```
    /// # use ironsys::pool::{Pool, Share, Subpools};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pools = Subpools::over(Pool::builder("jobs").workers(2));
    /// let pools = pools.pool("api", Share::new(1..=2)).build()?;
    /// assert!(pools.get("api").is_some());
    /// # Ok(()) }
    /// ```
    pub fn over(pool: Builder) -> SubpoolsBuilder {
        SubpoolsBuilder { threads: pool, shares: Vec::new() }
    }

    /// Returns the handle that submits to a subpool. Clone it to submit from elsewhere; it does not
    /// keep the threads alive.
    ///
    /// ```
    /// # use ironsys::{Context, pool::{Pool, Share, Subpools}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let pools = Subpools::over(Pool::builder("jobs").workers(1));
    /// # let pools = pools.pool("api", Share::new(0..=1)).build()?;
    /// let api = pools.get("api").ok_or("no such pool")?;
    /// assert_eq!(api.submit(&ctx, |_| 7)?.join(&ctx)?, 7);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Submitter> {
        self.names.get(name).map(|&i| &self.pools[i])
    }

    /// Returns the counts of the threads; those of a subpool are its handle's. What is queued and done
    /// here are turns, one for each job.
    ///
    /// ```
    /// # use ironsys::pool::{Pool, Share, Subpools};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pools = Subpools::over(Pool::builder("jobs").workers(1));
    /// # let pools = pools.pool("api", Share::new(0..=1)).build()?;
    /// assert_eq!(pools.stats().running, 0);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.threads.stats()
    }

    /// Takes no more jobs, finishes those that wait, and joins the workers. Returns what became of the
    /// jobs of each subpool.
    ///
    /// # Cancellation
    /// When `ctx` stops, the running jobs are cancelled and what has not begun is handed back. Called
    /// by one of its own jobs it does so at once.
    ///
    /// ```
    /// # use ironsys::{Context, pool::{Pool, Share, Subpools}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let pools = Subpools::over(Pool::builder("jobs").workers(1));
    /// # let pools = pools.pool("api", Share::new(0..=1)).build()?;
    /// pools.get("api").ok_or("no such pool")?.execute(&ctx, |_| ())?;
    /// assert_eq!(pools.drain(&ctx)["api"].done, 1);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn drain(mut self, ctx: &Context) -> HashMap<Arc<str>, Drained> {
        panics::discard(self.shared.shares.close());
        let crew = &self.shared.threads.crew;
        let own = worker::helper(crew.id).is_some();
        if !own {
            // If the threads are stopped by their context, nobody takes the turns that are left.
            let either = Context::merge(ctx, &crew.ctx);
            let mut op = AllIdle { shares: &self.shared.shares, place: Place::default() };
            let _ = either.block(Site::new(WaitKind::Join, Some(crew.name.clone())), &mut op);
        }
        let (stopped, threads) = (ctx.with_timeout(Duration::ZERO), self.threads.take());
        // What the threads hand back are turns.
        drop(threads.map(|threads| threads.drain(if own { &stopped } else { ctx })));
        let report = |(name, &i): (&Arc<str>, &usize)| {
            let undelivered = self.hand_back(i);
            let counts = self.shared.shares.counts(i);
            let (done, overran) = (counts.done, counts.overran);
            let (failed, cancelled) = (counts.failed, counts.cancelled);
            (name.clone(), Drained { done, overran, failed, cancelled, undelivered })
        };
        self.names.iter().map(report).collect()
    }

    fn hand_back(&self, i: usize) -> Vec<Job> {
        self.shared.shares.drain(i).into_iter().map(|job| Job(Some(job))).collect()
    }
}

impl Drop for Subpools {
    fn drop(&mut self) {
        panics::discard(self.shared.shares.close());
        drop(self.threads.take());
        for i in 0..self.pools.len() {
            drop(self.hand_back(i));
        }
    }
}

impl fmt::Debug for Subpools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subpools").field("names", &self.names.keys()).finish_non_exhaustive()
    }
}

/// The wait until nothing waits or runs.
struct AllIdle<'a> {
    shares: &'a Shares,
    place: Place,
}

impl Op for AllIdle<'_> {
    type Out = ();

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<()> {
        self.shares.all_idle(&mut self.place, waiter).then_some(())
    }

    fn withdraw(&mut self) -> Option<()> {
        self.shares.stop_waiting(&mut self.place);
        None
    }
}
