//! Links: the bounded queues between segments. `README.md` of the room has the protocol.
//!
//! * `state`: what is behind the lock;
//! * `writer`: the end that a segment gives to, in chunks;
//! * `reader`: the end that a segment takes from, in runs;
//! * `claim`: how much one of several readers takes at a time.

mod claim;
mod reader;
mod state;
mod writer;

pub(super) use reader::Reader;
pub(super) use state::{Lanes, Order};
pub(super) use writer::Writer;

use super::monitor::LinkMeter;
use crate::context::Canceller;
use crate::sync::{Arc, AtomicBool, LeakTrack, MODEL, Mutex, MutexGuard, Ordering, SpinPlace};
use crate::wait::Wakes;
use state::State;

/// What the ends of a link share.
pub(super) struct Link<T> {
    /// Guards the whole link.
    state: Mutex<State<T>>,
    /// A hint for writers: a reader waits and nothing is queued, so a chunk is better given at once.
    /// Written under the lock.
    hungry: AtomicBool,
    /// Hints for spinning: whether there is something to take, and whether there is room. Written
    /// under the lock; whoever reads them looks again under it.
    ready: AtomicBool,
    roomy: AtomicBool,
    spins: SpinPlace,
    meter: Arc<LinkMeter>,
    _leak: LeakTrack,
}

impl<T: Send> Link<T> {
    /// Makes a link with a reader and a writer of its first lane; siblings are made of these.
    pub(super) fn new(
        name: &str,
        lanes: Lanes,
        cancel: Canceller,
    ) -> (Arc<Link<T>>, Reader<T>, Writer<T>) {
        let count = lanes.count;
        let chunk = lanes.chunk();
        let link = Arc::new(Link {
            state: Mutex::new(State::new(lanes)),
            hungry: AtomicBool::new(false),
            ready: AtomicBool::new(false),
            roomy: AtomicBool::new(true),
            spins: SpinPlace::default(),
            // Each lane holds so many.
            meter: LinkMeter::new(name, lanes.capacity.saturating_mul(count), count),
            _leak: LeakTrack::new(),
        });
        let reader = Reader::new(link.clone(), cancel);
        let writer = Writer::new(link.clone(), 0, chunk);
        (link, reader, writer)
    }

    /// Runs one critical section, then wakes whom it chose.
    #[inline]
    fn with<R>(&self, f: impl FnOnce(&mut State<T>, &mut Wakes) -> R) -> R {
        let mut wakes = Wakes::default();
        let mut state = self.state.lock();
        let out = f(&mut state, &mut wakes);
        self.release(state);
        wakes.wake();
        out
    }

    /// Gives the lock back and the hints out.
    #[inline]
    fn release(&self, mut state: MutexGuard<'_, State<T>>) {
        state.publish(&self.meter);
        let hungry = state.is_hungry();
        if std::mem::replace(&mut state.was_hungry, hungry) != hungry {
            // Relaxed: a hint. A writer that misses it gives its chunk when that is full, before it
            // waits, and at the end.
            self.hungry.store(hungry, Ordering::Relaxed);
        }
        if !MODEL {
            // loom: unreached: a model never spins.
            self.ready.store(state.is_ready(), Ordering::Relaxed);
            // loom: unreached: a model never spins.
            self.roomy.store(state.is_roomy(), Ordering::Relaxed);
        }
        drop(state);
    }

    #[inline]
    fn is_hungry(&self) -> bool {
        // Relaxed: see `release`.
        self.hungry.load(Ordering::Relaxed)
    }

    /// Gives items back that were counted as held, when those who hold them do not do it themselves.
    pub(super) fn release_held(&self, count: usize) {
        self.with(|state, wakes| {
            state.lanes[0].held -= count;
            state.admit(0, wakes);
        });
    }

    /// What is held is not going to be used.
    pub(super) fn abandon(&self) {
        self.with(|state, _| state.abandoned = true);
    }

    /// What reports look at.
    pub(super) fn meter(&self) -> &Arc<LinkMeter> {
        &self.meter
    }
}
