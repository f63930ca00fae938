//! Limits that learn, and admission: simulated services, on a virtual clock where there is time.

use crate::until;
use ironsys::limit::{
    AdaptiveLimit, Admission, AdmissionError, Aimd, Algorithm, Baseline, Fixed, Gradient2, Outcome,
    Priority, Sample, Tenant, Vegas,
};
use ironsys::time::VirtualClock;
use ironsys::{Canceller, Context};
use proptest::prelude::*;
use std::ops::RangeInclusive;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

fn on(time: &VirtualClock) -> (Context, Canceller) {
    Context::builder().clock(time.clock()).build()
}

/// A service with `cores`: so many at a time take 10 ms, more take longer in proportion. All of the limit
/// is used. Returns the largest limit of the last six of so many round trips, to look past a probe.
fn drive(algorithm: &mut dyn Algorithm, mut limit: f64, cores: f64, trips: usize) -> f64 {
    let mut largest = 0.0;
    for trip in 0..trips {
        let in_flight = limit as usize;
        let time = MS.mul_f64(10.0 * (in_flight as f64 / cores).max(1.0));
        for _ in 0..in_flight {
            let sample = Sample { time, in_flight, dropped: false };
            limit = algorithm.update(limit, &sample).clamp(1.0, 1000.0);
        }
        if trip + 6 >= trips {
            largest = limit.max(largest);
        }
    }
    largest
}

fn algorithms() -> Vec<(&'static str, Box<dyn Algorithm>)> {
    vec![
        ("vegas", Box::new(Vegas::new(Baseline::pinned(MS * 10)))),
        ("vegas, decaying", Box::new(Vegas::default())),
        ("gradient", Box::new(Gradient2::new(Baseline::pinned(MS * 10)))),
        ("gradient, decaying", Box::new(Gradient2::default())),
        ("aimd", Box::new(Aimd::new(MS * 20))),
    ]
}

/// 001-33: the limit follows the load.
#[test]
fn each_finds_the_capacity_and_stays_there() {
    for cores in [20.0, 100.0] {
        for (name, mut algorithm) in algorithms() {
            let limit = drive(&mut *algorithm, 5.0, cores, 60);
            assert!(limit >= cores * 0.8 && limit <= cores * 2.4, "{name}: {limit} for {cores}");
            // The service shrinks: so does the limit.
            let limit = drive(&mut *algorithm, limit, cores / 10.0, 300);
            assert!(limit <= cores * 0.45 + 20.0, "{name}: {limit}; {}", algorithm.explain());
        }
    }
}

/// Netflix/concurrency-limits #134: under a mild overload the limit crept up for ever.
#[test]
fn a_mild_overload_does_not_become_the_norm() {
    for (name, mut algorithm) in algorithms() {
        let early = drive(&mut *algorithm, 20.0, 20.0, 100);
        let late = drive(&mut *algorithm, early, 20.0, 2_000);
        let pinned = !name.contains("decaying");
        assert!(!pinned || late <= early * 1.2 + 2.0, "{name}: {early}, then {late}");
        assert!(late <= 200.0, "{name}: {early}, then {late}");
    }
}

/// #137: steady time-outs looked like steady times, and the limit grew to its maximum.
#[test]
fn steady_timeouts_shrink_the_limit() {
    for (name, mut algorithm) in algorithms() {
        let mut limit = drive(&mut *algorithm, 5.0, 50.0, 50);
        let before = limit;
        for _ in 0..limit as usize * 30 {
            let sample = Sample { time: MS * 100, in_flight: limit as usize, dropped: true };
            limit = algorithm.update(limit, &sample).clamp(1.0, 1000.0);
        }
        assert!(limit < before / 4.0, "{name}: {before}, then {limit}");
    }
}

/// #35: without a slow start the limit took minutes to come up.
#[test]
fn slow_start_doubles() {
    for (name, mut algorithm) in algorithms() {
        let limit = drive(&mut *algorithm, 2.0, 1000.0, 5);
        assert!(limit >= 60.0, "{name}: {limit}");
    }
}

