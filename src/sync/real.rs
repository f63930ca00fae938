//! The real build: parking_lot locks, std atomics, OS threads, crossbeam scopes, rayon.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

pub use parking_lot::MutexGuard;

#[cfg(feature = "chaos")]
use super::chaos::point;
#[cfg(not(feature = "chaos"))]
#[inline(always)]
fn point() {}

/// An atomic fence on the seam.
///
/// ```
/// # use ironsys::sync::*;
/// let (value, is_there) = (AtomicUsize::new(0), AtomicBool::new(false));
/// std::thread::scope(|s| {
///     s.spawn(|| {
///         value.store(7, Ordering::Relaxed);
///         fence(Ordering::Release); // who sees `true` below sees 7
///         is_there.store(true, Ordering::Relaxed);
///     });
///     if is_there.load(Ordering::Relaxed) {
///         fence(Ordering::Acquire);
///         assert_eq!(value.load(Ordering::Relaxed), 7);
///     }
/// });
/// # assert!(is_there.into_inner());
/// ```
#[inline]
pub fn fence(order: super::Ordering) {
    point();
    std::sync::atomic::fence(order);
}

/// A lock without poisoning: a panic in its critical section leaves it unlocked.
#[derive(Debug, Default)]
pub struct Mutex<T>(parking_lot::Mutex<T>);

impl<T> Mutex<T> {
    /// Makes an unlocked mutex.
    ///
    /// ```
    /// # use ironsys::sync::*;
    /// assert_eq!(*Mutex::new(7).lock(), 7);
    /// ```
    #[inline]
    pub fn new(value: T) -> Self {
        Mutex(parking_lot::Mutex::new(value))
    }

    /// Locks, waiting for whoever holds it. Hold it for short, never while running foreign code.
    ///
    /// ```
    /// # use ironsys::sync::*;
    /// let names = Mutex::new(vec!["a"]);
    /// names.lock().push("b");
    /// assert_eq!(names.into_inner(), ["a", "b"]);
    /// ```
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        point();
        self.0.lock()
    }

    /// Takes the value out.
    ///
    /// ```
    /// # use ironsys::sync::*;
    /// assert_eq!(Mutex::new(7).into_inner(), 7);
    /// ```
    #[inline]
    pub fn into_inner(self) -> T {
        self.0.into_inner()
    }
}

/// A condition variable for [`Mutex`]. Wake-ups may be spurious.
#[derive(Debug, Default)]
pub struct Condvar(parking_lot::Condvar);

impl Condvar {
    /// Makes a condition variable nobody waits on.
    ///
    /// ```
    /// # use ironsys::sync::*;
    /// let (lock, nobody) = (Mutex::new(()), Condvar::new());
    /// nobody.notify_all(); // Nobody waits: it is lost.
    /// assert!(nobody.wait_until(lock.lock(), std::time::Instant::now()).1);
    /// ```
    #[inline]
    pub fn new() -> Self {
        Condvar(parking_lot::Condvar::new())
    }

    /// Unlocks, waits for a notification and locks again.
    ///
    /// ```
    /// # use ironsys::sync::*;
    /// let (ready, told) = (Mutex::new(false), Condvar::new());
    /// std::thread::scope(|s| {
    ///     s.spawn(|| { *ready.lock() = true; told.notify_one() });
    ///     let mut is_ready = ready.lock();
    ///     while !*is_ready { is_ready = told.wait(is_ready) }
    /// });
    /// ```
    #[inline]
    pub fn wait<'a, T>(&self, mut guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        point();
        self.0.wait(&mut guard);
        guard
    }

    /// Like [`wait`](Self::wait), until `deadline` at the longest; `true` if it has passed.
    ///
    /// ```
    /// # use ironsys::sync::*;
    /// let (lock, never) = (Mutex::new(()), Condvar::new());
    /// assert!(never.wait_until(lock.lock(), std::time::Instant::now()).1);
    /// ```
    #[inline]
    pub fn wait_until<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        deadline: Instant,
    ) -> (MutexGuard<'a, T>, bool) {
        point();
        let timed_out = self.0.wait_until(&mut guard, deadline).timed_out();
        (guard, timed_out)
    }

    /// Wakes one waiting thread, if there is one.
    ///
    /// ```
    /// # use ironsys::sync::*;
    /// let (ready, told) = (Mutex::new(false), Condvar::new());
    /// std::thread::scope(|s| {
    ///     s.spawn(|| {
    ///         let mut is_ready = ready.lock();
    ///         while !*is_ready { is_ready = told.wait(is_ready) }
    ///     });
    ///     *ready.lock() = true;
    ///     told.notify_one(); // or the scope would not end
    /// });
    /// ```
    #[inline]
    pub fn notify_one(&self) {
        point();
        self.0.notify_one();
    }

    /// Wakes every waiting thread.
    ///
    /// ```
    /// # use ironsys::sync::*;
    /// let (open, told) = (Mutex::new(false), Condvar::new());
    /// std::thread::scope(|s| {
    ///     for _ in 0..2 {
    ///         s.spawn(|| {
    ///             let mut is_open = open.lock();
    ///             while !*is_open { is_open = told.wait(is_open) }
    ///         });
    ///     }
    ///     *open.lock() = true;
    ///     told.notify_all(); // or the scope would not end
    /// });
    /// ```
    #[inline]
    pub fn notify_all(&self) {
        point();
        self.0.notify_all();
    }
}

