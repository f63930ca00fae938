//! Retries: how often, how long, and when not.

use super::{SECOND, by_hand};
use ironsys::resilience::{Breaker, Budget, CallError, Policy, Retry, Timeout, Verdict};
use ironsys::schedule::Backoff;
use ironsys::time::VirtualClock;
use ironsys::{Canceller, Context};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A root on a clock that moves by itself.
fn by_itself() -> (VirtualClock, Context, Canceller) {
    let time = VirtualClock::auto();
    let (ctx, cancel) = Context::builder().clock(time.clock()).build();
    (time, ctx, cancel)
}

/// Calls `retry` with something that always fails: how many attempts, how long, and the last error.
fn exhaust(retry: &Retry, ctx: &Context) -> (u32, Duration, CallError<u32>) {
    let (since, mut attempts) = (ctx.clock().now(), 0);
    let out = retry.call(ctx, |_| {
        attempts += 1;
        Err::<(), _>(attempts)
    });
    (attempts, ctx.clock().now() - since, out.unwrap_err())
}

#[test]
fn the_last_error_is_returned_when_the_attempts_are_used_up() {
    let (_time, ctx, _cancel) = by_itself();
    let retry = Retry::new(Backoff::exponential(SECOND)).max_attempts(4);
    assert_eq!(exhaust(&retry, &ctx), (4, SECOND * 7, CallError::Failed(4)));
    for attempts in [0, 1] {
        let retry = Retry::fixed(SECOND).max_attempts(attempts);
        assert_eq!(exhaust(&retry, &ctx), (1, Duration::ZERO, CallError::Failed(1)));
    }
    let stats = retry.stats();
    assert_eq!((stats.calls, stats.retries, stats.exhausted), (1, 3, 1));
}

/// It never sleeps into or past the deadline: it fails at once, with what it has.
#[test]
fn a_retry_that_would_come_too_late_is_not_waited_for() {
    let (_time, ctx, _cancel) = by_itself();
    let retry = Retry::fixed(SECOND * 3);
    for (deadline, attempts) in [(2, 1), (3, 1), (4, 2), (6, 2), (7, 3)] {
        let short = ctx.with_timeout(SECOND * deadline);
        let (made, took, error) = exhaust(&retry, &short);
        assert_eq!((made, error), (attempts, CallError::Failed(attempts)), "{deadline} s");
        assert_eq!(took, SECOND * 3 * (attempts - 1), "{deadline} s");
    }
    assert_eq!(retry.stats().out_of_time, 5);
}

#[test]
fn no_attempt_begins_after_the_longest_time() {
    let (time, ctx, _cancel) = by_itself();
    let retry = Retry::fixed(SECOND).max_elapsed(SECOND * 5);
    assert_eq!(exhaust(&retry, &ctx).0, 6);
    let mut attempts = 0;
    let out = retry.call(&ctx, |_| {
        attempts += 1;
        time.advance(SECOND * 3); // The attempts count, too.
        Err::<(), _>(())
    });
    assert_eq!((out, attempts), (Err(CallError::Failed(())), 2));
    let told = Retry::fixed(SECOND)
        .max_elapsed(SECOND * 5)
        .judge(|_: Result<&(), &()>| Verdict::TransientAfter(SECOND * 6));
    let since = ctx.clock().now();
    assert!(told.call(&ctx, |_| Err(())).is_err());
    assert_eq!(ctx.clock().now(), since, "the server asks for more than there is");
}

#[test]
fn a_cancel_ends_the_wait_and_does_not_hide_the_error() {
    let (ctx, cancel) = Context::root();
    let retry = Retry::fixed(Duration::MAX).on_retry(move |_| {
        cancel.cancel();
    });
    assert_eq!(retry.call(&ctx, |_| Err::<(), _>("down")), Err(CallError::Failed("down")));
    assert_eq!((retry.stats().stopped, retry.stats().retries), (1, 0));
    let before = retry.call(&ctx, |_| -> Result<(), ()> { unreachable!() });
    assert!(matches!(before, Err(CallError::Stopped(_))));
}

/// 001-30.
#[test]
fn permanent_failures_bypass_the_retry() {
    let (_time, ctx, _cancel) = by_itself();
    let retry = Retry::fixed(SECOND).max_attempts(9).when(|e: &u32| *e < 3);
    let mut attempts = 0;
    let out = retry.call(&ctx, |_| {
        attempts += 1;
        Err::<(), _>(attempts)
    });
    assert_eq!(out, Err(CallError::Failed(3)));
    assert_eq!((retry.stats().permanent, retry.stats().retries), (1, 2));
}

