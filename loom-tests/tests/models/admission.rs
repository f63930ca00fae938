//! Limits that learn, and the queue in front of them.

use crate::{SOON, join, join_all, model, spawn, timed};
use ironsys::Context;
use ironsys::limit::{AdaptiveLimit, Admission, AdmissionError, Aimd, Fixed, Priority};
use std::time::Duration;

/// The limit changes while permits come back and somebody waits: he gets one.
#[test]
fn adaptive_change_vs_release() {
    model("admission::adaptive_change_vs_release", || {
        let (ctx, _cancel) = Context::root();
        let limit = AdaptiveLimit::builder(Aimd::new(Duration::MAX)).bounds(1..=2).initial(1);
        let limit = limit.build().expect("nothing is wrong with it");
        let held = limit.try_acquire().expect("it is free");
        let user = spawn({
            let (limit, ctx) = (limit.clone(), ctx.clone());
            move || limit.acquire(&ctx).map(|permit| permit.dropped()).is_ok()
        });
        held.success();
        assert!(join(user));
        let stats = limit.stats();
        assert_eq!((stats.in_flight, stats.successes, stats.drops), (0, 1, 1));
    });
}

/// Two samples at once: both are learned from, one after the other, and the last limit holds.
#[test]
fn two_samples() {
    model("admission::two_samples", || {
        let limit = AdaptiveLimit::builder(Aimd::new(Duration::MAX)).bounds(1..=9).initial(3);
        let limit = limit.build().expect("nothing is wrong with it");
        let first = limit.try_acquire().expect("three are free");
        let ends = [limit.try_acquire(), limit.try_acquire()].map(|permit| {
            let permit = permit.expect("three are free");
            spawn(move || permit.success())
        });
        let explained = limit.explain();
        join_all(ends);
        // A sample that came while it was explained waits for the next one, which teaches nothing more:
        // it was alone when it began.
        first.success();
        assert!(explained.starts_with("limit"));
        assert_eq!(limit.limit(), 5);
        let all = [(); 5].map(|()| limit.try_acquire().expect("five are free"));
        assert!(limit.try_acquire().is_err());
        drop(all);
    });
}

fn gate(limit: usize, queue: usize) -> Admission {
    let gate = Admission::builder(Fixed).bounds(limit..=limit).queue(queue).tenants(1);
    gate.build().expect("nothing is wrong with it")
}

/// The place is given to somebody who is being cancelled: he has it, or it is free.
#[test]
fn admit_vs_cancel() {
    model("admission::admit_vs_cancel", || {
        let (ctx, _cancel) = Context::root();
        let (child, cancel) = ctx.with_cancel();
        let gate = gate(1, 1);
        let held = gate.try_enter().expect("it is free");
        // No interval ends in here.
        let user = spawn({
            let gate = gate.clone();
            move || gate.enter(&child).map(|admitted| admitted.success()).is_ok()
        });
        let canceller = spawn(move || cancel.cancel());
        held.success();
        join(user);
        join(canceller);
        let stats = gate.stats();
        assert_eq!((stats.in_flight, stats.waiting), (0, 0));
        assert!(stats.ledger.is_balanced() && gate.try_enter().is_some());
    });
}

/// The place is given to somebody whose patience ends.
#[test]
fn admit_vs_shed() {
    timed("admission::admit_vs_shed").check(|| {
        let (ctx, _cancel) = Context::root();
        let gate = Admission::builder(Fixed).bounds(1..=1).target(SOON).interval(SOON).tenants(1);
        let gate = gate.build().expect("nothing is wrong with it");
        let held = gate.try_enter().expect("it is free");
        let user = spawn({
            let gate = gate.clone();
            move || gate.enter(&ctx).map(drop)
        });
        held.success();
        match join(user) {
            Ok(()) | Err(AdmissionError::Shed { .. }) => {}
            Err(other) => panic!("{other}"),
        }
        let stats = gate.stats();
        assert!(stats.in_flight == 0 && stats.ledger.is_balanced());
    });
}

/// A more important request takes the place of one that waits, and both are told.
#[test]
fn displaced() {
    model("admission::displaced", || {
        let (ctx, _cancel) = Context::root();
        let gate = gate(1, 1);
        let held = gate.try_enter().expect("it is free");
        let users = [Priority::Low, Priority::High].map(|class| {
            let (gate, ctx) = (gate.clone(), ctx.with_value(class));
            spawn(move || gate.enter(&ctx).map(drop).map_err(|e| e.is_overload()))
        });
        drop(held);
        // Whoever is not admitted was displaced, or shed: time passes in here.
        assert!(join_all(users).iter().all(|end| *end != Err(false)));
        let stats = gate.stats();
        assert!(stats.in_flight == 0 && stats.waiting == 0 && stats.ledger.is_balanced());
    });
}
