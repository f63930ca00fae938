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

use super::cell::Cell;
use super::core::Core;
use super::model::Session;
use super::worker;
use crate::context::Op;
use crate::panics;
use crate::sync::{Arc, AtomicUsize, Mutex, Ordering, planted, spin};
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
    /// Who has its turn now, on whichever thread that began it here; kept only if somebody wants to
    /// know who hangs.
    at_work: Vec<Arc<Cell<S>>>,
    /// Turns ended: what does not move for a while is stuck. Here, since whoever ends one looks here for
    /// the next.
    turns: u64,
    /// Messages handled; a count for people.
    handled: u64,
}

/// Sessions that wait behind one that is at work are a reason to wake another shard.
const BACKLOG: usize = 4;

/// So many sessions are looked at together, before their turns: waiting for memory one by one takes
/// longer than most turns.
const AHEAD: u64 = 16;

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
            local: Mutex::new(Local {
                ready: VecDeque::new(),
                at_work: Vec::new(),
                turns: 0,
                handled: 0,
            }),
            waiting: AtomicUsize::new(0),
        }
    }

    pub(super) fn turns(&self) -> u64 {
        self.local.lock().turns
    }

    pub(super) fn load(&self) -> Load {
        let (ready, is_parked) = {
            let inbox = self.inbox.lock();
            (inbox.ready.len(), inbox.parked.is_some())
        };
        let local = self.local.lock();
        Load {
            ready: ready + local.ready.len(),
            turns: local.turns,
            handled: local.handled,
            is_parked,
        }
    }

    /// The next session, and whether the watch has something to look at: others wait behind it, or it
    /// may hang. Counts the turn before, if one has ended.
    fn next(&self, ended: Option<Ended>, keep: bool) -> Option<(Arc<Cell<S>>, bool)> {
        let mut local = self.local.lock();
        if let Some(Ended { handled }) = ended {
            local.turns += 1;
            local.handled += handled;
        }
        let cell = local.ready.pop_front()?;
        if local.turns.is_multiple_of(AHEAD) {
            local.ready.iter().take(AHEAD as usize).for_each(|cell| cell.warm());
        }
        if keep {
            local.at_work.push(cell.clone());
        }
        Some((cell, keep || !local.ready.is_empty()))
    }

    /// A session that came from [`next`](Self::next) is at work no more.
    pub(super) fn forget(&self, cell: &Arc<Cell<S>>) {
        let mut local = self.local.lock();
        let place = local.at_work.iter().position(|there| Arc::ptr_eq(there, cell));
        let there = place.map(|i| local.at_work.swap_remove(i));
        drop(local);
        drop(there);
    }

    pub(super) fn at_work(&self) -> Vec<Arc<Cell<S>>> {
        self.local.lock().at_work.clone()
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

/// A turn that has ended, and is not counted yet.
pub(super) struct Ended {
    pub(super) handled: u64,
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
            if inbox.over && !planted("late_session_is_queued") {
                drop(inbox);
                // It came as the manager ended: no thread may be left, and its end is all there is to do.
                worker::as_guest(self, || self.turn(&cell, &mut VecDeque::new()));
                return;
            }
            inbox.ready.push_back(cell);
            let waiting = inbox.ready.len();
            place.waiting.store(waiting, Ordering::Relaxed);
            (inbox.parked.take(), waiting)
        };
        if let Some(parked) = parked {
            self.parked.fetch_sub(1, Ordering::Relaxed);
            parked.wake();
            return;
        }
        if waiting >= BACKLOG && self.parked.load(Ordering::Relaxed) != 0 {
            self.nudge_one();
        }
        self.watch();
    }

    /// The same for some at once.
    pub(super) fn enqueue_all(self: &Arc<Self>, shard: usize, cells: &mut Vec<Arc<Cell<S>>>) {
        let last = cells.pop();
        {
            let place = &self.shards[shard];
            let mut inbox = place.inbox.lock();
            if !inbox.over {
                inbox.ready.extend(cells.drain(..));
            }
        }
        // The last one does what is to be done for all; and those that came too late end one by one.
        cells.drain(..).chain(last).for_each(|cell| self.enqueue(shard, cell));
    }

    /// Wakes a shard that has nothing to do, to help one that has too much.
    #[cold]
    fn nudge_one(&self) {
        for shard in &self.shards {
            let parked = {
                let mut inbox = shard.inbox.lock();
                inbox.nudged |= inbox.parked.is_some();
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
        mut ended: Option<Ended>,
        spare: &mut VecDeque<Arc<Cell<S>>>,
    ) -> Option<Arc<Cell<S>>> {
        let place = &self.shards[shard];
        let keep = self.config.hung_after.is_some();
        loop {
            if let Some((cell, watch)) = place.next(ended.take(), keep) {
                if watch {
                    self.watch();
                }
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
        if let Err(e) = &relief
            && self.watch.may_warn(self.ctx.clock().now())
        {
            let name = &self.config.name;
            panics::contain(|| {
                log::warn!("ironsys: shard {shard} of {name} gets no other thread: {e}");
            });
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
