//! Operators that run fused: against a sequential model, and how they fail, end and stop.

use crate::{root, throw};
use ironsys::channel;
use ironsys::flow::{Aggregate, Count, Flow, Monitor, Sum};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashSet};

// ===== what holds for each =====

macro_rules! operators {
    ($($name:ident: |$flow:ident| $op:expr;)*) => { $(
        mod $name {
            use super::*;

            #[test]
            fn an_error_before_it_passes_through() {
                let (ctx, _cancel) = root();
                let fails = |n| if n == 5 { Err("five") } else { Ok(n) };
                let $flow = Flow::of(0..100u32).try_map(fails).named("before");
                let error = $op.count(&ctx).unwrap_err();
                assert_eq!(error.error(), Some(&"five"));
                assert_eq!((error.stage(), error.item()), ("before", Some(5)));
            }

            #[test]
            fn a_panic_before_it_is_the_failure() {
                let (ctx, _cancel) = root();
                let $flow = Flow::of(0..100u32).map(|n| if n == 5 { throw("five") } else { n });
                let error = $op.count(&ctx).unwrap_err();
                assert_eq!(error.panicked().map(|p| p.message()), Some("five"));
                assert_eq!((error.stage(), error.item()), ("map", Some(5)));
            }

            #[test]
            fn a_cancel_ends_it() {
                let (ctx, cancel) = root();
                let $flow = Flow::of(0u32..).inspect(|n| {
                    if *n == 1000 {
                        cancel.cancel();
                    }
                });
                assert!($op.count(&ctx).unwrap_err().is_cancelled());
            }

            #[test]
            fn nothing_comes_of_nothing() {
                let (ctx, _cancel) = root();
                let $flow = Flow::of(0..0u32);
                assert_eq!($op.count(&ctx).unwrap(), 0);
            }
        }
    )* }
}

operators! {
    map: |flow| flow.map(|n| n);
    filter: |flow| flow.filter(|_| true);
    filter_map: |flow| flow.filter_map(Some);
    flat_map: |flow| flow.flat_map(|n| [n; 2]);
    inspect: |flow| flow.inspect(|_| ());
    scan: |flow| flow.scan(0, |_, n| n);
    skip: |flow| flow.skip(2);
    take: |flow| flow.take(u64::MAX);
    take_while: |flow| flow.take_while(|_| true);
    closer: |flow| flow.closer(|| ());
    eager: |flow| flow.eager();
    monitor: |flow| flow.monitor(&Monitor::new());
    progress: |flow| flow.progress(Duration::MAX, |_| ());
    tee: |flow| flow.tee(&channel::bounded(5000).0);
    buffer: |flow| flow.buffer(4);
    merge: |flow| flow.merge(Flow::of(0..0u32));
    merge_as_the_other: |flow| Flow::of(0..0u32).merge(flow);
    merge_priority: |flow| flow.merge_priority(Flow::of(0..0u32));
    conflate: |flow| flow.conflate(|n| n, |_, n| n);
    par_map: |flow| flow.par_map(2, |n| n);
    par_map_unordered: |flow| flow.par_map_unordered(2, |n| n);
    par_flat_map: |flow| flow.par_flat_map(2, |n| [n; 2]);
    par_map_by_key: |flow| flow.key_by(|n| n % 7).par_map(2, |n| n);
    distinct: |flow| flow.distinct(10);
    sorted: |flow| flow.sorted(10);
    chunk: |flow| flow.chunk(3);
    zip: |flow| flow.zip(Flow::of(0u32..));
    zip_as_the_other: |flow| Flow::of(0u32..).zip(flow);
    interleave: |flow| flow.interleave(Flow::of(0..0u32));
    interleave_as_the_other: |flow| Flow::of(0..0u32).interleave(flow);
    throttle: |flow| flow.throttle(1, Duration::ZERO);
    timeout: |flow| flow.timeout(Duration::MAX);
    batch: |flow| flow.batch(3, Duration::from_secs(1));
    debounce: |flow| flow.debounce(Duration::from_secs(1));
    sample: |flow| flow.sample(Duration::from_secs(1));
    fold_by_key: |flow| flow.key_by(|n| n % 7).fold(Count::default);
    window_by: |flow| flow.window_by(
        Window::tumbling(Duration::from_secs(7)).unwrap(),
        |n| Duration::from_secs(u64::from(*n)),
        Count::default,
    );
    window: |flow| flow.window(Window::tumbling(Duration::from_secs(1)).unwrap(), Count::default);
}
use ironsys::flow::Window;
use std::time::Duration;

