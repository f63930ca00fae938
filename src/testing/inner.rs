//! The crate's own organs, for its own models. Not part of the interface.
#![allow(missing_docs)]

use crate::sync::{self, Arc, Start, Work};
use crate::time::Clock;
use crate::wait::{Site, WaitKind, Waiter};
use std::io;
use std::time::Instant;

/// A gate to borrowed work, see `sync/gate.rs`.
#[derive(Clone)]
#[allow(missing_debug_implementations)]
pub struct Gate(Arc<sync::Gate>);

impl Gate {
    pub fn open<R>(work: &(dyn Fn() + Sync), body: impl FnOnce(&Gate) -> R) -> R {
        let work = |_: &dyn Start| work();
        let work: &Work<'_> = &work;
        sync::Gate::open(work, |gate| body(&Gate(gate.clone())))
    }

    pub fn enter(&self) {
        self.0.enter(&Nobody);
    }
}

struct Nobody;

impl Start for Nobody {
    fn start(&self, _name: &str) -> io::Result<()> {
        Ok(())
    }
}

/// One thread's parking place, see `wait/waiter.rs`.
#[derive(Clone)]
#[allow(missing_debug_implementations)]
pub struct Parking(Arc<Waiter>);

impl Parking {
    pub fn current() -> Parking {
        Parking(Waiter::current())
    }

    pub fn wake(&self) {
        self.0.wake();
    }

    pub fn wait(&self, clock: &Clock, deadline: Option<Instant>) -> bool {
        self.0.wait(clock, deadline, &Site::new(WaitKind::Work, None))
    }

    pub fn waits(&self) -> bool {
        self.0.site().is_some()
    }
}

/// Measures what a blocking wait pays for being visible in the task tree.
pub fn time_noting(rounds: u32) -> std::time::Duration {
    crate::wait::time_noting(rounds)
}
