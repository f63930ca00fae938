//! Every operator against a model: what it makes of a `Vec`, written without it. Behind nothing, and
//! with a link of a random length on either side; with 1 to 4 workers and windows of 1 to 8.

use super::{table, watched};
use crate::root;
use ironsys::channel;
use ironsys::flow::{Count, Flow, Monitor, Par, Sum, Window, on_error};
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// Rows: an operator, and its model. `workers` and `room` are random.
macro_rules! models {
    ($kind:ident: $($name:ident: |$flow:ident, $p:ident| $op:expr, |$items:ident| $model:expr;)*) => { $(
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(24))]
            #[test]
            fn $name(
                items in prop::collection::vec(0..40u32, 0..50),
                workers in 1..=4usize,
                room in 1..=8usize,
                links in prop::option::of(0..=8usize),
            ) {
                let out = watched(concat!("laws: the model of ", stringify!($name)), || {
                    let (ctx, _cancel) = root();
                    let $p = P { par: Par::workers(workers).window(room), room };
                    let _ = &$p;
                    match links {
                        None => {
                            let $flow = Flow::vec(items.clone());
                            $op.collect::<Vec<_>>(&ctx)
                        }
                        Some(places) => {
                            let $flow = Flow::vec(items.clone()).buffer(places);
                            $op.buffer(places).collect::<Vec<_>>(&ctx)
                        }
                    }
                });
                let $p = P { par: Par::workers(workers).window(room), room };
                let _ = &$p;
                let $items = items;
                let expected: Vec<_> = $model;
                prop_assert_eq!($kind(out.unwrap()), $kind(expected));
            }
        }
    )* }
}

/// What is random.
struct P {
    par: Par,
    room: usize,
}

fn in_order<T>(items: Vec<T>) -> Vec<T> {
    items
}

fn in_any_order<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort();
    items
}

fn each<U>(items: Vec<u32>, f: impl FnMut(u32) -> U) -> Vec<U> {
    items.into_iter().map(f).collect()
}

/// Those whose key is not among the last `memory` new ones.
fn distinct(items: Vec<u32>, memory: usize, key: impl Fn(u32) -> u32) -> Vec<u32> {
    let mut seen: Vec<u32> = Vec::new();
    let new = |n: &u32| {
        let new = !seen.contains(&key(*n));
        if new {
            seen.push(key(*n));
            if seen.len() > memory {
                seen.remove(0);
            }
        }
        new
    };
    items.into_iter().filter(new).collect()
}

/// Counts for each key, in the order in which the keys came.
fn counts(items: Vec<u32>) -> Vec<(u32, u64)> {
    let mut order = Vec::new();
    let mut counts = HashMap::new();
    for n in items {
        let key = n % 5;
        *counts.entry(key).or_insert_with(|| {
            order.push(key);
            0
        }) += 1;
    }
    each(order, |key| (key, counts[&key]))
}

fn odd(n: u32) -> Result<u32, u32> {
    if n.is_multiple_of(3) { Err(n) } else { Ok(n) }
}

