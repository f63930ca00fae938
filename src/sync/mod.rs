//! The seam: every lock, atomic, thread and clock of the crate comes from here.
//!
//! Only files under `src/sync/` may name `std::sync`, `std::thread`, parking_lot, crossbeam, rayon,
//! loom or shuttle. One set of sources, three builds:
//!
//! | build  | chosen by                       | what it is for                                  |
//! |--------|---------------------------------|-------------------------------------------------|
//! | real   | nothing                         | parking_lot locks, std atomics, OS threads      |
//! | loom   | `--cfg loom` or `ironsys_loom`  | every interleaving of a small model             |
//! | shuttle| `--cfg shuttle`                 | random and PCT schedules of a larger one        |
//!
//! The feature `chaos` adds seeded random preemption to the real build. The module is public so that
//! a crate built on ironsys can put its own locks and atomics on the same seam and model-check itself:
//!
//! ```
//! use ironsys::sync::{AtomicUsize, Mutex, Ordering};
//! let hits = AtomicUsize::new(0);
//! let names = Mutex::new(Vec::new());
//! names.lock().push("a");
//! hits.fetch_add(1, Ordering::Relaxed);
//! assert_eq!((hits.load(Ordering::Relaxed), names.lock().len()), (1, 1));
//! ```
//!
//! Rules of the house: no lock is poisoned; constructors are not const, so that no static holds a
//! lock a model could see; no `park`/`unpark`; no `SeqCst` load or store is relied on (loom treats
//! them as `AcqRel`); spinning exists in the real build only.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

#[cfg(not(any(loom, ironsys_loom, shuttle)))]
#[path = "real.rs"]
mod backend;
#[cfg(all(any(loom, ironsys_loom), not(shuttle)))]
#[path = "with_loom.rs"]
mod backend;
#[cfg(shuttle)]
#[path = "with_shuttle.rs"]
mod backend;

mod census;
#[cfg(all(feature = "chaos", not(any(loom, ironsys_loom, shuttle))))]
pub(crate) mod chaos;
#[cfg(any(loom, ironsys_loom, shuttle))]
mod choice;
mod gate;
pub(crate) mod thread_slot;

pub use backend::{
    AtomicBool, AtomicU64, AtomicUsize, Condvar, LeakTrack, Mutex, MutexGuard, fence, thread,
};
pub use std::sync::atomic::Ordering;
pub use std::sync::{Arc, Weak};

pub(crate) use backend::{SpinPlace, cpu, random_u64, spin, time};
pub(crate) use gate::{Gate, Start, Work};

#[doc(hidden)]
pub use backend::{InjectedPanic, catch_unwind, thread_local_in_build};

/// `true` in a build for a model checker. Plain code may branch on it only to leave out what no
/// model can hold, such as process-wide state.
pub(crate) const MODEL: bool = cfg!(any(loom, ironsys_loom, shuttle));

/// A value the whole process shares: `Some` in the real build, `None` inside a model, where a static
/// would tie one execution to the next.
macro_rules! process_wide {
    ($type:ty, $init:expr) => {{
        #[cfg(not(any(loom, ironsys_loom, shuttle)))]
        {
            static SHARED: ::std::sync::LazyLock<$type> = ::std::sync::LazyLock::new(|| $init);
            Some(&*SHARED)
        }
        #[cfg(any(loom, ironsys_loom, shuttle))]
        {
            None::<&'static $type>
        }
    }};
}
pub(crate) use process_wide;

/// Whether the bug of this name is planted, so that a model can show that it would catch it: in a
/// model build with the feature `testing`, if `IRONSYS_BUG` names it. Elsewhere the constant `false`.
#[doc(hidden)]
#[inline(always)]
#[must_use]
pub fn planted(name: &str) -> bool {
    #[cfg(all(feature = "testing", any(loom, ironsys_loom, shuttle)))]
    {
        static BUG: std::sync::LazyLock<Option<String>> =
            std::sync::LazyLock::new(|| std::env::var("IRONSYS_BUG").ok());
        BUG.as_deref() == Some(name)
    }
    #[cfg(not(all(feature = "testing", any(loom, ironsys_loom, shuttle))))]
    {
        let _ = name;
        false
    }
}

/// The name of the calling thread, or its number if it has none.
pub(crate) fn thread_name() -> String {
    let thread = std::thread::current();
    thread.name().map_or_else(|| format!("{:?}", thread.id()), str::to_owned)
}

/// Whether the calling thread is unwinding. All threads of a loom model are one here.
#[inline]
pub(crate) fn is_unwinding() -> bool {
    std::thread::panicking()
}

/// A number that nobody else in the process has got, larger than those given before.
pub(crate) fn next_number() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[cfg(any(loom, ironsys_loom))]
#[doc(hidden)]
pub use ::loom as __loom;
#[cfg(shuttle)]
#[doc(hidden)]
pub use ::shuttle as __shuttle;

#[cfg(any(loom, ironsys_loom, shuttle))]
#[doc(hidden)]
pub use choice::{rewind_choices, set_choices};
