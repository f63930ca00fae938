//! Hedges: when, how many, and what becomes of the losers.

use super::{SECOND, until};
use ironsys::pool::Pool;
use ironsys::resilience::{Budget, CallError, Hedge, Retry};
use ironsys::threads::ThreadCache;
use ironsys::time::VirtualClock;
use ironsys::{Canceller, Context, Stop};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

fn root() -> (VirtualClock, Context, Canceller) {
    let time = VirtualClock::auto();
    let builder = Context::builder().clock(time.clock()).value(ThreadCache::new(4));
    let (ctx, cancel) = builder.build();
    (time, ctx, cancel)
}

/// Counts the attempts; the closure gets the number of each.
fn numbered<T>(f: impl Fn(u32, &Context) -> T) -> (Arc<AtomicU32>, impl Fn(&Context) -> T) {
    let attempts = Arc::new(AtomicU32::new(0));
    let count = attempts.clone();
    (attempts, move |ctx: &Context| f(count.fetch_add(1, Ordering::Relaxed), ctx))
}

#[test]
fn a_fast_call_is_made_once() {
    let (_time, ctx, _cancel) = root();
    let hedge = Hedge::after(SECOND);
    let (attempts, call) = numbered(|_, _: &Context| Ok::<_, ()>(1));
    for _ in 0..50 {
        assert_eq!(hedge.call(&ctx, &call), Ok(1));
    }
    assert_eq!((attempts.load(Ordering::Relaxed), hedge.stats().hedges), (50, 0));
    let fails = hedge.call(&ctx, |_| Err::<(), _>("down"));
    assert_eq!(fails, Err(CallError::Failed("down")), "a failure is for a retry");
    assert_eq!(hedge.stats().hedges, 0);
}

/// 004-3, 004-29: the first answer wins.
#[test]
fn the_loser_is_cancelled_and_waited_for() {
    let (_time, ctx, _cancel) = root();
    let hedge = Hedge::after(SECOND);
    let lost = AtomicU32::new(0);
    let since = ctx.clock().now();
    let (_, call) = numbered(|n, ctx: &Context| match n {
        0 => {
            let stop = ctx.wait_stopped();
            lost.fetch_add(1, Ordering::Relaxed);
            Err(stop)
        }
        _ => {
            ctx.sleep(SECOND * 3)?;
            Ok("second")
        }
    });
    assert_eq!(hedge.call(&ctx, call), Ok("second"));
    assert_eq!(lost.load(Ordering::Relaxed), 1);
    assert_eq!(ctx.clock().now() - since, SECOND * 4);
    let stats = hedge.stats();
    assert_eq!((stats.calls, stats.hedges, stats.won), (1, 1, 1));
}

#[test]
fn a_failure_waits_for_who_is_still_running_and_the_first_one_is_returned() {
    let (_time, ctx, _cancel) = root();
    let hedge = Hedge::after(SECOND).max(2);
    let (attempts, call) = numbered(|n, ctx: &Context| {
        let (takes, out) = [(5, Err("first")), (2, Err("second")), (9, Ok("third"))][n as usize];
        ctx.sleep(SECOND * takes).map_err(|_| "stopped")?;
        out
    });
    assert_eq!(hedge.call(&ctx, call), Ok("third"));
    assert_eq!(attempts.load(Ordering::Relaxed), 3);
    let (_, call) = numbered(|n, ctx: &Context| {
        ctx.sleep(SECOND * [5, 2, 9][n as usize]).map_err(|_| 9_u32)?;
        Err::<(), _>(n)
    });
    assert_eq!(hedge.call(&ctx, call), Err(CallError::Failed(1)));
}

#[test]
fn attempts_are_made_together_or_never() {
    let (_time, ctx, _cancel) = root();
    let (attempts, call) = numbered(|n, ctx: &Context| match n {
        0..3 => Err(ctx.wait_stopped()),
        _ => Ok(n),
    });
    assert_eq!(Hedge::after(Duration::ZERO).max(3).call(&ctx, call), Ok(3));
    assert_eq!(attempts.load(Ordering::Relaxed), 4);
    for never in [Hedge::after(Duration::MAX), Hedge::after(SECOND).max(0)] {
        let out = never.call(&ctx, |ctx| ctx.sleep(SECOND * 100).map(|()| 1));
        assert_eq!((out, never.stats().hedges), (Ok(1), 0));
    }
}

#[test]
fn a_hedge_needs_a_token_and_shares_them_with_retries() {
    let (_time, ctx, _cancel) = root();
    let budget = Budget::builder().ratio(0.0).floor_per_second(0).burst(2).clock(ctx.clock());
    let budget = budget.build().unwrap();
    let hedge = Hedge::after(SECOND).budget(&budget);
    let slow = |ctx: &Context| ctx.sleep(SECOND * 2);
    assert_eq!(hedge.call(&ctx, slow), Ok(()));
    let retry = Retry::fixed(SECOND).budget(&budget);
    assert!(retry.call(&ctx, |_| Err::<(), _>(())).is_err());
    assert_eq!(hedge.call(&ctx, slow), Ok(()), "without a token what runs goes on");
    let stats = hedge.stats();
    assert_eq!((stats.hedges, stats.over_budget, retry.stats().retries), (1, 1, 1));
    assert_eq!(budget.stats().granted, 2);
}

