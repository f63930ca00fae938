//! One call for many: who waits, who leaves, what they get.

use super::{SECOND, until};
use ironsys::pool::Pool;
use ironsys::resilience::{CallError, SingleFlight};
use ironsys::time::VirtualClock;
use ironsys::{Context, Stop};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

type Flights = SingleFlight<&'static str, u32, Stop>;

/// 004-23.
#[test]
fn all_who_ask_at_the_same_time_share_one_call() {
    let (ctx, _cancel) = Context::root();
    let flights = Flights::new();
    let made = AtomicUsize::new(0);
    let values: Vec<_> = thread::scope(|s| {
        let callers: Vec<_> = (0..16)
            .map(|_| {
                s.spawn(|| {
                    flights.call(&ctx, "key", |_| {
                        until(|| flights.stats().joined == 15);
                        Ok(made.fetch_add(1, Ordering::Relaxed) as u32 + 7)
                    })
                })
            })
            .collect();
        callers.into_iter().map(|caller| caller.join().unwrap().unwrap()).collect()
    });
    assert_eq!((values, made.into_inner()), (vec![7; 16], 1));
    let stats = flights.stats();
    assert_eq!((stats.made, stats.joined, stats.in_flight), (1, 15, 0));
    // Nothing is kept: the next one makes a call of its own, as do others for other keys.
    assert_eq!(flights.call(&ctx, "key", |_| Ok(1)), Ok(1));
    let other = flights.call(&ctx, "a", |ctx| Ok(flights.call(ctx, "b", |_| Ok(2)).unwrap()));
    assert_eq!(other, Ok(2));
}

#[test]
fn errors_and_panics_reach_all() {
    let (ctx, _cancel) = Context::root();
    let flights = Flights::new();
    let share = |f: fn() -> Result<u32, Stop>| {
        let before = flights.stats().joined;
        thread::scope(|s| {
            let leader = s.spawn(|| {
                flights.call(&ctx, "key", |_| {
                    until(|| flights.stats().joined == before + 1);
                    f()
                })
            });
            until(|| flights.stats().in_flight == 1);
            let follower = flights.call(&ctx, "key", |_| unreachable!());
            [leader.join().unwrap().unwrap_err(), follower.unwrap_err()]
        })
    };
    let failed = CallError::Failed(Stop::DeadlineExceeded);
    assert_eq!(share(|| Err(Stop::DeadlineExceeded)), [failed.clone(), failed]);
    for error in share(|| panic!("boom")) {
        assert!(matches!(error, CallError::Panicked(p) if &*p.message == "boom"));
    }
    assert_eq!(flights.call(&ctx, "key", |_| Ok(1)), Ok(1), "and the key is free");
}

/// tailscale and others: the first caller's cancel must not be everybody's.
#[test]
fn the_call_goes_on_while_somebody_waits_and_stops_when_nobody_does() {
    let (ctx, _cancel) = Context::root();
    let (first, cancel_first) = ctx.with_cancel();
    let (second, cancel_second) = ctx.with_cancel();
    let flights = Flights::new();
    let survived = AtomicBool::new(false);
    thread::scope(|s| {
        let leader = s.spawn(|| {
            flights.call(&first, "key", |ctx| {
                until(|| flights.stats().joined == 1);
                cancel_first.cancel();
                survived.store(ctx.check().is_ok(), Ordering::Relaxed);
                Err(ctx.wait_stopped()) // Until the second one leaves, too.
            })
        });
        until(|| flights.stats().in_flight == 1);
        let follower = s.spawn(|| flights.call(&second, "key", |_| unreachable!()));
        until(|| survived.load(Ordering::Relaxed));
        cancel_second.cancel();
        assert!(matches!(follower.join().unwrap(), Err(CallError::Stopped(_))));
        let Err(CallError::Failed(stop)) = leader.join().unwrap() else { unreachable!() };
        assert_eq!(stop.cause().unwrap().reason(), "nobody waits for the call any more");
    });
}

/// A call that everybody has left is still on its way back: who comes now makes a new one.
#[test]
fn a_call_that_was_given_up_is_not_joined() {
    let (ctx, _cancel) = Context::root();
    let flights = Flights::new();
    let (child, cancel) = ctx.with_cancel();
    let out = flights.call(&child, "key", |flight| {
        cancel.cancel();
        assert!(flight.is_stopped());
        let fresh = thread::scope(|s| s.spawn(|| flights.call(&ctx, "key", |_| Ok(2))).join());
        assert_eq!(fresh.unwrap(), Ok(2));
        Ok(1)
    });
    assert_eq!(out, Ok(1), "a value that is there is returned");
    assert_eq!((flights.stats().made, flights.stats().in_flight), (2, 0));
}

