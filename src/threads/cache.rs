//! The cache itself: idle threads, last in, first out, so that the warmest works.

use super::worker::{self, Job, Warm, Worker, live};
use crate::context::{Context, Op, Stop};
use crate::error::BuildError;
use crate::sync::{Arc, Gate, LeakTrack, Mutex, Start, Work, next_number, thread};
use crate::time::Clock;
use crate::wait::{Place, Site, WaitKind, WaitQueue, Waiter, Wakes};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::time::Duration;

/// Keeps threads parked for scopes and pools to reuse. Cheap to clone.
///
/// It keeps at most as many idle threads as it was told; under load there may be more at work, as
/// many as the scopes' and pools' own limits allow. An idle thread ends after the keep-alive time.
///
/// Dropping the last handle ends the idle threads and waits for the busy ones, without a deadline;
/// [`close`](Self::close) does so under a context. If the last handle is dropped *by* a thread of the
/// cache, that thread is not waited for.
#[derive(Clone)]
pub struct ThreadCache {
    owner: Arc<Owner>,
}

/// Builds a [`ThreadCache`]. Made by [`ThreadCache::builder`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    name: String,
    idle: usize,
    keep_alive: Duration,
}

impl ThreadCache {
    /// Makes a cache that keeps up to `idle` threads, each for ten seconds after its last use. With
    /// 0 every thread ends after its job.
    ///
    /// ```
    /// # use ironsys::threads::ThreadCache;
    /// let cache = ThreadCache::new(4);
    /// assert!(cache.is_empty()); // it starts no thread until one is needed
    /// ```
    #[must_use]
    pub fn new(idle: usize) -> Self {
        ThreadCache::from(Builder { idle, ..ThreadCache::builder() })
    }

    /// Makes a cache step by step.
    ///
    /// ```
    /// # use ironsys::threads::ThreadCache;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cache = ThreadCache::builder().idle(4).build()?;
    /// assert!(cache.is_empty());
    /// # Ok(()) }
    /// ```
    pub fn builder() -> Builder {
        Builder { name: "warm".into(), idle: 16, keep_alive: Duration::from_secs(10) }
    }

    /// Returns how many threads the cache has, idle and busy.
    ///
    /// ```
    /// # use ironsys::{Context, Stop, threads::ThreadCache};
    /// # fn main() -> Result<(), Stop> {
    /// let cache = ThreadCache::new(4);
    /// let (ctx, _cancel) = Context::builder().value(cache.clone()).build();
    /// ironsys::scope(&ctx, |s| s.spawn(|_| Ok::<_, Stop>(())).join(&ctx))?;
    /// assert_eq!(cache.len(), 1);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.owner.shared.state.lock().threads.len()
    }

    /// Returns whether the cache has no thread.
    ///
    /// ```
    /// # use ironsys::threads::ThreadCache;
    /// assert!(ThreadCache::new(4).is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many threads are parked.
    ///
    /// ```
    /// # use ironsys::{Context, pool::Pool, threads::ThreadCache};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cache = ThreadCache::new(4);
    /// let (ctx, _cancel) = Context::builder().value(cache.clone()).build();
    /// let _pool = Pool::builder("jobs").workers(2).context(&ctx).build()?;
    /// assert_eq!((cache.len(), cache.idle()), (2, 0)); // the pool has them
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn idle(&self) -> usize {
        self.owner.shared.state.lock().idle.len()
    }

    /// Ends the idle threads, takes no new work, and waits until the busy threads have ended.
    ///
    /// Scopes and pools that still use the cache fail to start threads from then on. Called by a
    /// thread of the cache, it waits for the others.
    ///
    /// # Cancellation
    /// Stops waiting; the threads end all the same when their work is done.
    ///
    /// # Errors
    /// Why the context stopped.
    ///
    /// ```
    /// # use ironsys::{Context, Stop, threads::ThreadCache};
    /// # fn main() -> Result<(), Stop> {
    /// let cache = ThreadCache::new(4);
    /// let (ctx, _cancel) = Context::builder().value(cache.clone()).build();
    /// ironsys::scope(&ctx, |s| s.spawn(|_| Ok::<_, Stop>(())).join(&ctx))?;
    /// cache.close(&ctx)?;
    /// assert!(cache.is_empty());
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn close(&self, ctx: &Context) -> Result<(), Stop> {
        let shared = &self.owner.shared;
        shared.shut();
        let mine = usize::from(worker::current(shared.id).is_some());
        let mut op = Empty { shared, mine, place: Place::default() };
        ctx.block(Site::new(WaitKind::Join, Some(shared.name.clone())), &mut op)
    }

    /// Runs `call` on a warm thread. It must not unwind.
    pub(crate) fn run(&self, call: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        Shared::run(&self.owner.shared, Job::Call(call))
    }
}

