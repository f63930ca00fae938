//! Messages that a session sends to itself, later or again and again.

use super::cell::{self, Cell, Order, Phase, Then};
use super::core::Core;
use super::model::Session;
use crate::panics;
use crate::sync::{Arc, Mutex, Weak};
use crate::time::Alarm;
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

/// Guards the alarm that will fire next. The alarm's call has a weak reference to this, so what is
/// referred to weakly has still to fire.
#[derive(Default)]
pub(super) struct Timer(Mutex<Option<Alarm>>);

impl Timer {
    fn set(&self, alarm: Alarm) {
        let before = self.0.lock().replace(alarm);
        drop(before);
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
            if let Some(core) = core.upgrade() {
                core.push_late(&cell, msg);
                panics::discard(core);
            }
        };
        timer.set(self.ctx.clock().call_at(at, Box::new(fire)));
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
            timer.set(self.ctx.clock().call_at(at, Box::new(move || tick.fire(at))));
        }
        timers.add(timer)
    }

    /// A timer's message finds room in any mailbox: there are no more of them than timers. So does the
    /// word of the end of a session that is watched.
    pub(super) fn push_late(self: &Arc<Self>, cell: &Arc<Cell<S>>, msg: S::Msg) {
        let rank = cell::rank(&self.config.overflow, &msg);
        let (then, refused) = cell.with(|mail, _| {
            if mail.is_over() || mail.order >= Order::Drain {
                return (Then::Nothing, Some(msg));
            }
            mail.push_past(msg, rank);
            (mail.rouse(), None)
        });
        panics::discard(refused);
        self.then(then, cell);
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
        if room && let Ok(msg) = crate::sync::catch_unwind(|| (self.make)()) {
            core.push_late(&self.cell, msg);
        }
        let clock = core.ctx.clock().clone();
        let next = due.checked_add(self.period).map(|next| {
            let now = clock.now();
            if next > now { Some(next) } else { now.checked_add(self.period) }
        });
        if let Some(at) = next.flatten() {
            timer.set(clock.call_at(at, Box::new(move || self.fire(at))));
        }
        panics::discard(core);
    }
}
