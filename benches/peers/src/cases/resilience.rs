//! Calls under a guard that has nothing to do, and calls that are shared: what that costs.

use std::error::Error;
use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use backon::{BlockingRetryable, ConstantBuilder};
use failsafe::CircuitBreaker;
use moka::sync::Cache;
use recloser::Recloser;

use crate::harness::{Bar, Case, Row, Settings, ns_each};
use crate::{limits, ours, versions};

/// A call fails if these bits of its number are all set: never, and one of 64.
const NEVER: u64 = u64::MAX;
const ONE_OF_64: u64 = 63;

pub(crate) fn breaker(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    let n = settings.iterations(2_000_000);
    let run = Trip::Consecutive;
    Ok(Case::new("breaker_closed", "ns/call", || ours::breaker(run, n, NEVER))
        .peer("failsafe", versions::FAILSAFE, Bar::AtMost(0.5), || with_failsafe(n, NEVER))
        .limit("call", || limits::call(n))
        .measure(settings))
}

pub(crate) fn window(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    let n = settings.iterations(2_000_000);
    let last = Trip::Last;
    Ok(Case::new("breaker_window", "ns/call", || ours::breaker(last, n, NEVER))
        .peer("recloser", versions::RECLOSER, Bar::AtMost(0.5), || with_recloser(n, NEVER))
        .limit("call", || limits::call(n))
        .measure(settings))
}

pub(crate) fn failures(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    let n = settings.iterations(2_000_000);
    let last = Trip::Last;
    Ok(Case::new("breaker_failures", "ns/call", || ours::breaker(last, n, ONE_OF_64))
        .peer("recloser", versions::RECLOSER, Bar::None, || with_recloser(n, ONE_OF_64))
        .measure(settings))
}

/// A retry around a call that succeeds at once.
pub(crate) fn retry(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    let n = settings.iterations(2_000_000);
    Ok(Case::new("retry_ok", "ns/call", || ours::retry(n))
        .absolute(Bar::AtMost(10.0))
        .peer("backon", versions::BACKON, Bar::None, || with_backon(n))
        .limit("call", || limits::call(n))
        .measure(settings))
}

/// A call for a key that nobody else asks for. Moka keeps what we do not, so it is told to forget.
pub(crate) fn flight_alone(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    let n = settings.iterations(200_000);
    Ok(Case::new("single_flight_alone", "ns/call", || ours::single_flight_alone(n))
        .peer("moka get_with, invalidate", versions::MOKA, Bar::AtMost(1.0), || moka_alone(n))
        .peer("moka get_with, kept", versions::MOKA, Bar::None, || moka_kept(n))
        .measure(settings))
}

/// From the end of a call until it has reached all who waited for it.
pub(crate) fn flight_hit(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    let n = settings.iterations(200);
    Ok(Case::new("single_flight_hit", "us", || ours::single_flight_hit(n))
        .peer("moka get_with", versions::MOKA, Bar::AtMost(1.0), || moka_hit(n))
        .measure(settings))
}

/// A call under a fallback, a timeout, a bulkhead, a retry and a breaker.
pub(crate) fn policy(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    let n = settings.iterations(500_000);
    Ok(Case::new("policy_of_5", "ns/call", || ours::policy(n))
        .absolute(Bar::AtMost(200.0))
        .limit("call", || limits::call(n))
        .limit("look at the clock", || limits::clock(n))
        .measure(settings))
}

/// The rule of a breaker: 5 failures in a row, or half of the last 100 calls.
#[derive(Clone, Copy)]
pub(crate) enum Trip {
    Consecutive,
    Last,
}

/// The call: its number, or an error now and then.
#[inline]
pub(crate) fn call(i: u64, fails_at: u64) -> Result<u64, u64> {
    let i = black_box(i);
    if i & fails_at == fails_at { Err(i) } else { Ok(i) }
}

/// What all calls sum up to, failed or not.
pub(crate) fn sum(n: u64) -> u64 {
    n * (n - 1) / 2
}

