//! Who works for a pool: which places are taken, whose threads are to be joined, and who waits for the
//! last to leave.

use crate::sync::{Arc, Mutex, thread};
use crate::wait::{Place, WaitQueue, Waiter, Wakes};
use std::collections::BTreeMap;

pub(super) struct Staff(Mutex<State>);

/// Guarded by the one lock of [`Staff`].
struct State {
    /// Workers that are at their place, or about to be.
    alive: usize,
    /// Places nobody works at.
    free: Vec<usize>,
    /// The thread of each worker, by the worker's number; it follows once it has been started.
    threads: BTreeMap<u64, Option<thread::JoinHandle<()>>>,
    next: u64,
    /// Dropped by one of its own workers: nobody joins anybody.
    abandoned: bool,
    waiting: WaitQueue,
}

/// A worker's place and number.
#[derive(Clone, Copy)]
pub(super) struct Hired {
    pub(super) place: usize,
    number: u64,
}

impl Staff {
    /// With so many places, the first of which are taken at once.
    pub(super) fn new(places: usize, first: usize) -> (Staff, Vec<Hired>) {
        let hired = (0..first).map(|place| Hired { place, number: place as u64 });
        let state = State {
            alive: first,
            free: (first..places).rev().collect(),
            threads: (0..first as u64).map(|number| (number, None)).collect(),
            next: first as u64,
            abandoned: false,
            waiting: WaitQueue::default(),
        };
        (Staff(Mutex::new(state)), hired.collect())
    }

    /// Takes a place for one more worker. `None`: there is none, or all have left and the pool is over.
    pub(super) fn hire(&self) -> Option<Hired> {
        let mut state = self.0.lock();
        if state.alive == 0 {
            return None;
        }
        let place = state.free.pop()?;
        let number = state.next;
        state.next += 1;
        state.alive += 1;
        state.threads.insert(number, None);
        Some(Hired { place, number })
    }

    /// The thread of a worker has been started.
    pub(super) fn started(&self, hired: Hired, thread: thread::JoinHandle<()>) {
        let mut state = self.0.lock();
        let abandoned = state.abandoned;
        let late = match state.threads.get_mut(&hired.number) {
            Some(place) => place.replace(thread),
            None if abandoned => return,
            // It has retired already, or all have been joined: it is past its last line.
            None => Some(thread),
        };
        drop(state);
        if let Some(thread) = late {
            let _ = thread.join();
        }
    }

    /// A worker is gone, or could not be started. One that retires before the end is joined by nobody:
    /// it is past its last line.
    pub(super) fn left(&self, hired: Hired, retired: bool) {
        let mut wakes = Wakes::default();
        let mut state = self.0.lock();
        state.alive -= 1;
        state.free.push(hired.place);
        let thread = if retired { state.threads.remove(&hired.number) } else { None };
        if state.alive <= 1 {
            state.waiting.notify_all(&mut wakes); // Perhaps the one that is left waits itself.
        }
        drop(state);
        wakes.wake();
        drop(thread);
    }

    /// How many workers there are.
    pub(super) fn alive(&self) -> usize {
        self.0.lock().alive
    }

    /// `true` if no more than `but` workers are left; else registers.
    pub(super) fn all_left(&self, but: usize, place: &mut Place, waiter: &Arc<Waiter>) -> bool {
        let mut state = self.0.lock();
        if state.alive <= but {
            state.waiting.leave(place);
            return true;
        }
        state.waiting.enter(place, waiter);
        false
    }

    pub(super) fn stop_waiting(&self, place: &mut Place) {
        self.0.lock().waiting.leave(place);
    }

    /// Takes the threads of a pool whose workers have left, to join them.
    pub(super) fn threads(&self) -> Vec<thread::JoinHandle<()>> {
        let threads = std::mem::take(&mut self.0.lock().threads);
        threads.into_values().flatten().collect()
    }

    /// The pool is dropped by one of its own jobs: its worker ends after the job, joined by nobody.
    pub(super) fn abandon(&self) {
        // loom: unreached: only a pool dropped by its own job comes here; read under the same lock.
        self.0.lock().abandoned = true;
        drop(self.threads());
    }
}
