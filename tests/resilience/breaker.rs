//! The breaker: its states, what counts, and whom it tells.

use super::{SECOND, by_hand, until};
use ironsys::resilience::{Answer, Breaker, BreakerState, CallError, Trip};
use ironsys::schedule::Backoff;
use ironsys::{Context, Stop};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

const DOWN: Result<(), &str> = Err("down");
const UP: Result<(), &str> = Ok(());

/// A breaker that opens on the second failure in a row, for ten seconds.
fn second_opens(ctx: &Context) -> Breaker {
    let breaker = Breaker::builder("db").trip(Trip::consecutive(2)).open_for(SECOND * 10);
    breaker.clock(ctx.clock()).build().unwrap()
}

#[test]
fn opens_rejects_probes_and_closes() {
    let (time, ctx, _cancel) = by_hand();
    let breaker = second_opens(&ctx);
    assert_eq!(breaker.call(&ctx, |_| DOWN), Err(CallError::Failed("down")));
    assert_eq!(breaker.call(&ctx, |_| UP), Ok(()));
    assert_eq!(breaker.state(), BreakerState::Closed, "a success is between them");
    for _ in 0..2 {
        let _ = breaker.call(&ctx, |_| DOWN);
    }
    assert_eq!(breaker.state(), BreakerState::Open);
    time.advance(SECOND * 4);
    let turned_away = breaker.call(&ctx, |_| -> Result<(), &str> { unreachable!() }).unwrap_err();
    assert!(turned_away.is_refusal());
    assert_eq!(turned_away.retry_after(), Some(SECOND * 6));
    assert_eq!(turned_away.to_string(), "the breaker `db` is open, for another 6s at least");
    time.advance(SECOND * 6);
    assert_eq!(breaker.call(&ctx, |_| DOWN), Err(CallError::Failed("down")), "the probe");
    assert_eq!(breaker.state(), BreakerState::Open);
    time.advance(SECOND * 10);
    assert_eq!(breaker.call(&ctx, |_| UP), Ok(()));
    assert_eq!(breaker.state(), BreakerState::Closed);
    let stats = breaker.stats();
    assert_eq!((stats.succeeded, stats.failed, stats.rejected, stats.opened), (2, 4, 1, 2));
}

/// failsafe admits 16 of 16 here.
#[test]
fn half_open_admits_exactly_so_many_of_64_at_once() {
    let (time, ctx, _cancel) = by_hand();
    for probes in [1, 5, 64] {
        let breaker = Breaker::builder("db").probes(probes).open_for(SECOND).clock(ctx.clock());
        let breaker = breaker.build().unwrap();
        breaker.trip();
        time.advance(SECOND);
        let (start, tried) = (Barrier::new(64), Barrier::new(64));
        let admitted = AtomicUsize::new(0);
        thread::scope(|s| {
            for _ in 0..64 {
                s.spawn(|| {
                    start.wait();
                    let admission = breaker.try_admit();
                    admitted.fetch_add(usize::from(admission.is_ok()), Ordering::Relaxed);
                    tried.wait(); // All are out at the same time.
                    if let Ok(admission) = admission {
                        admission.success();
                    }
                });
            }
        });
        assert_eq!(admitted.into_inner(), probes as usize);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }
}

#[test]
fn half_open_decides_as_soon_as_it_can() {
    let (_time, ctx, _cancel) = by_hand();
    let build = |probes, close_after| {
        let breaker = Breaker::builder("db").probes(probes).close_after(close_after);
        let breaker = breaker.clock(ctx.clock()).build().unwrap();
        breaker.half_open();
        breaker
    };
    let breaker = build(5, 3);
    let probes: Vec<_> = (0..5).map(|_| breaker.try_admit().unwrap()).collect();
    assert!(breaker.try_admit().is_err());
    for (probe, (answer, state)) in probes.into_iter().zip([
        (Answer::Failure, BreakerState::HalfOpen),
        (Answer::Success, BreakerState::HalfOpen),
        (Answer::Failure, BreakerState::HalfOpen),
        (Answer::Failure, BreakerState::Open), // Three can no longer succeed.
        (Answer::Success, BreakerState::Open),
    ]) {
        probe.answer(answer);
        assert_eq!(breaker.state(), state);
    }
    let breaker = build(5, 2);
    breaker.try_admit().unwrap().success();
    breaker.try_admit().unwrap().success();
    assert_eq!(breaker.state(), BreakerState::Closed, "two are enough");
}