/// #165: the baseline drifted up under load. A pinned one does not; a decaying one comes back down at once.
#[test]
fn one_good_time_brings_a_decaying_baseline_down() {
    let mut vegas = Vegas::new(Baseline::decaying(100));
    let slow = Sample { time: MS * 50, in_flight: 10, dropped: false };
    let fast = Sample { time: MS * 5, in_flight: 10, dropped: false };
    for _ in 0..500 {
        vegas.update(10.0, &slow);
    }
    assert!(vegas.explain().contains("50"), "{}", vegas.explain());
    vegas.update(10.0, &fast);
    assert!(vegas.explain().contains("baseline Some(5ms)"), "{}", vegas.explain());
}

#[test]
fn the_limit_does_not_grow_while_it_is_not_used() {
    let limit = AdaptiveLimit::builder(Aimd::new(Duration::MAX)).initial(10).build().unwrap();
    for _ in 0..50 {
        limit.try_acquire().unwrap().success();
    }
    assert_eq!((limit.limit(), limit.stats().app_limited), (10, 50));
    let held: Vec<_> = (0..5).map(|_| limit.try_acquire().unwrap()).collect();
    held.into_iter().for_each(|permit| permit.success());
    assert_eq!(limit.limit(), 11, "of these one had half of the limit at work");
    limit.try_acquire().unwrap().dropped();
    assert_eq!(limit.limit(), 9, "but it shrinks");
}

#[test]
fn a_permit_without_a_word_teaches_nothing() {
    let limit = AdaptiveLimit::builder(Aimd::new(Duration::MAX)).initial(1).bounds(1..=3);
    let limit = limit.build().unwrap();
    drop(limit.try_acquire().unwrap());
    limit.try_acquire().unwrap().ignore();
    limit.try_acquire().unwrap().end(Outcome::Ignore);
    let stats = limit.stats();
    assert_eq!((stats.ignored, stats.successes, stats.limit, stats.in_flight), (3, 0, 1, 0));
    (0..9).for_each(|_| limit.try_acquire().unwrap().success());
    assert!(limit.limit() <= 3);
    (0..99).for_each(|_| limit.try_acquire().unwrap().dropped());
    assert_eq!(limit.limit(), 1, "bounds");
}

/// goflow 23: averages divided by the number of successes but summed all attempts.
#[test]
fn the_mean_is_of_what_it_divides_by() {
    let time = VirtualClock::new();
    let limit = AdaptiveLimit::builder(Fixed).clock(time.clock()).build().unwrap();
    for (wait, outcome) in [
        (2, Outcome::Success),
        (100, Outcome::Dropped),
        (4, Outcome::Success),
        (50, Outcome::Ignore),
    ] {
        let permit = limit.try_acquire().unwrap();
        time.advance(MS * wait);
        permit.end(outcome);
    }
    assert_eq!(limit.stats().mean_time, MS * 3);
}

/// An algorithm of the user's that misbehaves.
struct Odd(mpsc::Receiver<AdaptiveLimit>, u32);

impl Algorithm for Odd {
    fn update(&mut self, limit: f64, _: &Sample) -> f64 {
        self.1 += 1;
        if let Ok(me) = self.0.try_recv() {
            // No lock is held while it runs.
            assert!(me.explain().contains("learning") && me.try_acquire().is_err());
        }
        match self.1 {
            1 => f64::NAN,
            2 => f64::INFINITY,
            3 => panic!("odd"),
            _ => limit - 1.0,
        }
    }

    fn explain(&self) -> String {
        "odd".into()
    }
}

#[test]
fn an_algorithm_runs_without_a_lock_and_survives_itself() {
    let (tx, rx) = mpsc::channel();
    let limit = AdaptiveLimit::builder(Odd(rx, 0)).bounds(1..=8).initial(4).build();
    let limit = limit.unwrap();
    tx.send(limit.clone()).unwrap();
    let held: Vec<_> = (0..4).map(|_| limit.try_acquire()).collect();
    let mut held = held.into_iter().flatten();
    held.next().unwrap().success();
    assert_eq!(limit.limit(), 4, "not a number is no limit");
    held.next().unwrap().success();
    assert_eq!(limit.limit(), 8);
    let odd = held.next().unwrap();
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| odd.success())).is_err());
    assert_eq!((limit.limit(), limit.stats().in_flight), (8, 1));
    held.next().unwrap().success();
    assert_eq!((limit.limit(), limit.stats().in_flight), (7, 0));
    assert!(limit.explain().contains("odd"));
}

