//! Borrowed work for threads that outlive the borrow: the one unsafe file of the crate.
//!
//! A warm thread (`threads::ThreadCache`) is `'static`; the work of a scope borrows from a stack
//! frame. A [`Gate`] lends the work out safely, because entering and closing go through one lock:
//!
//! * `enter` runs the work only if the gate is open, counted as *inside* for as long as it runs;
//! * `Gate::open` (the frame that owns the borrow) shuts the gate on every way out, also while
//!   unwinding, and then waits until nobody is inside;
//! * a thread that comes late finds the gate shut and touches nothing that was borrowed.
//!
//! So the borrow is used only between a successful `enter` and its end, and both lie inside the
//! call of `Gate::open`. Modelled by `gate::gate_late_runner` and `gate::gate_waits_for_runner`.
#![allow(unsafe_code)]

use super::{Arc, Condvar, LeakTrack, MODEL, Mutex, planted};
use std::io;

/// Starts one more thread on the work at hand.
pub(crate) trait Start: Sync {
    fn start(&self, name: &str) -> io::Result<()>;

    /// Whether the threads may as well stay until the work is over: when one ends, its stack does not.
    fn stays(&self) -> bool {
        true
    }
}

/// What is lent: run by any number of threads at once; each can start one more of them.
pub(crate) type Work<'a> = dyn Fn(&dyn Start) + Sync + 'a;

/// A door to borrowed work, held by threads that may outlive the borrow.
pub(crate) struct Gate {
    /// Guards the borrow: present while the gate is open.
    state: Mutex<State>,
    empty: Condvar,
    _leak: LeakTrack,
}

struct State {
    work: Option<&'static Work<'static>>,
    inside: usize,
    closing: bool,
}

impl Gate {
    /// Lends `work` to whoever gets a clone of the gate, for as long as `body` runs.
    pub(crate) fn open<R>(work: &Work<'_>, body: impl FnOnce(&Arc<Gate>) -> R) -> R {
        // SAFETY: only the lifetime changes. The reference is copied out of `state.work` in `enter`
        // alone, under the lock and together with `inside += 1`, and used until `inside -= 1`.
        // `Shut` runs before this function returns or unwinds: it takes `work` out under the same
        // lock, so no later `enter` sees it, and waits until `inside` is 0, so no earlier one still
        // uses it. The gate itself may live longer; it then holds no borrow.
        let work: &'static Work<'static> =
            unsafe { std::mem::transmute::<&Work<'_>, &'static Work<'static>>(work) };
        let gate = Arc::new(Gate {
            state: Mutex::new(State { work: Some(work), inside: 0, closing: false }),
            empty: Condvar::new(),
            _leak: LeakTrack::new(),
        });
        let shut = Shut(&gate);
        let out = body(shut.0);
        drop(shut);
        out
    }

    /// Runs the work if the gate is still open.
    pub(crate) fn enter(&self, start: &dyn Start) {
        let work = {
            let mut state = self.state.lock();
            let Some(work) = state.work else { return };
            if planted("gate_counts_late") {
                drop(state);
                state = self.state.lock(); // loom: unreached: only with the bug planted
            }
            state.inside += 1;
            work
        };
        let _inside = Inside(self);
        work(start);
    }
}

/// Counts a thread out, also if the work unwinds after all.
struct Inside<'a>(&'a Gate);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.inside -= 1;
        let last = state.inside == 0 && state.closing;
        drop(state);
        if last {
            self.0.empty.notify_one();
        }
    }
}

/// Shuts the gate and waits until it is empty.
struct Shut<'a>(&'a Arc<Gate>);

impl Drop for Shut<'_> {
    fn drop(&mut self) {
        if MODEL && std::thread::panicking() {
            return; // The model has failed: its other threads never run again.
        }
        let mut state = self.0.state.lock();
        state.work = None;
        state.closing = true;
        while state.inside != 0 {
            state = self.0.empty.wait(state);
        }
    }
}
