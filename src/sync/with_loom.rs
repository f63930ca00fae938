//! The loom build: every interleaving of a small model.
//!
//! What differs from the real build, and why:
//! * a timed wait may time out at any point, see [`Condvar::wait_until`]; time is a loom atomic;
//! * `catch_unwind` catches [`InjectedPanic`] only: loom's own panics (deadlock, leak, branch limit)
//!   and failed assertions must reach the checker, not become "a task panicked";
//! * no spinning, fixed random numbers, two processors, rayon inline.
//!
//! Every function that stands for a lock or atomic operation is `#[track_caller]` and tells the
//! census; under `--cfg ironsys_sites` it is also deprecated, so that the compiler lists its uses.

use super::census::hit;
use std::any::Any;
use std::panic::{AssertUnwindSafe, Location};
use std::sync::PoisonError;
use std::time::Instant;

/// An atomic fence on the seam.
#[track_caller]
#[cfg_attr(ironsys_sites, deprecated(note = "ironsys-site"))]
pub fn fence(order: super::Ordering) {
    hit("fence", Location::caller());
    loom::sync::atomic::fence(order);
}

/// A lock without poisoning.
#[derive(Debug)]
pub struct Mutex<T>(loom::sync::Mutex<T>);

/// Unlocks when dropped. Carries the mutex, so that a timed wait can unlock and lock again.
#[derive(Debug)]
pub struct MutexGuard<'a, T>(&'a loom::sync::Mutex<T>, Option<loom::sync::MutexGuard<'a, T>>);

impl<T> Mutex<T> {
    /// Makes an unlocked mutex.
    #[track_caller]
    pub fn new(value: T) -> Self {
        Mutex(loom::sync::Mutex::new(value))
    }

    /// Locks, waiting for whoever holds it.
    #[track_caller]
    #[cfg_attr(ironsys_sites, deprecated(note = "ironsys-site"))]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        hit("Mutex::lock", Location::caller());
        MutexGuard(&self.0, Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Takes the value out.
    pub fn into_inner(self) -> T {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Mutex::new(T::default())
    }
}

impl<T> std::ops::Deref for MutexGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.1.as_ref().expect("a guard is empty only inside a wait")
    }
}

impl<T> std::ops::DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.1.as_mut().expect("a guard is empty only inside a wait")
    }
}

/// A condition variable for [`Mutex`].
#[derive(Debug)]
pub struct Condvar(loom::sync::Condvar);

impl Default for Condvar {
    fn default() -> Self {
        Condvar::new()
    }
}

impl Condvar {
    /// Makes a condition variable nobody waits on.
    pub fn new() -> Self {
        Condvar(loom::sync::Condvar::new())
    }

    /// Unlocks, waits for a notification and locks again. A lost wake-up is a deadlock here.
    #[track_caller]
    #[cfg_attr(ironsys_sites, deprecated(note = "ironsys-site"))]
    pub fn wait<'a, T>(&self, mut guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        hit("Condvar::wait", Location::caller());
        let inner = guard.1.take().expect("a guard is empty only inside a wait");
        guard.1 = Some(self.0.wait(inner).unwrap_or_else(PoisonError::into_inner));
        guard
    }

    /// Unlocks, perhaps yields, locks again, moves the clock to `deadline` and says "timed out".
    ///
    /// The checker orders the second lock before or after every other operation on the mutex, so the
    /// time-out is explored at every point; if the notification came first, the caller's predicate
    /// is already true when it looks. A lost wake-up is hidden here: model every wait without a
    /// deadline too.
    #[track_caller]
    #[cfg_attr(ironsys_sites, deprecated(note = "ironsys-site"))]
    pub fn wait_until<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        deadline: Instant,
    ) -> (MutexGuard<'a, T>, bool) {
        hit("Condvar::wait_until", Location::caller());
        let clock = time::clock(); // Now: a thread may outlive the body, statics do not.
        guard.1 = None;
        if super::choice::choice() {
            loom::thread::yield_now();
        }
        guard.1 = Some(guard.0.lock().unwrap_or_else(PoisonError::into_inner));
        time::advance_to(&clock, deadline);
        (guard, true)
    }

    /// Wakes one waiting thread, if there is one.
    #[track_caller]
    #[cfg_attr(ironsys_sites, deprecated(note = "ironsys-site"))]
    pub fn notify_one(&self) {
        hit("Condvar::notify_one", Location::caller());
        self.0.notify_one();
    }

    /// Wakes every waiting thread.
    #[track_caller]
    #[cfg_attr(ironsys_sites, deprecated(note = "ironsys-site"))]
    pub fn notify_all(&self) {
        hit("Condvar::notify_all", Location::caller());
        self.0.notify_all();
    }
}

