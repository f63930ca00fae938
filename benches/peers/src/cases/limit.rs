//! Rate limits: checks that pass. governor reads the same clock as we do, `Instant::now`.
//!
//! The rate is 4 billion a second, so that every check passes, which every side counts. Keys are taken in
//! a scattered order that is the same for all sides; two threads are some keys apart.

use std::error::Error;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use governor::clock::MonotonicClock;
use governor::{Quota, RateLimiter};
use ironsys::limit::{Keyed, Rate, TokenBucket};

use crate::harness::{Bar, Case, Row, Settings, ns_each};
use crate::{limits, versions};

const KEYS: u64 = 10_000;
const RATE: u32 = u32::MAX;
const GOVERNOR: &str = "governor, Instant::now";

pub(crate) fn check(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    direct("limit_check", settings, 1)
}

pub(crate) fn check_2(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    direct("limit_check_2threads", settings, 2)
}

pub(crate) fn keyed(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    by_key("limit_keyed_10k", settings, 1)
}

pub(crate) fn keyed_2(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    by_key("limit_keyed_10k_2threads", settings, 2)
}

fn quota() -> Quota {
    let rate = NonZeroU32::new(RATE).expect("not zero");
    Quota::per_second(rate).allow_burst(rate)
}

fn direct(
    name: &'static str,
    settings: &Settings,
    threads: u64,
) -> Result<Vec<Row>, Box<dyn Error>> {
    let n = settings.iterations(2_000_000);
    let ours = move || {
        let limit = TokenBucket::new(Rate::per_second(RATE), RATE);
        on_threads(threads, n, |_| black_box(&limit).try_acquire(1).is_ok())
    };
    let governor = move || {
        let limit = RateLimiter::direct_with_clock(quota(), MonotonicClock);
        on_threads(threads, n, |_| black_box(&limit).check().is_ok())
    };
    let case = Case::new(name, "ns/check", ours)
        .peer(GOVERNOR, versions::GOVERNOR, Bar::AtMost(1.0), governor)
        .limit("one compare-and-swap", move || cas(threads, n))
        .limit("one look at the clock", move || limits::clock(n));
    Ok(case.measure(settings))
}

fn by_key(
    name: &'static str,
    settings: &Settings,
    threads: u64,
) -> Result<Vec<Row>, Box<dyn Error>> {
    let n = settings.iterations(1_000_000);
    let ours = Keyed::builder(&TokenBucket::new(Rate::per_second(RATE), RATE));
    let ours = ours.max_keys(2 * KEYS as usize).build()?;
    let governor = RateLimiter::dashmap_with_clock(quota(), MonotonicClock);
    let case = Case::new(name, "ns/check", move || {
        on_threads(threads, n, |i| black_box(&ours).try_acquire(&key(i), 1).is_ok())
    })
    .peer(GOVERNOR, versions::GOVERNOR, Bar::AtMost(1.0), move || {
        on_threads(threads, n, |i| black_box(&governor).check_key(&key(i)).is_ok())
    })
    .limit("one look at the clock", move || limits::clock(n));
    Ok(case.measure(settings))
}

fn key(i: u64) -> u64 {
    i.wrapping_mul(7_919) % KEYS
}

/// Nanoseconds for each of `n` checks that each thread makes, all of which have to pass.
fn on_threads(threads: u64, n: u64, check: impl Fn(u64) -> bool + Sync) -> f64 {
    let passed = AtomicU64::new(0);
    let each = ns_each(n, || {
        let work = &|from: u64| {
            let mut mine = 0;
            for i in from..from + n {
                mine += u64::from(check(i));
            }
            passed.fetch_add(mine, Ordering::Relaxed);
        };
        if threads == 1 {
            return work(0);
        }
        thread::scope(|s| (0..threads).for_each(|i| drop(s.spawn(move || work(i * 3_141)))));
    });
    assert_eq!(passed.into_inner(), threads * n, "a check did not pass");
    each
}

/// Nanoseconds for one compare-and-swap that takes effect.
fn cas(threads: u64, n: u64) -> f64 {
    let word = AtomicU64::new(0);
    let each = on_threads(threads, n, |_| {
        let word = black_box(&word);
        let mut found = word.load(Ordering::Acquire);
        while let Err(other) =
            word.compare_exchange(found, found + 1, Ordering::AcqRel, Ordering::Acquire)
        {
            found = other;
        }
        true
    });
    assert_eq!(word.into_inner(), threads * n);
    each
}
