//! What the workers of a pool share: the queue, the counts, and who is started when.

use super::board::{Board, Step};
use super::job::End;
use super::queued::Queued;
use super::staff::{Hired, Staff};
use super::watch::{Duty, Watch};
use crate::channel::Receiver;
use crate::context::{Context, Stop};
use crate::panics;
use crate::sync::{Arc, AtomicU64, LeakTrack, Ordering, thread};
use crate::threads::ThreadCache;
use crate::time::{Alarm, Token};
use std::io;
use std::panic::Location;
use std::time::Instant;

pub(super) struct Crew {
    pub(super) id: u64,
    pub(super) name: Arc<str>,
    pub(super) at: &'static Location<'static>,
    /// Under which the jobs run; stopping it makes the workers leave the queue where it is.
    pub(super) ctx: Context,
    pub(super) source: Source,
    /// How the jobs ended, one place for each worker: written by that worker alone.
    pub(super) ends: Vec<Ends>,
    /// Jobs cancelled in the queue since the pool's context had stopped.
    pub(super) unbegun: AtomicU64,
    /// Jobs handed back by a shutdown.
    pub(super) handed_back: AtomicU64,
    pub(super) staff: Arc<Staff>,
    pub(super) watch: Option<Watch>,
    _leak: LeakTrack,
}

/// Where jobs come from.
pub(super) enum Source {
    Channel(Receiver<Queued>),
    Board(Arc<Board>),
}

impl Source {
    /// Takes a job that is there.
    pub(super) fn try_take(&self, crew: &Arc<Crew>) -> Option<Queued> {
        match self {
            Source::Channel(queue) => queue.try_recv().ok(),
            Source::Board(board) => {
                let (taken, step) = board.try_take(None);
                crew.act(board, step);
                taken.ok().map(|(job, _)| job)
            }
        }
    }

    /// Takes no more jobs. `false` if it was closed before.
    fn close(&self) -> bool {
        match self {
            Source::Channel(queue) => queue.close(),
            Source::Board(board) => board.close(),
        }
    }

    /// Takes all that is left.
    pub(super) fn drain(&self) -> Vec<Queued> {
        match self {
            Source::Channel(queue) => queue.drain(),
            Source::Board(board) => board.drain(),
        }
    }
}

/// One worker's counts, on cache lines of their own.
#[repr(align(128))]
#[derive(Default)]
pub(super) struct Ends {
    taken: AtomicU64,
    done: AtomicU64,
    overran: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
    /// Taken from the queue when nothing was left of them.
    gone: AtomicU64,
    /// Of those taken: never queued, since the queue was full.
    unqueued: AtomicU64,
    /// How often the worker unwound and was started again.
    deaths: AtomicU64,
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
    pub(super) deaths: u64,
    /// Cancelled and never taken.
    pub(super) unbegun: u64,
}

impl Crew {
    #[expect(clippy::too_many_arguments, reason = "the builder calls it, and nobody else")]
    pub(super) fn new(
        id: u64,
        name: Arc<str>,
        at: &'static Location<'static>,
        ctx: Context,
        source: Source,
        places: usize,
        staff: Staff,
        watch: Option<Watch>,
    ) -> Self {
        let ends = (0..places).map(|_| Ends::default()).collect();
        let (staff, handed_back) = (Arc::new(staff), AtomicU64::new(0));
        let unbegun = AtomicU64::new(0);
        let _leak = LeakTrack::new();
        Crew { id, name, at, ctx, source, ends, unbegun, handed_back, staff, watch, _leak }
    }

    pub(super) fn sum(&self) -> Sum {
        let unbegun = self.unbegun.load(Ordering::Acquire);
        let mut sum = Sum { unbegun, ..Sum::default() };
        for ends in &self.ends {
            // The ends first: a job that ends in between then counts as running.
            sum.done += ends.done.load(Ordering::Acquire);
            sum.overran += ends.overran.load(Ordering::Acquire);
            sum.failed += ends.failed.load(Ordering::Acquire);
            sum.cancelled += ends.cancelled.load(Ordering::Acquire);
            sum.gone += ends.gone.load(Ordering::Acquire);
            sum.taken += ends.taken.load(Ordering::Acquire);
            sum.unqueued += ends.unqueued.load(Ordering::Acquire);
            sum.deaths += ends.deaths.load(Ordering::Acquire);
        }
        sum
    }

    /// The pool's context has stopped before anybody has closed the pool: nobody will run what waits, and
    /// somebody may wait for it.
    pub(super) fn stopped(&self, stop: &Stop) {
        if self.source.close() {
            let mut left = Vec::new();
            let note = |job: &Queued| left.extend(job.ticket());
            match &self.source {
                Source::Channel(queue) => queue.look(note),
                Source::Board(board) => board.look(note),
            }
            // No lock is held: the closures are dropped.
            let cancelled = left.iter().filter(|job| job.cancel(stop.clone())).count();
            self.unbegun.fetch_add(cancelled as u64, Ordering::Release);
            panics::discard(left);
        }
    }