fn with_failsafe(n: u64, fails_at: u64) -> f64 {
    let backoff = failsafe::backoff::constant(Duration::from_secs(30));
    let policy = failsafe::failure_policy::consecutive_failures(5, backoff);
    let breaker = failsafe::Config::new().failure_policy(policy).build();
    let mut all = 0;
    let each = ns_each(n, || {
        for i in 0..n {
            all += match black_box(&breaker).call(|| call(i, fails_at)) {
                Ok(i) | Err(failsafe::Error::Inner(i)) => i,
                Err(failsafe::Error::Rejected) => unreachable!("closed"),
            };
        }
    });
    assert_eq!(all, sum(n));
    each
}

fn with_recloser(n: u64, fails_at: u64) -> f64 {
    let breaker = Recloser::custom().error_rate(0.5).closed_len(100).build();
    let mut all = 0;
    let each = ns_each(n, || {
        for i in 0..n {
            all += match black_box(&breaker).call(|| call(i, fails_at)) {
                Ok(i) | Err(recloser::Error::Inner(i)) => i,
                Err(recloser::Error::Rejected) => unreachable!("closed"),
            };
        }
    });
    assert_eq!(all, sum(n));
    each
}

fn with_backon(n: u64) -> f64 {
    let policy = ConstantBuilder::default().with_max_times(3);
    let mut all = 0;
    let each = ns_each(n, || {
        for i in 0..n {
            let call = || call(i, NEVER);
            all += call.retry(*black_box(&policy)).call().expect("it succeeds");
        }
    });
    assert_eq!(all, sum(n));
    each
}

fn moka_alone(n: u64) -> f64 {
    let cache = Cache::new(1000);
    let mut all = 0;
    let each = ns_each(n, || {
        for i in 0..n {
            let key = i % 1000;
            all += cache.get_with(key, || black_box(i));
            cache.invalidate(&key);
        }
    });
    assert_eq!(all, sum(n));
    each
}

fn moka_kept(n: u64) -> f64 {
    let cache = Cache::new(1000);
    let mut all = 0;
    let each = ns_each(n, || {
        for i in 0..n {
            all += cache.get_with(black_box(7), || i);
        }
    });
    assert_eq!(all, 0);
    each
}

fn moka_hit(n: u64) -> f64 {
    let cache = Cache::new(1000);
    hand_over(n, |round, call| cache.get_with(round, call))
}

/// How many ask for the same at once.
const CALLERS: usize = 4;

/// Microseconds from the end of a call until all who asked for it have its value, the mean of `n`
/// rounds. The call takes long enough for all of them to ask; a round in which somebody came too late
/// all the same, and made a call of its own, does not count.
pub(crate) fn hand_over(
    n: u64,
    share: impl Fn(u64, &mut dyn FnMut() -> Instant) -> Instant + Sync,
) -> f64 {
    let start = Barrier::new(CALLERS);
    let made: Vec<_> = (0..n).map(|_| AtomicU64::new(0)).collect();
    let mut slowest = vec![Duration::ZERO; n as usize];
    thread::scope(|s| {
        let caller = || {
            let one = |round: u64| {
                start.wait();
                let ended = share(round, &mut || {
                    made[round as usize].fetch_add(1, Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(2));
                    Instant::now()
                });
                ended.elapsed()
            };
            (0..n).map(one).collect::<Vec<_>>()
        };
        let callers: Vec<_> = (0..CALLERS).map(|_| s.spawn(caller)).collect();
        for caller in callers {
            for (slowest, took) in slowest.iter_mut().zip(caller.join().expect("no panic")) {
                *slowest = took.max(*slowest);
            }
        }
    });
    let shared = slowest.iter().zip(&made).filter(|(_, made)| made.load(Ordering::Relaxed) == 1);
    let shared: Vec<_> = shared.map(|(slowest, _)| *slowest).collect();
    assert!(shared.len() as u64 * 2 > n, "most callers came too late");
    shared.iter().sum::<Duration>().as_secs_f64() * 1e6 / shared.len() as f64
}
