//! The global allocator: the system's, which counts allocations while it is told to.
//!
//! While it is not, it costs one load of a flag nobody writes, the same for every side.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static COUNTS: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicI64 = AtomicI64::new(0);

/// Allocations by all threads while `work` runs. Not for two threads at the same time.
pub(crate) fn during(work: impl FnOnce()) -> u64 {
    let before = COUNT.load(Ordering::SeqCst);
    COUNTS.store(true, Ordering::SeqCst);
    work();
    COUNTS.store(false, Ordering::SeqCst);
    COUNT.load(Ordering::SeqCst) - before
}

/// Bytes that `work` allocates and leaves behind, with what glibc adds to each allocation.
pub(crate) fn left_by<R>(work: impl FnOnce() -> R) -> (R, i64) {
    let before = BYTES.load(Ordering::SeqCst);
    COUNTS.store(true, Ordering::SeqCst);
    let out = work();
    COUNTS.store(false, Ordering::SeqCst);
    (out, BYTES.load(Ordering::SeqCst) - before)
}

struct Counting;

impl Counting {
    /// One more allocation; `old` is freed for it, or at all if `new` is 0.
    fn note(&self, old: usize, new: usize) {
        if COUNTS.load(Ordering::Relaxed) {
            COUNT.fetch_add(u64::from(new != 0), Ordering::Relaxed);
            BYTES.fetch_add(chunk(new) - chunk(old), Ordering::Relaxed);
        }
    }
}

// SAFETY: every call is passed on unchanged to `System`, which keeps the contract of `GlobalAlloc`;
// counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.note(0, layout.size());
        // SAFETY: our caller promises what `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.note(0, layout.size());
        // SAFETY: our caller promises what `System` asks for.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.note(layout.size(), size);
        // SAFETY: our caller promises what `System` asks for, and `old` came from `System`.
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        self.note(layout.size(), 0);
        // SAFETY: our caller promises what `System` asks for, and `old` came from `System`.
        unsafe { System.dealloc(old, layout) }
    }
}

/// What glibc takes for a request: a header of 8 bytes, in steps of 16, at least 32.
fn chunk(size: usize) -> i64 {
    if size == 0 { 0 } else { ((size as i64 + 8 + 15) & !15).max(32) }
}
