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
    #[inline]
    pub fn new(value: T) -> Self {
        Mutex(parking_lot::Mutex::new(value))
    }

    /// Locks, waiting for whoever holds it. Hold it for short, never while running foreign code.
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        point();
        self.0.lock()
    }

    /// Takes the value out.
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
    #[inline]
    pub fn new() -> Self {
        Condvar(parking_lot::Condvar::new())
    }

    /// Unlocks, waits for a notification and locks again.
    #[inline]
    pub fn wait<'a, T>(&self, mut guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        point();
        self.0.wait(&mut guard);
        guard
    }

    /// Like [`wait`](Self::wait), until `deadline` at the longest; `true` if it has passed.
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
    #[inline]
    pub fn notify_one(&self) {
        point();
        self.0.notify_one();
    }

    /// Wakes every waiting thread.
    #[inline]
    pub fn notify_all(&self) {
        point();
        self.0.notify_all();
    }
}

macro_rules! atomic {
    ($name:ident, $value:ty) => {
        /// The atomic of the same name in `std`, on the seam.
        #[derive(Debug, Default)]
        pub struct $name(std::sync::atomic::$name);

        impl $name {
            /// Makes an atomic holding `value`.
            #[inline]
            pub fn new(value: $value) -> Self {
                Self(std::sync::atomic::$name::new(value))
            }

            /// Takes the value out.
            pub fn into_inner(self) -> $value {
                self.0.into_inner()
            }

            /// Reads the value.
            #[inline]
            pub fn load(&self, order: super::Ordering) -> $value {
                point();
                self.0.load(order)
            }

            /// Writes the value.
            #[inline]
            pub fn store(&self, value: $value, order: super::Ordering) {
                point();
                self.0.store(value, order);
            }

            /// Writes the value and returns the old one.
            #[inline]
            pub fn swap(&self, value: $value, order: super::Ordering) -> $value {
                point();
                self.0.swap(value, order)
            }

            /// Writes `new` if the value is `current`; returns the old value either way.
            ///
            /// # Errors
            /// The value found, if it was another.
            #[inline]
            pub fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: super::Ordering,
                failure: super::Ordering,
            ) -> Result<$value, $value> {
                point();
                self.0.compare_exchange(current, new, success, failure)
            }
        }
    };
}
atomic!(AtomicBool, bool);
atomic!(AtomicUsize, usize);
atomic!(AtomicU64, u64);

macro_rules! arithmetic {
    ($name:ident, $value:ty) => {
        impl $name {
            /// Adds, wrapping around, and returns the old value.
            #[inline]
            pub fn fetch_add(&self, value: $value, order: super::Ordering) -> $value {
                point();
                self.0.fetch_add(value, order)
            }

            /// Subtracts, wrapping around, and returns the old value.
            #[inline]
            pub fn fetch_sub(&self, value: $value, order: super::Ordering) -> $value {
                point();
                self.0.fetch_sub(value, order)
            }
        }
    };
}
arithmetic!(AtomicUsize, usize);
arithmetic!(AtomicU64, u64);

/// Put into a core object: loom then reports it if it outlives its model. Nothing elsewhere.
#[derive(Debug, Default)]
pub struct LeakTrack;

impl LeakTrack {
    /// Makes the mark.
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
    pub fn spawn<T: Send + 'static>(
        name: &str,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<JoinHandle<T>> {
        super::point();
        std::thread::Builder::new().name(name.into()).spawn(f)
    }

    /// How many threads the machine runs at once; 1 if it does not say.
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