#[test]
fn an_ignored_probe_gives_its_place_to_another() {
    let (_time, ctx, _cancel) = by_hand();
    let breaker = second_opens(&ctx);
    breaker.half_open();
    let probe = breaker.try_admit().unwrap();
    assert!(breaker.try_admit().is_err());
    drop(probe);
    let probe = breaker.try_admit().unwrap();
    assert_eq!((breaker.stats().probes_out, breaker.stats().ignored), (1, 1));
    probe.success();
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn a_probe_that_hangs_does_not_hold_the_breaker_up() {
    let (time, ctx, _cancel) = by_hand();
    let breaker = Breaker::builder("db").open_for(SECOND).probe_timeout(SECOND * 5);
    let breaker = breaker.clock(ctx.clock()).build().unwrap();
    breaker.trip();
    time.advance(SECOND);
    let hangs = breaker.try_admit().unwrap();
    assert_eq!(breaker.try_admit().unwrap_err().retry_after, Some(SECOND * 5));
    time.advance(SECOND * 5);
    assert_eq!(breaker.try_admit().unwrap_err().retry_after, Some(SECOND), "open again");
    time.advance(SECOND);
    let second = breaker.try_admit().unwrap();
    hangs.failure(); // Says nothing about the second probe.
    assert_eq!((breaker.state(), breaker.stats().stale), (BreakerState::HalfOpen, 1));
    second.success();
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn what_was_admitted_before_the_breaker_opened_does_not_close_it() {
    let (time, ctx, _cancel) = by_hand();
    let breaker = second_opens(&ctx);
    let before = [(); 3].map(|()| breaker.try_admit().unwrap());
    for _ in 0..2 {
        let _ = breaker.call(&ctx, |_| DOWN);
    }
    let [good, bad, ignored] = before;
    good.success();
    assert_eq!(breaker.state(), BreakerState::Open);
    time.advance(SECOND * 10);
    let probe = breaker.try_admit().unwrap();
    bad.failure();
    ignored.ignore();
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    probe.success();
    assert_eq!(breaker.state(), BreakerState::Closed);
    assert_eq!(breaker.stats().stale, 3);
    assert_eq!(breaker.stats().windows[0].bad, 0, "nor does it count in the new window");
}

/// failsafe and recloser count a panic as nothing.
#[test]
fn a_panic_is_a_failure() {
    let (_time, ctx, _cancel) = by_hand();
    let breaker = second_opens(&ctx);
    for _ in 0..2 {
        let panic = catch_unwind(AssertUnwindSafe(|| {
            breaker.call(&ctx, |_| -> Result<(), &str> { panic!("boom") })
        }));
        assert_eq!(panic.unwrap_err().downcast_ref::<&str>(), Some(&"boom"));
    }
    assert_eq!((breaker.state(), breaker.stats().failed), (BreakerState::Open, 2));
}

#[test]
fn an_admission_dropped_by_a_panic_is_a_failure_and_otherwise_says_nothing() {
    let (_time, ctx, _cancel) = by_hand();
    let breaker = second_opens(&ctx);
    drop(breaker.try_admit().unwrap());
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let _admission = breaker.try_admit().unwrap();
        panic!("boom");
    }));
    assert_eq!((breaker.stats().failed, breaker.stats().ignored), (1, 1));

    /// Cleans up, with a call that is admitted while the thread unwinds.
    struct CleansUp<'a>(&'a Breaker);
    impl Drop for CleansUp<'_> {
        fn drop(&mut self) {
            drop(self.0.try_admit().unwrap());
        }
    }
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let _cleans_up = CleansUp(&breaker);
        panic!("boom");
    }));
    assert_eq!((breaker.stats().failed, breaker.stats().ignored), (1, 2));
}

