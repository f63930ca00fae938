//! Guards inside guards.

use super::{SECOND, by_hand};
use ironsys::limit::Semaphore;
use ironsys::resilience::{
    Boxed, Breaker, BreakerState, Bulkhead, CallError, Fallback, Hedge, Policy, Retry, Shed,
    Timeout, Trip,
};
use ironsys::time::VirtualClock;
use ironsys::{Context, Stop};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

fn breaker(ctx: &Context) -> Breaker {
    let breaker = Breaker::builder("db").trip(Trip::consecutive(3)).open_for(SECOND * 60);
    breaker.clock(ctx.clock()).build().unwrap()
}

#[test]
fn the_first_guard_is_the_outermost() {
    let time = VirtualClock::auto();
    let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    let attempts = AtomicU32::new(0);
    let fails = |_: &Context| {
        attempts.fetch_add(1, Ordering::Relaxed);
        Err::<u32, _>("down")
    };
    // Each attempt counts, and the open breaker ends the retries.
    let inner = breaker(&ctx);
    let policy = Policy::new().retry(Retry::fixed(SECOND).max_attempts(10)).breaker(&inner);
    assert!(matches!(policy.call(&ctx, fails), Err(CallError::Open(_))));
    assert_eq!((attempts.swap(0, Ordering::Relaxed), inner.state()), (3, BreakerState::Open));
    // Each call counts, however many attempts it made.
    let outer = breaker(&ctx);
    let policy = Policy::new().breaker(&outer).retry(Retry::fixed(SECOND).max_attempts(10));
    assert_eq!(policy.call(&ctx, fails), Err(CallError::Failed("down")));
    assert_eq!((attempts.into_inner(), outer.stats().failed), (10, 1));
}

/// 004-2: one call, whatever is behind it.
#[test]
fn the_usual_order_does_what_it_says() {
    let time = VirtualClock::auto();
    let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    let breaker = Breaker::builder("db").trip(Trip::consecutive(5)).clock(ctx.clock()).build();
    let (breaker, bulkhead) = (breaker.unwrap(), Bulkhead::builder("db").build().unwrap());
    let shed = Shed::by(Semaphore::new(100));
    let each = Timeout::new(SECOND);
    let policy = Policy::new()
        .fallback(Fallback::value(0))
        .timeout(Timeout::new(SECOND * 10))
        .shed(&shed)
        .bulkhead(&bulkhead)
        .retry(Retry::fixed(SECOND).max_attempts(3))
        .breaker(&breaker)
        .hedge(Hedge::after(SECOND * 5))
        .timeout(each.clone());
    assert!(!policy.explain::<u32, Stop>().contains("note:"), "{}", policy.explain::<u32, Stop>());
    let since = ctx.clock().now();
    assert_eq!(policy.call(&ctx, |ctx| ctx.sleep(SECOND * 7).map(|()| 1)), Ok(0));
    assert_eq!(ctx.clock().now() - since, SECOND * 5, "three attempts of a second, two waits");
    assert_eq!(each.stats().timed_out, 3);
    assert_eq!((breaker.stats().failed, bulkhead.stats().admitted, shed.admitted()), (3, 1, 1));
    assert_eq!(policy.call(&ctx, |_| Ok::<_, Stop>(7)), Ok(7));
}

#[test]
fn a_policy_is_a_value_for_many_threads() {
    let (ctx, _cancel) = Context::root();
    let bulkhead = Bulkhead::builder("db").concurrent(2).queue(usize::MAX).build().unwrap();
    struct Client {
        policy: Policy<Boxed<u32, String>>,
    }
    let policy = Policy::new().bulkhead(&bulkhead).retry(Retry::fixed(SECOND).max_attempts(1));
    let client = Client { policy: policy.boxed() };
    let sum: u32 = thread::scope(|s| {
        let call = |i| {
            let client = &client;
            let ctx = &ctx;
            s.spawn(move || client.policy.clone().call(ctx, |_| Ok(i)).unwrap())
        };
        let all: Vec<_> = (0..8).map(call).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!((sum, bulkhead.stats().admitted), (28, 8));
}

#[test]
fn an_unusual_order_is_noted() {
    let (_time, ctx, _cancel) = by_hand();
    let retry = Retry::fixed(SECOND).max_attempts(2);
    let policy = Policy::new().breaker(&breaker(&ctx)).retry(retry);
    assert_eq!(
        policy.explain::<(), ()>(),
        "breaker `db`: opens at 3 failures in a row\n  retry: 2 attempts, 1s each time\n    the call\n\
         note: the breaker sees calls with all their retries, not single attempts"
    );
    assert_eq!(Policy::new().explain::<(), ()>(), "the call");
    assert_eq!(Policy::new().call(&ctx, |_| Err::<(), _>(1)), Err(CallError::Failed(1)));
}

/// The guards do not look at the context one by one; the call is not made all the same.
#[test]
fn a_context_that_stops_inside_the_guards_keeps_the_call_from_being_made() {
    let (_time, ctx, cancel) = by_hand();
    let breaker = breaker(&ctx);
    let policy = Policy::new()
        .timeout(Timeout::new(Duration::ZERO))
        .retry(Retry::fixed(SECOND).max_attempts(3))
        .breaker(&breaker);
    let out = policy.call(&ctx, |_| -> Result<(), ()> { unreachable!() });
    assert!(matches!(out, Err(CallError::TimedOut { failed: None, .. })));
    let stats = breaker.stats();
    assert_eq!((stats.failed, stats.ignored), (0, 1), "it says nothing about what is called");
    cancel.cancel();
    breaker.trip();
    let out = policy.call(&ctx, |_| -> Result<(), ()> { unreachable!() });
    assert!(matches!(out, Err(CallError::Stopped(_))), "and a stop comes before a refusal");
}