    /// Starts a worker.
    pub(super) fn start(self: &Arc<Self>, hired: Hired, duty: Option<Duty>) -> io::Result<()> {
        let crew = self.clone();
        // At work from now on, until it parks: an autojumping clock stands still until it is there.
        let token = Token::of(self.ctx.clock());
        let work = move || crew.live(hired, duty, token);
        match self.ctx.value::<ThreadCache>() {
            Some(cache) => cache.run(Box::new(work)),
            None => {
                let name = format!("{}-{}", self.name, hired.place);
                self.staff.started(hired, thread::spawn(&name, work)?);
                Ok(())
            }
        }
    }

    /// Does what the queue has decided. No lock is held.
    #[inline]
    pub(super) fn act(self: &Arc<Self>, board: &Board, step: Step) {
        if step.grow.is_some() || step.alarm.is_some() {
            self.act_slowly(board, step);
        }
    }

    #[cold]
    fn act_slowly(self: &Arc<Self>, board: &Board, step: Step) {
        if let Some(resize) = step.grow {
            let name = &self.name;
            panics::contain(|| log::info!("ironsys: pool `{name}`: {resize}"));
            let mut missed = 0;
            for _ in resize.from..resize.to {
                // No place is free while one that has retired is on its way out.
                let started = self.staff.hire().map(|hired| (hired, self.start(hired, None)));
                match started {
                    Some((_, Ok(()))) => {}
                    Some((hired, Err(e))) => {
                        // loom: unreached: a model always has a thread to give.
                        self.staff.left(hired, true);
                        missed += 1;
                        panics::contain(|| log::warn!("ironsys: pool `{name}` cannot grow: {e}"));
                    }
                    None => missed += 1,
                }
            }
            if let Some(resize) = board.came(resize.to - resize.from, missed) {
                panics::contain(|| log::info!("ironsys: pool `{name}`: {resize}"));
            }
        }
        if let Some(at) = step.alarm {
            let alarm = self.alarm(at, |crew| {
                if let Source::Board(board) = &crew.source {
                    crew.act(board, board.rung());
                }
            });
            board.keep(alarm);
        }
    }

    /// Sets the alarm for jobs that are late.
    pub(super) fn watch_until(self: &Arc<Self>, watch: &Watch, due: Option<Instant>) {
        if let Some(due) = due {
            watch.keep(self.alarm(due, Crew::look_for_stuck));
        }
    }

    fn look_for_stuck(self: &Arc<Self>) {
        let Some(watch) = &self.watch else { return };
        let (late, next) = watch.rung(self.ctx.clock());
        for late in late {
            watch.report(&self.name, &late, self.ctx.registry());
            let Some(duty) = late.replace else { continue };
            let started = self.staff.hire().map(|hired| (hired, self.start(hired, Some(duty))));
            if !matches!(started, Some((_, Ok(())))) {
                watch.not_replaced();
                if let Some((hired, _)) = started {
                    // loom: unreached: a model always has a thread to give.
                    self.staff.left(hired, true);
                }
                let name = &self.name;
                panics::contain(|| {
                    log::warn!("ironsys: pool `{name}`: no replacement could be started")
                });
            }
        }
        self.watch_until(watch, next);
    }

    /// Calls `f` at `at`, if the crew is still there.
    fn alarm(self: &Arc<Self>, at: Instant, f: impl FnOnce(&Arc<Crew>) + Send + 'static) -> Alarm {
        let weak = Arc::downgrade(self);
        let call = move || {
            if let Some(crew) = weak.upgrade() {
                f(&crew);
                panics::discard(crew); // Perhaps the last, with values of the user's.
            }
        };
        self.ctx.clock().call_at(at, Box::new(call))
    }

    pub(super) fn count(&self, me: usize, run: impl FnOnce() -> End) -> End {
        let ends = &self.ends[me];
        add_one(&ends.taken);
        let unwinds = Unwinds(ends);
        let end = run();
        std::mem::forget(unwinds);
        add_one(match end {
            End::Done => &ends.done,
            End::Late => {
                add_one(&ends.overran);
                &ends.done
            }
            End::Failed => &ends.failed,
            End::Cancelled => &ends.cancelled,
            End::Gone => &ends.gone,
        });
        end
    }

    pub(super) fn count_unqueued(&self, me: usize) {
        add_one(&self.ends[me].unqueued);
    }
}

/// Dropped only if something unwinds that is not the job: then the job counts as failed.
struct Unwinds<'a>(&'a Ends);

impl Drop for Unwinds<'_> {
    fn drop(&mut self) {
        // loom: unreached: no model has a logger that panics.
        add_one(&self.0.failed);
        add_one(&self.0.deaths);
    }
}

/// Only one thread writes the count, so it needs no read-modify-write.
fn add_one(count: &AtomicU64) {
    // Release: whoever reads an end sees the job's start counted too.
    count.store(count.load(Ordering::Relaxed) + 1, Ordering::Release);
}
