//! A turn: a thread takes a session, lets it handle some messages, and puts it back.
//!
//! Between `begin` and `end` the phase is `Running`: the state and the messages in hand belong to this
//! thread alone, and no lock is held while the user's code runs. A turn ends in one critical section
//! that decides what is next: nothing, another turn, or one of the ways out in `ending.rs`.

use super::cell::{Cell, Live, Mail, Order, Phase, Then};
use super::config::Died;
use super::core::Core;
use super::cx::{Cx, Wants};
use super::model::{Failure, Reason, Restore, Session};
use super::slowest::Slowest;
use super::store::{Corrupt, StoreError};
use crate::observe::{self, TaskKind};
use crate::panics::{self, Panicked};
use crate::sync::{Arc, catch_unwind, planted};
use crate::time::Alarm;
use crate::wait::{key, serve};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What a turn leads to.
enum Next<S: Session> {
    /// Perhaps another turn; and whether it goes on the list of idle sessions, as last used then.
    Back(Then, Option<u64>),
    Passivate(Box<Live<S>>),
    Finish(Box<Live<S>>, Option<Reason<S::Error>>),
}

/// When a session that has crashed, or ended itself, starts again.
pub(super) enum Again {
    Now(Then),
    /// After so long; with the number of its alarm.
    Later(Duration, u64),
}

/// A failure, with the panic if it was one.
pub(super) struct Crash<E> {
    pub(super) failure: Failure<E>,
    pub(super) panicked: Option<Panicked>,
}

impl<S: Session> Core<S> {
    /// Gives a session that is ready its turn; returns how many messages it handled.
    pub(super) fn turn(self: &Arc<Self>, cell: &Arc<Cell<S>>, hand: &mut VecDeque<S::Msg>) -> u64 {
        let _served = serve(key(&**cell));
        let began = if self.config.hung_after.is_some() { self.nanos() } else { 0 };
        let (live, ended) = cell.with(|mail, wakes| {
            debug_assert_eq!(mail.phase, Phase::Ready);
            mail.phase = Phase::Running;
            if began != 0 {
                mail.used = began;
            }
            let needless = mail.state.is_none() && mail.queue.is_empty();
            if mail.order == Order::Abort || (mail.order == Order::Drain && needless) {
                return (mail.state.take(), true);
            }
            mail.take(self.config.turn, hand, wakes);
            (mail.state.take(), false)
        });
        if ended {
            self.finish(cell, live, None);
            return 0;
        }
        let live = match live {
            Some(live) => live,
            None => match self.bring_up(cell) {
                Ok(live) => live,
                Err(crash) => {
                    self.did_not_start(cell, hand, crash);
                    return 0;
                }
            },
        };
        match &self.slowest {
            None => self.work(cell, live, hand),
            Some(slowest) => self.observed(slowest, cell, live, hand),
        }
    }

    /// Works where everybody can see it, and with a look at the clock.
    #[cold]
    fn observed(
        self: &Arc<Self>,
        slowest: &Slowest<S>,
        cell: &Arc<Cell<S>>,
        live: Box<Live<S>>,
        hand: &mut VecDeque<S::Msg>,
    ) -> u64 {
        let line = (!self.shards.is_empty()).then(|| {
            let name = self.name_of(&cell.id).into();
            let (registry, below) = (self.ctx.registry(), observe::current());
            observe::begin(registry, TaskKind::Job, Some(name), self.at, below)
        });
        let began = self.nanos();
        let handled = self.work(cell, live, hand);
        drop(line);
        slowest.note(cell, Duration::from_nanos(self.nanos().saturating_sub(began)));
        handled
    }

    fn work(
        self: &Arc<Self>,
        cell: &Arc<Cell<S>>,
        mut live: Box<Live<S>>,
        hand: &mut VecDeque<S::Msg>,
    ) -> u64 {
        let (mut handled, mut copy) = (0, None);
        let mut wants = Wants::default();
        let retries = self.config.poison_after > 1;
        let result = catch_unwind(|| {
            let Live { state, timers } = &mut *live;
            let mut cx = Cx::new(self, cell, &mut wants, timers);
            while let Some(msg) = hand.pop_front() {
                if retries {
                    copy = S::again(&msg);
                }
                state.handle(msg, &mut cx)?;
                handled += 1;
                if cx.wants_out() || cell.is_aborted() {
                    break;
                }
            }
            Ok(())
        });
        let crash = match result {
            Ok(Ok(())) => {
                panics::discard(copy);
                self.end(cell, live, hand, handled, &wants);
                return handled;
            }
            Ok(Err(e)) => Crash { failure: Failure::Error(e), panicked: None },
            Err(payload) => self.panicked(cell, payload),
        };
        panics::discard(live);
        self.idlers.went();
        self.crashed(cell, hand, handled, Some(copy), crash);
        handled
    }

