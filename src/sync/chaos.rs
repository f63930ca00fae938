//! Seeded random preemption at every operation of the seam (feature `chaos`, real build).
//!
//! One xorshift stream a thread. About one operation in eight yields, one in sixty sleeps for some
//! microseconds, one in twenty spins: enough to find orderings that plain stress does not reach.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

static SEED: AtomicU64 = AtomicU64::new(0x9E37_79B9_7F4A_7C15);

std::thread_local! {
    static STREAM: Cell<u64> =
        Cell::new(SEED.fetch_add(0xD134_2543_DE82_EF95, Ordering::Relaxed) | 1);
}

/// Seeds the streams of all threads started from now on, and of this one. Neighbouring seeds give
/// unrelated streams.
#[cfg_attr(not(feature = "testing"), allow(dead_code))]
pub(crate) fn seed(seed: u64) {
    let mut x = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^= x >> 31;
    SEED.store(x | 1, Ordering::Relaxed);
    STREAM.with(|s| s.set(x.wrapping_mul(0x2545_F491_4F6C_DD1D) | 1));
}

#[inline]
pub(crate) fn point() {
    let Ok(x) = STREAM.try_with(|s| {
        let mut x = s.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        s.set(x);
        x
    }) else {
        return;
    };
    match x >> 56 {
        0..=31 => std::thread::yield_now(),
        32..=35 => std::thread::sleep(Duration::from_micros(x & 63)),
        36..=47 => (0..(x & 255)).for_each(|_| std::hint::spin_loop()),
        _ => {}
    }
}