#[test]
fn builders_are_checked() {
    let build = |bounds, initial| {
        AdaptiveLimit::builder(Fixed).bounds(bounds).initial(initial).build().unwrap_err().field()
    };
    assert_eq!(
        (build(0..=5, 1), build(RangeInclusive::new(5, 1), 3), build(1..=5, 6)),
        ("bounds", "bounds", "initial")
    );
    assert_eq!(build(1..=usize::MAX, 1), "bounds");
    let gate = || Admission::builder(Fixed);
    assert_eq!(gate().target(MS * 200).build().unwrap_err().field(), "target");
    assert_eq!(gate().tenants(0).build().unwrap_err().field(), "tenants");
    assert!(Admission::fixed(0).is_err());
}

// ----- Admission -----

fn gate(time: &VirtualClock, limit: usize, queue: usize) -> Admission {
    let builder = Admission::builder(Fixed).bounds(limit..=limit).queue(queue).clock(time.clock());
    builder.target(MS * 5).interval(MS * 100).build().unwrap()
}

/// 001-34: the less important make room.
#[test]
fn more_important_requests_go_first_and_displace_the_others() {
    let time = VirtualClock::new();
    let (ctx, _cancel) = on(&time);
    let gate = gate(&time, 1, 2);
    let held = gate.try_enter().unwrap();
    let (through, order) = mpsc::channel();
    thread::scope(|s| {
        let mut calls = Vec::new();
        for (i, class) in
            [Priority::Low, Priority::Sheddable, Priority::High].into_iter().enumerate()
        {
            let (gate, ctx, through) = (&gate, ctx.with_value(class), through.clone());
            calls.push(s.spawn(move || {
                gate.enter(&ctx).map(|admitted| {
                    through.send(i).unwrap();
                    admitted.success();
                })
            }));
            until(|| gate.stats().ledger.accepted == i as u64 + 2);
            if i == 1 {
                let full = gate.enter(&ctx_of(&time, Priority::Sheddable)).unwrap_err();
                assert_eq!(full, AdmissionError::Full);
                assert_eq!(gate.stats().ledger.accepted, 4);
                break;
            }
        }
        let high = s.spawn(|| {
            gate.enter(&ctx.with_value(Priority::High)).map(|admitted| {
                through.send(2).unwrap();
                admitted.success();
            })
        });
        let sheddable = calls.pop().unwrap().join().unwrap();
        assert_eq!(sheddable.unwrap_err(), AdmissionError::Displaced);
        until(|| gate.stats().waiting == 2);
        held.success();
        assert!(high.join().unwrap().is_ok() && calls.pop().unwrap().join().unwrap().is_ok());
    });
    drop(through);
    assert_eq!(order.iter().collect::<Vec<_>>(), [2, 0]);
    assert!(gate.stats().ledger.is_balanced());
}

fn ctx_of(time: &VirtualClock, class: Priority) -> Context {
    on(time).0.with_value(class)
}

#[test]
fn a_standing_queue_is_overload_and_the_newest_go_first() {
    let time = VirtualClock::new();
    let (ctx, _cancel) = on(&time);
    let gate = gate(&time, 1, 100);
    let mut held = gate.try_enter().unwrap();
    thread::scope(|s| {
        // Somebody waits all the time: a new one comes before the old one has got through.
        let (through, order) = mpsc::channel();
        let mut calls = Vec::new();
        let mut come = |i: u64| {
            let (gate, ctx, through) = (&gate, &ctx, through.clone());
            let before = gate.stats().waiting;
            calls.push(s.spawn(move || gate.enter(ctx).map(|ok| through.send((i, ok)).unwrap())));
            until(|| gate.stats().waiting == before + 1);
        };
        come(0);
        for i in 1..=2 {
            time.advance(MS * 49);
            come(i);
            assert!(!gate.stats().is_overloaded);
            held.success();
            let (first, admitted) = order.recv().unwrap();
            assert_eq!(first, i - 1, "the oldest first, before the overload");
            held = admitted;
        }
        time.advance(MS * 1);
        come(3);
        time.advance(MS * 1);
        assert!(gate.stats().is_overloaded, "100 ms");
        come(4);
        held.success();
        let (newest, admitted) = order.recv().unwrap();
        assert_eq!(newest, 4, "the newest first, under overload");
        held = admitted;
        time.advance(MS * 5); // What has waited for the target is shed.
        let shed = calls.into_iter().filter_map(|call| call.join().unwrap().err());
        assert!(shed.map(|e| assert!(matches!(e, AdmissionError::Shed { .. }))).count() == 2);
        drop(held);
    });
    let stats = gate.stats();
    assert_eq!((stats.waiting, stats.ledger.failed, stats.is_overloaded), (0, 2, false));
    assert!(stats.ledger.is_balanced());
}

