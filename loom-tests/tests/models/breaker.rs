//! The breaker: exactly so many probes, no answer of an older state, no news lost or out of order.

use crate::{Count, SOON, join, join_all, model, spawn, timed};
use ironsys::Context;
use ironsys::resilience::{Breaker, BreakerState, Trip};
use std::time::Duration;

fn breaker(probes: u32, close_after: u32) -> Breaker {
    let breaker = Breaker::builder("model").trip(Trip::consecutive(1)).open_for(Duration::MAX);
    let breaker = breaker.probes(probes).close_after(close_after).probe_timeout(Duration::MAX);
    breaker.build().expect("it makes sense")
}

/// Half-open, with a place for one: of two that come at once one is admitted.
#[test]
fn one_probe_of_two() {
    model("breaker::one_probe_of_two", || {
        let breaker = breaker(1, 1);
        breaker.half_open();
        let admitted = Count::default();
        let users = [(); 2].map(|()| {
            let (breaker, admitted) = (breaker.clone(), admitted.clone());
            spawn(move || {
                if let Ok(admission) = breaker.try_admit() {
                    admitted.add(1);
                    std::mem::forget(admission); // It does not answer while the other one tries.
                }
            })
        });
        join_all(users);
        assert_eq!(admitted.get(), 1);
        assert_eq!((breaker.stats().probes_out, breaker.stats().rejected), (1, 1));
    });
}

/// The answer that closes the breaker, and a call that may be the second probe or the first call of
/// the closed breaker: never a third probe, and never turned away after the breaker has closed.
#[test]
fn admission_vs_close() {
    model("breaker::admission_vs_close", || {
        let breaker = breaker(2, 1);
        breaker.half_open();
        let first = breaker.try_admit().expect("a place is free");
        let user = spawn({
            let breaker = breaker.clone();
            move || breaker.try_admit().map(|admission| admission.failure()).is_ok()
        });
        first.success();
        assert!(join(user), "there was a place, or it was closed");
        // Its failure came first (a probe), after it was closed (opens), or was stale.
        let stats = breaker.stats();
        match stats.state {
            BreakerState::Closed => assert_eq!(stats.failed + stats.stale, 1),
            state => assert_eq!((state, stats.failed), (BreakerState::Open, 1)),
        }
    });
}

/// Two answers of one state, both of which would change it: the second is stale.
#[test]
fn late_answer() {
    model("breaker::late_answer", || {
        let breaker = breaker(1, 1);
        let users = [(); 2].map(|()| {
            let breaker = breaker.clone();
            spawn(move || match breaker.try_admit() {
                Ok(admission) => admission.failure(),
                Err(_) => breaker.half_open(),
            })
        });
        join_all(users);
        let stats = breaker.stats();
        assert_eq!(stats.opened, 1);
        assert_eq!(stats.failed + stats.stale + stats.rejected, 2);
        if stats.rejected == 1 {
            assert_eq!(stats.state, BreakerState::HalfOpen);
        }
    });
}

/// An answer from before the breaker opened comes while a probe is out: it is not the probe's.
#[test]
fn stale_answer_vs_probe() {
    model("breaker::stale_answer_vs_probe", || {
        let breaker = breaker(1, 1);
        let (admitted, has_admitted) = ironsys::channel::oneshot();
        let late = spawn({
            let breaker = breaker.clone();
            move || {
                let admission = breaker.try_admit().expect("closed");
                admitted.send(()).expect("it is waited for");
                admission.failure();
            }
        });
        let (ctx, _cancel) = Context::root();
        let mut has_admitted = has_admitted;
        has_admitted.recv(&ctx).expect("it is sent");
        breaker.half_open();
        breaker.try_admit().expect("a place is free").success();
        join(late);
        let stats = breaker.stats();
        assert_eq!(stats.state, BreakerState::Closed);
        assert_eq!(stats.stale + stats.failed, 1);
    });
}

