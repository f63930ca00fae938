//! The run queues of the shards: who is ready, who is parked, and what happens to a shard that is
//! stuck.
//!
//! A shard is a queue of sessions and the right to serve it. The right is a ticket: a thread serves
//! until somebody else has drawn a later one. So a thread that blocks in a message costs its shard
//! nothing: another draws a ticket, and the first, when it comes back, finds that it has lost and goes.
//!
//! Each shard has two queues, so that senders and the thread do not meet at one lock: `inbox` takes
//! what becomes ready, `local` is what the thread works off. Either may be robbed by other threads:
//! a ready session is in exactly one queue, and whoever takes it out has it, messages and all.

use super::cell::{Cell, Phase};
use super::core::Core;
use super::model::{Failure, Session};
use super::worker;
use crate::context::Op;
use crate::sync::{Arc, AtomicBool, AtomicU64, AtomicUsize, Mutex, Ordering, spin};
use crate::time::Alarm;
use crate::wait::{Site, WaitKind, Waiter};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// On cache lines of its own.
#[repr(align(128))]
pub(super) struct Shard<S: Session> {
    inbox: Mutex<Inbox<S>>,
    /// Guards what the shard's thread has taken over from the inbox and not begun.
    local: Mutex<Local<S>>,
    /// A hint for spinning and for thieves: the length of the inbox. Written under its lock.
    waiting: AtomicUsize,
    /// Turns ended. A hint: what does not move for a while is stuck.
    turns: AtomicU64,
    /// Messages handled; a count for people.
    handled: AtomicU64,
}

/// What the lock of an inbox guards.
struct Inbox<S: Session> {
    ready: VecDeque<Arc<Cell<S>>>,
    /// The thread of the shard, while it waits for something to do.
    parked: Option<Arc<Waiter>>,
    /// The last ticket drawn.
    ticket: u64,
    /// Look round: somebody else has more than it can do, or there is something to sweep.
    nudged: bool,
    /// The manager is closed and every session has ended.
    over: bool,
}

struct Local<S: Session> {
    ready: VecDeque<Arc<Cell<S>>>,
    /// Who has its turn now; kept only if somebody wants to know who hangs.
    current: Option<Arc<Cell<S>>>,
}

/// Sessions that wait behind one that is at work are a reason to wake another shard.
const BACKLOG: usize = 4;

impl<S: Session> Shard<S> {
    pub(super) fn new() -> Self {
        Shard {
            inbox: Mutex::new(Inbox {
                ready: VecDeque::new(),
                parked: None,
                ticket: 0,
                nudged: false,
                over: false,
            }),
            local: Mutex::new(Local { ready: VecDeque::new(), current: None }),
            waiting: AtomicUsize::new(0),
            turns: AtomicU64::new(0),
            handled: AtomicU64::new(0),
        }
    }

    /// A turn has ended. Hints: nothing is decided by them alone.
    #[inline]
    pub(super) fn count(&self, handled: u64) {
        self.turns.fetch_add(1, Ordering::Relaxed);
        self.handled.fetch_add(handled, Ordering::Relaxed);
    }

    pub(super) fn load(&self) -> Load {
        let (ready, is_parked) = {
            let inbox = self.inbox.lock();
            (inbox.ready.len(), inbox.parked.is_some())
        };
        Load {
            ready: ready + self.local.lock().ready.len(),
            turns: self.turns.load(Ordering::Relaxed),
            handled: self.handled.load(Ordering::Relaxed),
            is_parked,
        }
    }

    fn next(&self, keep: bool) -> Option<Arc<Cell<S>>> {
        let mut local = self.local.lock();
        let cell = local.ready.pop_front();
        let before = keep.then(|| std::mem::replace(&mut local.current, cell.clone()));
        drop(local);
        drop(before);
        cell
    }