macro_rules! atomic {
    ($name:ident, $value:ty) => {
        /// The atomic of the same name in `std`, on the seam.
        #[derive(Debug)]
        pub struct $name(loom::sync::atomic::$name);

        #[allow(dead_code)]
        impl $name {
            /// Makes an atomic holding `value`.
            #[track_caller]
            pub fn new(value: $value) -> Self {
                Self(loom::sync::atomic::$name::new(value))
            }

            /// Takes the value out.
            pub fn into_inner(self) -> $value {
                self.0.into_inner()
            }

            /// Reads the value.
            #[track_caller]
            #[cfg_attr(ironsys_sites, deprecated(note = "ironsys-site"))]
            pub fn load(&self, order: super::Ordering) -> $value {
                hit("load", Location::caller());
                self.0.load(order)
            }

            /// Writes the value.
            #[track_caller]
            #[cfg_attr(ironsys_sites, deprecated(note = "ironsys-site"))]
            pub fn store(&self, value: $value, order: super::Ordering) {
                hit("store", Location::caller());
                self.0.store(value, order);
            }

            /// Writes the value and returns the old one.
            #[track_caller]
            #[cfg_attr(ironsys_sites, deprecated(note = "ironsys-site"))]
            pub fn swap(&self, value: $value, order: super::Ordering) -> $value {
                hit("swap", Location::caller());
                self.0.swap(value, order)
            }

            /// Writes `new` if the value is `current`.
            ///
            /// # Errors
            /// The value found, if it was another.
            #[track_caller]
            #[cfg_attr(ironsys_sites, deprecated(note = "ironsys-site"))]
            pub fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: super::Ordering,
                failure: super::Ordering,
            ) -> Result<$value, $value> {
                hit("compare_exchange", Location::caller());
                self.0.compare_exchange(current, new, success, failure)
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new(<$value>::default())
            }
        }
    };
}
atomic!(AtomicBool, bool);
atomic!(AtomicUsize, usize);
atomic!(AtomicU64, u64);

macro_rules! arithmetic {
    ($name:ident, $value:ty) => {
        #[allow(dead_code)]
        impl $name {
            /// Adds, wrapping around, and returns the old value.
            #[track_caller]
            #[cfg_attr(ironsys_sites, deprecated(note = "ironsys-site"))]
            pub fn fetch_add(&self, value: $value, order: super::Ordering) -> $value {
                hit("fetch_add", Location::caller());
                self.0.fetch_add(value, order)
            }

            /// Subtracts, wrapping around, and returns the old value.
            #[track_caller]
            #[cfg_attr(ironsys_sites, deprecated(note = "ironsys-site"))]
            pub fn fetch_sub(&self, value: $value, order: super::Ordering) -> $value {
                hit("fetch_sub", Location::caller());
                self.0.fetch_sub(value, order)
            }
        }
    };
}
arithmetic!(AtomicUsize, usize);
arithmetic!(AtomicU64, u64);

/// Reported by loom if it outlives its model; without the branches of a counted pointer.
pub struct LeakTrack(#[allow(dead_code)] loom::alloc::Track<()>);

impl LeakTrack {
    /// Makes the mark.
    pub fn new() -> Self {
        LeakTrack(loom::alloc::Track::new(()))
    }
}

impl Default for LeakTrack {
    fn default() -> Self {
        LeakTrack::new()
    }
}

impl std::fmt::Debug for LeakTrack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LeakTrack")
    }
}

/// The payload a model may throw inside a task. Anything else fails the model.
#[derive(Debug, Clone, Copy)]
pub struct InjectedPanic;

/// Runs `f` and catches an [`InjectedPanic`].
///
/// # Errors
/// The payload.
pub fn catch_unwind<R>(f: impl FnOnce() -> R) -> Result<R, Box<dyn Any + Send>> {
    match std::panic::catch_unwind(AssertUnwindSafe(f)) {
        Err(payload) if !payload.is::<InjectedPanic>() => std::panic::resume_unwind(payload),
        result => result,
    }
}

/// A model never spins.
pub(crate) fn spin(_ready: impl FnMut() -> bool) -> bool {
    false
}

/// A model never spins.
#[derive(Debug, Default)]
pub(crate) struct SpinPlace;

