//! What the handles of a channel share, and the operations that do not wait.

use super::errors::{TryRecvError, TrySendError};
use super::policy::Overflow;
use super::state::State;
use super::stats::Stats;
use crate::observe::Ledger;
use crate::sync::{Arc, AtomicUsize, LeakTrack, Mutex, MutexGuard, Ordering, SpinPlace};
use crate::wait::Wakes;

pub(super) struct Shared<T> {
    /// A hint for spinning: what could be received, as of the last critical section. Written under
    /// the lock; whoever reads it looks again under the lock.
    ready: AtomicUsize,
    /// Guards the whole channel.
    state: Mutex<State<T>>,
    receiver_spins: SpinPlace,
    sender_spins: SpinPlace,
    pub(super) name: Option<Arc<str>>,
    capacity: usize,
    overflow: Overflow<T>,
    on_drop: Option<OnDrop<T>>,
    _leak: LeakTrack,
}

pub(super) type OnDrop<T> = Arc<dyn Fn(T) + Send + Sync>;

impl<T> Shared<T> {
    pub(super) fn new(
        capacity: usize,
        overflow: Overflow<T>,
        on_drop: Option<OnDrop<T>>,
        name: Option<Arc<str>>,
    ) -> Self {
        let ranked = matches!(overflow, Overflow::DropLowest(_));
        let mut state = State::new(capacity, ranked);
        state.settle();
        Shared {
            ready: AtomicUsize::new(0),
            state: Mutex::new(state),
            receiver_spins: SpinPlace::default(),
            sender_spins: SpinPlace::default(),
            name,
            capacity,
            overflow,
            on_drop,
            _leak: LeakTrack::new(),
        }
    }

