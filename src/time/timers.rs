//! Calls at a time, on a system clock: one thread, and only while a call is pending.
//!
//! Protocol, all under one lock:
//! * whoever adds a call starts the thread if none runs, and notifies it if the call is the earliest;
//! * whoever takes the last call out notifies the thread, which then ends;
//! * the thread waits until the earliest call is due, so it is woken by nothing else.

use super::virtual_clock::Virtual;
use crate::sync::{self, Arc, Condvar, LeakTrack, Mutex, Weak, thread};
use std::collections::BTreeMap;
use std::time::Instant;

/// What a clock calls; it must be short.
pub(crate) type Call = Box<dyn FnOnce() + Send>;

/// The pending calls of a system clock.
pub(super) struct Timers {
    /// Guards the queue and whether a thread serves it.
    state: Mutex<State>,
    changed: Condvar,
    _leak: LeakTrack,
}

struct State {
    queue: BTreeMap<(Instant, u64), Call>,
    next: u64,
    served: bool,
}

impl Timers {
    pub(super) fn new() -> Self {
        Timers {
            state: Mutex::new(State { queue: BTreeMap::new(), next: 0, served: false }),
            changed: Condvar::new(),
            _leak: LeakTrack::new(),
        }
    }

    pub(super) fn call_at(this: &Arc<Timers>, when: Instant, call: Call) -> Alarm {
        let mut state = this.state.lock();
        state.next += 1;
        let key = (when, state.next);
        state.queue.insert(key, call);
        let earliest = state.queue.first_key_value().is_some_and(|(first, _)| *first == key);
        let start = !std::mem::replace(&mut state.served, true);
        drop(state);
        if start {
            let timers = this.clone();
            if let Err(e) = thread::spawn("ironsys-timer", move || timers.serve()) {
                // Without the thread hooks on deadlines run late, at the next look at the context.
                log::error!("ironsys: no timer thread: {e}");
                // loom: unreached: a model always has a thread to give.
                this.state.lock().served = false;
            }
        } else if earliest {
            this.changed.notify_one();
        }
        Alarm { of: Of::System(Arc::downgrade(this)), key: Some(key) }
    }

    fn serve(&self) {
        let mut state = self.state.lock();
        loop {
            let Some(first) = state.queue.first_entry() else {
                state.served = false;
                return;
            };
            let due = first.key().0;
            if sync::time::now() >= due {
                let call = first.remove();
                drop(state);
                call();
                state = self.state.lock();
            } else {
                (state, _) = self.changed.wait_until(state, due);
            }
        }
    }

    fn remove(&self, key: (Instant, u64)) -> Option<Call> {
        let mut state = self.state.lock();
        let call = state.queue.remove(&key);
        let last = call.is_some() && state.queue.is_empty();
        drop(state);
        if last {
            self.changed.notify_one();
        }
        call
    }
}

/// A pending call. Dropping it takes the call back, unless it runs already.
pub(crate) struct Alarm {
    pub(super) of: Of,
    pub(super) key: Option<(Instant, u64)>,
}

pub(super) enum Of {
    System(Weak<Timers>),
    Virtual(Weak<Virtual>),
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let Some(key) = self.key.take() else { return };
        match &self.of {
            Of::System(timers) => drop(timers.upgrade().and_then(|t| t.remove(key))),
            Of::Virtual(time) => drop(time.upgrade().and_then(|t| t.remove(key))),
        }
    }
}