impl SpinPlace {
    pub(crate) fn spin(&self, _ready: impl FnMut() -> bool) -> bool {
        false
    }
}

/// A model is deterministic.
pub(crate) fn random_u64() -> u64 {
    0x9E37_79B9_7F4A_7C15
}

pub(crate) mod time {
    //! Virtual time, one clock an execution, in nanoseconds after a fixed start. It is a loom atomic
    //! read by read-modify-write, so that the checker sees who reads and who moves it.
    use loom::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, OnceLock};
    use std::time::{Duration, Instant, SystemTime};

    static START: OnceLock<Instant> = OnceLock::new();
    loom::lazy_static! { static ref NOW: Arc<AtomicU64> = Arc::new(AtomicU64::new(0)); }

    fn start() -> Instant {
        *START.get_or_init(Instant::now)
    }

    pub(crate) fn now() -> Instant {
        start() + Duration::from_nanos(NOW.fetch_add(0, Ordering::AcqRel))
    }

    /// A model begins at the start of the Unix epoch.
    pub(crate) fn wall() -> SystemTime {
        SystemTime::UNIX_EPOCH + (now() - start())
    }

    pub(crate) fn clock() -> Arc<AtomicU64> {
        NOW.clone()
    }

    pub(crate) fn advance_to(clock: &AtomicU64, at: Instant) {
        let at = at.saturating_duration_since(start()).as_nanos() as u64;
        let mut now = clock.fetch_add(0, Ordering::AcqRel);
        while now < at {
            match clock.compare_exchange(now, at, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => break,
                Err(found) => now = found,
            }
        }
    }
}

/// Threads of the model: five in all, the model's own among them.
pub mod thread {
    use super::super::gate::{Gate, Start, Work};
    pub use loom::thread::{JoinHandle, yield_now};
    use std::io;
    use std::sync::{Arc, Mutex, PoisonError};

    /// loom's default is too small for deep frames. The unit is words.
    const STACK_WORDS: usize = 64 * 1024 / 8;

    /// Starts a thread of the model; the name is dropped.
    ///
    /// # Errors
    /// Never: a model that starts too many threads fails.
    pub fn spawn<T: Send + 'static>(
        _name: &str,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<JoinHandle<T>> {
        loom::thread::Builder::new().stack_size(STACK_WORDS).spawn(f)
    }

    /// Two: a model depends on nothing of the machine.
    #[must_use]
    pub fn available_parallelism() -> usize {
        2
    }

    /// Starts threads that all run `work`, and joins them before it returns.
    pub(crate) fn crew<R>(work: &Work<'_>, body: impl FnOnce(&dyn Start) -> R) -> R {
        let crew = Arc::new(Mutex::new(Vec::new()));
        let out = Gate::open(work, |gate| body(&Crew { gate: gate.clone(), crew: crew.clone() }));
        loop {
            let next = crew.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(member) = next else { break };
            let member: JoinHandle<()> = member;
            member.join().expect("a member of a crew does not unwind");
        }
        out
    }

    /// The std mutex is invisible to the checker and never held across a switch.
    struct Crew {
        gate: Arc<Gate>,
        crew: Arc<Mutex<Vec<JoinHandle<()>>>>,
    }

    impl Start for Crew {
        fn start(&self, _name: &str) -> io::Result<()> {
            let (gate, crew) = (self.gate.clone(), self.crew.clone());
            let member = loom::thread::Builder::new().stack_size(STACK_WORDS).spawn(move || {
                let me = Crew { gate, crew };
                me.gate.enter(&me);
            })?;
            self.crew.lock().unwrap_or_else(PoisonError::into_inner).push(member);
            Ok(())
        }
    }
}

pub(crate) mod cpu {
    //! rayon has real threads, so a model runs the loop inline.

    #[derive(Clone, Debug)]
    pub(crate) struct Cores;

    impl Cores {
        pub(crate) fn global() -> Self {
            Cores
        }

        pub(crate) fn own(_threads: usize, _name: String) -> Result<Self, String> {
            Ok(Cores)
        }

        pub(crate) fn threads(&self) -> usize {
            1
        }

        pub(crate) fn each(&self, n: usize, f: &(dyn Fn(usize) + Sync)) {
            (0..n).for_each(f);
        }
    }
}

#[doc(hidden)]
#[macro_export]
macro_rules! __thread_local_in_build { ($($t:tt)*) => { $crate::sync::__loom::thread_local! { $($t)* } } }
#[doc(hidden)]
pub use __thread_local_in_build as thread_local_in_build;
