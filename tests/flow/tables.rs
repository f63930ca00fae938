//! What holds for every fallible operator, every source and every sink; plain and parallel operators
//! against iterators; and that no operator was forgotten.

use crate::root;
use ironsys::flow::{Flow, Par, Router, Rules, on_error};
use ironsys::{Context, channel};
use proptest::prelude::*;
use std::path::Path;

// ===== operators that can fail =====

macro_rules! fallible {
    ($($name:ident: |$flow:ident, $f:ident| $op:expr;)*) => { $(
        #[test]
        fn $name() {
            let (ctx, _cancel) = root();
            // Its own error, and one before it.
            let $f = |n: u32| if n == 7 { Err("seven") } else { Ok(n) };
            let $flow = Flow::of(0..100u32);
            let error = $op.named("it").count(&ctx).unwrap_err();
            assert_eq!((error.error(), error.stage(), error.item()), (Some(&"seven"), "it", Some(7)));
            let $flow = Flow::of(0..100u32);
            assert_eq!($op.on_error(on_error::skip()).count(&ctx).unwrap(), 99);
            let before = |n| if n == 5 { Err("five") } else { Ok(n) };
            let $flow = Flow::of(0..100u32).try_map(before).named("before");
            let error = $op.count(&ctx).unwrap_err();
            assert_eq!((error.stage(), error.item()), ("before", Some(5)));
            // A cancel.
            let (ctx, cancel) = root();
            let $f = |n: u32| {
                if n == 500 {
                    cancel.cancel();
                }
                Ok::<u32, &str>(n)
            };
            let $flow = Flow::of(0u32..);
            assert!($op.count(&ctx).unwrap_err().is_cancelled());
        }
    )* }
}

fallible! {
    try_map_fails_and_stops: |flow, f| flow.try_map(f);
    par_try_map_fails_and_stops: |flow, f| flow.par_try_map(2, f);
    par_try_map_unordered_fails_and_stops: |flow, f| flow.par_try_map_unordered(1, f);
}

#[test]
fn map_err_converts_and_stops() {
    let (ctx, cancel) = root();
    let error =
        Flow::of(0..9u8).try_map(|n| if n == 4 { Err(n) } else { Ok(n) }).map_err(u32::from);
    assert_eq!(error.count(&ctx).unwrap_err().error(), Some(&4u32));
    let endless =
        Flow::of(0u32..).try_map(|n| if n == 4 { Err(n) } else { Ok(n % 3) }).map_err(u64::from);
    cancel.cancel();
    assert!(endless.count(&ctx).unwrap_err().is_cancelled());
}

// ===== sinks =====

macro_rules! sinks {
    ($($name:ident: |$flow:ident, $ctx:ident| $run:expr;)*) => { $(
        #[test]
        fn $name() {
            let ($ctx, _cancel) = root();
            let $ctx = &$ctx;
            let $flow = Flow::of(0..100u32).try_map(|n| if n == 50 { Err("fifty") } else { Ok(n) });
            let error = $run.unwrap_err();
            assert_eq!((error.error(), error.item()), (Some(&"fifty"), Some(50)));
            let ($ctx, cancel) = root();
            let $ctx = &$ctx;
            let $flow = Flow::of(0..).try_map(|n: u32| {
                if n == 500 {
                    cancel.cancel();
                }
                Ok::<u32, &str>(n)
            });
            assert!($run.unwrap_err().is_cancelled());
        }
    )* }
}

/// A channel that takes what the sinks send until they stop.
fn sink() -> (channel::Sender<u32>, channel::Receiver<u32>) {
    channel::bounded(1000)
}

sinks! {
    for_each_fails_and_stops: |flow, ctx| flow.for_each(ctx, |_| ());
    try_for_each_fails_and_stops: |flow, ctx| flow.try_for_each(ctx, |_| Ok::<(), &str>(()));
    fold_fails_and_stops: |flow, ctx| flow.fold(ctx, 0, |_, n| n);
    try_fold_fails_and_stops: |flow, ctx| flow.try_fold(ctx, 0, |_, n| Ok::<u32, &str>(n));
    reduce_fails_and_stops: |flow, ctx| flow.reduce(ctx, |_, n| n);
    par_reduce_fails_and_stops: |flow, ctx| flow.par_reduce(ctx, 2, |_, n| n);
    count_fails_and_stops: |flow, ctx| flow.count(ctx);
    collect_fails_and_stops: |flow, ctx| flow.collect::<Vec<_>>(ctx);
    with_iter_fails_and_stops: |flow, ctx| flow.with_iter(ctx, |items| items.count());
    find_first_fails_and_stops: |flow, ctx| flow.find_first(ctx, |_| false);
    any_fails_and_stops: |flow, ctx| flow.any(ctx, |_| false);
    all_fails_and_stops: |flow, ctx| flow.all(ctx, |_| true);
    none_fails_and_stops: |flow, ctx| flow.none(ctx, |_| false);
    min_fails_and_stops: |flow, ctx| flow.min(ctx);
    max_fails_and_stops: |flow, ctx| flow.max(ctx);
    min_by_key_fails_and_stops: |flow, ctx| flow.min_by_key(ctx, |n| *n);
    max_by_key_fails_and_stops: |flow, ctx| flow.max_by_key(ctx, |n| *n);
    send_to_fails_and_stops: |flow, ctx| {
        let (tx, _rx) = sink();
        flow.send_to(ctx, &tx)
    };
    split_to_fails_and_stops: |flow, ctx| {
        let (tx, _rx) = sink();
        flow.split_to(ctx, &[tx], |_| 0)
    };
    route_to_fails_and_stops: |flow, ctx| {
        let (tx, _rx) = sink();
        flow.route_to(ctx, &Router::new(Rules::new().otherwise("all", &tx)).unwrap())
    };
}

