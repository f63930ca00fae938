//! Calls under a guard that has nothing to do: what the guard costs.

use std::error::Error;
use std::hint::black_box;
use std::time::Duration;

use failsafe::CircuitBreaker;
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