#[test]
fn a_cancelled_caller_says_nothing_and_a_deadline_is_a_failure() {
    let (time, ctx, _cancel) = by_hand();
    let breaker = second_opens(&ctx);
    let (child, cancel) = ctx.with_cancel();
    let out = breaker.call(&child, |ctx| {
        cancel.cancel();
        ctx.check()
    });
    assert!(matches!(out, Err(CallError::Failed(Stop::Cancelled(_)))));
    assert!(matches!(breaker.call(&child, |_| UP), Err(CallError::Stopped(_))), "before it begins");
    let short = ctx.with_timeout(SECOND);
    let out = breaker.call(&short, |ctx| {
        time.advance(SECOND);
        ctx.check()
    });
    assert_eq!(out, Err(CallError::Failed(Stop::DeadlineExceeded)));
    assert_eq!((breaker.stats().failed, breaker.stats().ignored), (1, 1));
}

#[test]
fn each_time_the_probes_fail_it_stays_open_for_longer() {
    let (time, ctx, _cancel) = by_hand();
    let delays = Backoff::exponential(SECOND).max_delay(SECOND * 4).max_attempts(4);
    let breaker = Breaker::builder("db").open_backoff(delays).clock(ctx.clock()).build().unwrap();
    let open = |seconds: u32| {
        assert_eq!(breaker.try_admit().unwrap_err().retry_after, Some(SECOND * seconds));
        time.advance(SECOND * seconds);
        breaker.try_admit().unwrap()
    };
    breaker.trip();
    for seconds in [1, 2, 4, 4, 4] {
        open(seconds).failure(); // The sequence has three delays; the last one stays.
    }
    open(4).success();
    breaker.trip();
    open(1).success();
}

#[test]
fn slow_calls_open_it_too() {
    let (time, ctx, _cancel) = by_hand();
    let breaker = Breaker::builder("db").trip(Trip::last(4, 0.5).slow()).slow_after(SECOND);
    let breaker = breaker.open_for(SECOND).clock(ctx.clock()).build().unwrap();
    let takes = |time_taken: Duration| {
        breaker.call(&ctx, |_| {
            time.advance(time_taken);
            UP
        })
    };
    for seconds in [1, 2, 1, 0] {
        takes(SECOND * seconds).unwrap(); // Just a second is not slow.
    }
    assert_eq!((breaker.state(), breaker.stats().slow), (BreakerState::Closed, 1));
    let _ = breaker.call(&ctx, |_| DOWN);
    assert_eq!(breaker.state(), BreakerState::Closed, "the rule does not look at failures");
    takes(SECOND * 3).unwrap();
    takes(SECOND * 3).unwrap();
    assert_eq!(breaker.state(), BreakerState::Open);
    time.advance(SECOND);
    takes(SECOND * 2).unwrap();
    assert_eq!(breaker.state(), BreakerState::Open, "a slow probe is no good");
    time.advance(SECOND);
    takes(SECOND).unwrap();
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn it_can_be_told_what_to_be() {
    let (time, ctx, _cancel) = by_hand();
    let breaker = second_opens(&ctx);
    breaker.force_open();
    time.advance(SECOND * 1000);
    assert_eq!(breaker.try_admit().unwrap_err().retry_after, None);
    breaker.disable();
    for _ in 0..5 {
        let _ = breaker.call(&ctx, |_| DOWN);
    }
    assert_eq!((breaker.state(), breaker.stats().failed), (BreakerState::Disabled, 5));
    breaker.metrics_only();
    for _ in 0..5 {
        let _ = breaker.call(&ctx, |_| DOWN);
    }
    assert_eq!((breaker.state(), breaker.stats().windows[0].bad), (BreakerState::MetricsOnly, 5));
    breaker.reset();
    assert_eq!((breaker.state(), breaker.stats().windows[0].bad), (BreakerState::Closed, 0));
    breaker.trip();
    assert_eq!(breaker.stats().retry_after, Some(SECOND * 10));
    let initial = Breaker::builder("db").initial(BreakerState::ForcedOpen).build().unwrap();
    assert!(initial.try_admit().is_err());
}

/// 001-26: a bad source is cut off, and somebody is told.
#[test]
fn listeners_are_told_in_order_outside_of_the_lock_and_may_use_the_breaker() {
    let (_time, ctx, _cancel) = by_hand();
    let told = Arc::new(Mutex::new(Vec::new()));
    let cell: Arc<Mutex<Option<Breaker>>> = Arc::default();
    let (log, inner) = (told.clone(), cell.clone());
    let breaker = Breaker::builder("db").trip(Trip::consecutive(1)).clock(ctx.clock());
    let breaker = breaker
        .on_transition(|_| panic!("a bad listener"))
        .on_transition(move |t| {
            log.lock().unwrap().push((t.from, t.to, t.generation));
            let breaker = inner.lock().unwrap().clone().unwrap();
            assert!(breaker.stats().generation >= t.generation);
            if t.to == BreakerState::Open {
                breaker.reset(); // Told after this one has returned.
            }
        })
        .build()
        .unwrap();
    *cell.lock().unwrap() = Some(breaker.clone());
    let _ = breaker.call(&ctx, |_| DOWN);
    let (closed, open) = (BreakerState::Closed, BreakerState::Open);
    assert_eq!(*told.lock().unwrap(), [(closed, open, 2), (open, closed, 3)]);
    *cell.lock().unwrap() = None;
}

#[test]
fn listeners_of_many_threads_hear_each_transition_once_and_in_order() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let log = told.clone();
    let breaker = Breaker::builder("db")
        .on_transition(move |t| log.lock().unwrap().push(t.generation))
        .build()
        .unwrap();
    thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| (0..500).for_each(|_| breaker.trip()));
        }
    });
    let told = told.lock().unwrap();
    assert!(told.is_sorted_by(|a, b| a < b));
    assert_eq!(told.len() as u64 + breaker.stats().untold, 2000);
}

