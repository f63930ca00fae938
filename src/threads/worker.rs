//! One cached thread: it runs a job, becomes idle, and waits for the next.

use super::cache::Shared;
use crate::sync::{Arc, Gate, Mutex, Start, planted};
use crate::wait::{Site, WaitKind, Waiter};
use std::cell::Cell;
use std::io;

/// What a thread of the cache is asked to do.
pub(super) enum Job {
    /// Go through a gate, if it is still open.
    Enter(Arc<Gate>),
    /// Run this; it does not unwind.
    Call(Box<dyn FnOnce() + Send>),
    /// End.
    Quit,
}

/// The side of a thread that others see while it is idle.
pub(super) struct Worker {
    waiter: Arc<Waiter>,
    /// Guards the next job. Empty while the thread is idle; given at most one job, by whoever took
    /// the thread out of the list of idle ones.
    job: Mutex<Option<Job>>,
}

impl Worker {
    pub(super) fn give(&self, job: Job) {
        *self.job.lock() = Some(job);
        self.waiter.wake();
    }

    fn take(&self) -> Option<Job> {
        self.job.lock().take()
    }
}

crate::sync::thread_local_in_build! {
    /// Which thread of which cache this is.
    static ME: Cell<Option<(u64, u64)>> = Cell::new(None);
}

/// The calling thread's number in a cache, if it belongs to it.
pub(super) fn current(cache: u64) -> Option<u64> {
    let (of, number) = ME.try_with(Cell::get).ok().flatten()?;
    (of == cache).then_some(number)
}

/// The life of a cached thread.
pub(super) fn live(shared: &Arc<Shared>, number: u64, first: Job) {
    ME.with(|me| me.set(Some((shared.id, number))));
    let me = Arc::new(Worker { waiter: Waiter::current(), job: Mutex::new(None) });
    let site = Site::new(WaitKind::Work, Some(shared.name.clone()));
    let mut job = first;
    loop {
        match job {
            Job::Enter(gate) => gate.enter(&Warm { shared: shared.clone(), gate: gate.clone() }),
            Job::Call(call) => call(),
            Job::Quit => break,
        }
        if !shared.become_idle(&me) {
            break;
        }
        let mut until = shared.clock.now().checked_add(shared.keep_alive);
        job = loop {
            if let Some(job) = me.take() {
                break job;
            }
            let woken = me.waiter.wait(&shared.clock, until, &site);
            let asked = !woken && !shared.leave_idle(&me) && !planted("quits_with_a_job");
            if !woken && !asked {
                break Job::Quit; // Nobody needed this thread for long enough.
            }
            if !woken {
                until = None; // Somebody has taken it off the list: the job is on its way.
            }
        };
    }
    shared.ended(number);
}

/// Starts more threads of the cache on one gate.
pub(super) struct Warm {
    pub(super) shared: Arc<Shared>,
    pub(super) gate: Arc<Gate>,
}

impl Start for Warm {
    fn start(&self, _name: &str) -> io::Result<()> {
        Shared::run(&self.shared, Job::Enter(self.gate.clone()))
    }

    fn stays(&self) -> bool {
        false // It goes back to the cache.
    }
}
