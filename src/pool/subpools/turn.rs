//! A turn of a subpool: what its place in the queue of the threads is taken by.

use super::share::{Entered, Shares};
use crate::channel::{self, SendError, TrySendError};
use crate::context::{Context, Op};
use crate::observe::{Ledger, Mark, TaskId};
use crate::pool::job::End;
use crate::pool::queued::{Queued, RunOnce};
use crate::pool::report::Stats;
use crate::pool::submit::Submitter;
use crate::sync::{Arc, LeakTrack};
use crate::wait::{Place, Site, WaitKind, Waiter};
use std::any::Any;
use std::cell::RefCell;
use std::panic::Location;

/// What the handles, the turns and the threads share.
pub(in crate::pool) struct Shared {
    pub(super) shares: Shares,
    pub(super) names: Vec<Arc<str>>,
    /// By which a job knows the subpool that it runs in.
    pub(super) ids: Vec<u64>,
    /// The pool whose threads take the turns. Its queue has a place for each thread.
    pub(super) threads: Submitter,
    pub(super) _leak: LeakTrack,
}

crate::sync::thread_local_in_build! {
    /// The subpool whose job runs on this thread.
    static HERE: RefCell<Option<Lane>> = RefCell::new(None);
}

/// One subpool.
#[derive(Clone)]
pub(in crate::pool) struct Lane {
    shared: Arc<Shared>,
    me: usize,
}

impl Lane {
    /// The subpool `id`, if it is a job of that which runs on this thread.
    pub(in crate::pool) fn current(id: u64) -> Option<Lane> {
        let lane = HERE.try_with(|here| here.borrow().clone()).ok().flatten()?;
        (lane.shared.ids[lane.me] == id).then_some(lane)
    }

    /// Counts a job that was run out of turn on this thread.
    pub(in crate::pool) fn ran(&self, end: End, unqueued: bool) {
        self.shared.shares.ran(self.me, end, unqueued);
    }
}

impl Shared {
    pub(in crate::pool) fn id(&self, me: usize) -> u64 {
        self.ids[me]
    }

    pub(in crate::pool) fn threads(&self) -> &Submitter {
        &self.threads
    }

    pub(in crate::pool) fn name(&self, me: usize) -> &Arc<str> {
        &self.names[me]
    }

    /// Queues a job, waiting for room.
    #[track_caller]
    pub(in crate::pool) fn send(
        self: &Arc<Self>,
        me: usize,
        ctx: &Context,
        job: Queued,
    ) -> Result<(), SendError<Queued>> {
        if let Err(stop) = ctx.check() {
            return Err(SendError::Stopped { value: job, stop });
        }
        let mut op = Enter { shares: &self.shares, me, job: Some(job), place: Place::default() };
        match ctx.block(Site::new(WaitKind::Send, Some(self.name(me).clone())), &mut op) {
            Ok(Ok(starts)) => {
                if starts {
                    self.give_turn(me);
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

    /// Queues a job if there is room.
    pub(in crate::pool) fn try_send(
        self: &Arc<Self>,
        me: usize,
        job: Queued,
    ) -> Result<(), TrySendError<Queued>> {
        match self.shares.enter(me, job, &mut Place::default(), None) {
            Entered::Queued(starts) => {
                if starts {
                    self.give_turn(me);
                }
                Ok(())
            }
            Entered::Full(job) => Err(TrySendError::Full(job)),
            Entered::Closed(job) => Err(TrySendError::Closed(job)),
        }
    }

    /// There is room for it; if the threads are gone, the jobs are handed back.
    fn give_turn(self: &Arc<Self>, me: usize) {
        let turn = Turn(Lane { shared: self.clone(), me });
        let _ = self.threads.intake.try_send(&self.threads.crew, Queued::Once(Box::new(turn)));
    }

    /// The counts of one subpool.
    pub(in crate::pool) fn stats(&self, me: usize) -> Stats {
        let counts = self.shares.counts(me);
        let threads = self.threads.stats();
        let queue = channel::Stats {
            ledger: Ledger {
                accepted: counts.accepted,
                done: counts.taken,
                in_flight: counts.depth as u64,
                ..Ledger::default()
            },
            depth: counts.depth,
            peak: counts.peak,
            rejected: counts.rejected,
            blocked_senders: counts.blocked,
            ..threads.queue
        };
        let (running, overran) = (counts.running as u64, counts.overran);
        Stats { ledger: counts.ledger(), running, overran, queue, ..threads }
    }
}

/// Runs the next job of its subpool.
struct Turn(Lane);

impl RunOnce for Turn {
    fn run(self: Box<Self>, pool: &Context, worker: Option<TaskId>, mark: &mut Mark) -> End {
        if pool.is_stopped() {
            return End::Gone; // The job stays, to be handed back.
        }
        let Some(job) = self.0.shared.shares.next(self.0.me) else { return End::Gone };
        // A turn may run inside of another, on the thread of a job that drains.
        let outer = HERE.with(|here| here.replace(Some(self.0.clone())));
        let mut over = Over { lane: self.0, outer, end: None };
        let end = job.run(pool, worker, mark);
        over.end = Some(end);
        end
    }

    fn at(&self) -> &'static Location<'static> {
        self.0.shared.threads.crew.at
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

/// The end of a turn, also if it unwinds.
struct Over {
    lane: Lane,
    outer: Option<Lane>,
    end: Option<End>,
}

impl Drop for Over {
    fn drop(&mut self) {
        let inner = HERE.with(|here| here.replace(self.outer.take()));
        drop(inner);
        let Lane { shared, me } = &self.lane;
        let mut turns = Vec::new();
        shared.shares.over(*me, self.end, &mut turns);
        for next in turns {
            shared.give_turn(next);
        }
    }
}

/// The wait for room. `Ok(true)`: queued, and the subpool is to get a turn.
struct Enter<'a> {
    shares: &'a Shares,
    me: usize,
    job: Option<Queued>,
    place: Place,
}

impl Op for Enter<'_> {
    type Out = Result<bool, Queued>;

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<Self::Out> {
        let job = self.job.take()?;
        match self.shares.enter(self.me, job, &mut self.place, Some(waiter)) {
            Entered::Queued(starts) => Some(Ok(starts)),
            Entered::Closed(job) => Some(Err(job)),
            Entered::Full(job) => {
                self.job = Some(job);
                None
            }
        }
    }

    fn withdraw(&mut self) -> Option<Self::Out> {
        self.shares.leave(self.me, &mut self.place);
        None
    }
}
