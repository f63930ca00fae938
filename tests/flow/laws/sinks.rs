//! Every sink and every source against a model, and sinks that are stopped: while the source waits, and
//! while a full channel does not take what they give.

use super::{cancelled_while_it_waits, feed, watched};
use crate::root;
use ironsys::flow::{Flow, FlowError, Never, Par, Router, Rules};
use ironsys::{Context, channel};
use proptest::prelude::*;

macro_rules! models {
    ($($name:ident: |$flow:ident, $ctx:ident, $par:ident| $run:expr, |$items:ident| $model:expr;)*) => { $(
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(24))]
            #[test]
            fn $name(
                items in prop::collection::vec(0..40u32, 0..50),
                workers in 1..=4usize,
                room in 1..=8usize,
                link in prop::option::of(0..=8usize),
            ) {
                let $par = Par::workers(workers).window(room);
                let _ = $par;
                let out = watched(concat!("laws: the model of the sink ", stringify!($name)), || {
                    let ($ctx, _cancel) = root();
                    let $ctx = &$ctx;
                    match link {
                        None => { let $flow = Flow::slice(&items).map(|n| *n); $run }
                        Some(places) => {
                            let $flow = Flow::slice(&items).map(|n| *n).buffer(places);
                            $run
                        }
                    }
                });
                let $items = items;
                prop_assert_eq!(out.unwrap(), $model);
            }
        }
    )* }
}

/// What a sink has put into channels.
fn sent<T>(
    run: impl FnOnce(&channel::Sender<u32>) -> Result<T, FlowError<Never>>,
) -> Result<Vec<u32>, FlowError<Never>> {
    let (tx, rx) = channel::bounded(100);
    run(&tx)?;
    Ok(rx.drain())
}

mod model {
    use super::*;
    models! {
        for_each: |flow, ctx, par| {
            let mut got = vec![];
            flow.for_each(ctx, |n| got.push(n)).map(|_| got)
        }, |items| items;
        try_for_each: |flow, ctx, par| {
            let mut got = vec![];
            flow.try_for_each(ctx, |n| { got.push(n); Ok::<_, u8>(()) }).map(|_| got)
        }, |items| items;
        fold: |flow, ctx, par| flow.fold(ctx, 7u64, |a, n| a * 3 % 1009 + u64::from(n)),
            |items| items.iter().fold(7, |a, n| a * 3 % 1009 + u64::from(*n));
        try_fold: |flow, ctx, par| flow.try_fold(ctx, 0u32, |a, n| Ok::<_, u8>(a + n)),
            |items| items.iter().sum::<u32>();
        reduce: |flow, ctx, par| flow.reduce(ctx, |a, n| a * 3 % 1009 + n),
            |items| items.into_iter().reduce(|a, n| a * 3 % 1009 + n);
        par_reduce: |flow, ctx, par| flow.map(|n| vec![n])
            .par_reduce(ctx, par, |mut a, b| { a.extend(b); a }),
            |items| (!items.is_empty()).then_some(items);
        count: |flow, ctx, par| flow.count(ctx), |items| items.len() as u64;
        collect: |flow, ctx, par| flow.collect::<Vec<_>>(ctx), |items| items;
        with_iter: |flow, ctx, par| flow.with_iter(ctx, |iter| iter.sum::<u32>()),
            |items| items.iter().sum::<u32>();
        find_first: |flow, ctx, par| flow.find_first(ctx, |n| *n > 30),
            |items| items.into_iter().find(|n| *n > 30);
        any: |flow, ctx, par| flow.any(ctx, |n| *n == 5), |items| items.contains(&5);
        all: |flow, ctx, par| flow.all(ctx, |n| *n > 0), |items| !items.contains(&0);
        none: |flow, ctx, par| flow.none(ctx, |n| *n == 5), |items| !items.contains(&5);
        min: |flow, ctx, par| flow.min(ctx), |items| items.into_iter().min();
        max: |flow, ctx, par| flow.max(ctx), |items| items.into_iter().max();
        min_by_key: |flow, ctx, par| flow.min_by_key(ctx, |n| n % 7),
            |items| items.into_iter().min_by_key(|n| n % 7);
        max_by_key: |flow, ctx, par| flow.max_by_key(ctx, |n| n % 7),
            |items| items.into_iter().max_by_key(|n| n % 7);
        send_to: |flow, ctx, par| sent(|tx| flow.send_to(ctx, tx)), |items| items;
        split_to: |flow, ctx, par| {
            let (other, odd) = channel::bounded(100);
            let even = sent(|tx| flow.split_to(ctx, &[tx.clone(), other], |n| *n as usize % 2));
            even.map(|even| (even, odd.drain()))
        }, |items| items.iter().partition::<Vec<u32>, _>(|n| **n % 2 == 0);
        route_to: |flow, ctx, par| sent(|tx| {
            let rules = Rules::new().when("big", |n: &u32| *n > 20, tx);
            flow.route_to(ctx, &Router::new(rules).unwrap())
        }), |items| items.into_iter().filter(|n| *n > 20).collect::<Vec<_>>();
        range: |flow, ctx, par| { drop(flow); Flow::range(0..9u32).buffer(2).collect::<Vec<_>>(ctx) },
            |items| { drop(items); (0..9).collect::<Vec<_>>() };
        of: |flow, ctx, par| {
            let all: Vec<u32> = flow.collect(ctx).unwrap();
            Flow::of(all).buffer(1).collect::<Vec<_>>(ctx)
        }, |items| items;
        receiver: |flow, ctx, par| {
            let (tx, rx) = channel::bounded(100);
            flow.send_to(ctx, &tx).unwrap();
            drop(tx);
            Flow::receiver(rx).buffer(1).collect::<Vec<_>>(ctx)
        }, |items| items;
        generate: |flow, ctx, par| {
            let mut all = flow.collect::<Vec<_>>(ctx).unwrap().into_iter();
            let numbers = Flow::generate(move |_: &Context| Ok::<_, u8>(all.next()));
            numbers.buffer(2).collect::<Vec<_>>(ctx).map_err(|error| error.to_string())
        }, |items| items;
    }
}