#[path = "real_atomics.rs"]
mod atomics;
pub use atomics::{AtomicBool, AtomicU64, AtomicUsize};

/// Put into a core object: loom then reports it if it outlives its model. Nothing elsewhere.
#[derive(Debug, Default)]
pub struct LeakTrack;

impl LeakTrack {
    /// Makes the mark.
    ///
    /// ```
    /// # use ironsys::sync::*;
    /// struct Lock {
    ///     _leak: LeakTrack, // Loom says so if it outlives its model.
    /// }
    /// let _lock = Lock { _leak: LeakTrack::new() };
    /// ```
    #[inline(always)]
    pub fn new() -> Self {
        LeakTrack
    }
}

/// The payload a model may throw inside a task. Anything else fails a model outright.
#[derive(Debug, Clone, Copy)]
pub struct InjectedPanic;

/// Runs `f` and catches its panic.
///
/// # Errors
/// The payload of the panic.
pub fn catch_unwind<R>(f: impl FnOnce() -> R) -> Result<R, Box<dyn Any + Send>> {
    std::panic::catch_unwind(AssertUnwindSafe(f))
}

/// Waits a little, awake, for `ready`: returns whether it came true.
///
/// Some hundred nanoseconds of pauses, then the processor is offered to others four times: on one
/// core the other side then runs at once, and on two a hand-over needs no system call. When the
/// processors are crowded, whoever takes the offer keeps it for milliseconds, while a thread that parks
/// is woken in time; so a thread that has seen that parks at once for its next waits.
#[inline]
pub(crate) fn spin(mut ready: impl FnMut() -> bool) -> bool {
    use std::cell::Cell;
    std::thread_local! {
        static CROWDED: Cell<u32> = const { Cell::new(0) };
    }
    for round in 0..4 {
        if ready() {
            return true;
        }
        (0..1u32 << round).for_each(|_| std::hint::spin_loop());
    }
    let crowded = CROWDED.get();
    if crowded > 0 {
        CROWDED.set(crowded - 1);
        return ready();
    }
    for _ in 0..4 {
        if ready() {
            return true;
        }
        let offered = Instant::now();
        std::thread::yield_now();
        if offered.elapsed() > LONG_OFFER {
            CROWDED.set(PARKS);
            break;
        }
    }
    ready()
}

/// More than one other thread has had its turn on the processor meanwhile: a turn is about 3 ms.
const LONG_OFFER: std::time::Duration = std::time::Duration::from_millis(5);
/// How many waits then park at once.
const PARKS: u32 = 100;

/// A place where a few threads at a time may [`spin`]; the others have better park at once.
#[derive(Debug, Default)]
pub(crate) struct SpinPlace(std::sync::atomic::AtomicUsize);

/// One for each processor; more would only keep the processors from those who have work.
static MAX_SPINNING: std::sync::LazyLock<usize> =
    std::sync::LazyLock::new(thread::available_parallelism);

impl SpinPlace {
    #[inline]
    pub(crate) fn spin(&self, ready: impl FnMut() -> bool) -> bool {
        use std::sync::atomic::Ordering::Relaxed;
        // Only a hint: what was ready is looked at again under its lock.
        let there = self.0.fetch_add(1, Relaxed);
        let ready = there < *MAX_SPINNING && spin(ready);
        self.0.fetch_sub(1, Relaxed);
        ready
    }
}

