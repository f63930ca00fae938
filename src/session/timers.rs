//! Messages that a session sends to itself, later or again and again.

use super::cell::{self, Cell, Order, Phase};
use super::config::guard;
use super::core::Core;
use super::model::Session;
use crate::panics;
use crate::sync::{Arc, Mutex, Weak, planted};
use crate::time::{Alarm, Clock};
use std::time::{Duration, Instant};

/// The timers of a session. Dropping them takes back what has not fired.
#[derive(Default)]
pub(super) struct Timers {
    set: Vec<(u64, Arc<Timer>)>,
    next: u64,
}

/// Identifies a timer of a session. Made by [`Cx::after`](super::Cx::after) and
/// [`Cx::every`](super::Cx::every).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimerId(u64);

/// Keeps one alarm, for whoever sets the next when it fires. An alarm is set without a lock, so it may
/// fire, and the next be in place, before the first comes here: it must not put that one out.
#[derive(Default)]
pub(super) struct Slot {
    round: u64,
    alarm: Option<Alarm>,
}

impl Slot {
    /// An alarm is about to be set; the number is for [`fill`](Self::fill).
    pub(super) fn begin(&mut self) -> u64 {
        self.round += 1;
        self.round
    }

    /// Keeps the alarm unless another has been begun since; returns what is to be dropped, unlocked.
    #[must_use = "an alarm is dropped without the lock"]
    pub(super) fn fill(&mut self, round: u64, alarm: Alarm) -> Option<Alarm> {
        let is_last = self.round == round || planted("old_alarm_stays");
        if is_last { self.alarm.replace(alarm) } else { Some(alarm) }
    }

    pub(super) fn take(&mut self) -> Option<Alarm> {
        self.alarm.take()
    }
}

/// Guards the alarm that will fire next. The alarm's call has a weak reference to this, so what is
/// referred to weakly has still to fire.
#[derive(Default)]
pub(super) struct Timer(Mutex<Slot>);

impl Timer {
    fn set(&self, clock: &Clock, at: Instant, call: impl FnOnce() + Send + 'static) {
        let round = self.0.lock().begin();
        let alarm = clock.call_at(at, Box::new(call));
        let left = self.0.lock().fill(round, alarm);
        drop(left);
    }
}

impl Timers {
    fn add(&mut self, timer: Arc<Timer>) -> TimerId {
        self.set.retain(|(_, timer)| Arc::weak_count(timer) != 0);
        self.next += 1;
        self.set.push((self.next, timer));
        TimerId(self.next)
    }

    /// Takes a timer back; `false` if it had fired.
    pub(super) fn cancel(&mut self, id: TimerId) -> bool {
        let Some(i) = self.set.iter().position(|(n, _)| *n == id.0) else { return false };
        let (_, timer) = self.set.swap_remove(i);
        Arc::weak_count(&timer) != 0
    }

    pub(super) fn is_pending(&mut self) -> bool {
        self.set.retain(|(_, timer)| Arc::weak_count(timer) != 0);
        !self.set.is_empty()
    }
}

impl<S: Session> Core<S> {
    /// Sends `msg` to the session at `at`.
    pub(super) fn send_at(
        self: &Arc<Self>,
        cell: &Arc<Cell<S>>,
        timers: &mut Timers,
        at: Instant,
        msg: S::Msg,
    ) -> TimerId {
        let timer = Arc::new(Timer::default());
        let (core, cell, mine) = (Arc::downgrade(self), cell.clone(), Arc::downgrade(&timer));
        let fire = move || {
            let _pending = mine; // Until it has fired.
            match core.upgrade() {
                Some(core) => {
                    guard(|| core.push_late(&cell, msg));
                    panics::discard(core);
                }
                None => panics::discard(msg),
            }
        };
        timer.set(self.ctx.clock(), at, fire);
        timers.add(timer)
    }

    /// Sends what `make` makes every `period`, for the first time after one.
    pub(super) fn send_every(
        self: &Arc<Self>,
        cell: &Arc<Cell<S>>,
        timers: &mut Timers,
        period: Duration,
        make: impl FnMut() -> S::Msg + Send + 'static,
    ) -> TimerId {
        let timer = Arc::new(Timer::default());
        let tick = Tick {
            core: Arc::downgrade(self),
            cell: cell.clone(),
            timer: Arc::downgrade(&timer),
            period,
            make: Box::new(make),
        };
        if let Some(at) = self.ctx.clock().now().checked_add(period) {
            timer.set(self.ctx.clock(), at, move || tick.fire(at));
        }
        timers.add(timer)
    }

    /// A timer's message finds room in any mailbox: there are no more of them than timers. So does the
    /// word of the end of a session that is watched.
    pub(super) fn push_late(self: &Arc<Self>, cell: &Arc<Cell<S>>, msg: S::Msg) {
        let rank = cell::rank(&self.config.overflow, &msg);
        let pushed = cell.with(|mail, _| {
            if mail.is_over() || mail.order >= Order::Drain {
                return Err((mail.phase, msg));
            }
            mail.push_past(msg, rank);
            Ok(mail.rouse())
        });
        match pushed {
            Ok(then) => self.then(then, cell),
            Err((Phase::Passivated, msg)) => {
                self.directory.retire(cell);
                match self.open(&cell.id) {
                    Some(next) => self.push_late(&next, msg),
                    None => panics::discard(msg),
                }
            }
            Err((_, msg)) => panics::discard(msg),
        }
    }
}

struct Tick<S: Session> {
    core: Weak<Core<S>>,
    cell: Arc<Cell<S>>,
    timer: Weak<Timer>,
    period: Duration,
    make: Box<dyn FnMut() -> S::Msg + Send>,
}

impl<S: Session> Tick<S> {
    fn fire(mut self, due: Instant) {
        let (Some(core), Some(timer)) = (self.core.upgrade(), self.timer.upgrade()) else { return };
        // A session that cannot keep up misses beats, it does not collect them.
        let room = self.cell.with(|mail, _| {
            !matches!(mail.phase, Phase::Gone | Phase::Passivated)
                && mail.queue.len() < core.config.mailbox
        });
        if room {
            guard(|| core.push_late(&self.cell, (self.make)()));
        }
        let clock = core.ctx.clock().clone();
        let next = due.checked_add(self.period).map(|next| {
            let now = clock.now();
            if next > now { Some(next) } else { now.checked_add(self.period) }
        });
        if let Some(at) = next.flatten() {
            timer.set(&clock, at, move || self.fire(at));
        }
        panics::discard(core);
    }
}
