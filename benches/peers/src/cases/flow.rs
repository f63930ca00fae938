//! Flows: chains of threads, a parallel map that keeps the order, and what one operator costs.

use std::error::Error;
use std::hint::black_box;
use std::ops::Range;
use std::thread;
use std::time::Instant;

use crossbeam_channel::bounded;
use ironsys::Context;
use ironsys::flow::Flow;
use ironsys::threads::ThreadCache;
use olympipe_rs::Pipeline;
use pariter::IteratorExt as _;

use crate::harness::{Bar, Case, Row, Settings, ns_each};
use crate::versions;

/// What lies between two threads at most, on every side but olympipe's, which counts in packets.
const CAPACITY: usize = 1024;
/// And in the case that is to show what little room costs.
const LITTLE: usize = 256;

/// Three trivial stages on a thread each, and a sink on a fourth: the sum of what comes out.
pub(crate) fn chain(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    chain_of("flow_chain_3_stages", CAPACITY, settings)
}

pub(crate) fn chain_with_little_room(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    chain_of("flow_chain_cap256", LITTLE, settings)
}

fn chain_of(
    name: &'static str,
    capacity: usize,
    settings: &Settings,
) -> Result<Vec<Row>, Box<dyn Error>> {
    let n = settings.iterations(10_000_000);
    let (ctx, _cancel) = Context::builder().value(ThreadCache::new(8)).build();
    Ok(Case::new(name, "ns/item", || {
        checked(n, || {
            Flow::range(0..n)
                .map(|x| x + 1)
                .buffer(capacity)
                .map(|x| x * 3)
                .buffer(capacity)
                .map(|x| x ^ 1)
                .buffer(capacity)
                .fold(&ctx, 0u64, u64::wrapping_add)
                .expect("it does not fail")
        })
    })
    .peer("crossbeam channels", versions::CROSSBEAM_CHANNEL, Bar::AtMost(0.3), || {
        checked(n, || crossbeam_chain(n, capacity))
    })
    .peer("olympipe-rs", versions::OLYMPIPE_RS, Bar::AtMost(1.0), || {
        checked(n, || {
            let stages = Pipeline::new(0..n).task(|x| x + 1, 1).task(|x| x * 3, 1);
            sum(stages.task(|x| x ^ 1, 1))
        })
    })
    .peer("pariter readahead", versions::PARITER, Bar::AtMost(1.0), || {
        checked(n, || {
            (0..n)
                .map(|x| x + 1)
                .readahead_custom(|o| o.buffer_size(capacity))
                .map(|x| x * 3)
                .readahead_custom(|o| o.buffer_size(capacity))
                .map(|x| x ^ 1)
                .readahead_custom(|o| o.buffer_size(capacity))
                .fold(0u64, u64::wrapping_add)
        })
    })
    .limit("one thread", || checked(n, || stages(0..n)))
    .measure(settings))
}

fn sum(pipeline: Pipeline<u64>) -> u64 {
    let sums = pipeline.reduce(0, u64::wrapping_add).try_collect();
    sums.expect("no stage fails").into_iter().sum()
}

fn stages(items: impl Iterator<Item = u64>) -> u64 {
    items.map(|x| black_box(x) + 1).map(|x| x * 3).map(|x| x ^ 1).fold(0, u64::wrapping_add)
}

/// Times it, and compares with what one thread gets.
fn checked(n: u64, f: impl FnOnce() -> u64) -> f64 {
    let mut sum = 0;
    let each = ns_each(n, || sum = f());
    assert_eq!(sum, stages(0..n), "the sum of what came out");
    each
}

fn crossbeam_chain(n: u64, capacity: usize) -> u64 {
    std::thread::scope(|s| {
        let (tx, first) = bounded(capacity);
        s.spawn(move || (0..n).map(|x| x + 1).for_each(|x| tx.send(x).expect("the next is there")));
        let (tx, second) = bounded(capacity);
        s.spawn(move || first.iter().for_each(|x| tx.send(x * 3).expect("the next is there")));
        let (tx, third) = bounded(capacity);
        s.spawn(move || second.iter().for_each(|x| tx.send(x ^ 1).expect("the next is there")));
        third.iter().fold(0, u64::wrapping_add)
    })
}

