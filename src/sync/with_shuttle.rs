//! The shuttle build: random, PCT and replayed schedules, any number of threads, no weak memory.
//!
//! Every ordering is `SeqCst` (shuttle models nothing else). Timed waits fire after a random number
//! of steps. Lost wake-ups are deadlocks, livelocks exceed the step limit; both fail the test.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::PoisonError;
use std::time::Instant;

pub use shuttle::sync::atomic::fence;

/// A lock without poisoning.
#[derive(Debug)]
pub struct Mutex<T>(shuttle::sync::Mutex<T>);

/// Unlocks when dropped.
#[derive(Debug)]
pub struct MutexGuard<'a, T>(&'a shuttle::sync::Mutex<T>, Option<shuttle::sync::MutexGuard<'a, T>>);

impl<T> Mutex<T> {
    /// Makes an unlocked mutex.
    pub fn new(value: T) -> Self {
        Mutex(shuttle::sync::Mutex::new(value))
    }

    /// Locks, waiting for whoever holds it.
    pub fn lock(&self) -> MutexGuard<'_, T> {
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
pub struct Condvar(shuttle::sync::Condvar);

impl Default for Condvar {
    fn default() -> Self {
        Condvar::new()
    }
}

impl Condvar {
    /// Makes a condition variable nobody waits on.
    pub fn new() -> Self {
        Condvar(shuttle::sync::Condvar::new())
    }

    /// Unlocks, waits for a notification and locks again.
    pub fn wait<'a, T>(&self, mut guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        let inner = guard.1.take().expect("a guard is empty only inside a wait");
        guard.1 = Some(self.0.wait(inner).unwrap_or_else(PoisonError::into_inner));
        guard
    }

    /// Unlocks, lets others run for a random number of steps, locks again: "timed out".
    pub fn wait_until<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        deadline: Instant,
    ) -> (MutexGuard<'a, T>, bool) {
        use shuttle::rand::Rng;
        guard.1 = None;
        for _ in 0..shuttle::rand::thread_rng().gen_range(0..6u32) {
            shuttle::thread::yield_now();
        }
        guard.1 = Some(guard.0.lock().unwrap_or_else(PoisonError::into_inner));
        time::advance_to(deadline);
        (guard, true)
    }

    /// Wakes one waiting thread, whichever the schedule says.
    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    /// Wakes every waiting thread.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}

macro_rules! atomic {
    ($name:ident, $value:ty) => {
        /// The atomic of the same name in `std`, on the seam.
        #[derive(Debug)]
        pub struct $name(shuttle::sync::atomic::$name);

        #[allow(dead_code)]
        impl $name {
            /// Makes an atomic holding `value`.
            pub fn new(value: $value) -> Self {
                Self(shuttle::sync::atomic::$name::new(value))
            }

            /// Takes the value out.
            pub fn into_inner(self) -> $value {
                self.0.into_inner()
            }

            /// Reads the value.
            pub fn load(&self, _: super::Ordering) -> $value {
                self.0.load(super::Ordering::SeqCst)
            }

            /// Writes the value.
            pub fn store(&self, value: $value, _: super::Ordering) {
                self.0.store(value, super::Ordering::SeqCst);
            }

            /// Writes the value and returns the old one.
            pub fn swap(&self, value: $value, _: super::Ordering) -> $value {
                self.0.swap(value, super::Ordering::SeqCst)
            }

            /// Writes `new` if the value is `current`.
            ///
            /// # Errors
            /// The value found, if it was another.
            pub fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                _: super::Ordering,
                _: super::Ordering,
            ) -> Result<$value, $value> {
                use super::Ordering::SeqCst;
                self.0.compare_exchange(current, new, SeqCst, SeqCst)
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
            pub fn fetch_add(&self, value: $value, _: super::Ordering) -> $value {
                self.0.fetch_add(value, super::Ordering::SeqCst)
            }

            /// Subtracts, wrapping around, and returns the old value.
            pub fn fetch_sub(&self, value: $value, _: super::Ordering) -> $value {
                self.0.fetch_sub(value, super::Ordering::SeqCst)
            }
        }
    };
}
arithmetic!(AtomicUsize, usize);
arithmetic!(AtomicU64, u64);

/// Nothing in this build.
#[derive(Debug, Default)]
pub struct LeakTrack;

impl LeakTrack {
    /// Makes the mark.
    pub fn new() -> Self {
        LeakTrack
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

/// The schedule decides.
pub(crate) fn random_u64() -> u64 {
    use shuttle::rand::Rng;
    shuttle::rand::thread_rng().r#gen()
}

pub(crate) mod time {
    //! Virtual time, one clock an execution.
    use shuttle::sync::atomic::{AtomicU64, Ordering};
    use std::sync::OnceLock;
    use std::time::{Duration, Instant, SystemTime};

    static START: OnceLock<Instant> = OnceLock::new();
    shuttle::lazy_static! { static ref NOW: AtomicU64 = AtomicU64::new(0); }

    fn start() -> Instant {
        *START.get_or_init(Instant::now)
    }

    pub(crate) fn now() -> Instant {
        start() + Duration::from_nanos(NOW.load(Ordering::SeqCst))
    }

    /// A model begins at the start of the Unix epoch.
    pub(crate) fn wall() -> SystemTime {
        SystemTime::UNIX_EPOCH + (now() - start())
    }

    pub(crate) fn advance_to(at: Instant) {
        let at = at.saturating_duration_since(start()).as_nanos() as u64;
        NOW.fetch_max(at, Ordering::SeqCst);
    }
}

/// Threads of the model.
pub mod thread {
    use super::super::gate::{Gate, Start, Work};
    use super::super::{Arc, Mutex};
    pub use shuttle::thread::{JoinHandle, yield_now};
    use std::io;

    /// Starts a thread of the model.
    ///
    /// # Errors
    /// Never.
    pub fn spawn<T: Send + 'static>(
        name: &str,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<JoinHandle<T>> {
        shuttle::thread::Builder::new().name(name.into()).spawn(f)
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
            let next = crew.lock().pop();
            let Some(member) = next else { break };
            let member: JoinHandle<()> = member;
            member.join().expect("a member of a crew does not unwind");
        }
        out
    }

    struct Crew {
        gate: Arc<Gate>,
        crew: Arc<Mutex<Vec<JoinHandle<()>>>>,
    }

    impl Start for Crew {
        fn start(&self, name: &str) -> io::Result<()> {
            let (gate, crew) = (self.gate.clone(), self.crew.clone());
            let member = spawn(name, move || {
                let me = Crew { gate, crew };
                me.gate.enter(&me);
            })?;
            self.crew.lock().push(member);
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
macro_rules! __thread_local_in_build { ($($t:tt)*) => { $crate::sync::__shuttle::thread_local! { $($t)* } } }
#[doc(hidden)]
pub use __thread_local_in_build as thread_local_in_build;
