//! Operators that live by the clock: on a virtual one, against a sequential model. Items come at times
//! that end in 1, so that nothing happens at the same time as something else.

use ironsys::Context;
use ironsys::flow::{Flow, Window};
use ironsys::time::VirtualClock;
use proptest::prelude::*;
use std::time::Duration;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// When the items come, in milliseconds, and how they are called.
fn arrivals() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(0..9u64, 0..24).prop_map(|gaps| {
        let mut at = 1;
        gaps.into_iter()
            .map(|gap| {
                at += 10 * gap;
                at
            })
            .collect()
    })
}

/// Runs `flow` over items that come at their times; what it yields, and when.
macro_rules! run {
    ($arrivals:expr, |$flow:ident| $op:expr) => {{
        let time = VirtualClock::auto();
        let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
        let start = ctx.clock().now();
        let now = || (ctx.clock().now() - start).as_millis() as u64;
        let source = $arrivals.into_iter().inspect(|at| ctx.sleep(ms(at - now())).unwrap());
        let $flow = Flow::of(source);
        let mut out = Vec::new();
        $op.for_each(&ctx, |item| out.push((now(), item))).unwrap();
        out
    }};
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn batches_go_when_full_or_when_the_time_is_up(arrivals in arrivals(), size in 1..5usize) {
        let window = 25;
        let mut expected: Vec<(u64, Vec<u64>)> = Vec::new();
        let mut held: Vec<u64> = Vec::new();
        for at in &arrivals {
            if let Some(first) = held.first().copied().filter(|first| first + window < *at) {
                expected.push((first + window, std::mem::take(&mut held)));
            }
            held.push(*at);
            if held.len() == size {
                expected.push((*at, std::mem::take(&mut held)));
            }
        }
        if !held.is_empty() {
            expected.push((*arrivals.last().unwrap(), held)); // The end comes at once after it.
        }
        prop_assert_eq!(run!(arrivals, |flow| flow.batch(size, ms(window))), expected);
    }

    #[test]
    fn debounced_items_go_when_it_has_been_quiet(arrivals in arrivals()) {
        let quiet = 25;
        let mut expected = Vec::new();
        for (i, at) in arrivals.iter().enumerate() {
            match arrivals.get(i + 1) {
                None => expected.push((*at, *at)),
                Some(next) if at + quiet < *next => expected.push((at + quiet, *at)),
                Some(_) => {}
            }
        }
        prop_assert_eq!(run!(arrivals, |flow| flow.debounce(ms(quiet))), expected);
    }

    #[test]
    fn samples_are_the_last_of_their_interval(arrivals in arrivals()) {
        let every = 25;
        let mut expected = Vec::new();
        for (i, at) in arrivals.iter().enumerate() {
            let end = (at / every + 1) * every;
            match arrivals.get(i + 1) {
                None => expected.push((*at, *at)),
                Some(next) if end < *next => expected.push((end, *at)),
                Some(_) => {}
            }
        }
        prop_assert_eq!(run!(arrivals, |flow| flow.sample(ms(every))), expected);
    }

    #[test]
    fn a_throttled_flow_is_evenly_spaced(arrivals in arrivals()) {
        let gap = 20;
        let mut next = 0;
        let mut expected = Vec::new();
        for at in &arrivals {
            let goes = (*at).max(next);
            expected.push((goes, *at));
            next = goes + gap;
        }
        // Items are called by when they come, but a throttled source is held up; so the queue.
        prop_assert_eq!(run!(arrivals, |flow| flow.buffer(64).throttle(50, ms(1000))), expected);
    }

    #[test]
    fn windows_by_the_clock_go_when_they_end(arrivals in arrivals()) {
        let size = 25;
        let mut expected: Vec<(u64, (u64, Vec<u64>))> = Vec::new();
        for at in &arrivals {
            let start = at / size * size;
            match expected.last_mut().filter(|last| last.1.0 == start) {
                Some(last) => last.1.1.push(*at),
                None => expected.push((start + size, (start, vec![*at]))),
            }
        }
        if let (Some(last), Some(end)) = (expected.last_mut(), arrivals.last()) {
            last.0 = *end;
        }
        let window = Window::tumbling(ms(size)).unwrap();
        let out = run!(arrivals, |flow| flow
            .window(window, Vec::new)
            .map(|pane| (pane.start.as_millis() as u64, pane.value)));
        prop_assert_eq!(out, expected);
    }
}

#[test]
fn a_pause_that_is_too_long_fails_the_run_in_time() {
    let time = VirtualClock::auto();
    let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    let start = ctx.clock().now();
    let error = Flow::of([1, 9, 11, 1].iter().inspect(|gap| drop(ctx.sleep(ms(**gap)))))
        .timeout(ms(10))
        .count(&ctx)
        .unwrap_err();
    assert_eq!((error.stage(), error.item(), error.is_timeout()), ("timeout", Some(2), true));
    // It fails at 20; the source sleeps on under a context of its own, and is waited for.
    assert_eq!(ctx.clock().now() - start, ms(1 + 9 + 11));
}

#[test]
fn a_slow_consumer_does_not_make_a_flow_late() {
    let time = VirtualClock::auto();
    let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    let flow = Flow::of(0..5).timeout(ms(10));
    flow.for_each(&ctx, |_| ctx.sleep(ms(100)).unwrap()).unwrap();
}

#[test]
fn times_without_end_and_without_length() {
    let (ctx, _cancel) = crate::root();
    let numbers = || Flow::of(0..4);
    assert_eq!(numbers().debounce(Duration::MAX).collect::<Vec<_>>(&ctx).unwrap(), [3]);
    assert_eq!(numbers().sample(Duration::MAX).collect::<Vec<_>>(&ctx).unwrap(), [3]);
    assert_eq!(numbers().sample(Duration::ZERO).count(&ctx).unwrap(), 4);
    assert_eq!(numbers().debounce(Duration::ZERO).count(&ctx).unwrap(), 4);
    assert_eq!(numbers().batch(usize::MAX, Duration::MAX).count(&ctx).unwrap(), 1);
    assert_eq!(numbers().throttle(u32::MAX, Duration::ZERO).count(&ctx).unwrap(), 4);
    let huge = Window::tumbling(Duration::MAX).unwrap();
    assert_eq!(numbers().window(huge, Vec::new).count(&ctx).unwrap(), 1);
}