/// Lines and bytes come back as they were written.
#[test]
fn lines_read_and_write_to() {
    watched("laws: lines, read and write_to", || {
        let (ctx, _cancel) = root();
        let mut text = Vec::new();
        let numbers = Flow::range(0..20u32).map(|n| format!("{n}\n")).buffer(2);
        assert_eq!(numbers.write_to(&ctx, &mut text).unwrap(), text.len() as u64);
        let lines =
            Flow::lines(&text[..]).buffer(3).map(|line| line.trim().parse::<u32>().unwrap());
        assert_eq!(lines.collect::<Vec<_>>(&ctx).unwrap(), (0..20).collect::<Vec<_>>());
        let parts = Flow::read(&text[..], 7).buffer(1);
        let whole = parts
            .fold(&ctx, Vec::new(), |mut all, part| {
                all.extend(part);
                all
            })
            .unwrap();
        assert_eq!(whole, text);
    });
}

// ===== stopped =====

macro_rules! stopped {
    ($($name:ident: |$flow:ident, $ctx:ident| $run:expr;)*) => { $(
        #[test]
        fn $name() {
            watched(concat!("laws: a cancel before the sink ", stringify!($name)), || {
                cancelled_while_it_waits(|$ctx, inside, waits| {
                    let $flow = feed(inside, waits);
                    $run
                });
                cancelled_while_it_waits(|$ctx, inside, waits| {
                    let $flow = feed(inside, waits).buffer(3);
                    $run
                });
            });
        }
    )* }
}

fn wide() -> (channel::Sender<u32>, channel::Receiver<u32>) {
    channel::bounded(100_000)
}

mod before {
    use super::*;
    stopped! {
        for_each: |flow, ctx| flow.for_each(ctx, |_| ());
        try_for_each: |flow, ctx| flow.try_for_each(ctx, |_| Ok::<_, &'static str>(()));
        fold: |flow, ctx| flow.fold(ctx, 0, |_, n| n);
        try_fold: |flow, ctx| flow.try_fold(ctx, 0, |_, n| Ok::<_, &'static str>(n));
        reduce: |flow, ctx| flow.reduce(ctx, |_, n| n);
        par_reduce: |flow, ctx| flow.par_reduce(ctx, Par::workers(3).window(4), |_, n| n);
        count: |flow, ctx| flow.count(ctx);
        collect: |flow, ctx| flow.collect::<Vec<_>>(ctx);
        with_iter: |flow, ctx| flow.with_iter(ctx, |items| items.count());
        find_first: |flow, ctx| flow.find_first(ctx, |_| false);
        any: |flow, ctx| flow.any(ctx, |_| false);
        all: |flow, ctx| flow.all(ctx, |_| true);
        none: |flow, ctx| flow.none(ctx, |_| false);
        min: |flow, ctx| flow.min(ctx);
        max: |flow, ctx| flow.max(ctx);
        min_by_key: |flow, ctx| flow.min_by_key(ctx, |n| *n);
        max_by_key: |flow, ctx| flow.max_by_key(ctx, |n| *n);
        send_to: |flow, ctx| { let (tx, _rx) = wide(); flow.send_to(ctx, &tx) };
        split_to: |flow, ctx| { let (tx, _rx) = wide(); flow.split_to(ctx, &[tx], |_| 0) };
        route_to: |flow, ctx| {
            let (tx, _rx) = wide();
            flow.route_to(ctx, &Router::new(Rules::new().otherwise("all", &tx)).unwrap())
        };
    }
}

/// A full channel that nobody reads: what could not be given is not lost silently.
mod full {
    use super::*;

    /// A channel of one place; `waits` is told of the second item, which finds it full.
    macro_rules! full {
        ($($name:ident: |$flow:ident, $ctx:ident, $tx:ident| $run:expr;)*) => { $(
            #[test]
            fn $name() {
                watched(concat!("laws: a cancel at the full channel of ", stringify!($name)), || {
                    cancelled_while_it_waits(|$ctx, inside, waits| {
                        let ($tx, _rx) = channel::bounded(1);
                        let (silent, _unheard) = std::sync::mpsc::channel();
                        let $flow = feed(inside, &silent).inspect(|n| {
                            if *n == 1 {
                                let _ = waits.send(());
                            }
                        });
                        $run
                    });
                });
            }
        )* }
    }

    full! {
        tee: |flow, ctx, tx| flow.tee(&tx).count(ctx);
        tee_behind_a_link: |flow, ctx, tx| flow.tee(&tx).buffer(2).count(ctx);
        send_to: |flow, ctx, tx| flow.send_to(ctx, &tx);
        split_to: |flow, ctx, tx| flow.split_to(ctx, &[tx], |_| 0);
        route_to: |flow, ctx, tx|
            flow.route_to(ctx, &Router::new(Rules::new().otherwise("all", &tx)).unwrap());
    }
}
