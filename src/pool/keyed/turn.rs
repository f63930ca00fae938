//! A turn of a key: what its place in the queue of the threads is taken by.

use super::keys::Keys;
use crate::context::Context;
use crate::observe::{Mark, TaskId};
use crate::pool::job::End;
use crate::pool::queued::{Queued, RunOnce};
use crate::pool::submit::Submitter;
use crate::sync::{Arc, LeakTrack};
use std::any::Any;
use std::panic::Location;

/// What the handles, the turns and the threads share.
pub(super) struct Shared {
    pub(super) keys: Keys,
    /// The pool whose threads take the turns. Its queue has a place for each live key.
    pub(super) threads: Submitter,
    pub(super) seed: u64,
    pub(super) _leak: LeakTrack,
}

impl Shared {
    /// Gives a key a turn. There is room for it; if the threads are gone, its jobs are handed back.
    pub(super) fn give_turn(self: &Arc<Shared>, key: u64) {
        send(Box::new(Turn { shared: self.clone(), key }));
    }
}

/// Runs the next job of its key, one, and goes back to the end of the line if there are more.
struct Turn {
    shared: Arc<Shared>,
    key: u64,
}

fn send(turn: Box<Turn>) {
    let shared = turn.shared.clone();
    let threads = &shared.threads;
    let _ = threads.intake.try_send(&threads.crew, Queued::Once(turn));
}

impl RunOnce for Turn {
    fn run(self: Box<Self>, pool: &Context, worker: Option<TaskId>, mark: &mut Mark) -> End {
        if pool.is_stopped() {
            return End::Gone; // The job stays, to be handed back.
        }
        let Some(job) = self.shared.keys.next(self.key) else { return End::Gone };
        let _over = Over(Some(self));
        job.run(pool, worker, mark)
    }

    fn at(&self) -> &'static Location<'static> {
        self.shared.threads.crew.at
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

/// The end of a turn, also if it unwinds.
struct Over(Option<Box<Turn>>);

impl Drop for Over {
    fn drop(&mut self) {
        if let Some(turn) = self.0.take()
            && turn.shared.keys.over(turn.key)
        {
            send(turn);
        }
    }
}
