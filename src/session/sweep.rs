//! Which sessions have not been used for long: for the idle time, and for the live limit.
//!
//! Each shard has a heap of its sessions by the time they were last used. The time in the heap may be
//! old: then the session has been used since, and goes back with its new time. Times only grow, so
//! what is on top with its true time is the one that was used longest ago. A message touches no heap.

use super::cell::{Cell, Phase};
use super::core::Core;
use super::model::Session;
use crate::sync::{Arc, AtomicUsize, Mutex, Ordering};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

pub(super) struct Idlers<S: Session> {
    /// One for each shard, or one for all sessions that have threads of their own.
    heaps: Box<[Mutex<Heap<S>>]>,
    /// Sessions whose state is in memory.
    live: AtomicUsize,
    idle_after: Option<u64>,
    live_limit: usize,
}

type Heap<S> = BinaryHeap<Reverse<Entry<S>>>;

struct Entry<S: Session> {
    used: u64,
    cell: Arc<Cell<S>>,
}

impl<S: Session> PartialEq for Entry<S> {
    fn eq(&self, other: &Self) -> bool {
        self.used == other.used
    }
}

impl<S: Session> Eq for Entry<S> {}

impl<S: Session> PartialOrd for Entry<S> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<S: Session> Ord for Entry<S> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.used.cmp(&other.used)
    }
}

impl<S: Session> Idlers<S> {
    pub(super) fn new(
        heaps: usize,
        idle_after: Option<Duration>,
        live_limit: Option<usize>,
    ) -> Self {
        Idlers {
            heaps: (0..heaps).map(|_| Mutex::new(BinaryHeap::new())).collect(),
            live: AtomicUsize::new(0),
            idle_after: idle_after.map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)),
            live_limit: live_limit.unwrap_or(usize::MAX),
        }
    }

    /// A state has come into memory. Only a count: nothing is ordered by it.
    pub(super) fn came(&self) {
        self.live.fetch_add(1, Ordering::Relaxed);
    }

    /// A state has left memory.
    pub(super) fn went(&self) {
        self.live.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    fn is_crowded(&self) -> bool {
        self.live() > self.live_limit
    }

    pub(super) fn list(&self, shard: usize, used: u64, cell: Arc<Cell<S>>) {
        self.heaps[shard].lock().push(Reverse(Entry { used, cell }));
    }

    /// When the next session of the shard will have been idle for long enough, at the earliest.
    pub(super) fn next_due(&self, shard: usize) -> Option<u64> {
        let idle_after = self.idle_after?;
        let heap = self.heaps[shard].lock();
        heap.peek().map(|Reverse(entry)| entry.used.saturating_add(idle_after))
    }

    fn pop_due(&self, shard: usize, now: u64) -> Option<Entry<S>> {
        let mut heap = self.heaps[shard].lock();
        let Reverse(top) = heap.peek()?;
        let due = self.idle_after.is_some_and(|idle| top.used.saturating_add(idle) <= now);
        if due || self.is_crowded() { heap.pop().map(|Reverse(entry)| entry) } else { None }
    }

    fn len(&self, shard: usize) -> usize {
        self.heaps[shard].lock().len()
    }

    /// Lets go of all sessions.
    pub(super) fn clear(&self) {
        for heap in &self.heaps {
            let entries = std::mem::take(&mut *heap.lock());
            drop(entries);
        }
    }
}

impl<S: Session> Core<S> {
    /// Passivates what has been idle for long enough, and what is more than may live.
    #[inline]
    pub(super) fn sweep(self: &Arc<Self>, shard: usize) {
        if self.config.passivates() {
            self.sweep_now(shard);
        }
    }

    fn sweep_now(self: &Arc<Self>, shard: usize) {
        let now = self.nanos();
        // Each goes back in once at most with its true time, and then one of them is the oldest. No more:
        // those at work go back in, too, and would come round again.
        for _ in 0..2 * self.idlers.len(shard) {
            let Some(Entry { used, cell }) = self.idlers.pop_due(shard, now) else { return };
            let look = cell.with(|mail, _| {
                if mail.is_over() {
                    return Look::Forget;
                }
                if mail.phase != Phase::Idle {
                    return Look::Later(now);
                }
                if mail.used > used {
                    return Look::Later(mail.used);
                }
                mail.phase = Phase::Running;
                mail.listed = false;
                Look::Take(mail.state.take())
            });
            match look {
                Look::Forget => {}
                Look::Later(used) => self.idlers.list(shard, used, cell),
                Look::Take(Some(live)) => self.passivate(&cell, live),
                Look::Take(None) => unreachable!("an idle session has its state with it"),
            }
        }
    }
}

enum Look<L> {
    /// It has ended.
    Forget,
    /// It was used since, or is at work.
    Later(u64),
    Take(L),
}