macro_rules! early_ends {
    ($($name:ident: |$flow:ident| $op:expr;)*) => { $(
        #[test]
        fn $name() {
            let (ctx, _cancel) = root();
            let $flow = Flow::of(0u32..);
            assert_eq!($op.take(2).count(&ctx).unwrap(), 2);
        }
    )* }
}

early_ends! {
    an_early_end_closes_distinct: |flow| flow.distinct(10);
    an_early_end_closes_sorted: |flow| flow.sorted(10);
    an_early_end_closes_chunk: |flow| flow.chunk(3);
    an_early_end_closes_zip: |flow| flow.zip(Flow::of(0u32..).buffer(1));
    an_early_end_closes_interleave: |flow| flow.interleave(Flow::of(0u32..).buffer(1));
    an_early_end_closes_batch: |flow| flow.batch(3, Duration::from_secs(1));
    an_early_end_closes_timeout: |flow| flow.timeout(Duration::from_secs(9));
    an_early_end_closes_fold_by_key: |flow| flow.key_by(|n| *n).max_keys(1).fold(Count::default);
    the_shorter_side_ends_a_zip: |flow| flow.zip(Flow::of(0..2));
}

#[test]
fn numbers_that_make_no_sense_fail_before_anything_runs() {
    let (ctx, _cancel) = root();
    let source = || Flow::of(std::iter::repeat_with(|| -> u32 { panic!("ran") }));
    let second = Duration::from_secs(1);
    let errors = [
        source().distinct(0).count(&ctx).unwrap_err(),
        source().sorted(0).count(&ctx).unwrap_err(),
        source().chunk(0).count(&ctx).unwrap_err(),
        source().batch(0, second).count(&ctx).unwrap_err(),
        source().throttle(0, second).count(&ctx).unwrap_err(),
        source().key_by(|n| *n).max_keys(0).fold(Count::default).count(&ctx).unwrap_err(),
    ];
    let fields = ["memory", "window", "size", "size", "count", "max_keys"];
    for (error, field) in errors.iter().zip(fields) {
        assert_eq!(error.misbuilt().map(|e| e.field()), Some(field), "{error}");
    }
}

#[test]
fn a_panic_in_a_key_names_the_stage_and_the_item() {
    let (ctx, _cancel) = root();
    let bad = |n: &u32| if *n == 3 { throw("three") } else { *n };
    let errors = [
        Flow::of(0..9).distinct_by(4, bad).count(&ctx).unwrap_err(),
        Flow::of(0..9).sorted_by_key(4, bad).count(&ctx).unwrap_err(),
        Flow::of(0..9).key_by(bad).fold(Count::default).count(&ctx).unwrap_err(),
    ];
    for (error, stage) in errors.iter().zip(["distinct", "sorted", "fold_by_key"]) {
        assert_eq!((error.stage(), error.item()), (stage, Some(3)), "{error}");
    }
}