/// Between tenants: a loud one waits behind itself.
#[test]
fn tenants_take_turns() {
    let time = VirtualClock::new();
    let (ctx, _cancel) = on(&time);
    let gate = gate(&time, 1, 100);
    let held = gate.try_enter().unwrap();
    let (through, order) = mpsc::channel();
    thread::scope(|s| {
        for (i, tenant) in ["loud", "loud", "loud", "loud", "calm"].into_iter().enumerate() {
            let (gate, through) = (&gate, through.clone());
            let ctx = ctx.with_value(Tenant::new(tenant));
            s.spawn(move || {
                let admitted = gate.enter(&ctx).unwrap();
                through.send(tenant).unwrap();
                admitted.success();
            });
            until(|| gate.stats().waiting == i + 1);
        }
        held.success();
    });
    drop(through);
    let order: Vec<_> = order.iter().collect();
    assert!(order[..2].contains(&"calm"), "{order:?}");
}

/// 001-32, 001-35: at the gate, at once, with an error that says so.
#[test]
fn nobody_waits_in_a_queue_without_places() {
    let time = VirtualClock::new();
    let (ctx, cancel) = on(&time);
    let gate = gate(&time, 1, 0);
    let held = gate.enter(&ctx).unwrap();
    assert_eq!(gate.enter(&ctx).unwrap_err(), AdmissionError::Full);
    assert!(gate.try_enter().is_none());
    held.ignore();
    gate.enter(&ctx).unwrap().dropped();
    cancel.cancel();
    assert!(gate.enter(&ctx).unwrap_err().stop().is_some());
    let stats = gate.stats();
    assert_eq!((stats.drops, stats.ignored, stats.in_flight), (1, 1, 0));
    assert!(gate.explain().contains("fixed"));
}

/// 001-36: up to the limit the wait is short, above it requests are refused at once, and what is admitted
/// is admitted in time.
#[test]
fn the_wait_stays_short_under_overload() {
    let time = VirtualClock::auto();
    let (ctx, _cancel) = on(&time);
    let gate = gate(&time, 4, 1_000);
    let waits = ironsys::scope::map(&ctx, 64, 0..600_u32, |ctx, _| {
        let since = ctx.clock().now();
        let admitted = gate.enter(ctx);
        let waited = ctx.clock().now() - since;
        if let Ok(admitted) = admitted {
            ctx.sleep(MS * 10)?;
            admitted.success();
            return Ok::<_, ironsys::Stop>(Some(waited));
        }
        Ok(None)
    });
    let waits: Vec<_> = waits.unwrap().into_iter().flatten().collect();
    let stats = gate.stats();
    assert_eq!(stats.ledger.done, waits.len() as u64);
    assert!(waits.iter().all(|wait| *wait <= MS * 100));
    assert!(stats.ledger.failed > 0 && stats.ledger.is_balanced(), "{}", gate.explain());
}

proptest! {
    /// Whatever an algorithm is told, the limit stays within bounds and is a number.
    #[test]
    fn the_limit_stays_within_bounds(samples in prop::collection::vec((any::<u64>(), 0..50_usize, any::<bool>()), 1..200)) {
        for (name, mut algorithm) in algorithms() {
            let mut limit = 10.0_f64;
            for (nanos, in_flight, dropped) in &samples {
                let sample = Sample { time: Duration::from_nanos(*nanos), in_flight: *in_flight, dropped: *dropped };
                limit = algorithm.update(limit, &sample);
                prop_assert!(limit.is_finite(), "{}: {}", name, limit);
                limit = limit.clamp(1.0, 100.0);
            }
        }
    }
}
