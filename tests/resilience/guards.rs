//! Timeout, fallback, bulkhead, shed.

use super::{SECOND, by_hand, until};
use ironsys::limit::{AdaptiveLimit, Aimd, Semaphore};
use ironsys::resilience::{Answer, Bulkhead, CallError, Fallback, Shed, ShedLimit, Timeout};
use ironsys::time::VirtualClock;
use ironsys::{Context, Stop};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

// ===== timeout =====

/// 000-39, 004-47: the caller's time is the limit.
#[test]
fn one_look_at_the_clock_decides_between_result_and_timeout() {
    let (time, ctx, _cancel) = by_hand();
    let takes = |timeout: &Timeout, time_taken: u32, out: Result<u32, &'static str>| {
        timeout.call(&ctx, |_| {
            time.advance(SECOND * time_taken);
            out
        })
    };
    let (lax, strict) = (Timeout::new(SECOND * 2), Timeout::new(SECOND * 2).strict());
    let timed_out = |failed| Err(CallError::TimedOut { limit: SECOND * 2, failed });
    for timeout in [&lax, &strict] {
        assert_eq!(takes(timeout, 1, Ok(1)), Ok(1));
        assert_eq!(takes(timeout, 1, Err("no")), Err(CallError::Failed("no")));
        assert_eq!(takes(timeout, 2, Err("late")), timed_out(Some("late")));
    }
    assert_eq!(takes(&lax, 3, Ok(1)), Ok(1), "a call that does not look at its context");
    assert_eq!(takes(&strict, 3, Ok(1)), timed_out(None));
    assert_eq!((lax.stats().calls, lax.stats().timed_out, lax.stats().overran), (4, 1, 1));
    assert_eq!((strict.stats().timed_out, strict.stats().overran), (2, 1));
}

#[test]
fn the_callers_own_stop_is_not_a_timeout() {
    let (time, ctx, _cancel) = by_hand();
    let timeout = Timeout::new(SECOND * 2);
    let short = ctx.with_timeout(SECOND);
    let out = timeout.call(&short, |ctx| {
        time.advance(SECOND);
        ctx.check()
    });
    assert_eq!(out, Err(CallError::Failed(Stop::DeadlineExceeded)));
    let (child, cancel) = ctx.with_cancel();
    let out = timeout.call(&child, |ctx| {
        cancel.cancel();
        time.advance(SECOND * 5);
        ctx.check()
    });
    assert!(matches!(out, Err(CallError::Failed(Stop::Cancelled(_)))));
    assert!(matches!(timeout.call(&child, |_| Ok::<_, ()>(1)), Err(CallError::Stopped(_))));
    assert_eq!(timeout.stats().timed_out, 0);
}

#[test]
fn no_time_and_all_the_time() {
    let (_time, ctx, _cancel) = by_hand();
    let out = Timeout::new(Duration::ZERO).call(&ctx, |ctx| ctx.check());
    assert!(out.unwrap_err().is_timeout());
    assert_eq!(Timeout::new(Duration::MAX).call(&ctx, |ctx| ctx.check()), Ok(()));
}

// ===== fallback =====

#[test]
fn a_fallback_answers_unless_nobody_listens() {
    let (_time, ctx, _cancel) = by_hand();
    let fallback = Fallback::new(|_: &Context, e: CallError<&'static str>| match e {
        CallError::Failed("gone") => Ok("from the cache"),
        CallError::Failed(_) => Err(CallError::Failed("no better")),
        e => Err(e),
    });
    assert_eq!(fallback.call(&ctx, |_| Ok("fresh")), Ok("fresh"));
    assert_eq!(fallback.call(&ctx, |_| Err("gone")), Ok("from the cache"));
    assert_eq!(fallback.call(&ctx, |_| Err("else")), Err(CallError::Failed("no better")));
    let (child, cancel) = ctx.with_cancel();
    let out = fallback.call(&child, |_| {
        cancel.cancel();
        Err("gone")
    });
    assert_eq!((out, fallback.used()), (Err(CallError::Failed("gone")), 2));
}

// ===== bulkhead =====

/// Of 64 that come at once so many run, so many wait, the rest is refused; then those that waited run.
#[test]
fn a_bulkhead_holds_and_queues_exactly_so_many() {
    let (ctx, _cancel) = Context::root();
    let bulkhead = Bulkhead::builder("slow").concurrent(4).queue(8).build().unwrap();
    let (running, most, refused) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|s| {
        for _ in 0..64 {
            s.spawn(|| {
                let out = bulkhead.call(&ctx, |_| {
                    most.fetch_max(running.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                    until(|| refused.load(Ordering::Relaxed) == 64 - 12);
                    running.fetch_sub(1, Ordering::Relaxed);
                    Ok::<_, ()>(())
                });
                refused
                    .fetch_add(usize::from(out.is_err_and(|e| e.is_refusal())), Ordering::Relaxed);
            });
        }
    });
    assert_eq!(most.into_inner(), 4);
    let stats = bulkhead.stats();
    assert_eq!((stats.admitted, stats.refused, stats.running, stats.waiting), (12, 52, 0, 0));
}

