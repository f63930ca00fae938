//! Scopes of trivial tasks, on new threads and on warm ones.

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::go::Go;
use crate::harness::{Bar, Case, Row, Settings, us_each};
use crate::{limits, ours, versions};

/// Threads that our cache may keep.
const WARM: usize = 16;
const GO_ERRGROUP: &str = "go errgroup-equivalent";

pub(crate) fn fresh_4(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    let n = settings.iterations(600);
    let ctx = ours::context(None);
    let rayon = ThreadPoolBuilder::new().build()?;
    Ok(Case::new("scope_fresh_4", "us/scope", || ours::scope(&ctx, 4, n))
        .peer("std thread::scope", versions::STD, Bar::AtMost(1.1), || std_scope(4, n))
        .peer("crossbeam scope", versions::CROSSBEAM_UTILS, Bar::None, || crossbeam_scope(4, n))
        .peer("rayon scope", versions::RAYON, Bar::None, || rayon_scope(&rayon, 4, n))
        .limit("start and join one thread", || limits::thread_start(n))
        .measure(settings))
}

pub(crate) fn fresh_64(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    let n = settings.iterations(300);
    let ctx = ours::context(None);
    Ok(Case::new("scope_fresh_64_limit8", "us/scope", || ours::scope_limited(&ctx, 64, 8, n))
        .peer("std thread::scope, 8 threads, shared index", versions::STD, Bar::AtMost(1.1), || {
            std_index(64, 8, n)
        })
        .limit("start and join one thread", || limits::thread_start(n))
        .measure(settings))
}

pub(crate) fn warm_4(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    let n = settings.iterations(600);
    let ctx = ours::context(Some(WARM));
    let rayon = ThreadPoolBuilder::new().build()?;
    Ok(Case::new("scope_warm_4", "us/scope", || ours::scope(&ctx, 4, n))
        .peer("std thread::scope", versions::STD, Bar::AtMost(0.2), || std_scope(4, n))
        .peer("rayon scope", versions::RAYON, Bar::None, || rayon_scope(&rayon, 4, n))
        .limit("park and unpark", || limits::wake(None, n))
        .measure(settings))
}

pub(crate) fn warm_64(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    let n = settings.iterations(1_000);
    let ctx = ours::context(Some(WARM));
    let rayon = ThreadPoolBuilder::new().num_threads(8).build()?;
    let mut go = Go::start("scope_warm_64_limit8")?;
    let mut case =
        Case::new("scope_warm_64_limit8", "us/scope", || ours::scope_limited(&ctx, 64, 8, n));
    if let Some(go) = &mut go {
        let version = go.version.clone();
        case = case.peer(format!("{GO_ERRGROUP} SetLimit(8)"), version, Bar::AtMost(1.0), || {
            go.ns_each("errgroup_64_limit8", n) / 1e3
        });
    }
    Ok(case
        .peer("rayon scope, 8 threads", versions::RAYON, Bar::None, || rayon_scope(&rayon, 64, n))
        .measure(settings))
}

pub(crate) fn warm_1000(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    let n = settings.iterations(100);
    let ctx = ours::context(Some(WARM));
    let rayon = ThreadPoolBuilder::new().num_threads(2).build()?;
    let go = Go::start("scope_warm_1000_limit2")?.map(std::cell::RefCell::new);
    let mut case =
        Case::new("scope_warm_1000_limit2", "us/scope", || ours::scope_limited(&ctx, 1000, 2, n));
    if let Some(go) = &go {
        let version = go.borrow().version.clone();
        let round = |case| go.borrow_mut().ns_each(case, n) / 1e3;
        case = case
            .peer(format!("{GO_ERRGROUP} SetLimit(2)"), &version, Bar::AtMost(0.3), move || {
                round("errgroup_1000_limit2")
            })
            .peer(format!("{GO_ERRGROUP} SetLimit(8)"), &version, Bar::None, move || {
                round("errgroup_1000_limit8")
            });
    }
    Ok(case
        .peer("std thread::scope, 2 threads, shared index", versions::STD, Bar::None, || {
            std_index(1000, 2, n)
        })
        .peer("rayon scope, 2 threads", versions::RAYON, Bar::None, || rayon_scope(&rayon, 1000, n))
        .measure(settings))
}

/// Microseconds for each of `n` scopes, in which all `tasks` must count themselves.
fn scopes(tasks: u64, n: u64, scope: impl Fn(&AtomicU64)) -> f64 {
    let hits = AtomicU64::new(0);
    let each = us_each(n, || (0..n).for_each(|_| scope(&hits)));
    assert_eq!(hits.into_inner(), tasks * n);
    each
}

fn std_scope(tasks: u64, n: u64) -> f64 {
    scopes(tasks, n, |hits| {
        thread::scope(|s| {
            for _ in 0..tasks {
                s.spawn(|| hits.fetch_add(1, Ordering::Relaxed));
            }
        });
    })
}

fn std_index(tasks: u64, threads: u64, n: u64) -> f64 {
    scopes(tasks, n, |hits| {
        let next = AtomicU64::new(0);
        thread::scope(|s| {
            for _ in 0..threads {
                s.spawn(|| {
                    while next.fetch_add(1, Ordering::Relaxed) < tasks {
                        hits.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
    })
}

fn crossbeam_scope(tasks: u64, n: u64) -> f64 {
    scopes(tasks, n, |hits| {
        crossbeam_utils::thread::scope(|s| {
            for _ in 0..tasks {
                s.spawn(|_| hits.fetch_add(1, Ordering::Relaxed));
            }
        })
        .expect("no panic");
    })
}

fn rayon_scope(pool: &ThreadPool, tasks: u64, n: u64) -> f64 {
    scopes(tasks, n, |hits| {
        pool.scope(|s| {
            for _ in 0..tasks {
                s.spawn(|_| {
                    hits.fetch_add(1, Ordering::Relaxed);
                });
            }
        });
    })
}
