//! Operators and sinks whose own closure panics or fails: the error has their name and the number of the
//! item, and the source, which waits to be stopped, is stopped.

use super::{Inside, feed, watched};
use crate::{root, throw};
use ironsys::flow::{Flow, FlowError, Par};
use ironsys::{Context, channel};
use std::fmt::Debug;

/// The item that is bad.
const BAD: u32 = 7;

fn panics(n: u32) -> u32 {
    if n == BAD { throw("bad") } else { n }
}

fn fails(n: u32) -> Result<u32, &'static str> {
    if n == BAD { Err("bad") } else { Ok(n) }
}

/// Runs `run` on a source that falls silent; the error it must fail with.
fn broken<T: Debug>(
    run: impl FnOnce(
        &Context,
        &Inside,
        &std::sync::mpsc::Sender<()>,
    ) -> Result<T, FlowError<&'static str>>,
) -> FlowError<&'static str> {
    let (ctx, _cancel) = root();
    let (silent, _unheard) = std::sync::mpsc::channel();
    let inside = Inside::default();
    let error = run(&ctx, &inside, &silent).unwrap_err();
    assert_eq!((inside.now(), ctx.linked()), (0, (0, 0)), "somebody is left: {error:?}");
    error
}

macro_rules! panicking {
    ($($name:ident, $stage:literal: |$flow:ident, $ctx:ident| $run:expr;)*) => { $(
        #[test]
        fn $name() {
            watched(concat!("laws: a panic in ", stringify!($name)), || {
                let error = broken(|$ctx, inside, silent| {
                    let $flow = feed(inside, silent);
                    $run
                });
                assert!(error.panicked().is_some(), "{error:?}");
                // Workers of keys have a number after the name.
                let stage = error.stage().trim_end_matches(|c: char| c.is_ascii_digit());
                assert_eq!(stage, $stage, "{error:?}");
                assert_eq!(error.item(), Some(BAD.into()));
            });
        }
    )* }
}

macro_rules! failing {
    ($($name:ident, $stage:literal: |$flow:ident, $ctx:ident| $run:expr;)*) => { $(
        #[test]
        fn $name() {
            watched(concat!("laws: an error in ", stringify!($name)), || {
                let error = broken(|$ctx, inside, silent| {
                    let $flow = feed(inside, silent);
                    $run
                });
                assert_eq!(error.error(), Some(&"bad"), "{error:?}");
                assert_eq!((error.stage(), error.item()), ($stage, Some(BAD.into())));
            });
        }
    )* }
}

/// Workers, and room for items between them.
fn par() -> Par {
    Par::workers(3).window(4)
}

