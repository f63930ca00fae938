//! The ways out: a session leaves memory, or ends.
//!
//! Both write the state to the store before the phase changes, and only the one thread that has the
//! session does so: the final state is written once. Whoever finds the phase changed, and looks the
//! session up again, makes a new one, which reads the store after that write.

use super::cell::{Cell, Live, Order, Phase, Then};
use super::core::Core;
use super::cx::{Cx, Wants};
use super::model::{Idle, Reason, Session};
use super::store::{Snapshot, StoreError};
use crate::context::Cause;
use crate::panics;
use crate::sync::{Arc, catch_unwind};
use std::collections::VecDeque;

impl<S: Session> Core<S> {
    /// Lets a session that has nothing to do leave memory, if it wants to.
    pub(super) fn passivate(self: &Arc<Self>, cell: &Arc<Cell<S>>, mut live: Box<Live<S>>) {
        let mut wants = Wants::default();
        let is_watched = cell.with(|mail, _| mail.is_watched());
        let asked = catch_unwind(|| {
            let Live { state, timers } = &mut *live;
            if timers.as_mut().is_some_and(|timers| timers.is_pending()) {
                return Idle::Stay; // Its timers would be lost.
            }
            if is_watched {
                return Idle::Stay; // Nobody would tell of its end.
            }
            state.idle(&mut Cx::new(self, cell, &mut wants, timers))
        });
        let leaves = match asked {
            Ok(Idle::Stop) => return self.finish(cell, Some(live), Some(Reason::Finished)),
            Ok(_) if wants.finish => {
                return self.finish(cell, Some(live), Some(Reason::Finished));
            }
            Ok(Idle::Passivate) => self.keep(cell, &live, false),
            Ok(Idle::Stay) => false,
            Err(payload) => {
                let crash = self.panicked(cell, payload);
                panics::discard(live);
                self.idlers.went();
                return self.crashed(cell, &mut VecDeque::new(), 0, None, crash);
            }
        };
        let now = self.nanos();
        let (back, then) = cell.with(|mail, wakes| {
            let stays =
                !mail.queue.is_empty() || mail.order > Order::Passivate || mail.is_watched();
            if leaves && !stays {
                mail.leave(Phase::Passivated, wakes);
                return (Some(live), Then::Nothing);
            }
            // Something has come meanwhile, or it stays.
            mail.used = now;
            mail.listed = true;
            mail.state = Some(live);
            if mail.order == Order::Passivate {
                mail.order = Order::None;
            }
            (None, mail.release())
        });
        match back {
            Some(live) => {
                panics::discard(live);
                self.idlers.went();
                self.directory.retire(cell);
                cell.with(|mail, wakes| mail.told(wakes));
            }
            None => {
                let heap = if self.shards.is_empty() { 0 } else { self.shard_of(cell) };
                self.idlers.list(heap, now, cell.clone());
                self.then(then, cell);
            }
        }
    }

    /// Writes the state to the store; whether it is safe there. What cannot be written is handed back
    /// if it is the `last` chance.
    fn keep(self: &Arc<Self>, cell: &Cell<S>, live: &Live<S>, last: bool) -> bool {
        let Some(store) = self.store() else { return false };
        let failed = |problem: String| {
            let id = panics::name(&cell.id);
            StoreError::Failed { id, problem }
        };
        let snapshot: Snapshot = match catch_unwind(|| live.state.save()) {
            Ok(Some(snapshot)) => snapshot,
            Ok(None) => return false,
            Err(payload) => {
                let e = failed(format!("save panicked: {}", panics::message(&*payload)));
                panics::discard(payload);
                if last {
                    self.lost(&cell.id);
                }
                self.config.hooks.unsaved(&cell.id, None, e);
                return false;
            }
        };
        let saved = catch_unwind(|| store.save(&self.after, &cell.id, &snapshot));
        let saved = saved.unwrap_or_else(|payload| {
            let e = failed(format!("the store panicked: {}", panics::message(&*payload)));
            panics::discard(payload);
            Err(e)
        });
        match saved {
            Ok(()) => true,
            Err(e) => {
                if last {
                    self.lost(&cell.id);
                }
                self.config.hooks.unsaved(&cell.id, last.then_some(snapshot), e);
                false
            }
        }
    }

    /// Ends a session. The caller has it, and its state if that is well. `reason` is what the session
    /// itself gives; an order that was given goes before it, unless the session has failed.
    pub(super) fn finish(
        self: &Arc<Self>,
        cell: &Arc<Cell<S>>,
        live: Option<Box<Live<S>>>,
        reason: Option<Reason<S::Error>>,
    ) {
        let finished = matches!(reason, Some(Reason::Finished));
        let reason = match (reason, cell.with(|mail, _| mail.reason.clone())) {
            (Some(failed @ Reason::Failed(_)), _) => failed,
            (_, Some(ordered)) => ordered,
            (Some(own), None) => own,
            (None, None) => Reason::Asked,
        };
        if let Some(mut live) = live {
            let mut wants = Wants::default();
            let stopped = catch_unwind(|| {
                let Live { state, timers } = &mut *live;
                state.stop(&reason, &mut Cx::new(self, cell, &mut wants, timers));
            });
            if let Err(payload) = stopped {
                let crash = self.panicked(cell, payload);
                self.config.hooks.failed(&cell.id, &crash.failure, crash.panicked);
            }
            self.keep(cell, &live, true);
            panics::discard(live);
            self.idlers.went();
        }
        let now = self.ctx.clock().now();
        let again = cell.with(|mail, _| finished.then(|| self.restart(mail, false, now)).flatten());
        if let Some(again) = again {
            return self.again(cell, again);
        }
        self.bury(cell, &reason);
        panics::discard(reason); // With an error of the user's, perhaps.
    }

    /// The session is gone; what it did not handle is handed back, and everybody is told: those who
    /// watch, and only then those who wait.
    fn bury(self: &Arc<Self>, cell: &Arc<Cell<S>>, reason: &Reason<S::Error>) {
        let (left, watchers, rest) = cell.with(|mail, wakes| {
            let mut left = VecDeque::new();
            mail.queue.take(usize::MAX, &mut left);
            mail.leave(Phase::Gone, wakes);
            mail.reason = Some(reason.clone());
            if !left.is_empty() {
                mail.more().dropped += left.len() as u64;
            }
            match &mut mail.more {
                Some(more) => (left, std::mem::take(&mut more.watchers), more.rest.take()),
                None => (left, Vec::new(), None),
            }
        });
        drop(rest);
        self.directory.retire(cell);
        self.config.hooks.undelivered(&cell.id, left.into(), reason);
        for watcher in watchers {
            super::config::guard(|| watcher(&cell.id, reason));
        }
        cell.with(|mail, wakes| mail.told(wakes));
    }

    /// Why everything ends when the manager is dropped.
    pub(super) fn dropped(&self) -> crate::context::Stop {
        crate::context::Stop::Cancelled(Cause::new("the manager was dropped".into(), self.at))
    }
}
