//! A worker: takes jobs from the queue and runs them; and what it does instead of deadlocking.

use super::job::{End, Queued, Run};
use crate::channel::Receiver;
use crate::context::Context;
use crate::observe::{self, Mark, TaskId, TaskKind};
use crate::panics;
use crate::sync::{Arc, AtomicU64, LeakTrack, Mutex, Ordering};
use crate::time::Token;
use crate::wait::{Place, WaitQueue, Waiter, Wakes};
use std::cell::RefCell;
use std::panic::Location;

/// What the workers of a pool share.
pub(super) struct Crew {
    pub(super) id: u64,
    pub(super) name: Arc<str>,
    pub(super) at: &'static Location<'static>,
    /// Under which the jobs run; stopping it makes the workers leave the queue where it is.
    pub(super) ctx: Context,
    pub(super) queue: Receiver<Queued>,
    /// How the jobs ended, one place for each worker: written by that worker alone.
    ends: Vec<Ends>,
    /// Jobs handed back by a shutdown.
    pub(super) handed_back: AtomicU64,
    pub(super) alive: Arc<Alive>,
    _leak: LeakTrack,
}

/// Guards how many workers are left, and who waits for the last.
pub(super) struct Alive(Mutex<(usize, WaitQueue)>);

/// One worker's counts, on cache lines of their own.
#[repr(align(128))]
#[derive(Default)]
struct Ends {
    taken: AtomicU64,
    done: AtomicU64,
    overran: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
    /// Taken from the queue when nothing was left of them.
    gone: AtomicU64,
    /// Of those taken: never queued, since the queue was full.
    unqueued: AtomicU64,
}

/// The sum of what all workers have counted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    pub(super) done: u64,
    pub(super) overran: u64,
    pub(super) failed: u64,
    pub(super) cancelled: u64,
    pub(super) gone: u64,
    pub(super) taken: u64,
    pub(super) unqueued: u64,
}

crate::sync::thread_local_in_build! {
    /// The pool this thread works for, and as which worker.
    static ME: RefCell<Option<(Arc<Crew>, usize)>> = RefCell::new(None);
}

impl Crew {
    pub(super) fn new(
        id: u64,
        name: Arc<str>,
        at: &'static Location<'static>,
        ctx: Context,
        queue: Receiver<Queued>,
        workers: usize,
    ) -> Self {
        let ends = (0..workers).map(|_| Ends::default()).collect();
        let alive = Arc::new(Alive(Mutex::new((workers, WaitQueue::default()))));
        let handed_back = AtomicU64::new(0);
        Crew { id, name, at, ctx, queue, ends, handed_back, alive, _leak: LeakTrack::new() }
    }

    pub(super) fn workers(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn sum(&self) -> Sum {
        let mut sum = Sum::default();
        for ends in &self.ends {
            // The ends first: a job that ends in between then counts as running.
            sum.done += ends.done.load(Ordering::Acquire);
            sum.overran += ends.overran.load(Ordering::Acquire);
            sum.failed += ends.failed.load(Ordering::Acquire);
            sum.cancelled += ends.cancelled.load(Ordering::Acquire);
            sum.gone += ends.gone.load(Ordering::Acquire);
            sum.taken += ends.taken.load(Ordering::Acquire);
            sum.unqueued += ends.unqueued.load(Ordering::Acquire);
        }
        sum
    }

    /// The life of one worker. Whoever joins it finds that it has let go of the pool's context, too.
    pub(super) fn live(self: Arc<Self>, me: usize, token: Token) {
        let alive = self.alive.clone();
        let seat = token.sit();
        self.work(me);
        panics::discard(self);
        drop(seat);
        alive.left(); // The token goes last, when whoever joins is counted as awake again.
    }

    fn work(self: &Arc<Self>, me: usize) {
        ME.with(|at| *at.borrow_mut() = Some((self.clone(), me)));
        let name: Arc<str> = format!("{}-{me}", self.name).into();
        let running =
            observe::begin(self.ctx.registry(), TaskKind::Worker, Some(name), self.at, None);
        let mut mark = Mark::default();
        loop {
            let ready = if self.ctx.is_stopped() { None } else { self.queue.try_recv().ok() };
            let job = match ready {
                Some(job) => job,
                None => {
                    mark.clear();
                    let Ok(job) = self.queue.recv(&self.ctx) else { break };
                    job
                }
            };
            self.perform(me, job, running.id(), &mut mark);
        }
        drop(mark);
        drop(running);
        ME.with(|at| *at.borrow_mut() = None);
    }

    fn perform(&self, me: usize, job: Queued, worker: Option<TaskId>, mark: &mut Mark) {
        self.count(me, || job.run(&self.ctx, worker, mark));
    }

    fn count(&self, me: usize, run: impl FnOnce() -> End) {
        let ends = &self.ends[me];
        add_one(&ends.taken);
        add_one(match run() {
            End::Done => &ends.done,
            End::Late => {
                add_one(&ends.overran);
                &ends.done
            }
            End::Failed => &ends.failed,
            End::Cancelled => &ends.cancelled,
            End::Gone => &ends.gone,
        });
    }
}

impl Alive {
    /// One worker is gone, or could not be started.
    pub(super) fn left(&self) {
        let mut wakes = Wakes::default();
        let mut alive = self.0.lock();
        alive.0 -= 1;
        if alive.0 <= 1 {
            alive.1.notify_all(&mut wakes); // Perhaps the one that is left waits itself.
        }
        drop(alive);
        wakes.wake();
    }

    /// `true` if no more than `but` workers are left; else registers.
    pub(super) fn all_left(&self, but: usize, place: &mut Place, waiter: &Arc<Waiter>) -> bool {
        let mut alive = self.0.lock();
        if alive.0 <= but {
            alive.1.leave(place);
            return true;
        }
        alive.1.enter(place, waiter);
        false
    }

    pub(super) fn stop_waiting(&self, place: &mut Place) {
        self.0.lock().1.leave(place);
    }
}

/// Only one thread writes the count, so it needs no read-modify-write.
fn add_one(count: &AtomicU64) {
    // Release: whoever reads an end sees the job's start counted too.
    count.store(count.load(Ordering::Relaxed) + 1, Ordering::Release);
}

/// The calling thread's place in `pool`, if it is one of its workers: it never blocks on what only its
/// pool could give it, but does it itself.
pub(super) fn helper(pool: u64) -> Option<Helper> {
    let (crew, me) = ME.try_with(|me| me.borrow().clone()).ok().flatten()?;
    (crew.id == pool).then_some(Helper { crew, me })
}

/// A worker that would otherwise block.
pub(super) struct Helper {
    crew: Arc<Crew>,
    me: usize,
}

impl Helper {
    /// Runs a job that it waits for, if that still waits in the queue. What is left of it there is
    /// thrown away when its turn comes.
    pub(super) fn run_early(&self, job: &(impl Run + ?Sized)) {
        if job.waits() {
            let parent = observe::current();
            self.crew.count(self.me, || job.run(&self.crew.ctx, parent, &mut Mark::default()));
        }
    }

    /// Runs a job for which the queue has no room.
    pub(super) fn run_unqueued(&self, job: Queued) {
        add_one(&self.crew.ends[self.me].unqueued);
        self.crew.perform(self.me, job, observe::current(), &mut Mark::default());
    }

    /// Runs a queued job; `false` if there is none.
    pub(super) fn run_queued(&self) -> bool {
        let Ok(job) = self.crew.queue.try_recv() else { return false };
        self.crew.perform(self.me, job, observe::current(), &mut Mark::default());
        true
    }
}
