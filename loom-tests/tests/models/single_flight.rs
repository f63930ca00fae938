//! Shared calls: joined, left, ended, all at once.

use crate::{Count, SOON, join, join_all, model, spawn, timed};
use ironsys::pool::Pool;
use ironsys::resilience::{CallError, SingleFlight};
use ironsys::sync::{InjectedPanic, catch_unwind};
use ironsys::{Context, Stop};

type Flights = SingleFlight<u8, usize, Stop>;

/// Two ask for the same: one call or two, and each gets the value of a call that ended after it asked.
#[test]
fn join_vs_land() {
    model("single_flight::join_vs_land", || {
        let (ctx, _cancel) = Context::root();
        let (flights, made, ended) = (Flights::new(), Count::default(), Count::default());
        let users = [(); 2].map(|()| {
            let (ctx, flights) = (ctx.clone(), flights.clone());
            let (made, ended) = (made.clone(), ended.clone());
            spawn(move || {
                let (before, mut mine) = (ended.get(), false);
                let value = flights.call(&ctx, 7, |_| {
                    mine = true;
                    Ok(made.enter())
                });
                assert!(value.expect("it succeeds") >= before, "of a call that had ended");
                ended.add(usize::from(mine));
            })
        });
        join_all(users);
        let stats = flights.stats();
        assert_eq!((stats.made as usize, stats.made + stats.joined), (made.get(), 2));
        assert_eq!(stats.in_flight, 0);
    });
}

/// The first caller is cancelled while another comes: if that one joins, the call goes on for it; if
/// not, it makes one of its own. It never sees the cancel of the first.
#[test]
fn join_vs_leave() {
    model("single_flight::join_vs_leave", || {
        let (ctx, _cancel) = Context::root();
        let (first, cancel) = ctx.with_cancel();
        let flights = Flights::new();
        let leader = spawn({
            let flights = flights.clone();
            move || {
                flights.call(&first, 7, |flight| {
                    cancel.cancel();
                    flight.check().map(|()| 1)
                })
            }
        });
        let follower = flights.call(&ctx, 7, |_| Ok(2));
        assert!(matches!(follower, Ok(1 | 2)), "{follower:?}");
        match join(leader) {
            Ok(_) | Err(CallError::Failed(Stop::Cancelled(_))) => {}
            other => unreachable!("{other:?}"),
        }
        assert_eq!(flights.stats().in_flight, 0);
    });
}

/// A follower leaves while the call ends: it has the value, or it has left.
#[test]
fn leave_vs_land() {
    model("single_flight::leave_vs_land", || {
        let (ctx, _cancel) = Context::root();
        let (second, cancel) = ctx.with_cancel();
        let flights = Flights::new();
        let follower = spawn({
            let flights = flights.clone();
            move || flights.call(&second, 7, |_| Ok(2))
        });
        let leader = flights.call(&ctx, 7, |flight| {
            cancel.cancel();
            flight.check().map(|()| 1)
        });
        assert!(matches!(leader, Ok(1 | 2)), "{leader:?}");
        match join(follower) {
            Ok(1 | 2) | Err(CallError::Stopped(_)) => {}
            other => unreachable!("{other:?}"),
        }
        assert_eq!(flights.stats().in_flight, 0);
    });
}

/// The same with a deadline.
#[test]
fn deadline_vs_land() {
    timed("single_flight::deadline_vs_land").check(|| {
        let (ctx, _cancel) = Context::root();
        let short = ctx.with_timeout(SOON);
        let pool = Pool::builder("model").workers(1).queue(1).build().expect("it makes sense");
        let flights = Flights::new();
        match flights.call_on(&short, &pool, 7, |_| Ok(1)) {
            Ok(1) | Err(CallError::Stopped(Stop::DeadlineExceeded)) => {}
            other => unreachable!("{other:?}"),
        }
        drop(pool);
        assert_eq!(flights.stats().in_flight, 0);
    });
}

/// The call panics: so it does for whoever had joined, as data.
#[test]
fn panic_reaches_all() {
    model("single_flight::panic_reaches_all", || {
        let (ctx, _cancel) = Context::root();
        let flights = Flights::new();
        let follower = spawn({
            let (ctx, flights) = (ctx.clone(), flights.clone());
            move || flights.call(&ctx, 7, |_| Ok(2))
        });
        let leader = catch_unwind(|| {
            flights.call(&ctx, 7, |_| std::panic::resume_unwind(Box::new(InjectedPanic)))
        });
        match leader.expect("it is data") {
            Err(CallError::Panicked(_)) => {
                assert!(matches!(join(follower), Ok(2) | Err(CallError::Panicked(_))))
            }
            out => assert_eq!((out.ok(), join(follower).ok()), (Some(2), Some(2))),
        }
        assert_eq!(flights.stats().in_flight, 0);
    });
}

/// A call is forgotten while it ends.
#[test]
fn forget_vs_land() {
    model("single_flight::forget_vs_land", || {
        let (ctx, _cancel) = Context::root();
        let flights = Flights::new();
        let other = spawn({
            let flights = flights.clone();
            move || flights.forget(&7)
        });
        assert_eq!(flights.call(&ctx, 7, |_| Ok(1)), Ok(1));
        join(other);
        assert_eq!(flights.stats().in_flight, 0);
    });
}