    /// The end of a turn that went well.
    #[inline]
    fn end(
        self: &Arc<Self>,
        cell: &Arc<Cell<S>>,
        live: Box<Live<S>>,
        hand: &mut VecDeque<S::Msg>,
        handled: u64,
        wants: &Wants,
    ) {
        let passivates = self.config.passivates();
        let now = if passivates { self.nanos() } else { 0 };
        let next = cell.with(|mail, _| {
            mail.put_back(hand, handled);
            if handled > 0
                && let Some(more) = &mut mail.more
            {
                more.history.tries = 0;
            }
            if passivates {
                mail.used = now;
            }
            mail.own |= wants.own;
            let idle = mail.queue.is_empty();
            match mail.order {
                _ if wants.finish => Next::Finish(live, Some(Reason::Finished)),
                Order::Abort => Next::Finish(live, None),
                Order::Drain if idle => Next::Finish(live, None),
                Order::Passivate if idle => {
                    mail.order = Order::None;
                    Next::Passivate(live)
                }
                _ => {
                    mail.state = Some(live);
                    let list = passivates && !std::mem::replace(&mut mail.listed, true);
                    Next::Back(mail.release(), list.then_some(now))
                }
            }
        });
        match next {
            Next::Back(then, list) => {
                if let Some(used) = list {
                    let heap = if self.shards.is_empty() { 0 } else { self.shard_of(cell) };
                    self.idlers.list(heap, used, cell.clone());
                }
                self.then(then, cell);
            }
            Next::Passivate(live) => self.passivate(cell, live),
            Next::Finish(live, reason) => self.finish(cell, Some(live), reason),
        }
    }

    // ===== starting =====

    /// Makes the state, from the store or afresh.
    fn bring_up(self: &Arc<Self>, cell: &Arc<Cell<S>>) -> Result<Box<Live<S>>, Crash<S::Error>> {
        let snapshot = match self.store() {
            None => None,
            Some(store) => match catch_unwind(|| store.load(&self.after, &cell.id)) {
                Err(payload) => return Err(self.panicked(cell, payload)),
                Ok(Ok(snapshot)) => snapshot,
                Ok(Err(e)) => self.unreadable(cell, e)?,
            },
        };
        let (mut wants, mut timers) = (Wants::default(), None);
        let started = catch_unwind(|| {
            let mut cx = Cx::new(self, cell, &mut wants, &mut timers);
            match snapshot {
                None => S::start(&cell.id, &mut cx).map_err(Restore::Failed),
                Some(snapshot) => S::restore(&cell.id, snapshot, &mut cx),
            }
        });
        let state = match started {
            Err(payload) => return Err(self.panicked(cell, payload)),
            Ok(Ok(state)) => state,
            Ok(Err(Restore::Failed(e))) => {
                return Err(Crash { failure: Failure::Error(e), panicked: None });
            }
            Ok(Err(Restore::Corrupt(problem))) => {
                let id = panics::name(&cell.id);
                self.unreadable::<()>(cell, StoreError::Corrupt { id, problem })?;
                match catch_unwind(|| {
                    S::start(&cell.id, &mut Cx::new(self, cell, &mut wants, &mut timers))
                }) {
                    Err(payload) => return Err(self.panicked(cell, payload)),
                    Ok(Err(e)) => return Err(Crash { failure: Failure::Error(e), panicked: None }),
                    Ok(Ok(state)) => state,
                }
            }
        };
        self.idlers.came();
        cell.with(|mail, wakes| {
            mail.started = true;
            mail.own |= wants.own;
            if wants.finish {
                let _ = mail.order(Order::Drain, || Reason::Finished, wakes); // It runs already.
            }
            if let Some(more) = &mut mail.more {
                more.watching.notify_all(wakes);
            }
        });
        Ok(Box::new(Live { state, timers }))
    }

    /// A snapshot that cannot be had: an error, unless the policy is to start afresh.
    fn unreadable<T>(&self, cell: &Cell<S>, e: StoreError) -> Result<Option<T>, Crash<S::Error>> {
        let failure = Failure::Store(e.to_string());
        if self.config.corrupt == Corrupt::StartFresh && matches!(e, StoreError::Corrupt { .. }) {
            self.config.hooks.failed(&cell.id, &failure, None);
            return Ok(None);
        }
        Err(Crash { failure, panicked: None })
    }

    fn did_not_start(
        self: &Arc<Self>,
        cell: &Arc<Cell<S>>,
        hand: &mut VecDeque<S::Msg>,
        crash: Crash<S::Error>,
    ) {
        let again = cell.with(|mail, _| {
            let again = mail.started;
            if !again {
                mail.put_back(hand, 0);
            }
            again
        });
        if again {
            return self.crashed(cell, hand, 0, None, crash); // A restart that failed.
        }
        self.config.hooks.failed(&cell.id, &crash.failure, crash.panicked);
        self.finish(cell, None, Some(Reason::Failed(Arc::new(crash.failure))));
    }

