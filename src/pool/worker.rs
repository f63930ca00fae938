//! A worker: takes jobs from the queue and runs them; and what it does instead of deadlocking.

use super::board::{Board, Taken};
use super::crew::{Crew, Source};
use super::job::{End, Run};
use super::queued::Queued;
use super::staff::Hired;
use super::subpools::Lane;
use super::watch::Duty;
use crate::channel::Receiver;
use crate::observe::{self, Mark, TaskId, TaskKind};
use crate::panics;
use crate::sync::{Arc, catch_unwind};
use crate::time::Token;
use std::cell::RefCell;

crate::sync::thread_local_in_build! {
    /// The pool this thread works for, and at which place.
    static ME: RefCell<Option<(Arc<Crew>, usize)>> = RefCell::new(None);
}

impl Crew {
    /// The life of one worker. Whoever joins it finds that it has let go of the pool's context, too.
    ///
    /// Jobs do not unwind, but a logger may, or the drop of a value at a place nobody thought of. That
    /// costs the job; the worker begins anew, on the same thread.
    pub(super) fn live(self: Arc<Self>, hired: Hired, duty: Option<Duty>, token: Token) {
        let staff = self.staff.clone();
        let seat = token.sit();
        let needed = match (&self.watch, duty) {
            (Some(watch), Some(duty)) => watch.takes_over(duty),
            _ => true,
        };
        let retires = loop {
            if !needed {
                break true;
            }
            match catch_unwind(|| self.work(hired.place)) {
                Ok(retires) => break retires,
                Err(payload) => std::mem::forget(payload), // Its drop might panic, too.
            }
        };
        panics::discard(self);
        drop(seat);
        staff.left(hired, retires); // The token goes last, when whoever joins is counted as awake again.
    }

    /// Works until the pool is over, or (`true`) until the pool can do without this worker.
    fn work(self: &Arc<Self>, me: usize) -> bool {
        let _here = Here::enter(self, me);
        let name: Arc<str> = format!("{}-{me}", self.name).into();
        let running =
            observe::begin(self.ctx.registry(), TaskKind::Worker, Some(name), self.at, None);
        let retires = match &self.source {
            Source::Channel(queue) => self.serve_channel(queue, me, running.id()),
            Source::Board(board) => self.serve_board(board, me, running.id()),
        };
        drop(running);
        retires
    }

    fn serve_channel(
        self: &Arc<Self>,
        queue: &Receiver<Queued>,
        me: usize,
        worker: Option<TaskId>,
    ) -> bool {
        let mut mark = Mark::default();
        loop {
            let ready = if self.ctx.is_stopped() { None } else { queue.try_recv().ok() };
            let job = match ready {
                Some(job) => job,
                None => {
                    mark.clear();
                    let Ok(job) = queue.recv(&self.ctx) else { return false };
                    job
                }
            };
            if self.perform(me, job, worker, &mut mark) {
                return true;
            }
        }
    }

    fn serve_board(self: &Arc<Self>, board: &Board, me: usize, worker: Option<TaskId>) -> bool {
        let mut mark = Mark::default();
        let mut began = None;
        loop {
            if self.ctx.is_stopped() {
                return false;
            }
            let (ready, step) = board.try_take(began.take());
            self.act(board, step);
            let (job, now) = match ready {
                Ok(taken) => taken,
                Err(until) => {
                    mark.clear();
                    let (taken, step) = board.take(&self.ctx, until);
                    self.act(board, step);
                    match taken {
                        Taken::Job(job, now) => (job, now),
                        Taken::Over => return false,
                        Taken::Retire(resize) => {
                            let name = &self.name;
                            panics::contain(|| log::info!("ironsys: pool `{name}`: {resize}"));
                            return true;
                        }
                    }
                }
            };
            began = Some(now);
            if self.perform(me, job, worker, &mut mark) {
                return true;
            }
        }
    }

