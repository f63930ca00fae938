//! Pools: many jobs that do nothing, and one job at a time.

use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use rayon::ThreadPoolBuilder;

use crate::harness::{Bar, Case, Row, Settings, ns_each, us_each};
use crate::tally::Tally;
use crate::{limits, ours, versions};

/// The most jobs that wait. threadpool, rusty_pool and rayon have no bound of their own: the rows with a
/// bar are of the first two with the cheapest bound one can put around them, a count that the submitter
/// looks at, and yields while it is reached. The rows without a bound are beside them.
const QUEUE: usize = 1024;

/// Every job adds its number to it: the least work that still can be checked.
static TALLY: Tally = Tally::new();

type Job = Box<dyn FnOnce() + Send>;

pub(crate) fn noop_2(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    Ok(noop("pool_noop", 2, settings))
}

pub(crate) fn noop_8(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    Ok(noop("pool_noop_8workers", 8, settings))
}

fn noop(name: &'static str, workers: usize, settings: &Settings) -> Vec<Row> {
    let n = settings.iterations(1_000_000);
    Case::new(name, "ns/job", || ours::pool_noop(workers, QUEUE, n))
        .peer("threadpool, at most 1024 queued", versions::THREADPOOL, Bar::AtMost(1.0), || {
            threadpool(workers, QUEUE, n)
        })
        .peer("rusty_pool, at most 1024 queued", versions::RUSTY_POOL, Bar::AtMost(1.0), || {
            rusty_pool_bounded(workers, n)
        })
        .peer("threadpool, no bound", versions::THREADPOOL, Bar::None, || {
            threadpool(workers, usize::MAX, n)
        })
        .peer("rusty_pool, no bound", versions::RUSTY_POOL, Bar::None, || rusty_pool(workers, n))
        .peer("rayon in_place_scope", versions::RAYON, Bar::None, || rayon(workers, n))
        .peer("threads over crossbeam(1024)", versions::CROSSBEAM_CHANNEL, Bar::None, || {
            threads(workers, n)
        })
        .limit("box and channel pair", || limits::box_and_pass(n))
        .measure(settings)
}

pub(crate) fn latency(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    const WORKERS: usize = 2;
    let n = settings.iterations(10_000);
    Ok(Case::new("pool_latency", "us/job", || ours::pool_latency(WORKERS, n))
        .peer("threadpool and sync_channel", versions::THREADPOOL, Bar::None, || {
            let pool = threadpool::ThreadPool::new(WORKERS);
            replies(n, |job| pool.execute(job))
        })
        .peer("rusty_pool evaluate", versions::RUSTY_POOL, Bar::None, || {
            rusty_pool_latency(WORKERS, n)
        })
        .peer("rayon spawn and sync_channel", versions::RAYON, Bar::None, || {
            let pool = ThreadPoolBuilder::new().num_threads(WORKERS).build().expect("threads");
            replies(n, |job| pool.spawn(job))
        })
        .measure(settings))
}

/// Runs `work`, which has to submit `n` jobs and wait for them.
fn tallied(n: u64, work: impl FnOnce()) -> f64 {
    let each = ns_each(n, work);
    assert_eq!(TALLY.take(), n * (n - 1) / 2, "each job runs once");
    each
}

fn threadpool(workers: usize, most: usize, n: u64) -> f64 {
    let pool = threadpool::ThreadPool::new(workers);
    tallied(n, || {
        for i in 0..n {
            while pool.queued_count() >= most {
                thread::yield_now();
            }
            pool.execute(move || TALLY.add(i));
        }
        pool.join();
    })
}

fn rusty_pool(workers: usize, n: u64) -> f64 {
    with_rusty_pool(workers, n, |pool| {
        for i in 0..n {
            pool.execute(move || TALLY.add(i));
        }
    })
}

/// It does not say how many are queued, so each job counts itself out.
fn rusty_pool_bounded(workers: usize, n: u64) -> f64 {
    static QUEUED: AtomicUsize = AtomicUsize::new(0);
    with_rusty_pool(workers, n, |pool| {
        for i in 0..n {
            while QUEUED.load(Ordering::Relaxed) >= QUEUE {
                thread::yield_now();
            }
            QUEUED.fetch_add(1, Ordering::Relaxed);
            pool.execute(move || {
                QUEUED.fetch_sub(1, Ordering::Relaxed);
                TALLY.add(i);
            });
        }
    })
}

fn with_rusty_pool(workers: usize, n: u64, work: impl FnOnce(&rusty_pool::ThreadPool)) -> f64 {
    let pool = rusty_pool::ThreadPool::new(workers, workers, Duration::from_secs(60));
    tallied(n, || {
        work(&pool);
        pool.shutdown_join();
        // Version 1.0.0 counts a worker as idle until after it has taken a job, so this may return
        // while a job is about to run.
        let late = Instant::now() + Duration::from_secs(10);
        while !TALLY.is(n * (n - 1) / 2) && Instant::now() < late {
            thread::yield_now();
        }
    })
}

fn rayon(workers: usize, n: u64) -> f64 {
    let pool = ThreadPoolBuilder::new().num_threads(workers).build().expect("threads");
    tallied(n, || {
        pool.in_place_scope(|s| {
            for i in 0..n {
                s.spawn(move |_| TALLY.add(i));
            }
        });
    })
}

/// What one writes without a pool crate.
fn threads(workers: usize, n: u64) -> f64 {
    let (tx, rx) = bounded::<Job>(QUEUE);
    thread::scope(|s| {
        let all: Vec<_> = (0..workers)
            .map(|_| {
                let rx = rx.clone();
                s.spawn(move || rx.iter().for_each(|job| job()))
            })
            .collect();
        tallied(n, || {
            for i in 0..n {
                tx.send(Box::new(move || TALLY.add(i))).expect("open");
            }
            drop(tx);
            all.into_iter().for_each(|thread| thread.join().expect("no panic"));
        })
    })
}

/// Microseconds for each of `n` jobs that send their result back.
fn replies(n: u64, submit: impl Fn(Job)) -> f64 {
    let (tx, rx) = mpsc::sync_channel(1);
    let mut sum = 0;
    let each = us_each(n, || {
        for i in 0..n {
            let tx = tx.clone();
            submit(Box::new(move || tx.send(i).expect("open")));
            sum += rx.recv().expect("open");
        }
    });
    assert_eq!(sum, n * (n - 1) / 2);
    each
}

fn rusty_pool_latency(workers: usize, n: u64) -> f64 {
    let pool = rusty_pool::ThreadPool::new(workers, workers, Duration::from_secs(60));
    let mut sum = 0;
    let each = us_each(n, || {
        for i in 0..n {
            sum += pool.evaluate(move || i).await_complete();
        }
    });
    assert_eq!(sum, n * (n - 1) / 2);
    each
}