    pub(super) fn panicked(
        &self,
        cell: &Cell<S>,
        payload: Box<dyn std::any::Any + Send>,
    ) -> Crash<S::Error> {
        let text = panics::message(&*payload).to_owned();
        let name = self.name_of(&cell.id);
        let panicked = Panicked::new(name, self.at, payload);
        Crash { failure: Failure::Panicked(text), panicked: Some(panicked) }
    }

    // ===== failing =====

    /// The state is gone; the session starts again, now or later, or ends. `message` is `Some` if a
    /// message did it, with the copy to try again if there is one.
    pub(super) fn crashed(
        self: &Arc<Self>,
        cell: &Arc<Cell<S>>,
        hand: &mut VecDeque<S::Msg>,
        handled: u64,
        message: Option<Option<S::Msg>>,
        crash: Crash<S::Error>,
    ) {
        let Crash { failure, panicked } = crash;
        self.config.hooks.failed(&cell.id, &failure, panicked);
        let now = self.ctx.clock().now();
        let (dead, next) = cell.with(|mail, _| {
            mail.put_back(hand, handled);
            let dead = message.map(|copy| mail.suspect(copy, handled, self.config.poison_after));
            (dead.flatten(), self.restart(mail, true, now))
        });
        if let Some(msg) = dead {
            self.config.hooks.dead(&cell.id, msg, Died::Poison);
        }
        match next {
            None => self.finish(cell, None, Some(Reason::Failed(Arc::new(failure)))),
            Some(again) => {
                self.again(cell, again);
                panics::discard(failure);
            }
        }
    }

    /// A session has failed, or ended itself: whether and when it starts again.
    pub(super) fn restart(&self, mail: &mut Mail<S>, failed: bool, now: Instant) -> Option<Again> {
        let config = &self.config;
        if mail.order >= Order::Drain || !config.restart.applies(failed) {
            return None;
        }
        let history = &mut mail.more().history;
        let delay = history.next_restart(config.intensity, &config.backoff, now)?;
        if delay.is_zero() {
            return Some(Again::Now(mail.ready()));
        }
        mail.phase = Phase::Resting;
        Some(Again::Later(delay, mail.more().rest.begin()))
    }

    pub(super) fn again(self: &Arc<Self>, cell: &Arc<Cell<S>>, again: Again) {
        match again {
            Again::Now(then) => self.then(then, cell),
            Again::Later(delay, round) => self.rest(cell, delay, round),
        }
    }

    /// The session waits out its backoff, and holds no thread meanwhile.
    fn rest(self: &Arc<Self>, cell: &Arc<Cell<S>>, delay: Duration, round: u64) {
        let clock = self.ctx.clock();
        let Some(at) = clock.now().checked_add(delay) else { return };
        let (core, its) = (Arc::downgrade(self), cell.clone());
        let wake = move || {
            let Some(core) = core.upgrade() else { return };
            let then = its.with(|mail, _| match mail.phase {
                Phase::Resting => mail.ready(),
                _ => Then::Nothing,
            });
            core.then(then, &its);
            panics::discard(core);
        };
        let alarm: Alarm = clock.call_at(at, Box::new(wake));
        let left = cell.with(|mail, _| match mail.phase {
            Phase::Resting => mail.more().rest.fill(round, alarm),
            _ => Some(alarm),
        });
        drop(left);
    }
}

impl<S: Session> Mail<S> {
    /// What was not handled goes back to the front.
    #[inline]
    fn put_back(&mut self, hand: &mut VecDeque<S::Msg>, handled: u64) {
        while let Some(msg) = hand.pop_back() {
            self.push_front(msg);
        }
        self.done += handled;
        self.in_hand = 0;
    }

    /// Nobody has the session any more; it is ready if something has come.
    #[inline]
    pub(super) fn release(&mut self) -> Then {
        self.phase = Phase::Idle;
        let nothing = self.queue.is_empty() && self.order == Order::None;
        if nothing || planted("turn_ends_blind") { Then::Nothing } else { self.ready() }
    }

    /// A message has crashed the session. `Some`: it is dead, with what is left of it.
    fn suspect(
        &mut self,
        copy: Option<S::Msg>,
        handled: u64,
        poison_after: u32,
    ) -> Option<Option<S::Msg>> {
        let more = self.more();
        let tries = if handled == 0 { more.history.tries } else { 0 } + 1;
        match copy {
            Some(msg) if tries < poison_after => {
                more.history.tries = tries;
                self.push_front(msg);
                None
            }
            copy => {
                more.history.tries = 0;
                more.failed += 1;
                Some(copy)
            }
        }
    }
}