#[test]
fn a_wait_for_a_bulkhead_ends_with_its_context_or_when_it_has_been_long_enough() {
    let time = VirtualClock::auto();
    let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    let bulkhead = Bulkhead::builder("slow").concurrent(1).queue(1).max_wait(SECOND * 5);
    let bulkhead = bulkhead.build().unwrap();
    let out = bulkhead.call(&ctx, |ctx| {
        let since = ctx.clock().now();
        let patient = bulkhead.call(ctx, |_| Ok::<_, ()>(())).unwrap_err();
        assert_eq!((patient.is_refusal(), ctx.clock().now() - since), (true, SECOND * 5));
        let short = ctx.with_timeout(SECOND);
        bulkhead
            .call(&short, |_| Ok::<_, ()>(()))
            .map_err(|e| (e.is_timeout(), ctx.clock().now() - since))
    });
    assert_eq!(out, Err(CallError::Failed((true, SECOND * 6))));
    let panic = catch_unwind(AssertUnwindSafe(|| {
        bulkhead.call(&ctx, |_| -> Result<(), ()> { panic!("boom") })
    }));
    assert!(panic.is_err());
    assert_eq!(bulkhead.stats().running, 0, "a panic gives the place back");
    bulkhead.resize(0);
    assert!(bulkhead.call(&ctx, |_| Ok::<_, ()>(())).unwrap_err().is_refusal());
    let zero = Bulkhead::builder("none").concurrent(0).build();
    assert_eq!(zero.unwrap_err().field(), "concurrent");
}

// ===== shed =====

/// A limit that remembers what it is told.
#[derive(Default)]
struct Told(Mutex<Vec<Answer>>);

impl ShedLimit for Told {
    type Permit = ();

    fn try_enter(&self, _: &Context) -> Option<()> {
        (self.0.lock().unwrap().len() < 5).then_some(())
    }

    fn leave(&self, (): (), answer: Answer) {
        self.0.lock().unwrap().push(answer);
    }
}

#[test]
fn a_limit_is_told_what_says_something_about_load() {
    let (time, ctx, _cancel) = by_hand();
    let shed = Shed::by(Told::default());
    assert_eq!(shed.call(&ctx, |_| Ok::<_, ()>(())), Ok(()));
    let _ = shed.call(&ctx, |_| Err::<(), _>("no such user"));
    let short = ctx.with_timeout(SECOND);
    let _ = shed.call(&short, |ctx| {
        time.advance(SECOND);
        ctx.check()
    });
    let full = Shed::by(Semaphore::new(0));
    let inner = ironsys::resilience::Policy::new().shed(&shed).shed(&full);
    assert_eq!(inner.call(&ctx, |_| Ok::<_, ()>(())), Err(CallError::Shed));
    let slow = ironsys::resilience::Policy::new().shed(&shed).timeout(Timeout::new(SECOND));
    let _ = slow.call(&ctx, |ctx| {
        time.advance(SECOND);
        ctx.check()
    });
    let (good, bad, nothing) = (Answer::Success, Answer::Failure, Answer::Ignore);
    assert_eq!(*shed.limit().0.lock().unwrap(), [good, nothing, bad, bad, bad]);
    assert_eq!(shed.call(&ctx, |_| Ok::<_, ()>(())), Err(CallError::Shed));
    assert_eq!((shed.admitted(), shed.shed(), full.shed()), (5, 1, 1));
}

#[test]
fn an_adaptive_limit_learns_from_the_calls_that_it_lets_in() {
    let (_time, ctx, _cancel) = by_hand();
    let limit = AdaptiveLimit::builder(Aimd::new(SECOND)).initial(2).clock(ctx.clock().clone());
    let limit = limit.build().unwrap();
    let shed = Shed::by(limit.clone());
    assert_eq!(shed.call(&ctx, |_| Ok::<_, ()>(())), Ok(()));
    let _ = shed.call(&ctx, |_| Err::<(), _>("no such user"));
    let late = ironsys::resilience::Policy::new().shed(&shed).timeout(Timeout::new(Duration::ZERO));
    assert!(late.call(&ctx, |_| Ok::<_, ()>(())).is_err());
    let stats = limit.stats();
    assert_eq!((stats.successes, stats.ignored, stats.drops), (1, 1, 1));
    let held: Vec<_> = std::iter::from_fn(|| limit.try_acquire().ok()).collect();
    assert_eq!(shed.call(&ctx, |_| Ok::<_, ()>(())), Err(CallError::Shed));
    drop(held);
}
