//! A worker: takes jobs from the queue and runs them; and what it does instead of deadlocking.

use super::job::{End, Queued};
use crate::channel::Receiver;
use crate::context::Context;
use crate::observe::{self, Mark, TaskId, TaskKind};
use crate::sync::{Arc, AtomicU64, LeakTrack, Mutex, Ordering};
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
    /// Guards how many workers are left, and who waits for the last.
    alive: Mutex<(usize, WaitQueue)>,
    _leak: LeakTrack,
}

/// One worker's counts, on cache lines of their own.
#[repr(align(128))]
#[derive(Default)]
struct Ends {
    taken: AtomicU64,
    done: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
}

/// The sum of what all workers have counted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    pub(super) done: u64,
    pub(super) failed: u64,
    pub(super) cancelled: u64,
    pub(super) taken: u64,
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
        let alive = Mutex::new((workers, WaitQueue::default()));
        Crew { id, name, at, ctx, queue, ends, alive, _leak: LeakTrack::new() }
    }

    pub(super) fn workers(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn sum(&self) -> Sum {
        let mut sum = Sum::default();
        for ends in &self.ends {
            // The ends first: a job that ends in between then counts as running.
            sum.done += ends.done.load(Ordering::Acquire);
            sum.failed += ends.failed.load(Ordering::Acquire);
            sum.cancelled += ends.cancelled.load(Ordering::Acquire);
            sum.taken += ends.taken.load(Ordering::Acquire);
        }
        sum
    }

    /// The life of one worker.
    pub(super) fn work(self: &Arc<Self>, me: usize) {
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
        self.left();
    }

    fn perform(&self, me: usize, job: Queued, worker: Option<TaskId>, mark: &mut Mark) {
        let ends = &self.ends[me];
        add_one(&ends.taken);
        add_one(match job.run(&self.ctx, worker, mark) {
            End::Done => &ends.done,
            End::Failed => &ends.failed,
            End::Cancelled => &ends.cancelled,
        });
    }

    /// One worker is gone, or could not be started.
    pub(super) fn left(&self) {
        let mut wakes = Wakes::default();
        let mut alive = self.alive.lock();
        alive.0 -= 1;
        if alive.0 == 0 {
            alive.1.notify_all(&mut wakes);
        }
        drop(alive);
        wakes.wake();
    }

    /// `true` if no worker is left; else registers.
    pub(super) fn all_left(&self, place: &mut Place, waiter: &Arc<Waiter>) -> bool {
        let mut alive = self.alive.lock();
        if alive.0 == 0 {
            alive.1.leave(place);
            return true;
        }
        alive.1.enter(place, waiter);
        false
    }

    pub(super) fn stop_waiting(&self, place: &mut Place) {
        self.alive.lock().1.leave(place);
    }
}

/// Only one thread writes the count, so it needs no read-modify-write.
fn add_one(count: &AtomicU64) {
    // Release: whoever reads an end sees the job's start counted too.
    count.store(count.load(Ordering::Relaxed) + 1, Ordering::Release);
}

/// Whether the calling thread is a worker of this pool.
pub(super) fn is_worker(pool: u64) -> bool {
    let mine = |me: &RefCell<Option<(Arc<Crew>, usize)>>| {
        me.borrow().as_ref().is_some_and(|(crew, _)| crew.id == pool)
    };
    ME.try_with(mine).unwrap_or(false)
}

/// Runs one queued job of `pool` on the calling thread, if that is one of its workers and there is
/// one: what a worker does instead of blocking on its own pool.
pub(super) fn help(pool: u64) -> bool {
    let me = ME.try_with(|me| me.borrow().clone()).ok().flatten();
    let Some((crew, me)) = me.filter(|(crew, _)| crew.id == pool) else { return false };
    let Ok(job) = crew.queue.try_recv() else { return false };
    crew.perform(me, job, observe::current(), &mut Mark::default());
    true
}