/// A success that finds nothing to change, beside the failure that opens: it does not close.
#[test]
fn quiet_success_vs_failure() {
    model("breaker::quiet_success_vs_failure", || {
        let breaker = breaker(1, 1);
        let good = spawn({
            let breaker = breaker.clone();
            move || breaker.try_admit().map(|admission| admission.success()).is_ok()
        });
        breaker.try_admit().expect("closed").failure();
        let admitted = join(good);
        let stats = breaker.stats();
        assert_eq!((stats.state, stats.failed), (BreakerState::Open, 1));
        assert_eq!((stats.succeeded, stats.rejected), (u64::from(admitted), u64::from(!admitted)));
    });
}

/// Somebody waits for admission; the breaker is closed by hand.
#[test]
fn admit_vs_reset() {
    model("breaker::admit_vs_reset", || {
        let (ctx, _cancel) = Context::root();
        let breaker = breaker(1, 1);
        breaker.force_open();
        let user = spawn({
            let breaker = breaker.clone();
            move || breaker.admit(&ctx).map(|admission| admission.success())
        });
        breaker.reset();
        join(user).expect("nobody cancels"); // Hangs if the news was lost.
        assert_eq!(breaker.stats().waiting, 0);
    });
}

/// Two wait, and there is a place for one probe at a time: its success lets the other in.
#[test]
fn admit_vs_answer() {
    model("breaker::admit_vs_answer", || {
        let (ctx, _cancel) = Context::root();
        let breaker = breaker(1, 1);
        breaker.half_open();
        let users = [true, false].map(|good| {
            let (ctx, breaker) = (ctx.clone(), breaker.clone());
            spawn(move || {
                let admission = breaker.admit(&ctx).expect("nobody cancels");
                if good { admission.success() } else { admission.ignore() }
            })
        });
        join_all(users);
        assert_eq!((breaker.state(), breaker.stats().waiting), (BreakerState::Closed, 0));
    });
}

/// A wait for admission is cancelled while the breaker closes: nothing is left behind.
#[test]
fn admit_vs_cancel() {
    model("breaker::admit_vs_cancel", || {
        let (ctx, cancel) = Context::root();
        let breaker = breaker(1, 1);
        breaker.force_open();
        let user = spawn({
            let breaker = breaker.clone();
            move || breaker.admit(&ctx).map(|admission| admission.success()).is_ok()
        });
        let canceller = spawn(move || cancel.cancel());
        breaker.half_open();
        let admitted = join(user);
        join(canceller);
        let stats = breaker.stats();
        assert_eq!((stats.waiting, stats.probes_out), (0, 0));
        assert_eq!(stats.state == BreakerState::Closed, admitted);
    });
}

/// The time of an open breaker is up, noticed by whoever waits; or its own deadline comes first.
#[test]
fn admit_vs_time() {
    timed("breaker::admit_vs_time").check(|| {
        let (ctx, _cancel) = Context::root();
        let short = ctx.with_timeout(SOON * 2);
        let breaker = Breaker::builder("model").open_for(SOON).build().expect("it makes sense");
        breaker.trip();
        let user = spawn({
            let breaker = breaker.clone();
            move || breaker.admit(&short).map(|admission| admission.success()).is_ok()
        });
        let other = breaker.admit(&ctx).map(|admission| admission.success());
        other.expect("nobody cancels");
        join(user);
        assert_eq!((breaker.state(), breaker.stats().waiting), (BreakerState::Closed, 0));
    });
}

/// Two transitions at once: the listener hears both, in order, and one at a time.
#[test]
fn news_in_order() {
    model("breaker::news_in_order", || {
        let (heard, inside) = (Count::default(), Count::default());
        let breaker = Breaker::builder("model").on_transition({
            let heard = heard.clone();
            move |transition| {
                assert_eq!(inside.enter(), 0, "two tell at once");
                heard.add(1);
                assert_eq!(heard.get() as u64 + 1, transition.generation);
                inside.leave();
            }
        });
        let breaker = breaker.build().expect("it makes sense");
        let other = spawn({
            let breaker = breaker.clone();
            move || breaker.trip()
        });
        breaker.reset();
        join(other);
        assert_eq!(heard.get(), 2);
    });
}