/// The next number of this thread's xorshift stream, seeded by the thread's start.
pub(crate) fn random_u64() -> u64 {
    use std::cell::Cell;
    use std::hash::{BuildHasher, RandomState};
    std::thread_local! {
        static STREAM: Cell<u64> = Cell::new(RandomState::new().hash_one(0) | 1);
    }
    STREAM.with(|s| {
        let mut x = s.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        s.set(x);
        x
    })
}

pub(crate) mod time {
    //! Real time.
    use std::time::{Instant, SystemTime};

    #[inline]
    pub(crate) fn now() -> Instant {
        Instant::now()
    }

    #[inline]
    pub(crate) fn wall() -> SystemTime {
        SystemTime::now()
    }
}

/// Threads, as far as the crate needs them.
pub mod thread {
    use super::super::gate::{Start, Work};
    use std::io;
    pub use std::thread::{JoinHandle, yield_now};

    /// Starts a named thread.
    ///
    /// # Errors
    /// The operating system's, when it has no thread left to give.
    ///
    /// ```
    /// # use ironsys::sync::*;
    /// let thread = thread::spawn("adder", || 1 + 1)?;
    /// assert_eq!(thread.join().unwrap(), 2);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn spawn<T: Send + 'static>(
        name: &str,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<JoinHandle<T>> {
        super::point();
        std::thread::Builder::new().name(name.into()).spawn(f)
    }

    /// How many threads the machine runs at once; 1 if it does not say.
    ///
    /// ```
    /// # use ironsys::sync::*;
    /// assert!(thread::available_parallelism() >= 1);
    /// ```
    #[must_use]
    pub fn available_parallelism() -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }

    /// Starts threads that all run `work`, and joins them before it returns.
    pub(crate) fn crew<R>(work: &Work<'_>, body: impl FnOnce(&dyn Start) -> R) -> R {
        let scope = crossbeam::thread::scope(|scope| body(&Crew { scope, work }));
        // The work catches the user's panics; a member that unwinds all the same is our own bug.
        scope.unwrap_or_else(|payload| std::panic::resume_unwind(payload))
    }

    struct Crew<'scope, 'env> {
        scope: &'scope crossbeam::thread::Scope<'env>,
        work: &'env Work<'env>,
    }

    impl<'env> Start for Crew<'_, 'env> {
        fn start(&self, name: &str) -> io::Result<()> {
            super::point();
            let work = self.work;
            let member = move |scope: &crossbeam::thread::Scope<'env>| work(&Crew { scope, work });
            self.scope.builder().name(name.into()).spawn(member).map(drop)
        }
    }
}

pub(crate) mod cpu {
    //! rayon: real threads, so a model runs the same loop inline.
    use super::super::Arc;
    use rayon::iter::{IntoParallelIterator, ParallelIterator};

    /// A rayon pool: the process-wide one, or one of our own.
    #[derive(Clone, Debug)]
    pub(crate) struct Cores(Option<Arc<rayon::ThreadPool>>);

    impl Cores {
        pub(crate) fn global() -> Self {
            Cores(None)
        }

        pub(crate) fn own(threads: usize, name: String) -> Result<Self, String> {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .thread_name(move |i| format!("{name}-{i}"))
                .build()
                .map(|pool| Cores(Some(Arc::new(pool))))
                .map_err(|e| e.to_string())
        }

        pub(crate) fn threads(&self) -> usize {
            self.0.as_ref().map_or_else(rayon::current_num_threads, |p| p.current_num_threads())
        }

        /// Calls `f` for every number below `n`, in parallel, and returns when all are done.
        pub(crate) fn each(&self, n: usize, f: &(dyn Fn(usize) + Sync)) {
            let run = || (0..n).into_par_iter().with_max_len(1).for_each(f);
            match &self.0 {
                Some(pool) => pool.install(run),
                None => run(),
            }
        }
    }
    use rayon::iter::IndexedParallelIterator;
}

#[doc(hidden)]
#[macro_export]
macro_rules! __thread_local_in_build { ($($t:tt)*) => { ::std::thread_local! { $($t)* } } }
#[doc(hidden)]
pub use __thread_local_in_build as thread_local_in_build;
