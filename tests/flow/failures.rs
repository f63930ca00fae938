//! How runs fail.

use crate::{root, throw};
use ironsys::Context;
use ironsys::flow::{Flow, FlowCause};

#[derive(Debug, PartialEq)]
enum Oops {
    Parse(std::num::ParseIntError),
    Odd(u32),
}

impl From<std::num::ParseIntError> for Oops {
    fn from(error: std::num::ParseIntError) -> Self {
        Oops::Parse(error)
    }
}

#[test]
fn errors_are_converted_and_carry_stage_and_index() {
    let (ctx, _cancel) = root();
    let even = |n: u32| if n.is_multiple_of(2) { Ok(n) } else { Err(Oops::Odd(n)) };
    for (words, stage, item) in
        [(vec!["2", "4", "x"], "parse", 2), (vec!["2", "3", "4"], "even", 1)]
    {
        let error = Flow::vec(words)
            .try_map(|s| s.parse::<u32>())
            .named("parse")
            .buffer(2)
            .try_map(even)
            .named("even")
            .buffer(2)
            .count(&ctx)
            .unwrap_err();
        assert_eq!((error.stage(), error.item()), (stage, Some(item)), "{error:?}");
        assert!(error.error().is_some());
    }
}

#[test]
fn a_panic_names_stage_and_index_and_hangs_nothing() {
    let (ctx, _cancel) = root();
    let error = Flow::of(0..)
        .buffer(4)
        .map(|n: u64| if n == 7 { throw("seven") } else { n })
        .named("seventh")
        .buffer(4)
        .count(&ctx)
        .unwrap_err();
    assert_eq!((error.stage(), error.item()), ("seventh", Some(7)));
    match error.into_cause() {
        FlowCause::Panicked(panicked) => {
            assert_eq!(panicked.message(), "seven");
            assert_eq!(panicked.into_payload().downcast_ref::<&str>(), Some(&"seven"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_panic_of_the_sink_and_of_the_source() {
    let (ctx, _cancel) = root();
    let error = Flow::range(0..9).buffer(1).for_each(&ctx, |n| assert!(n < 3)).unwrap_err();
    assert_eq!((error.stage(), error.item()), ("for_each", Some(3)));
    let bad = std::iter::repeat_with(|| -> u8 { throw("no") });
    let error = Flow::of(bad).buffer(1).count(&ctx).unwrap_err();
    assert_eq!((error.stage(), error.item()), ("iter", Some(0)));
    assert!(error.panicked().is_some());
}

/// The others end because of the first failure, and say so; that must not hide it.
#[test]
fn the_first_error_wins_over_what_it_causes() {
    let (ctx, _cancel) = root();
    for _ in 0..200 {
        let error = Flow::range(0..1000u32)
            .try_map(|n| if n < 100 { Ok(n) } else { Err("first") })
            .buffer(8)
            .try_map(Ok::<_, &str>)
            .buffer(8)
            .count(&ctx)
            .unwrap_err();
        assert_eq!((error.error(), error.item()), (Some(&"first"), Some(100)));
    }
}

#[test]
fn a_cancel_stops_every_stage() {
    let (ctx, cancel) = root();
    let error = Flow::of(0u64..)
        .buffer(8)
        .map(|n| n + 1)
        .buffer(8)
        .for_each(&ctx, |n| {
            if n == 1000 {
                cancel.cancel_with("enough");
            }
        })
        .unwrap_err();
    assert!(error.is_cancelled(), "{error:?}");
    assert_eq!(error.stop().and_then(|s| s.cause()).map(|c| c.reason()), Some("enough"));
}

#[test]
fn a_deadline_ends_a_chain_that_only_computes() {
    let (ctx, _cancel) = Context::root();
    let ctx = ctx.with_timeout(std::time::Duration::from_millis(20));
    let error = Flow::range(0..u64::MAX).map(std::hint::black_box).count(&ctx).unwrap_err();
    assert!(error.is_timeout());
    assert_eq!(error.stage(), "count");
}

#[test]
fn errors_fit_where_stops_are_expected() {
    let (ctx, cancel) = root();
    cancel.cancel();
    let stopped = || -> Result<u64, ironsys::Stop> { Ok(Flow::range(0..9).count(&ctx)?) };
    assert!(stopped().unwrap_err().is_cancelled());
}