/// 004-28: only the tail is called twice.
#[test]
fn the_delay_is_learnt() {
    let (_time, ctx, _cancel) = root();
    let hedge = Hedge::at_quantile(0.9, 10);
    let takes = |ms: u32| {
        let since = ctx.clock().now();
        hedge.call(&ctx, |ctx| ctx.sleep(SECOND * ms / 1000)).unwrap();
        ctx.clock().now() - since
    };
    for i in 0..10 {
        takes(if i == 0 { 500 } else { 100 });
        assert_eq!(hedge.stats().hedges, 0, "too few calls to know");
    }
    let (_, call) = numbered(|n, ctx: &Context| match n {
        0 => Err(ctx.wait_stopped()),
        _ => Ok(()),
    });
    let since = ctx.clock().now();
    assert_eq!(hedge.call(&ctx, call), Ok(()));
    let waited = (ctx.clock().now() - since).as_millis();
    assert!((100..=113).contains(&waited), "{waited} ms, an eighth too long at the most");
    ctx.sleep(SECOND * 3600).unwrap();
    takes(5000);
    assert_eq!(hedge.stats().hedges, 1, "what it knew is from long ago");
}

#[test]
fn a_panic_is_the_callers_and_the_context_ends_it_all() {
    let (_time, ctx, cancel) = root();
    let hedge = Hedge::after(SECOND);
    let (_, call) = numbered(|n, ctx: &Context| match n {
        0 => Err(ctx.wait_stopped()),
        1 => panic!("boom"),
        _ => Ok(()),
    });
    let panic = catch_unwind(AssertUnwindSafe(|| hedge.call(&ctx, call)));
    assert_eq!(panic.unwrap_err().downcast_ref::<&str>(), Some(&"boom"));
    let short = ctx.with_timeout(SECOND * 3);
    let out = hedge.call(&short, |ctx| Err::<(), _>(ctx.wait_stopped()));
    assert_eq!(out, Err(CallError::Failed(Stop::DeadlineExceeded)));
    cancel.cancel();
    assert!(matches!(hedge.call(&ctx, |_| Ok::<_, ()>(1)), Err(CallError::Stopped(_))));
}

#[test]
fn on_a_pool_the_answer_does_not_wait_for_the_loser() {
    let (ctx, _cancel) = Context::root();
    let pool = Pool::builder("replicas").workers(2).build().unwrap();
    let (go, gone) = ironsys::channel::bounded::<()>(0);
    let hedge = Hedge::after(Duration::ZERO);
    let (_, call) = numbered(move |n, ctx: &Context| match n {
        // A loser that does not heed its context.
        0 => gone.recv(&ctx.shielded(SECOND * 1000)).map(|()| 0).map_err(|_| ()),
        _ => Ok(n),
    });
    assert_eq!(hedge.call_on(&ctx, &pool, call), Ok(1));
    until(|| pool.stats().running == 1);
    go.send(&ctx, ()).unwrap();
    let done = pool.drain(&ctx).done; // The winner is counted after it has answered.
    assert_eq!((hedge.stats().won, done), (1, 2));
}

/// The pool's context stops with the call in its queue: nobody will make it, and the caller is told.
#[test]
fn on_a_pool_that_stops_the_caller_is_not_left_waiting() {
    let (ctx, _cancel) = Context::builder().timeout(SECOND * 20).build();
    let (under, cancel) = ctx.with_cancel();
    let pool = Pool::builder("replicas").workers(1).queue(1).context(&under).build().unwrap();
    let (go, gone) = ironsys::channel::bounded::<()>(1);
    let outside = ctx.clone();
    let busy = pool.submit(&ctx, move |_| drop(gone.recv(&outside))).unwrap();
    until(|| pool.stats().running == 1);
    let hedge = Hedge::after(SECOND * 1000);
    std::thread::scope(|s| {
        let call = s.spawn(|| hedge.call_on(&ctx, &pool, |_| Ok::<_, ()>(1)).unwrap_err());
        until(|| pool.stats().queue.depth == 1);
        cancel.cancel();
        assert!(call.join().unwrap().stop().unwrap().is_cancelled());
    });
    drop(go);
    busy.join(&ctx).unwrap();
}

#[test]
fn on_a_pool_failures_panics_and_refusals_are_answers() {
    let (ctx, cancel) = Context::root();
    let pool = Pool::builder("replicas").workers(1).queue(1).build().unwrap();
    let hedge = Hedge::after(SECOND * 1000);
    assert_eq!(hedge.call_on(&ctx, &pool, |_| Err::<(), _>(1)), Err(CallError::Failed(1)));
    let out = hedge.call_on(&ctx, &pool, |_| -> Result<(), ()> { panic!("boom") });
    assert!(matches!(out, Err(CallError::Panicked(p)) if &*p.message == "boom"));
    let short = ctx.with_timeout(SECOND / 1000);
    let out = hedge.call_on(&short, &pool, |ctx| Err::<(), _>(ctx.wait_stopped()));
    assert!(out.unwrap_err().is_timeout() || short.is_stopped());
    let submitter = (*pool).clone();
    drop(pool);
    let out = hedge.call_on(&ctx, &submitter, |_| Ok::<_, ()>(1)).unwrap_err();
    assert_eq!(out.stop().unwrap().cause().unwrap().reason(), "the pool did not run the call");
    cancel.cancel();
    let out = hedge.call_on(&ctx, &submitter, |_| Ok::<_, ()>(1));
    assert!(matches!(out, Err(CallError::Stopped(_))));
}