/// 001-17: between stages.
#[test]
fn a_stage_waits_for_an_open_breaker() {
    let (time, ctx, cancel) = by_hand();
    let breaker = second_opens(&ctx);
    breaker.trip();
    let admitted = AtomicUsize::new(0);
    thread::scope(|s| {
        let wait = || {
            s.spawn(|| {
                let admission = breaker.admit(&ctx)?;
                admitted.fetch_add(1, Ordering::Relaxed);
                until(|| admitted.load(Ordering::Relaxed) != 1 || breaker.stats().waiting == 1);
                admission.success();
                Ok::<_, Stop>(())
            })
        };
        let both = [wait(), wait()];
        until(|| breaker.stats().waiting == 2);
        time.advance(SECOND * 10); // One is the probe, its success lets the other in.
        both.into_iter().for_each(|thread| thread.join().unwrap().unwrap());
        breaker.force_open();
        let third = wait();
        until(|| breaker.stats().waiting == 1);
        cancel.cancel();
        assert!(third.join().unwrap().unwrap_err().is_cancelled());
    });
    assert_eq!(breaker.stats().waiting, 0);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let field = |b: ironsys::resilience::BreakerBuilder| b.build().unwrap_err().field().to_owned();
    let new = || Breaker::builder("db");
    for trip in [
        Trip::consecutive(0),
        Trip::last(0, 0.5),
        Trip::last(u32::MAX, 0.5),
        Trip::last(10, 0.0),
        Trip::last(10, 1.1),
        Trip::last(10, f64::NAN),
        Trip::last(10, 0.5).min_calls(11),
        Trip::within(Duration::ZERO, 0.5),
        Trip::within(SECOND, 0.5).min_calls(0),
        Trip::last(10, 0.5).slow(),
    ] {
        assert_eq!(field(new().trip(trip)), "trip");
    }
    assert_eq!(field(new().probes(0)), "probes");
    assert_eq!(field(new().probes(2).close_after(3)), "close_after");
    assert_eq!(field(new().close_after(0)), "close_after");
    assert_eq!(field(new().initial(BreakerState::Open)), "initial");
    let most = new().trip(Trip::within(Duration::MAX, 1.0).min_calls(u32::MAX)).probes(u32::MAX);
    let most = most.open_for(Duration::MAX).build().unwrap();
    most.trip();
    assert_eq!(most.try_admit().unwrap_err().retry_after, None, "open for ever");
}