    /// Takes about half of what is ready here.
    fn rob(&self) -> VecDeque<Arc<Cell<S>>> {
        let half =
            |ready: &mut VecDeque<Arc<Cell<S>>>| ready.split_off(ready.len() - ready.len() / 2);
        let loot = half(&mut self.local.lock().ready);
        if !loot.is_empty() {
            return loot;
        }
        let mut inbox = self.inbox.lock();
        let loot = half(&mut inbox.ready);
        self.waiting.store(inbox.ready.len(), Ordering::Relaxed);
        loot
    }
}

/// One shard at a moment.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Load {
    /// Sessions that wait for their turn.
    pub ready: usize,
    /// Turns so far.
    pub turns: u64,
    /// Messages handled so far.
    pub handled: u64,
    /// Whether its thread has nothing to do.
    pub is_parked: bool,
}

impl<S: Session> Core<S> {
    /// Draws the right to serve a shard; whoever had it loses it, and goes.
    pub(super) fn draw(&self, shard: usize) -> u64 {
        let (ticket, parked) = {
            let mut inbox = self.shards[shard].inbox.lock();
            inbox.ticket += 1;
            let parked = inbox.parked.take();
            (inbox.ticket, parked)
        };
        if let Some(parked) = parked {
            self.parked.fetch_sub(1, Ordering::Relaxed);
            parked.wake();
        }
        ticket
    }

    /// Puts a session that has become ready into the run queue of a shard.
    #[inline]
    pub(super) fn enqueue(self: &Arc<Self>, shard: usize, cell: Arc<Cell<S>>) {
        let place = &self.shards[shard];
        let (parked, waiting) = {
            let mut inbox = place.inbox.lock();
            inbox.ready.push_back(cell);
            let waiting = inbox.ready.len();
            place.waiting.store(waiting, Ordering::Relaxed);
            (inbox.parked.take(), waiting)
        };
        if let Some(parked) = parked {
            self.parked.fetch_sub(1, Ordering::Relaxed);
            parked.wake();
            if self.config.hung_after.is_none() {
                return;
            }
        } else if waiting >= BACKLOG && self.parked.load(Ordering::Relaxed) != 0 {
            self.nudge_one();
        }
        if let Some(limit) = self.config.stuck_after {
            self.watch_for(limit);
        }
    }

    /// Wakes a shard that has nothing to do, to help one that has too much.
    #[cold]
    fn nudge_one(&self) {
        for shard in &self.shards {
            let parked = {
                let mut inbox = shard.inbox.lock();
                inbox.nudged = inbox.parked.is_some();
                inbox.parked.take()
            };
            if let Some(parked) = parked {
                self.parked.fetch_sub(1, Ordering::Relaxed);
                parked.wake();
                return;
            }
        }
    }

    /// The next session for the thread that serves `shard` with `ticket`; `None`: it is to go.
    pub(super) fn next(
        self: &Arc<Self>,
        shard: usize,
        ticket: u64,
        spare: &mut VecDeque<Arc<Cell<S>>>,
    ) -> Option<Arc<Cell<S>>> {
        let place = &self.shards[shard];
        let keep = self.config.hung_after.is_some();
        loop {
            if let Some(cell) = place.next(keep) {
                return Some(cell);
            }
            let (mine, over) = {
                let mut inbox = place.inbox.lock();
                let mine = inbox.ticket == ticket;
                if mine {
                    std::mem::swap(&mut inbox.ready, spare);
                    place.waiting.store(0, Ordering::Relaxed);
                }
                (mine, inbox.over)
            };
            if !mine {
                return None;
            }
            if spare.is_empty() {
                if over {
                    return None;
                }
                if !self.steal(shard, spare) {
                    self.sweep(shard);
                    self.park(shard, ticket);
                    continue;
                }
            }
            let mut local = place.local.lock();
            if local.ready.is_empty() {
                std::mem::swap(&mut local.ready, spare);
            } else {
                local.ready.append(spare);
            }
        }
    }