models! { in_order:
    buffer: |flow, p| flow.buffer(p.room), |items| items;
    eager: |flow, p| flow.buffer(p.room).eager(), |items| items;
    map: |flow, p| flow.map(|n| n + 1), |items| each(items, |n| n + 1);
    inspect: |flow, p| flow.inspect(|_| ()), |items| items;
    scan: |flow, p| flow.scan(0, |sum, n| { *sum += n; *sum }), |items| {
        let mut sum = 0;
        each(items, |n| { sum += n; sum })
    };
    filter: |flow, p| flow.filter(|n| n % 2 == 0),
        |items| items.into_iter().filter(|n| n % 2 == 0).collect();
    filter_map: |flow, p| flow.filter_map(|n| odd(n).ok()),
        |items| items.into_iter().filter(|n| n % 3 != 0).collect();
    flat_map: |flow, p| flow.flat_map(|n| 0..n % 4),
        |items| { let mut all = vec![]; for n in items { all.extend(0..n % 4); } all };
    try_map_skips: |flow, p| flow.try_map(odd).on_error(on_error::skip()),
        |items| items.into_iter().filter(|n| n % 3 != 0).collect();
    map_err: |flow, p| flow.try_map(Ok::<_, u8>).map_err(u32::from), |items| items;
    take: |flow, p| flow.take(p.room as u64), |items| items.into_iter().take(p.room).collect();
    skip: |flow, p| flow.skip(p.room as u64), |items| items.into_iter().skip(p.room).collect();
    take_while: |flow, p| flow.take_while(|n| *n < 30),
        |items| items[..items.iter().position(|n| *n >= 30).unwrap_or(items.len())].to_vec();
    distinct_all: |flow, p| flow.distinct(1000), |items| {
        let mut seen = HashSet::new();
        items.into_iter().filter(|n| seen.insert(*n)).collect()
    };
    distinct_by: |flow, p| flow.distinct_by(p.room, |n| n / 4), |items| distinct(items, p.room, |n| n / 4);
    chunk: |flow, p| flow.chunk(p.room), |items| items.chunks(p.room).map(<[u32]>::to_vec).collect();
    batch: |flow, p| flow.batch(p.room, table::HOUR),
        |items| items.chunks(p.room).map(<[u32]>::to_vec).collect();
    sorted: |flow, p| flow.sorted(1000), |items| in_any_order(items);
    sorted_by_key: |flow, p| flow.sorted_by_key(1000, |n| n % 7),
        |items| { let mut all = items; all.sort_by_key(|n| n % 7); all };
    zip: |flow, p| flow.zip(Flow::of(0..30u32)), |items| items.into_iter().zip(0..30).collect();
    interleave: |flow, p| flow.interleave(Flow::of(100..110)), |items| {
        let (mut a, mut b) = (items.into_iter(), 100..110);
        let mut all = vec![];
        loop {
            match (a.next(), b.next()) {
                (None, None) => break,
                (x, y) => all.extend(x.into_iter().chain(y)),
            }
        }
        all
    };
    named: |flow, p| flow.named("n"), |items| items;
    monitor: |flow, p| flow.monitor(&Monitor::new()), |items| items;
    progress: |flow, p| flow.progress(table::HOUR, |_| ()), |items| items;
    closer: |flow, p| flow.closer(|| ()), |items| items;
    timeout: |flow, p| flow.timeout(table::HOUR), |items| items;
    throttle: |flow, p| flow.throttle(1_000_000, table::MS), |items| items;
    debounce_gives_the_last: |flow, p| flow.debounce(table::HOUR),
        |items| items.last().copied().into_iter().collect();
    tee: |flow, p| flow.tee(&channel::bounded(100).0), |items| items;
    fold_by_key: |flow, p| flow.key_by(|n| n % 5).fold(Count::default).map(|(key, n)| (key, n.0)),
        |items| counts(items);
    window_of_everything: |flow, p| flow
        .window(Window::tumbling(table::HOUR).unwrap(), Sum::<u32>::default).map(|pane| pane.value.0),
        |items| if items.is_empty() { vec![] } else { vec![items.iter().sum::<u32>()] };
    window_by: |flow, p| flow
        .window_by(
            Window::tumbling(Duration::from_secs(10)).unwrap().lateness(table::HOUR),
            |n| Duration::from_secs((*n).into()), Count::default)
        .map(|pane| (pane.start.as_secs() / 10, pane.value.0)),
        |items| (0..4u64).map(|ten| (ten, items.iter().filter(|n| u64::from(**n) / 10 == ten).count() as u64))
            .filter(|(_, count)| *count > 0).collect();
    par_map: |flow, p| flow.par_map(p.par, |n| n + 1), |items| each(items, |n| n + 1);
    par_try_map: |flow, p| flow.par_try_map(p.par, odd).on_error(on_error::skip()),
        |items| items.into_iter().filter(|n| n % 3 != 0).collect();
    conflate: |flow, p| flow.conflate(|n| vec![n], |mut all: Vec<u32>, n| { all.push(n); all })
        .flat_map(|all| all), |items| items;
}

models! { in_any_order:
    merge: |flow, p| flow.merge(Flow::of(0..9)), |items| { let mut all = items; all.extend(0..9); all };
    merge_priority: |flow, p| flow.merge_priority(Flow::of(0..9)),
        |items| { let mut all = items; all.extend(0..9); all };
    par_map_unordered: |flow, p| flow.par_map_unordered(p.par, |n| n + 1), |items| each(items, |n| n + 1);
    par_flat_map: |flow, p| flow.par_flat_map(p.par, |n| 0..n % 4),
        |items| { let mut all = vec![]; for n in items { all.extend(0..n % 4); } all };
    par_try_map_unordered: |flow, p| flow.par_try_map_unordered(p.par, odd).on_error(on_error::skip()),
        |items| items.into_iter().filter(|n| n % 3 != 0).collect();
    par_map_by_key: |flow, p| flow.key_by(|n| n % 5).par_map(p.par, |n| n + 1),
        |items| each(items, |n| n + 1);
}