/// A write error is one of the flow's, so the flow's must be made of it.
#[derive(Debug, PartialEq)]
struct Oops(&'static str);

impl From<std::io::Error> for Oops {
    fn from(_: std::io::Error) -> Self {
        Oops("io")
    }
}

#[test]
fn write_to_fails_and_stops() {
    let (ctx, cancel) = root();
    let texts = |to| {
        Flow::of(0..to).try_map(|n| if n == 5 { Err(Oops("five")) } else { Ok(n.to_string()) })
    };
    let error = texts(9).write_to(&ctx, &mut Vec::new()).unwrap_err();
    assert_eq!((error.error(), error.item()), (Some(&Oops("five")), Some(5)));
    cancel.cancel();
    assert!(texts(3).write_to(&ctx, &mut Vec::new()).unwrap_err().is_cancelled());
}

// ===== sources =====

#[test]
fn every_source_stops_with_its_context() {
    let (ctx, cancel) = root();
    cancel.cancel();
    let (_tx, rx) = channel::bounded::<u8>(1);
    let text = "a\nb\n".as_bytes();
    let stopped = [
        Flow::of(0..9).count(&ctx).unwrap_err().is_cancelled(),
        Flow::range(0..9).count(&ctx).unwrap_err().is_cancelled(),
        Flow::slice(&[1, 2]).count(&ctx).unwrap_err().is_cancelled(),
        Flow::vec(vec![1, 2]).count(&ctx).unwrap_err().is_cancelled(),
        Flow::receiver(&rx).count(&ctx).unwrap_err().is_cancelled(),
        Flow::lines(text).count(&ctx).unwrap_err().is_cancelled(),
        Flow::read(text, 1).count(&ctx).unwrap_err().is_cancelled(),
        Flow::generate(|_: &Context| Ok::<_, ()>(Some(1))).count(&ctx).unwrap_err().is_cancelled(),
    ];
    assert_eq!(stopped, [true; 8]);
}

// ===== against iterators =====

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn plain_operators_are_those_of_an_iterator(
        items in prop::collection::vec(0..50u32, 0..60),
        n in 0..70usize,
        buffer in prop::option::of(0..5usize),
    ) {
        let (ctx, _cancel) = root();
        macro_rules! same {
            ($(|$flow:ident| $op:expr, |$iter:ident| $expected:expr;)*) => { $(
                let $iter = items.iter().copied();
                let expected: Vec<_> = $expected.collect();
                let $flow = Flow::vec(items.clone());
                let out = match buffer {
                    None => $op.collect::<Vec<_>>(&ctx),
                    Some(capacity) => {
                        let $flow = $flow.buffer(capacity);
                        $op.buffer(capacity).collect::<Vec<_>>(&ctx)
                    }
                };
                prop_assert_eq!(out.unwrap(), expected);
            )* }
        }
        let some = |x: u32| x.is_multiple_of(3).then_some(x / 3);
        same! {
            |flow| flow.map(|x| x + 1), |iter| iter.map(|x| x + 1);
            |flow| flow.filter(|x| x % 3 == 0), |iter| iter.filter(|x| x % 3 == 0);
            |flow| flow.filter_map(some), |iter| iter.filter_map(some);
            |flow| flow.flat_map(|x| 0..x % 4), |iter| iter.flat_map(|x| 0..x % 4);
            |flow| flow.skip(n as u64), |iter| iter.skip(n);
            |flow| flow.take(n as u64), |iter| iter.take(n);
            |flow| flow.take_while(|x| *x < 40), |iter| iter.take_while(|x| *x < 40);
            |flow| flow.inspect(|_| ()).eager(), |iter| iter;
            |flow| flow.scan(0, |sum, x| { *sum += x; *sum }),
                |iter| iter.scan(0, |sum, x| { *sum += x; Some(*sum) });
            |flow| flow.par_map(Par::workers(3).window(n + 1), |x| x + 1), |iter| iter.map(|x| x + 1);
        }
    }

    #[test]
    fn parallel_operators_have_what_an_iterator_has(
        items in prop::collection::vec(0..50u32, 0..120),
        workers in 1..4usize,
        window in 1..70usize,
    ) {
        let (ctx, _cancel) = root();
        let par = Par::workers(workers).window(window);
        let flow = || Flow::slice(&items).map(|x| *x);
        let sorted = |mut items: Vec<u32>| { items.sort_unstable(); items };
        let good = |x: u32| if x.is_multiple_of(3) { Err(x) } else { Ok(x) };
        let (expected, goods): (Vec<u32>, Vec<u32>) =
            (sorted(items.clone()), items.iter().copied().filter(|x| x % 3 != 0).collect());
        let out = flow().par_map_unordered(par, |x| x).collect(&ctx).unwrap();
        prop_assert_eq!(sorted(out), expected.clone());
        let out = flow().par_flat_map(par, |x| [x]).collect(&ctx).unwrap();
        prop_assert_eq!(sorted(out), expected.clone());
        let out = flow().merge(flow()).collect(&ctx).unwrap();
        prop_assert_eq!(sorted(out), sorted([items.clone(), items.clone()].concat()));
        let out = flow().merge_priority(flow()).count(&ctx).unwrap();
        prop_assert_eq!(out as usize, 2 * items.len());
        let skips = on_error::skip();
        let out = flow().par_try_map(par, good).on_error(skips).collect::<Vec<_>>(&ctx).unwrap();
        prop_assert_eq!(&out, &goods);
        let out = flow().try_map(good).on_error(skips).collect::<Vec<_>>(&ctx).unwrap();
        prop_assert_eq!(&out, &goods);
        let out = flow().par_try_map_unordered(par, good).on_error(skips).collect(&ctx).unwrap();
        prop_assert_eq!(sorted(out), sorted(goods));
        let out = flow().conflate(|x| vec![x], |mut all: Vec<u32>, x| { all.push(x); all });
        prop_assert_eq!(&out.collect::<Vec<_>>(&ctx).unwrap().concat(), &items);
        let texts = || flow().map(|x| format!("{x},"));
        let whole: String = items.iter().map(|x| format!("{x},")).collect();
        let reduced = texts().par_reduce(&ctx, par, |a, b| a + &b).unwrap();
        prop_assert_eq!(reduced.unwrap_or_default(), whole.clone());
        prop_assert_eq!(texts().reduce(&ctx, |a, b| a + &b).unwrap().unwrap_or_default(), whole);
        prop_assert_eq!(flow().min(&ctx).unwrap(), items.iter().copied().min());
        prop_assert_eq!(flow().max_by_key(&ctx, |x| x % 7).unwrap(), items.iter().copied().max_by_key(|x| x % 7));
        prop_assert_eq!(flow().min_by_key(&ctx, |x| x % 7).unwrap(), items.iter().copied().min_by_key(|x| x % 7));
        prop_assert_eq!(flow().find_first(&ctx, |x| *x > 30).unwrap(), items.iter().copied().find(|x| *x > 30));
    }
}