impl Builder {
    /// Sets how many idle threads are kept. The default is 16.
    ///
    /// ```
    /// # use ironsys::{Context, Stop, threads::ThreadCache};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cache = ThreadCache::builder().idle(0).build()?; // every thread ends after its job
    /// let (ctx, _cancel) = Context::builder().value(cache.clone()).build();
    /// ironsys::scope(&ctx, |s| s.spawn(|_| Ok::<_, Stop>(())).join(&ctx))?;
    /// assert_eq!(cache.idle(), 0);
    /// # Ok(()) }
    /// ```
    pub fn idle(mut self, threads: usize) -> Self {
        self.idle = threads;
        self
    }

    /// Sets how long an idle thread waits before it ends. The default is ten seconds;
    /// `Duration::MAX` keeps it until the cache closes.
    ///
    /// ```
    /// # use ironsys::threads::ThreadCache;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cache = ThreadCache::builder().keep_alive(Duration::MAX).build()?;
    /// assert_eq!(cache.idle(), 0);
    /// # Ok(()) }
    /// ```
    pub fn keep_alive(mut self, time: Duration) -> Self {
        self.keep_alive = time;
        self
    }

    /// Sets the name of the threads. The default is `warm`.
    ///
    /// ```
    /// # use ironsys::threads::ThreadCache;
    /// assert!(ThreadCache::builder().name("warm-io").build().is_ok());
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Makes the cache. It starts no thread until one is needed.
    ///
    /// # Errors
    /// `name`: it holds a zero byte, which no thread's name can.
    ///
    /// ```
    /// # use ironsys::threads::ThreadCache;
    /// assert!(ThreadCache::builder().name("a\0b").build().is_err());
    /// ```
    pub fn build(self) -> Result<ThreadCache, BuildError> {
        if self.name.contains('\0') {
            return Err(BuildError::new("thread cache", "name", "holds a zero byte"));
        }
        Ok(ThreadCache::from(self))
    }
}

impl From<Builder> for ThreadCache {
    fn from(config: Builder) -> Self {
        let shared = Shared {
            id: next_number(),
            name: config.name.into(),
            max_idle: config.idle,
            keep_alive: config.keep_alive,
            clock: Clock::system(),
            state: Mutex::new(State::default()),
            _leak: LeakTrack::new(),
        };
        ThreadCache { owner: Arc::new(Owner { shared: Arc::new(shared) }) }
    }
}

impl fmt::Debug for ThreadCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadCache")
            .field("threads", &self.len())
            .field("idle", &self.idle())
            .finish_non_exhaustive()
    }
}

/// What handles share: the last one closes the cache and joins its threads.
struct Owner {
    shared: Arc<Shared>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.shut();
        let me = worker::current(self.shared.id);
        let threads = std::mem::take(&mut self.shared.state.lock().threads);
        for (number, handle) in threads {
            if let Some(handle) = handle
                && Some(number) != me
            {
                let _ = handle.join(); // Jobs do not unwind.
            }
        }
    }
}

/// What threads and handles share.
pub(super) struct Shared {
    pub(super) id: u64,
    pub(super) name: Arc<str>,
    max_idle: usize,
    pub(super) keep_alive: Duration,
    /// Real time: keeping threads warm is about the machine, not about the work.
    pub(super) clock: Clock,
    /// Guards who is idle and who lives.
    state: Mutex<State>,
    _leak: LeakTrack,
}