    /// Takes sessions from another shard that has more than one waiting.
    fn steal(&self, me: usize, into: &mut VecDeque<Arc<Cell<S>>>) -> bool {
        let n = self.shards.len();
        for other in (1..n).map(|i| &self.shards[(me + i) % n]) {
            let mut loot = other.rob();
            if !loot.is_empty() {
                into.append(&mut loot);
                return true;
            }
        }
        false
    }

    fn park(self: &Arc<Self>, shard: usize, ticket: u64) {
        let place = &self.shards[shard];
        // loom: unreached: a model never spins.
        if spin(|| place.waiting.load(Ordering::Relaxed) != 0) {
            return;
        }
        let until = self.idlers.next_due(shard).and_then(|due| self.instant(due));
        let site = Site::new(WaitKind::Work, Some(self.config.name.clone()));
        let mut op = Park { core: self, shard, ticket };
        if let Err(stop) = self.ctx.block_until(until, site.clone(), &mut op) {
            self.abort(&stop);
            // `after` never stops.
            let _ = self.after.block_until(until, site, &mut op);
        }
    }

    pub(super) fn instant(&self, nanos: u64) -> Option<Instant> {
        self.epoch.checked_add(Duration::from_nanos(nanos))
    }

    /// Lets another thread serve the shard, because this one is about to block or seems to. `false` if
    /// no thread is to be had.
    pub(super) fn relieve(self: &Arc<Self>, shard: usize) -> bool {
        let core = self.clone();
        let relief = self.start_thread(move |token| worker::live(core, shard, token));
        if let Err(e) = &relief {
            log::warn!("ironsys: shard {shard} of {} gets no other thread: {e}", self.config.name);
        }
        relief.is_ok()
    }

    /// Everything has ended: the threads of the shards may go.
    pub(super) fn release_shards(&self) {
        for shard in &self.shards {
            let parked = {
                let mut inbox = shard.inbox.lock();
                inbox.over = true;
                inbox.parked.take()
            };
            if let Some(parked) = parked {
                self.parked.fetch_sub(1, Ordering::Relaxed);
                parked.wake();
            }
        }
    }
}

/// The wait of a shard's thread for something to do.
struct Park<'a, S: Session> {
    core: &'a Core<S>,
    shard: usize,
    ticket: u64,
}

impl<S: Session> Op for Park<'_, S> {
    type Out = ();

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<()> {
        let mut inbox = self.core.shards[self.shard].inbox.lock();
        let nudged = std::mem::take(&mut inbox.nudged);
        let ready = !inbox.ready.is_empty() || inbox.over || nudged || inbox.ticket != self.ticket;
        let parked = match (ready, &inbox.parked) {
            (true, Some(there)) if Arc::ptr_eq(there, waiter) => inbox.parked.take(),
            (false, None) => {
                inbox.parked = Some(waiter.clone());
                self.core.parked.fetch_add(1, Ordering::Relaxed);
                None
            }
            _ => None,
        };
        drop(inbox);
        if parked.is_some() {
            // loom: unreached: needs a wake-up that was left over from an earlier wait.
            self.core.parked.fetch_sub(1, Ordering::Relaxed);
        }
        ready.then_some(())
    }

    fn withdraw(&mut self) -> Option<()> {
        let mut inbox = self.core.shards[self.shard].inbox.lock();
        let mine = inbox.ticket == self.ticket;
        let parked = if mine { inbox.parked.take() } else { None };
        drop(inbox);
        if parked.is_some() {
            // loom: unreached: needs a wake-up that was left over from an earlier wait.
            self.core.parked.fetch_sub(1, Ordering::Relaxed);
        }
        None
    }
}

// ===== the watch over stuck shards =====

/// Looks, once, after a while, whether the shards have got on. It is set by whoever finds a shard at
/// work that it has something for; nothing is set while nothing becomes ready.
pub(super) struct Watch<S: Session> {
    /// Raised while an alarm is set; a hint that keeps others from the lock.
    set: AtomicBool,
    /// Guards what the shards had done when the alarm was set.
    seen: Mutex<Seen<S>>,
}