#[test]
fn a_forgotten_call_is_finished_for_those_who_wait() {
    let (ctx, _cancel) = Context::root();
    let flights = Flights::new();
    let out = flights.call(&ctx, "key", |_| {
        assert!(flights.forget(&"key"));
        assert!(!flights.forget(&"key"));
        assert_eq!(flights.call(&ctx, "key", |_| Ok(2)), Ok(2));
        Ok(1)
    });
    assert_eq!((out, flights.stats().in_flight), (Ok(1), 0));
}

#[test]
fn on_a_pool_the_first_caller_can_leave_and_the_others_still_get_the_value() {
    let time = VirtualClock::new();
    let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    let pool = Pool::builder("calls").workers(1).build().unwrap();
    let flights = Flights::new();
    let (go, gone) = ironsys::channel::bounded(1);
    let short = ctx.with_timeout(SECOND);
    thread::scope(|s| {
        let first = s.spawn(|| {
            flights.call_on(&short, &pool, "key", move |ctx| {
                let _ = gone.recv(ctx);
                ctx.check()?;
                Ok(7)
            })
        });
        until(|| flights.stats().in_flight == 1);
        let second = s.spawn(|| flights.call_on(&ctx, &pool, "key", |_| unreachable!()));
        until(|| flights.stats().joined == 1);
        time.advance(SECOND);
        assert_eq!(first.join().unwrap(), Err(CallError::Stopped(Stop::DeadlineExceeded)));
        go.try_send(()).unwrap();
        assert_eq!(second.join().unwrap(), Ok(7));
    });
    let out = flights.call_on(&ctx, &pool, "key", |_| panic!("boom"));
    assert!(matches!(out, Err(CallError::Panicked(_))));
    assert_eq!(pool.stats().ledger.failed, 0, "the panic is the caller's, not the pool's");
}

#[test]
fn a_pool_that_cannot_run_the_call_says_so_to_all() {
    let (ctx, _cancel) = Context::root();
    let flights = Flights::new();
    let pool = Pool::builder("calls").workers(1).queue(1).build().unwrap();
    let submitter = (*pool).clone();
    let (go, gone) = ironsys::channel::bounded::<()>(0);
    let blocker = pool.submit(&ctx, move |job| gone.recv(job).is_ok()).unwrap();
    until(|| pool.stats().running == 1);
    let queued = pool.submit(&ctx, |_| ()).unwrap();
    let out = flights.call_on(&ctx, &submitter, "key", |_| Ok(1));
    assert!(matches!(out, Err(CallError::Full(full)) if &*full.name == "calls"));
    go.send(&ctx, ()).unwrap();
    assert!(blocker.join(&ctx).unwrap());
    queued.join(&ctx).unwrap();
    drop(pool);
    let out = flights.call_on(&ctx, &submitter, "key", |_| Ok(1)).unwrap_err();
    assert_eq!(out.stop().unwrap().cause().unwrap().reason(), "the pool did not run the call");
    assert_eq!(flights.stats().in_flight, 0);
}

/// Callers come and go at random: each gets a value of its own time, and nobody hangs.
#[test]
fn callers_come_and_go() {
    let (ctx, _cancel) = Context::root();
    let flights = SingleFlight::<u32, usize, Stop>::new();
    let serial = AtomicUsize::new(0);
    // One above the newest value of a call that has ended, for each key.
    let ended = [AtomicUsize::new(0), AtomicUsize::new(0)];
    thread::scope(|s| {
        for t in 0..4_u64 {
            let (ctx, flights, serial, ended) = (&ctx, &flights, &serial, &ended);
            s.spawn(move || {
                for i in 0..3000 {
                    let key = (i % 2) as usize;
                    let before = ended[key].load(Ordering::SeqCst);
                    let (child, cancel) = ctx.with_cancel();
                    let gives_up = (i + t) % 3 == 0;
                    let out = flights.call(&child, key as u32, |flight| {
                        if gives_up {
                            cancel.cancel();
                        }
                        thread::yield_now();
                        flight.check()?;
                        Ok(serial.fetch_add(1, Ordering::SeqCst))
                    });
                    match out {
                        Ok(value) => {
                            assert!(value >= before, "a value from before it asked");
                            ended[key].fetch_max(value + 1, Ordering::SeqCst);
                        }
                        Err(CallError::Failed(stop)) => assert!(stop.is_cancelled() && gives_up),
                        Err(other) => unreachable!("{other:?}"),
                    }
                }
            });
        }
    });
    assert_eq!(flights.stats().in_flight, 0);
}