    /// Runs one critical section, then wakes whom it chose.
    #[inline]
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut State<T>, &mut Wakes) -> R) -> R {
        let mut wakes = Wakes::default();
        let mut state = self.state.lock();
        let out = f(&mut state, &mut wakes);
        self.release(state);
        wakes.wake();
        out
    }

    #[inline]
    fn release(&self, mut state: MutexGuard<'_, State<T>>) {
        state.settle();
        self.ready.store(state.ready(), Ordering::Relaxed);
        drop(state);
    }

    pub(super) fn blocks(&self) -> bool {
        matches!(self.overflow, Overflow::Block)
    }

    /// Sends if that needs no waiting. What the policy drops is given to `on_drop`. With
    /// `before_waiting` a full channel that blocks has not refused the value yet.
    #[inline]
    pub(super) fn try_send(&self, value: T, before_waiting: bool) -> Result<(), TrySendError<T>> {
        let mut state = self.state.lock();
        if state.queue.len() >= state.calm {
            return self.try_send_slow(state, value, before_waiting);
        }
        state.queue.push_back(value);
        let depth = state.queue.len();
        state.counts.on_sent(depth);
        self.ready.store(depth, Ordering::Relaxed);
        Ok(())
    }

    #[inline(never)]
    fn try_send_slow<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<T>>,
        value: T,
        before_waiting: bool,
    ) -> Result<(), TrySendError<T>> {
        let put = if let Overflow::DropLowest(priority) = &self.overflow {
            drop(state); // The user's function is not called under the lock.
            let rank = Some(priority(&value));
            self.with(|state, wakes| self.put(state, value, rank, wakes))
        } else {
            let mut wakes = Wakes::default();
            let put = self.put(&mut state, value, None, &mut wakes);
            if matches!(put, Err(TrySendError::Full(_))) && !(before_waiting && self.blocks()) {
                state.counts.rejected += 1;
            }
            self.release(state);
            wakes.wake();
            put
        };
        match put {
            Ok(None) => Ok(()),
            Ok(Some(victim)) => {
                self.dropped(victim);
                Ok(())
            }
            Err(e) => Err(e),
        }
    }

    /// The priority of a value under `DropLowest`. The user's code: no lock is held.
    #[inline]
    pub(super) fn rank(&self, value: &T) -> Option<i64> {
        match &self.overflow {
            Overflow::DropLowest(priority) => Some(priority(value)),
            _ => None,
        }
    }

    /// Puts a value into the queue by the rules of the policy, and returns what it dropped for that,
    /// perhaps the value itself.
    #[inline]
    pub(super) fn put(
        &self,
        state: &mut State<T>,
        value: T,
        rank: Option<i64>,
        wakes: &mut Wakes,
    ) -> Result<Option<T>, TrySendError<T>> {
        if state.refuses() {
            return Err(TrySendError::Closed(value));
        }
        if state.has_room() {
            state.ranks.extend(rank);
            state.push(value, wakes);
            return Ok(None);
        }
        self.overflow(state, value, rank, wakes)
    }

    /// The channel is full: what its policy does.
    #[cold]
    fn overflow(
        &self,
        state: &mut State<T>,
        value: T,
        rank: Option<i64>,
        wakes: &mut Wakes,
    ) -> Result<Option<T>, TrySendError<T>> {
        let victim = match (&self.overflow, rank) {
            (Overflow::Block | Overflow::Reject, _) => return Err(TrySendError::Full(value)),
            (Overflow::DropNewest, _) => None,
            (Overflow::DropOldest, _) => Some(0),
            (Overflow::DropLowest(_), rank) => lowest(&state.ranks, rank.unwrap_or(i64::MIN)),
        };
        state.counts.dropped += 1;
        let Some(victim) = victim.and_then(|i| {
            state.ranks.remove(i);
            state.queue.remove(i)
        }) else {
            state.counts.sent += 1;
            return Ok(Some(value));
        };
        state.ranks.extend(rank);
        state.push(value, wakes);
        Ok(Some(victim))
    }

    #[inline]
    pub(super) fn try_recv(&self) -> Result<T, TryRecvError> {
        let mut state = self.state.lock();
        if state.calm == 0 {
            return self.try_recv_slow(state);
        }
        match state.queue.pop_front() {
            Some(value) => {
                self.ready.store(state.queue.len(), Ordering::Relaxed);
                Ok(value)
            }
            None => Err(TryRecvError::Empty),
        }
    }

    #[inline(never)]
    fn try_recv_slow(&self, mut state: MutexGuard<'_, State<T>>) -> Result<T, TryRecvError> {
        let mut wakes = Wakes::default();
        let out = match state.pop(None, &mut wakes) {
            Some(value) => Ok(value),
            None if state.is_over() => Err(TryRecvError::Closed),
            None => Err(TryRecvError::Empty),
        };
        self.release(state);
        wakes.wake();
        out
    }

    /// Spins a little until there may be something to receive.
    pub(super) fn spin_ready(&self) -> bool {
        // loom: unreached: a model never spins.
        self.receiver_spins.spin(|| self.ready.load(Ordering::Relaxed) != 0)
    }

    /// Spins a little until there may be room, and then tries again.
    pub(super) fn spin_send(&self, value: T) -> Result<(), TrySendError<T>> {
        let full = self.capacity;
        // loom: unreached: a model never spins.
        if self.sender_spins.spin(|| self.ready.load(Ordering::Relaxed) < full) {
            return self.try_send(value, true);
        }
        Err(TrySendError::Full(value))
    }

    /// Hands a value that nobody will receive to `on_drop`. No lock is held.
    pub(super) fn dropped(&self, value: T) {
        if let Some(on_drop) = &self.on_drop {
            on_drop(value);
        }
    }

    pub(super) fn close(&self) -> bool {
        self.with(|state, wakes| state.close(wakes))
    }

    /// Shows everything that is queued. `f` runs under the lock: nothing of the user's.
    pub(super) fn look(&self, f: impl FnMut(&T)) {
        self.with(|state, _| state.queue.iter().for_each(f));
    }

    /// Takes everything that is queued.
    pub(super) fn drain(&self) -> Vec<T> {
        self.with(|state, wakes| {
            let mut out = Vec::with_capacity(state.queue.len());
            while let Some(value) = state.pop(None, wakes) {
                out.push(value);
            }
            out
        })
    }

    pub(super) fn add_sender(&self) {
        self.with(|state, _| state.sender_handles += 1);
    }

    pub(super) fn remove_sender(&self) {
        self.with(|state, wakes| {
            state.sender_handles -= 1;
            if state.sender_handles == 0 {
                state.tell_everybody(wakes);
            }
        });
    }

    pub(super) fn add_receiver(&self) {
        self.with(|state, _| state.receiver_handles += 1);
    }

    pub(super) fn remove_receiver(&self) {
        let left = self.with(|state, wakes| {
            state.receiver_handles -= 1;
            if state.receiver_handles != 0 {
                return Default::default();
            }
            state.count_places();
            state.tell_everybody(wakes);
            state.counts.dropped += state.queue.len() as u64;
            state.ranks.clear();
            std::mem::take(&mut state.queue)
        });
        for value in left {
            self.dropped(value);
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.with(|state, _| state.refuses() || state.sender_handles == 0)
    }

    pub(super) fn len(&self) -> usize {
        self.with(|state, _| state.queue.len())
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn stats(&self) -> Stats {
        self.with(|state, _| {
            let counts = &state.counts;
            let (time_full, time_empty) = counts.times();
            Stats {
                ledger: Ledger {
                    accepted: counts.sent,
                    // What was sent and is neither dropped nor here has been received.
                    done: counts.sent - counts.dropped - state.queue.len() as u64,
                    dropped: counts.dropped,
                    in_flight: state.queue.len() as u64,
                    ..Ledger::default()
                },
                capacity: state.capacity,
                depth: state.queue.len(),
                peak: counts.peak,
                rejected: counts.rejected,
                blocked_senders: state.offers.len(),
                blocked_receivers: state.receivers.len(),
                time_full,
                time_empty,
                senders: state.sender_handles,
                receivers: state.receiver_handles,
            }
        })
    }
}

/// Where the lowest rank is, the newest of equals; `None` if that is the new value's.
fn lowest(ranks: &std::collections::VecDeque<i64>, new: i64) -> Option<usize> {
    let (i, rank) = ranks.iter().enumerate().rev().min_by_key(|(_, rank)| **rank)?;
    (*rank < new).then_some(i)
}