    /// Runs a job. `true`: it took so long that another has the place of this worker.
    #[inline]
    fn perform(
        self: &Arc<Self>,
        me: usize,
        job: Queued,
        worker: Option<TaskId>,
        mark: &mut Mark,
    ) -> bool {
        if self.watch.is_some() {
            return self.perform_watched(me, job, worker, mark);
        }
        self.count(me, || job.run(&self.ctx, worker, mark));
        false
    }

    fn perform_watched(
        self: &Arc<Self>,
        me: usize,
        job: Queued,
        worker: Option<TaskId>,
        mark: &mut Mark,
    ) -> bool {
        let Some(watch) = &self.watch else { return false };
        let due = watch.begin(me, worker.map(TaskId::number), self.ctx.clock());
        self.watch_until(watch, due);
        let result = catch_unwind(|| self.count(me, || job.run(&self.ctx, worker, mark)));
        let leaves = watch.end(me);
        if let Err(payload) = result {
            std::mem::forget(payload); // It is counted, and the worker as good as new.
        }
        leaves
    }
}

/// Notes which pool the thread works for.
struct Here;

impl Here {
    fn enter(crew: &Arc<Crew>, me: usize) -> Here {
        ME.with(|at| *at.borrow_mut() = Some((crew.clone(), me)));
        Here
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        let crew = ME.with(|at| at.borrow_mut().take());
        drop(crew); // Never the last.
    }
}

/// Tells the pool that the job at work on this thread is alive: the limit of
/// [`heartbeat`](super::Builder::heartbeat) counts from now. Elsewhere it does nothing.
///
/// ```
/// use ironsys::{Context, pool::{self, Pool}};
/// use std::time::Duration;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (ctx, _cancel) = Context::root();
/// let pool = Pool::builder("long").workers(1).heartbeat(Duration::from_secs(60)).build()?;
/// let ticket = pool.submit(&ctx, |_| {
///     for _part in 0..1000 {
///         pool::beat(); // each part has a minute
///     }
/// })?;
/// ticket.join(&ctx)?;
/// # Ok(()) }
/// ```
pub fn beat() {
    let me = ME.try_with(|me| me.borrow().clone()).ok().flatten();
    if let Some((crew, me)) = me
        && let Some(watch) = &crew.watch
    {
        crew.watch_until(watch, watch.beat(me, crew.ctx.clock()));
    }
}

/// The calling thread's place in `pool`, if it runs a job of that: it never blocks on what only its
/// pool could give it, but does it itself.
pub(super) fn helper(pool: u64) -> Option<Helper> {
    let (crew, me) = ME.try_with(|me| me.borrow().clone()).ok().flatten()?;
    let lane = Lane::current(pool);
    (crew.id == pool || lane.is_some()).then_some(Helper { crew, me, lane })
}

/// A worker that would otherwise block.
pub(super) struct Helper {
    crew: Arc<Crew>,
    me: usize,
    /// The subpool of its job, if it is that which the job waits for.
    lane: Option<Lane>,
}

impl Helper {
    /// Runs a job that it waits for, if that still waits in the queue. What is left of it there is
    /// thrown away when its turn comes.
    pub(super) fn run_early(&self, job: &(impl Run + ?Sized)) {
        if job.waits() {
            let parent = observe::current();
            let run = || job.run(&self.crew.ctx, parent, &mut Mark::default());
            self.counted(self.crew.count(self.me, run), false);
        }
    }

    /// Runs a job for which the queue has no room.
    pub(super) fn run_unqueued(&self, job: Queued) {
        self.crew.count_unqueued(self.me);
        let end = self.run(job);
        self.counted(end, true);
    }

    /// Runs a queued job; `false` if there is none.
    pub(super) fn run_queued(&self) -> bool {
        let Some(job) = self.crew.source.try_take(&self.crew) else { return false };
        self.run(job);
        true
    }

    fn run(&self, job: Queued) -> End {
        let parent = observe::current();
        self.crew.count(self.me, || job.run(&self.crew.ctx, parent, &mut Mark::default()))
    }

    fn counted(&self, end: End, unqueued: bool) {
        if let Some(lane) = &self.lane {
            lane.ran(end, unqueued);
        }
    }
}