// ===== against a sequential model =====

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn distinct_is_as_the_model(items in prop::collection::vec(0..12u8, 0..60), memory in 1..8usize) {
        let mut seen: Vec<u8> = Vec::new();
        let mut expected = Vec::new();
        for item in &items {
            if !seen.contains(item) {
                if seen.len() == memory {
                    seen.remove(0);
                }
                seen.push(*item);
                expected.push(*item);
            }
        }
        let (ctx, _cancel) = root();
        prop_assert_eq!(Flow::vec(items).distinct(memory).collect::<Vec<_>>(&ctx).unwrap(), expected);
    }

    /// Nothing is lost, equal keys keep their order, and what is out of place by no more than the
    /// window comes out sorted.
    #[test]
    fn sorted_is_as_the_model(items in prop::collection::vec(0..40u8, 0..60), window in 1..20usize) {
        let numbered: Vec<(u8, usize)> = items.iter().copied().zip(0..).collect();
        let mut expected = numbered.clone();
        expected.sort_by_key(|entry| entry.0);
        let forward = expected
            .iter()
            .enumerate()
            .map(|(to, (_, from))| from.saturating_sub(to))
            .max()
            .unwrap_or(0);
        let (ctx, _cancel) = root();
        let flow = Flow::vec(numbered).sorted_by_key(window, |entry| entry.0);
        let mut out = flow.collect::<Vec<_>>(&ctx).unwrap();
        if forward <= window {
            prop_assert_eq!(&out, &expected);
        }
        out.sort();
        prop_assert_eq!(out, expected);
    }

    #[test]
    fn chunks_are_as_the_model(len in 0..50usize, size in 1..9usize, cut in prop::option::of(0..4usize)) {
        let items: Vec<usize> = (0..len).collect();
        let (ctx, _cancel) = root();
        // With or without a thread before: it is the same.
        let out = match cut {
            Some(capacity) => Flow::slice(&items).buffer(capacity).chunk(size).collect::<Vec<_>>(&ctx),
            None => Flow::slice(&items).chunk(size).collect::<Vec<_>>(&ctx),
        };
        let expected: Vec<Vec<&usize>> = items.chunks(size).map(|c| c.iter().collect()).collect();
        prop_assert_eq!(out.unwrap(), expected);
    }

    #[test]
    fn pairs_are_as_the_model(a in 0..20u32, b in 0..20u32) {
        let (ctx, _cancel) = root();
        let zipped = Flow::of(0..a).zip(Flow::of(100..100 + b).buffer(2)).collect::<Vec<_>>(&ctx);
        prop_assert_eq!(zipped.unwrap(), (0..a).zip(100..100 + b).collect::<Vec<_>>());
        let mixed = Flow::of(0..a).buffer(2).interleave(Flow::of(100..100 + b)).collect::<Vec<_>>(&ctx);
        let mut expected = Vec::new();
        for i in 0..a.max(b) {
            expected.extend((i < a).then_some(i));
            expected.extend((i < b).then_some(100 + i));
        }
        prop_assert_eq!(mixed.unwrap(), expected);
    }

    /// However few keys are live, the merged parts of each key are what a single fold gives; and no
    /// more than so many are live.
    #[test]
    fn folds_by_key_lose_nothing(items in prop::collection::vec((0..9u8, any::<u32>()), 0..80), keys in 1..12usize) {
        let (ctx, _cancel) = root();
        let mut expected: BTreeMap<u8, u64> = BTreeMap::new();
        for (key, n) in &items {
            *expected.entry(*key).or_default() += u64::from(*n);
        }
        let parts = Flow::slice(&items)
            .map(|(key, n)| (*key, *n))
            .key_by(|(key, _)| *key)
            .max_keys(keys)
            .fold(Second::default)
            .collect::<Vec<_>>(&ctx)
            .unwrap();
        if expected.len() <= keys {
            prop_assert_eq!(parts.len(), expected.len());
            let order: Vec<u8> = parts.iter().map(|part| part.0).collect();
            let mut seen = HashSet::new();
            let came: Vec<u8> = items.iter().map(|i| i.0).filter(|k| seen.insert(*k)).collect();
            prop_assert_eq!(order, came);
        }
        let mut sums: BTreeMap<u8, u64> = BTreeMap::new();
        for (key, part) in parts {
            *sums.entry(key).or_default() += part.0.0;
        }
        prop_assert_eq!(sums, expected);
    }
}

/// The sum of the second halves.
#[derive(Default)]
struct Second(Sum<u64>);

impl Aggregate<(u8, u32)> for Second {
    fn add(&mut self, item: &(u8, u32)) {
        self.0.add(&item.1);
    }

    fn merge(&mut self, later: Self) {
        Aggregate::<u32>::merge(&mut self.0, later.0);
    }
}