/// A function of some 2 µs on two workers, in order: how many times faster than one thread.
pub(crate) fn par_map(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    let n = settings.iterations(100_000);
    let in_2_us = turns_in_2_us();
    let work = move |x| turns(x, in_2_us);
    let (ctx, _cancel) = Context::builder().value(ThreadCache::new(8)).build();
    let speedup = |f: &dyn Fn() -> u64| {
        let start = Instant::now();
        let sum = (0..n).map(work).fold(0, u64::wrapping_add);
        let alone = start.elapsed();
        let start = Instant::now();
        assert_eq!(f(), sum, "the sum of what came out");
        alone.as_secs_f64() / start.elapsed().as_secs_f64()
    };
    Ok(Case::new("flow_par_map_2us", "x one thread, more is better", || {
        speedup(&|| {
            let flow = Flow::range(0..n).par_map(2, work);
            flow.fold(&ctx, 0, u64::wrapping_add).expect("it does not fail")
        })
    })
    .absolute(Bar::AtLeast(1.85))
    .peer("pariter", versions::PARITER, Bar::AtLeast(1.0), || {
        speedup(&|| (0..n).parallel_map_custom(|o| o.threads(2), work).fold(0, u64::wrapping_add))
    })
    .peer("olympipe-rs, no order", versions::OLYMPIPE_RS, Bar::None, || {
        speedup(&|| sum(Pipeline::new(0..n).task(work, 2)))
    })
    .limit("two threads, half each", || speedup(&|| halves(n, work)))
    .measure(settings))
}

/// As fast as these two processors are: nothing is handed over.
fn halves(n: u64, work: impl Fn(u64) -> u64 + Sync) -> u64 {
    let part = |range: Range<u64>| range.map(&work).fold(0, u64::wrapping_add);
    thread::scope(|s| {
        let other = s.spawn(|| part(0..n / 2));
        part(n / 2..n).wrapping_add(other.join().expect("no panic"))
    })
}

/// Turns of [`turns`] that take 2 µs here, when nothing disturbs them.
fn turns_in_2_us() -> u64 {
    const TRIED: u64 = 1_000_000;
    let tried = |x| {
        ns_each(TRIED, || {
            black_box(turns(x, TRIED));
        })
    };
    let each = (0..5).map(tried);
    (2_000.0 / each.fold(f64::INFINITY, f64::min)) as u64
}

fn turns(x: u64, turns: u64) -> u64 {
    (0..turns).fold(x, |a, b| black_box(a ^ b).wrapping_mul(3))
}

/// What a fused operator adds to an item, beside what an iterator's adaptor adds.
pub(crate) fn fused(settings: &Settings) -> Result<Vec<Row>, Box<dyn Error>> {
    let n = settings.iterations(20_000_000);
    let (ctx, _cancel) = Context::root();
    let run = |more: bool| {
        let flow = Flow::range(0..n).map(|x| black_box(x) + 1);
        if more {
            let flow = flow.map(|x| black_box(x) * 3);
            ns_each(n, || drop(flow.fold(&ctx, 0u64, u64::wrapping_add)))
        } else {
            ns_each(n, || drop(flow.fold(&ctx, 0u64, u64::wrapping_add)))
        }
    };
    let plain = |more: bool| {
        let iter = (0..n).map(|x| black_box(x) + 1);
        if more {
            ns_each(n, || {
                black_box(iter.map(|x| black_box(x) * 3).fold(0u64, u64::wrapping_add));
            })
        } else {
            ns_each(n, || {
                black_box(iter.fold(0u64, u64::wrapping_add));
            })
        }
    };
    Ok(Case::new("flow_one_more_operator", "ns/item", || {
        (run(true) - run(false)) - (plain(true) - plain(false))
    })
    .absolute(Bar::AtMost(1.5))
    .measure(settings))
}