mod panic {
    use super::*;
    panicking! {
        map, "map": |flow, ctx| flow.map(panics).count(ctx);
        inspect, "inspect": |flow, ctx| flow.inspect(|n| { panics(*n); }).count(ctx);
        scan, "scan": |flow, ctx| flow.scan((), |(), n| panics(n)).count(ctx);
        filter, "filter": |flow, ctx| flow.filter(|n| panics(*n) < 9).count(ctx);
        filter_map, "filter_map": |flow, ctx| flow.filter_map(|n| Some(panics(n))).count(ctx);
        flat_map, "flat_map": |flow, ctx| flow.flat_map(|n| [panics(n)]).count(ctx);
        flat_map_later, "flat_map": |flow, ctx|
            flow.flat_map(|n| std::iter::once_with(move || panics(n))).count(ctx);
        try_map, "try_map": |flow, ctx| flow.try_map(|n| Ok::<_, &str>(panics(n))).count(ctx);
        take_while, "take_while": |flow, ctx| flow.take_while(|n| panics(*n) < 1000).count(ctx);
        distinct_by, "distinct": |flow, ctx| flow.distinct_by(9, |n| panics(*n)).count(ctx);
        sorted_by_key, "sorted": |flow, ctx| flow.sorted_by_key(2, |n| panics(*n)).count(ctx);
        par_map, "par_map": |flow, ctx| flow.par_map(par(), panics).count(ctx);
        par_map_unordered, "par_map_unordered": |flow, ctx|
            flow.par_map_unordered(par(), panics).count(ctx);
        par_flat_map, "par_flat_map": |flow, ctx|
            flow.par_flat_map(par(), |n| [panics(n)]).count(ctx);
        par_try_map, "par_try_map": |flow, ctx|
            flow.par_try_map(par(), |n| Ok::<_, &str>(panics(n))).count(ctx);
        par_try_map_unordered, "par_try_map_unordered": |flow, ctx|
            flow.par_try_map_unordered(par(), |n| Ok::<_, &str>(panics(n))).count(ctx);
        par_map_by_key, "par_map_by_key ": |flow, ctx|
            flow.key_by(|n| n % 3).par_map(par(), panics).count(ctx);
        key_of_par_map, "key_by": |flow, ctx|
            flow.key_by(|n| panics(*n)).par_map(par(), |n| n).count(ctx);
        conflate, "conflate": |flow, ctx| flow.conflate(panics, |_, n| panics(n)).count(ctx);
        for_each, "for_each": |flow, ctx| flow.for_each(ctx, |n| { panics(n); });
        try_for_each, "try_for_each": |flow, ctx|
            flow.try_for_each(ctx, |n| { panics(n); Ok::<_, &'static str>(()) });
        fold, "fold": |flow, ctx| flow.fold(ctx, 0, |_, n| panics(n));
        try_fold, "try_fold": |flow, ctx| flow.try_fold(ctx, 0, |_, n| Ok::<_, &'static str>(panics(n)));
        reduce, "reduce": |flow, ctx| flow.reduce(ctx, |_, n| panics(n));
        find_first, "find_first": |flow, ctx| flow.find_first(ctx, |n| panics(*n) > 1000);
        any, "any": |flow, ctx| flow.any(ctx, |n| panics(*n) > 1000);
        all, "all": |flow, ctx| flow.all(ctx, |n| panics(*n) < 1000);
        none, "none": |flow, ctx| flow.none(ctx, |n| panics(*n) > 1000);
        min_by_key, "min_by_key": |flow, ctx| flow.min_by_key(ctx, |n| panics(*n));
        max_by_key, "max_by_key": |flow, ctx| flow.max_by_key(ctx, |n| panics(*n));
        split_to, "split_to": |flow, ctx|
            flow.split_to(ctx, &[channel::bounded(100).0], |n| { panics(*n); 0 });
    }
}

mod error {
    use super::*;
    failing! {
        try_map, "try_map": |flow, ctx| flow.try_map(fails).count(ctx);
        par_try_map, "par_try_map": |flow, ctx| flow.par_try_map(par(), fails).count(ctx);
        par_try_map_unordered, "par_try_map_unordered": |flow, ctx|
            flow.par_try_map_unordered(par(), fails).count(ctx);
        try_for_each, "try_for_each": |flow, ctx| flow.try_for_each(ctx, |n| fails(n).map(drop));
        try_fold, "try_fold": |flow, ctx| flow.try_fold(ctx, 0, |_, n| fails(n));
    }
}

/// A generator that fails and one that panics: the stage is the source.
#[test]
fn generate() {
    watched("laws: generate", || {
        let (ctx, _cancel) = root();
        let mut next = 0;
        let numbers = |f: fn(u32) -> Result<u32, &'static str>| {
            Flow::generate(move |_: &Context| {
                next += 1;
                f(next - 1).map(Some)
            })
        };
        let error = numbers(fails).count(&ctx).unwrap_err();
        assert_eq!((error.error(), error.stage()), (Some(&"bad"), "generate"));
        assert_eq!(error.item(), Some(BAD.into()));
        let error = numbers(|n| Ok(panics(n))).buffer(2).count(&ctx).unwrap_err();
        assert!(error.panicked().is_some() && error.stage() == "generate", "{error:?}");
        assert_eq!(error.item(), Some(BAD.into()));
    });
}
