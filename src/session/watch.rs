//! The watch over stuck shards and hung sessions.
//!
//! It is one alarm, set only while there is something to look at. See the README.

use super::core::Core;
use super::model::{Failure, Session};
use super::timers::Slot;
use crate::sync::{Arc, AtomicBool, Mutex, Ordering};
use std::time::{Duration, Instant};

/// Looks, once, after a while, whether the shards have got on.
pub(super) struct Watch {
    /// Raised while an alarm is set; a hint that keeps others from the lock.
    set: AtomicBool,
    /// Guards what the shards had done when the alarm was set.
    seen: Mutex<Seen>,
}

struct Seen {
    turns: Vec<u64>,
    alarm: Slot,
    /// The manager ends: nobody is relieved any more.
    over: bool,
    /// When the log was last told that there is no thread.
    warned: Option<Instant>,
}

/// A manager that is short of threads says so no more often than this.
const WARN_EVERY: Duration = Duration::from_secs(10);

impl Watch {
    pub(super) fn new() -> Self {
        let seen = Seen { turns: Vec::new(), alarm: Slot::default(), over: false, warned: None };
        Watch { set: AtomicBool::new(false), seen: Mutex::new(seen) }
    }

    /// Whether the log is to be told now: it has not been for a while.
    pub(super) fn may_warn(&self, now: Instant) -> bool {
        // loom: unreached: a model always has a thread to give.
        let mut seen = self.seen.lock();
        let may = seen.warned.is_none_or(|at| now.saturating_duration_since(at) >= WARN_EVERY);
        if may {
            seen.warned = Some(now);
        }
        may
    }

    /// Takes the alarm back, and sets no other.
    pub(super) fn stop(&self) {
        let alarm = {
            let mut seen = self.seen.lock();
            seen.over = true;
            seen.alarm.take()
        };
        drop(alarm);
    }
}

impl<S: Session> Core<S> {
    /// Somebody waits behind another, or may hang: sees to it that somebody will look.
    #[inline]
    pub(super) fn watch(self: &Arc<Self>) {
        let Some(period) = self.config.stuck_after.or(self.config.hung_after) else { return };
        // Relaxed: what is to be seen was put in place under a lock that the look takes after it has
        // lowered the flag. So whoever put it there later finds the flag lowered.
        if !self.watch.set.load(Ordering::Relaxed) && !self.watch.set.swap(true, Ordering::Relaxed)
        {
            self.set_watch(period);
        }
    }

    #[cold]
    fn set_watch(self: &Arc<Self>, period: Duration) {
        let clock = self.ctx.clock();
        let Some(at) = clock.now().checked_add(period) else { return };
        let turns = self.shards.iter().map(|shard| shard.turns()).collect();
        let round = {
            let mut seen = self.watch.seen.lock();
            if seen.over {
                return;
            }
            seen.turns = turns;
            seen.alarm.begin()
        };
        let core = Arc::downgrade(self);
        let look = move || {
            if let Some(core) = core.upgrade() {
                core.look();
                crate::panics::discard(core);
            }
        };
        let alarm = clock.call_at(at, Box::new(look));
        let left = self.watch.seen.lock().alarm.fill(round, alarm);
        drop(left);
    }

    /// The time is up: a shard that has not ended a turn since, and has sessions waiting, is stuck.
    fn look(self: &Arc<Self>) {
        let turns = {
            let mut seen = self.watch.seen.lock();
            if seen.over {
                return;
            }
            std::mem::take(&mut seen.turns)
        };
        self.watch.set.store(false, Ordering::Relaxed);
        let mut again = false;
        for (i, (shard, seen)) in self.shards.iter().zip(turns).enumerate() {
            let load = shard.load();
            if load.ready > 0 {
                // Whoever waits there came while this watch was set, and has set none.
                again = true;
                if load.turns == seen && self.config.stuck_after.is_some() {
                    self.relieve(i);
                }
            }
        }
        if let Some(limit) = self.config.hung_after {
            again |= self.report_hung(limit);
        }
        if again {
            self.watch();
        }
    }

    /// Reports sessions that have been at one turn for longer than the limit, once each; whether there
    /// are any that may come to that.
    fn report_hung(&self, limit: Duration) -> bool {
        let now = self.nanos();
        let mut again = false;
        for cell in self.shards.iter().flat_map(|shard| shard.at_work()) {
            let (hangs, reported) = cell.with(|mail, _| mail.hangs(now, limit));
            again |= !reported;
            if hangs {
                self.config.hooks.failed(&cell.id, &Failure::Hung(limit), None);
            }
        }
        again
    }
}