#[derive(Default)]
struct State {
    idle: Vec<Arc<Worker>>,
    /// By number; the handle follows once the thread has been started.
    threads: BTreeMap<u64, Option<thread::JoinHandle<()>>>,
    next: u64,
    closed: bool,
    /// Threads waiting in `close`.
    closing: WaitQueue,
}

impl Shared {
    /// Gives `job` to an idle thread, or to a new one.
    pub(super) fn run(this: &Arc<Shared>, job: Job) -> io::Result<()> {
        let number = {
            let mut state = this.state.lock();
            if state.closed {
                return Err(io::Error::other("the thread cache is closed"));
            }
            if let Some(worker) = state.idle.pop() {
                drop(state);
                worker.give(job);
                return Ok(());
            }
            state.next += 1;
            let number = state.next;
            state.threads.insert(number, None);
            number
        };
        let shared = this.clone();
        match thread::spawn(&this.name, move || live(&shared, number, job)) {
            Ok(handle) => {
                // If the thread has ended already, its place is gone and nobody needs the handle.
                if let Some(place) = this.state.lock().threads.get_mut(&number) {
                    *place = Some(handle);
                }
                Ok(())
            }
            Err(e) => {
                this.ended(number);
                Err(e)
            }
        }
    }

    /// Lists a thread as idle; `false` if it should end instead.
    pub(super) fn become_idle(&self, worker: &Arc<Worker>) -> bool {
        let mut state = self.state.lock();
        let stay = !state.closed && state.idle.len() < self.max_idle;
        if stay {
            state.idle.push(worker.clone());
        }
        stay
    }

    /// Takes a thread off the list of idle ones; `false` if somebody else has, with a job for it.
    pub(super) fn leave_idle(&self, worker: &Arc<Worker>) -> bool {
        let mut state = self.state.lock();
        let place = state.idle.iter().position(|w| Arc::ptr_eq(w, worker));
        place.map(|i| state.idle.remove(i)).is_some()
    }

    /// A thread is past its last job.
    pub(super) fn ended(&self, number: u64) {
        let mut wakes = Wakes::default();
        let mut state = self.state.lock();
        let handle = state.threads.remove(&number);
        if state.threads.len() <= 1 {
            state.closing.notify_all(&mut wakes); // Perhaps the one that is left waits itself.
        }
        drop(state);
        wakes.wake();
        drop(handle);
    }

    /// Takes no more jobs and ends the idle threads.
    fn shut(&self) {
        let idle = {
            let mut state = self.state.lock();
            state.closed = true;
            std::mem::take(&mut state.idle)
        };
        for worker in idle {
            worker.give(Job::Quit);
        }
    }
}

/// The wait for the last thread to end.
struct Empty<'a> {
    shared: &'a Shared,
    /// 1 on a thread of the cache: it cannot wait for itself.
    mine: usize,
    place: Place,
}

impl Op for Empty<'_> {
    type Out = ();

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<()> {
        let mut state = self.shared.state.lock();
        if state.threads.len() <= self.mine {
            state.closing.leave(&mut self.place);
            return Some(());
        }
        state.closing.enter(&mut self.place, waiter);
        None
    }

    fn withdraw(&mut self) -> Option<()> {
        self.shared.state.lock().closing.leave(&mut self.place);
        None
    }
}

/// Lends `work` to threads, of the context's cache if it has one, else to threads of its own, and
/// returns when `body` has returned and no thread works any more.
pub(crate) fn crew<R>(ctx: &Context, work: &Work<'_>, body: impl FnOnce(&dyn Start) -> R) -> R {
    match ctx.value::<ThreadCache>() {
        None => thread::crew(work, body),
        Some(cache) => Gate::open(work, |gate| {
            body(&Warm { shared: cache.owner.shared.clone(), gate: gate.clone() })
        }),
    }
}