struct Seen<S: Session> {
    turns: Vec<u64>,
    /// Sessions whose thread was relieved while they were at work; kept as `current` is.
    aside: Vec<Arc<Cell<S>>>,
    alarm: Option<Alarm>,
}

impl<S: Session> Watch<S> {
    pub(super) fn new() -> Self {
        let seen = Seen { turns: Vec::new(), aside: Vec::new(), alarm: None };
        Watch { set: AtomicBool::new(false), seen: Mutex::new(seen) }
    }

    /// Takes the alarm back, and sets no other.
    fn stop(&self) {
        self.set.store(true, Ordering::Relaxed);
        let alarm = self.seen.lock().alarm.take();
        drop(alarm);
    }
}

/// The manager ends: nobody is relieved any more.
pub(super) fn stop_watch<S: Session>(core: &Core<S>) {
    core.watch.stop();
}

impl<S: Session> Core<S> {
    #[inline]
    fn watch_for(self: &Arc<Self>, limit: Duration) {
        // Relaxed: whoever raises it first sets the alarm, and the rest goes by the lock.
        if !self.watch.set.load(Ordering::Relaxed) && !self.watch.set.swap(true, Ordering::Relaxed)
        {
            self.set_watch(limit);
        }
    }

    fn set_watch(self: &Arc<Self>, limit: Duration) {
        let clock = self.ctx.clock();
        let Some(at) = clock.now().checked_add(limit) else { return };
        let turns = self.shards.iter().map(|s| s.turns.load(Ordering::Relaxed)).collect();
        self.watch.seen.lock().turns = turns;
        let core = Arc::downgrade(self);
        let look = move || {
            if let Some(core) = core.upgrade() {
                core.look_for_stuck(limit);
                crate::panics::discard(core);
            }
        };
        let alarm = clock.call_at(at, Box::new(look));
        let before = self.watch.seen.lock().alarm.replace(alarm);
        drop(before);
    }

    /// The time is up: a shard that has not ended a turn since, and has sessions waiting, is stuck.
    fn look_for_stuck(self: &Arc<Self>, limit: Duration) {
        let turns = std::mem::take(&mut self.watch.seen.lock().turns);
        self.watch.set.store(false, Ordering::Relaxed);
        let (mut at_work, mut again) = (false, false);
        for (i, (shard, seen)) in self.shards.iter().zip(turns).enumerate() {
            let load = shard.load();
            at_work |= !load.is_parked;
            if load.is_parked || load.ready == 0 {
                continue;
            }
            // Whoever waits there came while this watch was set, and has set none: look again.
            again = true;
            if load.turns == seen && self.relieve(i) {
                let aside = shard.local.lock().current.take();
                self.watch.seen.lock().aside.extend(aside);
            }
        }
        if let Some(hung) = self.config.hung_after {
            self.report_hung(hung);
            again |= at_work;
        }
        if again {
            self.watch_for(limit);
        }
    }

    /// Reports sessions that have been at one turn for longer than the limit, once each.
    fn report_hung(&self, limit: Duration) {
        let now = self.nanos();
        let mut at_work = std::mem::take(&mut self.watch.seen.lock().aside);
        let current = self.shards.iter().filter_map(|shard| shard.local.lock().current.clone());
        let mut suspects: Vec<_> = current.collect();
        suspects.extend(at_work.iter().cloned());
        for cell in suspects {
            if cell.with(|mail, _| mail.hangs(now, limit)) {
                self.config.hooks.failed(&cell.id, &Failure::Hung(limit), None);
            }
        }
        at_work.retain(|cell| cell.with(|mail, _| mail.phase == Phase::Running));
        self.watch.seen.lock().aside.append(&mut at_work);
    }

    /// Why the context of the manager has stopped, looked at between turns.
    #[inline]
    pub(super) fn check_stop(self: &Arc<Self>) {
        if let Err(stop) = self.ctx.check() {
            self.abort(&stop);
        }
    }
}
