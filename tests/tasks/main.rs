//! Tasks and where they run: scopes, warm threads, pools, processors, and what can be seen of them.
//!
//! One test binary: a module for each room. Nothing sleeps: a test waits for a message, for a state
//! (`until`), or on a virtual clock.

mod adaptive;
mod cpu;
mod daemons;
mod failures;
mod idle;
mod joiners;
mod keyed;
mod logs;
mod map;
mod observe;
mod order;
mod pool;
mod pool_peers;
mod scope;
mod shutdown;
mod stuck;
mod subpools;
mod threads;

use ironsys::threads::ThreadCache;
use ironsys::{Canceller, Context, Stop};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The error of a task: its own, or that it was stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Error {
    Own(usize),
    Stopped(Stop),
}

impl From<Stop> for Error {
    fn from(stop: Stop) -> Self {
        Error::Stopped(stop)
    }
}

/// What was given as the reason of a cancel.
pub(crate) fn reason(stop: &Stop) -> &str {
    stop.cause().map_or("", |cause| cause.reason())
}

/// A task that waits to be stopped, and says why it was.
pub(crate) fn wait(ctx: &Context) -> Result<(), Error> {
    Err(ctx.wait_stopped().into())
}

/// A root that ends a test that hangs.
pub(crate) fn root() -> (Context, Canceller) {
    Context::builder().timeout(PATIENCE).build()
}

/// Runs `test` on fresh threads, and again on warm ones that must all be idle afterwards.
#[track_caller]
pub(crate) fn both(test: impl Fn(&Context)) {
    test(&root().0);
    let cache = ThreadCache::new(4);
    let (ctx, _cancel) = Context::builder().timeout(PATIENCE).value(cache.clone()).build();
    test(&ctx);
    until(|| ctx.linked() == (0, 0));
    cache.close(&ctx).expect("a thread of the cache is still at work");
    assert_eq!((cache.len(), cache.idle()), (0, 0));
}

/// Fails if `f` does not come to its end: for what no context can cut short.
#[track_caller]
pub(crate) fn ends<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> R {
    let (tx, rx) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let out = f();
        let _ = tx.send(());
        out
    });
    if let Err(mpsc::RecvTimeoutError::Timeout) = rx.recv_timeout(PATIENCE) {
        panic!("it hangs");
    }
    thread.join().unwrap_or_else(|payload| resume_unwind(payload))
}

/// Waits, giving way to others, until `condition` holds.
#[track_caller]
pub(crate) fn until(condition: impl Fn() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < give_up, "what the test waits for does not come");
        std::thread::yield_now();
    }
}

/// Panics without a word on standard error.
pub(crate) fn throw<T: Any + Send>(payload: T) -> ! {
    resume_unwind(Box::new(payload))
}

/// The payload of the panic of `f`.
#[track_caller]
pub(crate) fn thrown<T: Any, R>(f: impl FnOnce() -> R) -> T {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(_) => panic!("it does not panic"),
        Err(payload) => *payload.downcast().expect("the payload is of another type"),
    }
}

/// Panics when it is dropped.
pub(crate) struct Bomb(pub(crate) &'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        throw(self.0);
    }
}

/// Counts what is alive, and how often something was dropped.
#[derive(Clone, Default)]
pub(crate) struct Counted {
    made: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
}

/// One counted thing.
pub(crate) struct Thing(Counted);

impl Counted {
    pub(crate) fn new() -> Self {
        Counted::default()
    }

    pub(crate) fn make(&self) -> Thing {
        self.made.fetch_add(1, Ordering::SeqCst);
        Thing(self.clone())
    }

    /// How many were made; all of them are gone, each dropped once.
    #[track_caller]
    pub(crate) fn all_gone(&self) -> usize {
        let made = self.made.load(Ordering::SeqCst);
        assert_eq!(self.dropped(), made, "dropped / made");
        made
    }

    pub(crate) fn dropped(&self) -> usize {
        self.dropped.load(Ordering::SeqCst)
    }
}

impl Drop for Thing {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

/// How many are inside at once, at the most.
#[derive(Default)]
pub(crate) struct Crowd {
    inside: AtomicUsize,
    peak: AtomicUsize,
}

impl Crowd {
    pub(crate) fn visit(&self) {
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.peak.fetch_max(inside, Ordering::SeqCst);
        std::thread::yield_now();
        self.inside.fetch_sub(1, Ordering::SeqCst);
    }

    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Ordering::SeqCst)
    }
}

/// Longer than any test takes, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);
