//! Where a submitted job goes.

use super::board::Board;
use super::crew::Crew;
use super::queued::Queued;
use super::size::Resize;
use super::subpools::Shared;
use super::worker::{self, Helper};
use crate::channel::{self, SendError, Sender, TrySendError};
use crate::context::Context;
use crate::sync::Arc;

/// The end of the queue that takes jobs in.
#[derive(Clone)]
pub(super) enum Intake {
    /// A fixed number of workers, first come, first served.
    Channel(Sender<Queued>),
    /// A number of workers that adapts, or an order of its own.
    Board(Arc<Board>),
    /// One of several queues on common threads.
    Lane(Arc<Shared>, usize),
}

impl Intake {
    /// By which a worker knows that it may run a job of this queue itself.
    pub(super) fn id(&self, crew: &Crew) -> u64 {
        match self {
            Intake::Lane(shared, me) => shared.id(*me),
            _ => crew.id,
        }
    }

    pub(super) fn name<'a>(&'a self, crew: &'a Crew) -> &'a Arc<str> {
        match self {
            Intake::Lane(shared, me) => shared.name(*me),
            _ => &crew.name,
        }
    }

    /// Queues a job, waiting for room. A worker never blocks on the queue that it is to empty.
    #[track_caller]
    pub(super) fn send(
        &self,
        crew: &Arc<Crew>,
        ctx: &Context,
        job: Queued,
    ) -> Result<(), SendError<Queued>> {
        if let Some(me) = worker::helper(self.id(crew)) {
            return self.send_from_worker(crew, &me, ctx, job);
        }
        match self {
            Intake::Channel(tx) => tx.send(ctx, job),
            Intake::Board(board) => {
                let rank = job.rank();
                board.send(ctx, job, rank).map(|step| crew.act(board, step))
            }
            Intake::Lane(shared, me) => shared.send(*me, ctx, job),
        }
    }

    fn send_from_worker(
        &self,
        crew: &Arc<Crew>,
        me: &Helper,
        ctx: &Context,
        job: Queued,
    ) -> Result<(), SendError<Queued>> {
        if let Err(stop) = ctx.check() {
            return Err(SendError::Stopped { value: job, stop });
        }
        match self.try_send(crew, job) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(job)) => Err(SendError::Closed(job)),
            Err(TrySendError::Full(job)) => {
                me.run_unqueued(job);
                Ok(())
            }
        }
    }

    /// Queues a job if there is room.
    pub(super) fn try_send(
        &self,
        crew: &Arc<Crew>,
        job: Queued,
    ) -> Result<(), TrySendError<Queued>> {
        match self {
            Intake::Channel(tx) => tx.try_send(job),
            Intake::Board(board) => {
                let rank = job.rank();
                board.try_send(job, rank).map(|step| crew.act(board, step))
            }
            Intake::Lane(shared, me) => shared.try_send(*me, job),
        }
    }

    pub(super) fn close(&self) {
        match self {
            Intake::Channel(tx) => drop(tx.close()),
            Intake::Board(board) => drop(board.close()),
            Intake::Lane(..) => {} // Its owner closes them all.
        }
    }

    pub(super) fn queue_stats(&self) -> (channel::Stats, Vec<Resize>) {
        match self {
            Intake::Channel(tx) => (tx.stats(), Vec::new()),
            Intake::Board(board) => (board.stats(), board.resizes()),
            Intake::Lane(shared, _) => shared.threads().intake.queue_stats(),
        }
    }
}