// ===== nothing forgotten =====

/// Every operator, source and sink has an example, and stands in a table of this folder.
#[test]
fn every_operator_has_an_example_and_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tests: String = std::fs::read_dir(root.join("tests/flow"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let mut forgotten = Vec::new();
    for room in ["op", "boundary", "sink", "source", "window"] {
        for file in std::fs::read_dir(root.join("src/flow").join(room)).unwrap() {
            let source = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let (mut doc, mut of_a_flow) = (String::new(), false);
            for line in source.lines() {
                if line.starts_with("impl") {
                    of_a_flow = line.contains("Flow<") || line.contains("Keyed<");
                }
                if let Some(rest) = line.strip_prefix("    pub fn ").filter(|_| of_a_flow) {
                    let name = rest.split(['(', '<']).next().unwrap();
                    if !doc.contains("```") && !doc.contains("for an example") {
                        forgotten.push(format!("{name}: no example"));
                    }
                    if !["(", "::<"].iter().any(|open| {
                        [".", "Flow::"]
                            .iter()
                            .any(|of| tests.contains(&format!("{of}{name}{open}")))
                    }) {
                        forgotten.push(format!("{name}: no test"));
                    }
                }
                match line.trim_start() {
                    text if text.starts_with("///") => doc += text,
                    text if text.starts_with("#[") => {}
                    _ => doc.clear(),
                }
            }
        }
    }
    assert!(forgotten.is_empty(), "{forgotten:#?}");
}
