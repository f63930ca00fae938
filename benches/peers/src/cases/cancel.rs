//! Contexts: what a check costs, and how fast a cancel is.

use std::error::Error;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{bounded, select};

use crate::harness::{Bar, Case, Row, Settings};
use crate::{limits, ours, versions};

const THREADS: usize = 64;
/// For all threads to be blocked and idle.
const SETTLE: Duration = Duration::from_millis(50);

pub(crate) fn blocked(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    Ok(Case::new("cancel_64", "ms", || ms(ours::cancel_blocked(THREADS, SETTLE)))
        .absolute(Bar::AtMost(5.0))
        .peer("crossbeam select!(rx, done)", versions::CROSSBEAM_CHANNEL, Bar::None, || {
            ms(close_done())
        })
        .limit("unpark and join", || ms(limits::wake_and_join(THREADS, SETTLE)))
        .measure(settings))
}

pub(crate) fn check(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    let n = settings.iterations(20_000_000);
    Ok(Case::new("ctx_check", "ns/check", || ours::check(n))
        .absolute(Bar::AtMost(2.0))
        .limit("acquire load", || limits::load(n))
        .measure(settings))
}

pub(crate) fn observe(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    let n = settings.iterations(5_000_000);
    Ok(Case::new("observe_wait", "ns/wait", || ours::noting(n))
        .absolute(Bar::AtMost(30.0))
        .limit("clock read", || limits::clock(n))
        .measure(settings))
}

/// From closing the done channel until all threads blocked on it have been joined.
fn close_done() -> Duration {
    let (tx, rx) = bounded::<u64>(1);
    let (not_done, done) = bounded::<()>(0);
    let ready = Barrier::new(THREADS + 1);
    let took = thread::scope(|s| {
        let all: Vec<_> = (0..THREADS)
            .map(|_| {
                s.spawn(|| {
                    ready.wait();
                    select! {
                        recv(rx) -> value => value.is_err(),
                        recv(done) -> closed => closed.is_err(),
                    }
                })
            })
            .collect();
        ready.wait();
        thread::sleep(SETTLE);
        let start = Instant::now();
        drop(not_done);
        assert!(all.into_iter().all(|thread| thread.join().expect("no panic")));
        start.elapsed()
    });
    drop(tx);
    took
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
