//! The threads: one that serves a shard, one that belongs to a session.

use super::cell::{Cell, Phase};
use super::core::Core;
use super::model::Session;
use super::shards::Ended;
use crate::context::Op;
use crate::observe::{self, TaskKind};
use crate::panics;
use crate::sync::{Arc, Weak};
use crate::time::Token;
use crate::wait::{Site, WaitKind, Waiter};
use std::cell::RefCell;
use std::collections::VecDeque;

/// Turns between two looks at the context and at the idle sessions.
const LOOK: u32 = 64;

/// The life of a thread that serves a shard, until another one does.
pub(super) fn live<S: Session>(core: Arc<Core<S>>, shard: usize, token: Token) {
    let seat = token.sit();
    Seat::take(&core, Some(shard));
    core.serve(shard);
    Seat::leave();
    drop(seat);
    leave(core);
}

/// Lets go of the manager; the token goes last, when whoever waits for the threads is awake again.
fn leave<S: Session>(core: Arc<Core<S>>) {
    core.alive.left();
    panics::discard(core);
}

impl<S: Session> Core<S> {
    fn serve(self: &Arc<Self>, shard: usize) {
        let name: Arc<str> = format!("{}-{shard}", self.config.name).into();
        let running =
            observe::begin(self.ctx.registry(), TaskKind::Worker, Some(name), self.at, None);
        let ticket = self.draw(shard);
        let (mut spare, mut hand) = (VecDeque::new(), VecDeque::new());
        let (mut turns, mut ended) = (0_u32, None);
        while let Some(cell) = self.next(shard, ticket, ended.take(), &mut spare) {
            ended = Some(Ended { handled: self.turn(&cell, &mut hand) });
            if self.config.hung_after.is_some() {
                self.shards[shard].forget(&cell);
            }
            drop(cell);
            turns = turns.wrapping_add(1);
            if turns.is_multiple_of(LOOK) {
                self.check_stop();
                self.sweep(shard);
            }
        }
        drop(running);
    }

    /// Looks between turns whether the context of the manager has stopped.
    fn check_stop(self: &Arc<Self>) {
        if let Err(stop) = self.ctx.check() {
            self.abort(&stop);
        }
    }
}

/// The life of a session's own thread: until the session has ended or left memory.
pub(super) fn live_own<S: Session>(core: Arc<Core<S>>, cell: Arc<Cell<S>>, token: Token) {
    let seat = token.sit();
    Seat::take(&core, None);
    let name: Arc<str> = core.name_of(&cell.id).into();
    let running =
        observe::begin(core.ctx.registry(), TaskKind::Task, Some(name.clone()), core.at, None);
    let mut hand = VecDeque::new();
    while core.wait_turn(&cell, &name) {
        core.turn(&cell, &mut hand);
        core.sweep(0);
    }
    drop(running);
    Seat::leave();
    drop((seat, cell, hand));
    leave(core);
}

impl<S: Session> Core<S> {
    /// Waits until the session of this thread is to have a turn; `false`: it is over.
    fn wait_turn(self: &Arc<Self>, cell: &Arc<Cell<S>>, name: &Arc<str>) -> bool {
        let site = Site::new(WaitKind::Work, Some(name.clone()));
        let mut ctx = &self.ctx;
        loop {
            let idle = self.config.idle_after;
            let until = idle.and_then(|idle| self.ctx.clock().now().checked_add(idle));
            match ctx.block_until(until, site.clone(), &mut OwnTurn { cell }) {
                Ok(Some(more)) => return more,
                Ok(None) => self.sweep(0),
                Err(stop) => {
                    self.abort(&stop);
                    ctx = &self.after;
                }
            }
        }
    }
}

/// The wait of a session's own thread.
struct OwnTurn<'a, S: Session> {
    cell: &'a Cell<S>,
}

impl<S: Session> Op for OwnTurn<'_, S> {
    type Out = bool;

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<bool> {
        let (out, before) = self.cell.with(|mail, _| {
            let out = match mail.phase {
                Phase::Ready => Some(true),
                Phase::Gone | Phase::Passivated => Some(false),
                _ => None,
            };
            let parked = if out.is_none() { Some(waiter.clone()) } else { None };
            (out, std::mem::replace(&mut mail.more().parked, parked))
        });
        drop(before);
        out
    }

    fn withdraw(&mut self) -> Option<bool> {
        let parked = self.cell.with(|mail, _| mail.more().parked.take());
        drop(parked);
        None
    }
}

// ===== what a call that blocks inside a session does =====

/// A manager, for a thread of it that is about to block.
trait Relief {
    fn relieve(&self, shard: usize) -> bool;
}

impl<S: Session> Relief for Weak<Core<S>> {
    fn relieve(&self, shard: usize) -> bool {
        self.upgrade().is_some_and(|core| core.relieve(shard))
    }
}

/// What the calling thread works for.
pub(super) struct Seat {
    /// Nothing for a guest, who runs one turn on a thread that is not the manager's.
    of: Option<Box<dyn Relief>>,
    /// The address of the manager's core; only compared.
    core: usize,
    /// The shard it serves, until it has asked another thread to.
    shard: Option<usize>,
}

crate::sync::thread_local_in_build! {
    // More than one: a thread of one manager may be a guest of another.
    static SEATS: RefCell<Vec<Seat>> = RefCell::new(Vec::new());
}

fn address<S: Session>(core: &Arc<Core<S>>) -> usize {
    Arc::as_ptr(core).addr()
}

impl Seat {
    fn take<S: Session>(core: &Arc<Core<S>>, shard: Option<usize>) {
        let of: Box<dyn Relief> = Box::new(Arc::downgrade(core));
        let seat = Seat { of: Some(of), core: address(core), shard };
        SEATS.with(|seats| seats.borrow_mut().push(seat));
    }

    fn leave() {
        let seat = SEATS.try_with(|seats| seats.borrow_mut().pop());
        drop(seat);
    }
}

/// Runs a turn of `core` on a thread of somebody else: whatever it calls knows that it is inside, and
/// does not wait for itself.
pub(super) fn as_guest<S: Session, R>(core: &Arc<Core<S>>, turn: impl FnOnce() -> R) -> R {
    struct Leave(bool);
    impl Drop for Leave {
        fn drop(&mut self) {
            if self.0 {
                Seat::leave();
            }
        }
    }
    let seat = Seat { of: None, core: address(core), shard: None };
    // A thread that ends has no seats any more; its turn goes on all the same.
    let _seated = Leave(SEATS.try_with(|seats| seats.borrow_mut().push(seat)).is_ok());
    turn()
}

/// The calling thread is about to block: if it serves a shard, another one does from now on.
pub(super) fn step_aside() {
    let _ = SEATS.try_with(|seats| {
        if let Ok(mut seats) = seats.try_borrow_mut() {
            for seat in &mut *seats {
                if let (Some(of), Some(shard)) = (&seat.of, seat.shard)
                    && of.relieve(shard)
                {
                    seat.shard = None;
                }
            }
        }
    });
}

/// The same, if the call is about to block indeed.
pub(super) fn step_aside_if(blocks: impl FnOnce() -> bool) {
    if blocks() {
        step_aside();
    }
}

/// Whether the calling thread works for `core`, be it as a guest: 1 if so.
pub(super) fn works_for<S: Session>(core: &Arc<Core<S>>) -> usize {
    let core = address(core);
    let mine = SEATS
        .try_with(|seats| seats.try_borrow().is_ok_and(|s| s.iter().any(|seat| seat.core == core)));
    usize::from(mine.unwrap_or(false))
}