#[test]
fn a_result_can_be_no_good_and_the_last_one_is_returned_all_the_same() {
    let (_time, ctx, _cancel) = by_itself();
    let judge = |out: Result<&u16, &()>| match out {
        Ok(503) => Verdict::TransientAfter(SECOND * 10),
        Ok(_) => Verdict::Done,
        Err(()) => Verdict::Permanent,
    };
    let retry = Retry::fixed(SECOND).max_attempts(3).judge(judge);
    let since = ctx.clock().now();
    assert_eq!(retry.call(&ctx, |_| Ok(503)), Ok(503));
    assert_eq!(ctx.clock().now() - since, SECOND * 20, "longer than its own delay");
    assert_eq!(retry.call(&ctx, |_| Ok(200)), Ok(200));
    assert_eq!(retry.call(&ctx, |_| Err(())), Err(CallError::Failed(())));
    let stats = retry.stats();
    assert_eq!((stats.calls, stats.exhausted, stats.permanent), (3, 1, 1));
}

#[test]
fn the_wait_is_told_before_it_begins() {
    let (_time, ctx, _cancel) = by_itself();
    let told = Arc::new(Mutex::new(Vec::new()));
    let log = told.clone();
    let retry = Retry::new(Backoff::exponential(SECOND))
        .max_attempts(3)
        .on_retry(move |retrying| log.lock().unwrap().push((retrying.attempt, retrying.delay)));
    exhaust(&retry, &ctx);
    assert_eq!(*told.lock().unwrap(), [(2, SECOND), (3, SECOND * 2)]);
}

/// What was decided counts, not what was sent: retries that wait hold their tokens.
#[test]
fn retries_share_a_budget_and_take_from_it_when_they_are_decided() {
    let (_time, ctx, _cancel) = by_itself();
    let budget = Budget::builder().ratio(0.0).floor_per_second(0).burst(5).clock(ctx.clock());
    let budget = budget.build().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (log, watched) = (seen.clone(), budget.clone());
    let retry = Retry::fixed(SECOND)
        .budget(&budget)
        .on_retry(move |_| log.lock().unwrap().push(watched.stats().balance));
    let (attempts, ..) = exhaust(&retry, &ctx);
    assert_eq!(attempts, 6);
    assert_eq!(*seen.lock().unwrap(), [4.0, 3.0, 2.0, 1.0, 0.0], "before the wait");
    assert_eq!(exhaust(&retry, &ctx).0, 1, "nothing is left for the next call");
    assert_eq!((retry.stats().over_budget, budget.stats().refused), (2, 2));
}

#[test]
fn an_open_breaker_ends_the_retries_unless_it_is_to_be_waited_for() {
    let (_time, ctx, _cancel) = by_itself();
    let breaker = Breaker::builder("db").open_for(SECOND * 30).clock(ctx.clock()).build().unwrap();
    breaker.trip();
    let retry = Retry::fixed(SECOND).max_attempts(3);
    let policy = Policy::new().retry(retry.clone()).breaker(&breaker);
    let since = ctx.clock().now();
    assert!(policy.call(&ctx, |_| Ok::<_, ()>(1)).unwrap_err().is_refusal());
    assert_eq!(ctx.clock().now(), since);
    let patient = Policy::new().retry(retry.retry_refusals()).breaker(&breaker);
    assert_eq!(patient.call(&ctx, |_| Ok::<_, ()>(1)), Ok(1));
    assert_eq!(ctx.clock().now() - since, SECOND * 30);
}

#[test]
fn an_attempt_that_times_out_is_transient() {
    let (_time, ctx, _cancel) = by_itself();
    let retry = Retry::fixed(SECOND).max_attempts(3);
    let policy = Policy::new().retry(retry).timeout(Timeout::new(SECOND * 2));
    let since = ctx.clock().now();
    let out = policy.call(&ctx, |ctx| ctx.sleep(SECOND * 60));
    assert!(matches!(out, Err(CallError::TimedOut { .. })));
    assert_eq!(ctx.clock().now() - since, SECOND * (3 * 2 + 2));
}

/// 10,000 calls of a service that is down: the extra load is what the budget says, to the call.
///
/// 004-46.
#[test]
fn a_storm_is_held_to_the_budget() {
    let (time, ctx, _cancel) = by_hand();
    let budget = Budget::builder().ratio(0.1).floor_per_second(2).burst(20).clock(ctx.clock());
    let budget = budget.build().unwrap();
    let retry = Retry::fixed(Duration::ZERO).budget(&budget);
    for i in 0..10_000 {
        assert!(retry.call(&ctx, |_| Err::<(), _>(())).is_err());
        if i % 100 == 99 {
            time.advance(SECOND);
        }
    }
    // The burst, a tenth of the calls, two a second. The first call found the budget full, and its
    // tenth did not go in: 1219.9 tokens, some of which may still be there.
    let extra = retry.stats().retries;
    assert_eq!(extra + budget.stats().balance as u64, 20 + 1000 + 200 - 1);
}
