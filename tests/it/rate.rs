//! Rate limits: exactness, order, waiting, reservations, live changes.

use crate::until;
use ironsys::limit::{
    DebtBucket, Gcra, LeakyBucket, LeakyShaper, Rate, RateError, SlidingWindow, TokenBucket,
    TryRateError,
};
use ironsys::time::VirtualClock;
use ironsys::{Canceller, Context, Stop};
use proptest::prelude::*;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

const NS: Duration = Duration::from_nanos(1);
const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn on(time: &VirtualClock) -> (Context, Canceller) {
    Context::builder().clock(time.clock()).build()
}

fn bucket(time: &VirtualClock, rate: Rate, burst: u32) -> TokenBucket {
    TokenBucket::builder(rate, burst).clock(time.clock()).build().unwrap()
}

fn debts(time: &VirtualClock, rate: Rate, burst: u32) -> DebtBucket {
    DebtBucket::builder(rate, burst).clock(time.clock()).build().unwrap()
}

// ----- What passes -----

#[test]
fn an_odd_rate_is_exact_and_stays_so() {
    for (count, per) in [(3, SECOND), (7, SECOND), (999_999_937, SECOND), (1001, MS * 500)] {
        let time = VirtualClock::new();
        // Two: of one, the fraction of the nanosecond that it is late would run over.
        let rate = bucket(&time, Rate::new(count, per), 2);
        rate.try_acquire(2).unwrap();
        let mut passed = 0_u128;
        let mut elapsed = 0_u128;
        for round in 0..2_000_u64 {
            // To the nanosecond at which the next one is due, and one short of it before.
            passed += 1;
            let due = (passed * per.as_nanos()).div_ceil(u128::from(count));
            let step = u64::try_from(due - elapsed).unwrap();
            if step > 1 {
                time.advance(Duration::from_nanos(step - 1));
                let early = rate.try_acquire(1).unwrap_err();
                assert_eq!(early, TryRateError::NotYet { wait: NS }, "{count}, round {round}");
                time.advance(NS);
            } else {
                time.advance(Duration::from_nanos(step));
            }
            elapsed = due;
            assert_eq!(rate.try_acquire(1), Ok(()), "{count} per {per:?}, round {round}");
        }
    }
}

#[test]
fn centuries_do_not_overflow() {
    let time = VirtualClock::new();
    let rate = bucket(&time, Rate::per_second(3), u32::MAX);
    for _ in 0..5 {
        rate.try_acquire(u32::MAX).unwrap();
        assert!(rate.try_acquire(1).is_err());
        time.advance(Duration::from_secs(100 * 365 * 86_400));
        assert_eq!(rate.available(), u32::MAX);
    }
    time.advance(Duration::MAX);
    rate.try_acquire(u32::MAX).unwrap();
    assert!(rate.try_acquire(1).is_err(), "the time has come to its end");
}

/// G14.
#[test]
fn a_long_idle_bucket_is_full_and_no_fuller() {
    // As far as the word reaches, and beyond: 2^33 tokens at a billion a second are 8.6 s.
    for idle in [1, 4, 8, 9, 16, 17, 18, 1_000, 1_000_000] {
        let time = VirtualClock::new();
        let rate = bucket(&time, Rate::per_second(1_000_000_000), 100);
        rate.try_acquire(100).unwrap();
        time.advance(SECOND * idle);
        assert_eq!(rate.try_acquire(60), Ok(()), "after {idle} s");
        assert!(rate.try_acquire(60).is_err(), "after {idle} s");
        assert_eq!(rate.available(), 40, "after {idle} s");
    }
}

/// G6; goflow 17: no deadline was there, so none was exceeded.
#[test]
fn rates_at_the_edges() {
    let time = VirtualClock::new();
    let (ctx, _cancel) = on(&time);
    let never = bucket(&time, Rate::ZERO, 2);
    never.try_acquire(2).unwrap();
    time.advance(Duration::from_secs(1 << 30));
    assert_eq!(never.try_acquire(1), Err(TryRateError::NoRefill));
    assert_eq!(never.acquire(&ctx, 1), Err(RateError::NoRefill));
    assert_eq!(never.reserve(1).unwrap_err(), RateError::NoRefill);

    let free = bucket(&time, Rate::UNLIMITED, 2);
    for n in [1, 2, 3, u32::MAX, u32::MAX] {
        free.try_acquire(n).unwrap();
        free.acquire(&ctx, n).unwrap();
        free.reserve(n).unwrap().try_use().unwrap();
    }
    let fast = bucket(&time, Rate::new(u32::MAX, NS), u32::MAX);
    for _ in 0..3 {
        fast.try_acquire(u32::MAX).unwrap();
        assert!(fast.try_acquire(1).is_err());
        time.advance(NS);
    }
    let slow = bucket(&time, Rate::new(1, Duration::MAX), 1);
    slow.try_acquire(1).unwrap();
    time.advance(Duration::from_secs(1 << 31));
    assert!(slow.try_acquire(1).unwrap_err().retry_after() > Some(Duration::from_secs(1 << 33)));
}

/// G9, G10: asking for nothing is granted, but not by a stopped context.
#[test]
fn none_always_passes_and_too_many_never() {
    let time = VirtualClock::new();
    let (ctx, cancel) = on(&time);
    let rate = bucket(&time, Rate::per_second(1), 5);
    let too_many = RateError::TooMany { asked: 6, capacity: 5 };
    assert_eq!(rate.acquire(&ctx, 6), Err(too_many.clone()));
    assert_eq!(rate.reserve(6).unwrap_err(), too_many);
    assert!(rate.try_acquire(u32::MAX).unwrap_err().is_for_ever());
    rate.try_acquire(5).unwrap();
    assert_eq!(rate.try_acquire(6), Err(TryRateError::TooMany { asked: 6, capacity: 5 }));
    rate.try_acquire(0).unwrap();
    rate.acquire(&ctx, 0).unwrap();
    rate.reserve(0).unwrap().try_use().unwrap();
    rate.reserve(0).unwrap().cancel();
    assert_eq!((rate.available(), rate.stats().refused), (0, 3));
    let closed = bucket(&time, Rate::per_second(1), 0);
    assert_eq!(closed.try_acquire(1), Err(TryRateError::TooMany { asked: 1, capacity: 0 }));
    cancel.cancel();
    for _ in 0..2 {
        assert!(rate.acquire(&ctx, 0).unwrap_err().stop().is_some());
        time.advance(SECOND * 5);
        assert!(rate.acquire(&ctx, 1).unwrap_err().stop().is_some());
    }
    assert_eq!(rate.available(), 5);
}

/// G7, G8: full unless told otherwise, and never fuller than full.
#[test]
fn a_bucket_may_begin_with_less() {
    let time = VirtualClock::new();
    let builder = || TokenBucket::builder(Rate::per_second(1), 5).clock(time.clock());
    let empty = builder().initial(0).build().unwrap();
    let some = builder().initial(3).build().unwrap();
    assert_eq!((empty.available(), some.available()), (0, 3));
    time.advance(SECOND * 2);
    assert_eq!((empty.available(), some.available()), (2, 5));
    assert_eq!(builder().initial(6).build().unwrap_err().field(), "initial");
}

/// G15, G16, G17: a burst up to the capacity passes, and drains.
#[test]
fn the_meter_takes_what_fits_on_top_of_its_level() {
    let time = VirtualClock::new();
    let (ctx, _cancel) = on(&time);
    let meter = LeakyBucket::builder(Rate::per_second(2), 10).clock(time.clock()).build().unwrap();
    assert_eq!((meter.used(), meter.available(), meter.capacity()), (0, 10, 10));
    meter.try_acquire(10).unwrap();
    let refused = meter.try_acquire(3).unwrap_err();
    assert_eq!(refused.retry_after(), Some(SECOND * 3 / 2));
    time.advance(SECOND * 2);
    assert_eq!((meter.used(), meter.available()), (6, 4));
    let later = meter.reserve(6).unwrap();
    assert_eq!(later.delay(), SECOND);
    later.cancel();
    meter.acquire(&ctx, 4).unwrap();
    meter.update_rate(Rate::ZERO);
    assert_eq!(meter.acquire(&ctx, 1), Err(RateError::NoRefill));
    meter.update_rate(Rate::per_second(1));
    time.advance(SECOND * 20);
    assert_eq!((meter.used(), meter.available()), (0, 10));
}

/// G18: the other leaky bucket, with a constant output.
#[test]
fn the_shaper_lets_one_out_in_each_interval() {
    let time = VirtualClock::auto();
    let (ctx, _cancel) = on(&time);
    let shaper = LeakyShaper::builder(Rate::per_second(3), 9).clock(time.clock()).build().unwrap();
    let start = time.now();
    let mut out = Vec::new();
    for n in [1, 1, 2, 1] {
        shaper.acquire(&ctx, n).unwrap();
        out.push((time.now() - start).as_nanos());
    }
    assert_eq!(out, [0, 333_333_334, 666_666_668, 1_333_333_335]);
    // goflow G18: a burst does not pass a shaper, even after it was idle.
    time.advance(SECOND * 100);
    shaper.try_acquire(1).unwrap();
    let refused = shaper.try_acquire(1).unwrap_err();
    assert_eq!(refused.retry_after(), Some(Duration::from_nanos(333_333_334)));
}

#[test]
fn the_shaper_refuses_more_than_its_queue() {
    let time = VirtualClock::new();
    let shaper = LeakyShaper::builder(Rate::per_second(1), 2).clock(time.clock()).build().unwrap();
    let out = shaper.reserve(1).unwrap();
    let queued = [shaper.reserve(1).unwrap(), shaper.reserve(1).unwrap()];
    assert_eq!(shaper.reserve(1).unwrap_err(), RateError::Backlog);
    shaper.update_queue(3);
    let third = shaper.reserve(1).unwrap();
    assert_eq!(third.delay(), SECOND * 3);
    out.try_use().unwrap();
    queued.into_iter().for_each(|reserved| reserved.cancel());
    assert_eq!(third.delay(), SECOND);
    shaper.update_queue(0);
    assert_eq!(shaper.reserve(1).unwrap_err(), RateError::Backlog);
}

#[test]
fn gcra_takes_what_is_early_by_no_more_than_the_tolerance() {
    let time = VirtualClock::new();
    let cells = Gcra::builder(MS * 10, MS * 15).unwrap().clock(time.clock()).build().unwrap();
    assert_eq!(cells.capacity(), 2);
    cells.try_acquire(2).unwrap();
    assert_eq!(cells.try_acquire(1).unwrap_err().retry_after(), Some(MS * 5));
    time.advance(MS * 5);
    cells.try_acquire(1).unwrap();
    assert_eq!(cells.try_acquire(1).unwrap_err().retry_after(), Some(MS * 10));
    cells.update(MS, MS).unwrap();
    // 2.5 intervals are owed, of which there may be 1 when the next comes.
    assert_eq!(cells.try_acquire(1).unwrap_err().retry_after(), Some(Duration::from_micros(1500)));
    assert_eq!(cells.interval(), MS);
    assert_eq!(cells.update(NS, SECOND * 5).unwrap_err().field(), "tolerance");
    assert!(Gcra::new(Duration::ZERO, Duration::MAX).unwrap().try_acquire(u32::MAX).is_ok());
    assert!(Gcra::new(NS, Duration::MAX).is_err());
}

#[test]
fn a_window_at_the_edges() {
    let time = VirtualClock::new();
    let (ctx, _cancel) = on(&time);
    let none = SlidingWindow::builder(0, SECOND).clock(time.clock()).build().unwrap();
    assert_eq!(none.acquire(&ctx, 1), Err(RateError::TooMany { asked: 1, capacity: 0 }));
    let instant = SlidingWindow::builder(2, Duration::ZERO).clock(time.clock()).build().unwrap();
    (0..5).for_each(|_| instant.try_acquire(2).unwrap());
    let endless = SlidingWindow::builder(2, Duration::MAX).clock(time.clock()).build().unwrap();
    endless.try_acquire(2).unwrap();
    time.advance(Duration::from_secs(1 << 33));
    assert!(endless.try_acquire(1).unwrap_err().retry_after() > Some(SECOND));
    let wide = SlidingWindow::builder(u32::MAX, SECOND).clock(time.clock()).build().unwrap();
    wide.try_acquire(u32::MAX).unwrap();
    assert_eq!(wide.used(), u64::from(u32::MAX));
    wide.update(1, SECOND);
    assert!(wide.try_acquire(1).is_err());
    time.advance(SECOND);
    assert_eq!(wide.available(), 1);
}

// ----- Waiting -----

#[test]
fn waiters_get_through_in_the_order_they_came() {
    let time = VirtualClock::new();
    let (ctx, _cancel) = on(&time);
    let rate = bucket(&time, Rate::per_second(1), 5);
    rate.try_acquire(5).unwrap();
    let (through, order) = mpsc::channel();
    thread::scope(|s| {
        // goflow 14: the large one is not overtaken by the small ones behind it.
        for (i, n) in [5, 1, 1].into_iter().enumerate() {
            let (rate, ctx, through) = (&rate, &ctx, through.clone());
            s.spawn(move || {
                rate.acquire(ctx, n).unwrap();
                through.send(i).unwrap();
            });
            until(|| rate.waiting() == i + 1);
        }
        time.advance(SECOND * 4);
        assert!(rate.try_acquire(1).is_err(), "nobody overtakes, although 4 are there");
        assert_eq!(rate.waiting(), 3);
        for i in 0..3 {
            until(|| time.pending() == 1); // Only the first in line has an alarm.
            time.advance(SECOND);
            assert_eq!(order.recv().unwrap(), i);
        }
    });
    let stats = rate.stats();
    assert_eq!((stats.ledger.done, stats.peak_waiting, rate.available()), (3, 3, 0));
    assert!(stats.ledger.is_balanced());
}

/// G10; goflow 16: the wait was burnt before it failed. The clock does not move here at all.
#[test]
fn a_deadline_nearer_than_the_turn_fails_at_once() {
    let time = VirtualClock::new();
    let (ctx, _cancel) = on(&time);
    let rate = bucket(&time, Rate::per_second(1), 5);
    rate.try_acquire(5).unwrap();
    let hurried = ctx.with_timeout(SECOND * 2);
    assert_eq!(rate.acquire(&hurried, 3), Err(RateError::TooLate { wait: SECOND * 3 }));
    let reserved = rate.reserve(4).unwrap();
    assert_eq!(rate.acquire(&hurried, 1), Err(RateError::TooLate { wait: SECOND * 5 }));
    assert_eq!(reserved.wait(&hurried), Err(RateError::TooLate { wait: SECOND * 4 }));
    assert_eq!(rate.stats().waiting, 0);
    thread::scope(|s| {
        // At the very deadline is in time.
        let last = s.spawn(|| rate.acquire(&hurried, 2));
        until(|| time.pending() == 1);
        time.advance(SECOND * 2);
        assert_eq!(last.join().unwrap(), Ok(()));
    });
}

#[test]
fn a_change_that_puts_the_turn_after_the_deadline_fails_it_at_once() {
    let time = VirtualClock::new();
    let (ctx, _cancel) = on(&time);
    let hurried = ctx.with_timeout(SECOND * 10);
    let rate = bucket(&time, Rate::per_second(1), 5);
    rate.try_acquire(5).unwrap();
    thread::scope(|s| {
        let calls = [s.spawn(|| rate.acquire(&hurried, 2)), s.spawn(|| rate.acquire(&hurried, 2))];
        until(|| rate.waiting() == 2);
        rate.update_rate(Rate::new(1, SECOND * 10));
        for call in calls {
            assert!(call.join().unwrap().unwrap_err().is_too_late());
        }
        assert_eq!(rate.waiting(), 0);
        let call = s.spawn(|| rate.acquire(&ctx, 1));
        until(|| rate.waiting() == 1);
        rate.update_rate(Rate::ZERO);
        assert_eq!(call.join().unwrap(), Err(RateError::NoRefill));
        rate.update_rate(Rate::per_second(1));
        let call = s.spawn(|| rate.acquire(&ctx, 2));
        until(|| rate.waiting() == 1);
        rate.update_burst(1);
        assert_eq!(call.join().unwrap(), Err(RateError::TooMany { asked: 2, capacity: 1 }));
    });
    assert!(rate.stats().ledger.is_balanced());
}

#[test]
fn a_faster_rate_moves_everybody_up() {
    let time = VirtualClock::new();
    let (ctx, _cancel) = on(&time);
    let rate = bucket(&time, Rate::per_hour(1), 1);
    rate.try_acquire(1).unwrap();
    thread::scope(|s| {
        let calls: Vec<_> = (0..3).map(|_| s.spawn(|| rate.acquire(&ctx, 1))).collect();
        until(|| rate.waiting() == 3);
        rate.update_rate(Rate::UNLIMITED);
        for call in calls {
            assert_eq!(call.join().unwrap(), Ok(()));
        }
    });
}

#[test]
fn a_cancelled_head_lets_the_next_ones_move_up() {
    let time = VirtualClock::new();
    let (ctx, _cancel) = on(&time);
    let (big, cancel_big) = ctx.with_cancel();
    let rate = bucket(&time, Rate::per_second(1), 100);
    rate.try_acquire(99).unwrap();
    thread::scope(|s| {
        let large = s.spawn(|| rate.acquire(&big, 100));
        until(|| rate.waiting() == 1);
        let small = s.spawn(|| rate.acquire(&ctx, 1));
        until(|| rate.waiting() == 2);
        cancel_big.cancel();
        assert!(large.join().unwrap().unwrap_err().stop().is_some());
        assert_eq!(small.join().unwrap(), Ok(())); // Without the clock moving.
    });
    assert_eq!((rate.available(), rate.stats().ledger.cancelled), (0, 1));
}

/// G13: the clock is the limit's own, for waits as well.
#[test]
fn another_clock_than_the_contexts_works_too() {
    let (time, other) = (VirtualClock::new(), VirtualClock::new());
    let (ctx, _cancel) = on(&other);
    let rate = bucket(&time, Rate::per_second(1), 1);
    rate.try_acquire(1).unwrap();
    thread::scope(|s| {
        let call = s.spawn(|| rate.acquire(&ctx, 1));
        until(|| other.pending() == 1);
        other.advance(SECOND); // Time, but not for the limiter.
        until(|| other.pending() == 1);
        time.advance(SECOND);
        other.advance(SECOND);
        assert_eq!(call.join().unwrap(), Ok(()));
    });
}

// ----- Reservations -----

/// G11; goflow 15: cancelling twice minted tokens. Here it does not compile.
#[test]
fn a_reservation_repays_exactly_once() {
    // goflow 15: cancelling twice minted tokens, and worked after the use. Here it does not compile, see
    // `Reservation`; this is the arithmetic of one.
    let time = VirtualClock::new();
    let rate = bucket(&time, Rate::per_second(1), 10);
    let three = rate.reserve(3).unwrap();
    assert_eq!(rate.available(), 7);
    three.cancel();
    assert_eq!(rate.available(), 10);
    drop(rate.reserve(4).unwrap());
    assert_eq!(rate.available(), 10);
    rate.reserve(4).unwrap().try_use().unwrap();
    assert_eq!(rate.available(), 6);
    let ledger = rate.stats().ledger;
    assert_eq!((ledger.accepted, ledger.done, ledger.cancelled, ledger.in_flight), (3, 1, 2, 0));
}

#[test]
fn what_ran_over_is_not_repaid() {
    let time = VirtualClock::new();
    let rate = bucket(&time, Rate::per_second(1), 10);
    let ten = rate.reserve(10).unwrap();
    time.advance(SECOND * 100); // It would have been full all along.
    rate.try_acquire(10).unwrap();
    ten.cancel();
    assert_eq!(rate.available(), 0);
    time.advance(SECOND * 10);
    // Half of it has run over: 5 of 10 were used by others.
    let ten = rate.reserve(10).unwrap();
    time.advance(SECOND * 5);
    rate.try_acquire(5).unwrap();
    time.advance(SECOND * 5);
    ten.cancel();
    assert_eq!(rate.available(), 10, "without the reservation it would be full");
}

#[test]
fn reservations_behind_a_cancelled_one_move_up() {
    let time = VirtualClock::new();
    let rate = debts(&time, Rate::per_second(1), 1);
    rate.try_acquire(1).unwrap();
    let first = rate.reserve(10).unwrap();
    let second = rate.reserve(1).unwrap();
    assert_eq!((first.delay(), second.delay()), (SECOND * 10, SECOND * 11));
    time.advance(SECOND);
    first.cancel();
    assert_eq!(second.delay(), Duration::ZERO);
    second.try_use().unwrap();
    assert_eq!(rate.available(), 0);
}

/// G11: delays.
#[test]
fn a_reservation_is_due_when_it_was_said() {
    let time = VirtualClock::new();
    let rate = bucket(&time, Rate::per_second(1), 1);
    rate.try_acquire(1).unwrap();
    let [first, second] = [(); 2].map(|()| rate.reserve(1).unwrap());
    time.advance(SECOND * 2); // Nobody looked when the first one was due.
    second.try_use().unwrap();
    first.try_use().unwrap();
    assert!(rate.try_acquire(1).is_err());
}

#[test]
fn waiting_for_a_reservation_is_cut_short_and_repaid() {
    let time = VirtualClock::new();
    let (ctx, cancel) = on(&time);
    let rate = bucket(&time, Rate::per_second(1), 5);
    rate.try_acquire(5).unwrap();
    let (behind, reserved) = (rate.reserve(5).unwrap(), rate.reserve(1).unwrap());
    thread::scope(|s| {
        let call = s.spawn(|| reserved.wait(&ctx));
        until(|| time.pending() == 1);
        cancel.cancel();
        assert!(matches!(call.join().unwrap(), Err(RateError::Stopped(Stop::Cancelled(_)))));
    });
    behind.cancel();
    assert_eq!((rate.waiting(), rate.stats().balance), (0, 0));
}

#[test]
fn debt_has_an_end() {
    let time = VirtualClock::new();
    let rate = debts(&time, Rate::per_second(1), 1);
    let owed = rate.reserve(1 << 31).unwrap();
    assert_eq!(rate.reserve(u32::MAX).unwrap_err(), RateError::Backlog);
    assert!(rate.try_acquire(2).is_err());
    owed.cancel();
    assert_eq!(rate.available(), 1);
}

// ----- Live changes -----

/// G12, G17: changes of rate and size, of token buckets and leaky ones.
#[test]
fn a_change_neither_mints_nor_loses_tokens() {
    let time = VirtualClock::new();
    let rate = bucket(&time, Rate::per_second(10), 10);
    rate.try_acquire(6).unwrap();
    rate.update_burst(100);
    assert_eq!(rate.available(), 4, "growing adds room, not tokens");
    time.advance(MS * 250);
    rate.update_rate(Rate::per_second(1));
    assert_eq!(rate.available(), 6);
    time.advance(MS * 500); // The half token from before counts.
    assert_eq!(rate.available(), 7);
    rate.update_burst(3);
    assert_eq!((rate.available(), rate.capacity()), (3, 3));
    rate.update_burst(0);
    rate.update_burst(5);
    assert_eq!(rate.available(), 0);
    rate.update_rate(Rate::UNLIMITED);
    rate.update_rate(Rate::per_second(1));
    assert_eq!((rate.available(), rate.rate()), (5, Rate::per_second(1)));

    let owing = debts(&time, Rate::per_second(1), 1);
    let debt = owing.reserve(4).unwrap();
    owing.update_burst(2);
    assert_eq!(debt.delay(), SECOND * 3, "one token was there, and is");
    debt.cancel();
    assert_eq!(owing.available(), 1);

    let leaky = LeakyBucket::builder(Rate::per_second(1), 10).clock(time.clock()).build().unwrap();
    leaky.try_acquire(8).unwrap();
    leaky.update_capacity(5);
    assert_eq!((leaky.used(), leaky.available(), leaky.stats().balance), (8, 0, -3));
    assert_eq!(leaky.try_acquire(1).unwrap_err().retry_after(), Some(SECOND * 4));
}

// ----- Against an exact model -----

/// One step of a schedule.
#[derive(Debug, Clone, Copy)]
enum Step {
    Pass(u32),
    Wait(u64),
    Rate(Rate),
    Burst(u32),
    Reserve(u32),
    Cancel,
    Use,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..12_u32).prop_map(Step::Pass),
        4 => prop_oneof![0..50_u64, 0..3_000_000_000_u64].prop_map(Step::Wait),
        1 => (0..40_u32, 1..2_000_000_000_u64).prop_map(|(n, d)| Step::Rate(Rate::new(n, Duration::from_nanos(d)))),
        1 => (0..12_u32).prop_map(Step::Burst),
        1 => (1..12_u32).prop_map(Step::Reserve),
        1 => Just(Step::Cancel),
        1 => Just(Step::Use),
    ];
    prop::collection::vec(step, 1..60)
}

/// Never more than `rate * t + burst` in any stretch: `passed` are times and numbers.
fn check_bound(passed: &[(Instant, u32)], rate: Rate, burst: u32) {
    for (i, (from, _)) in passed.iter().enumerate() {
        let mut sum = 0_u128;
        for (to, n) in &passed[i..] {
            sum += u128::from(*n);
            let time = (*to - *from).as_nanos();
            let most = time * u128::from(rate.count()) + u128::from(burst) * rate.per().as_nanos();
            assert!(sum * rate.per().as_nanos() <= most, "{sum} in {time} ns");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// The bucket is an exact rational token bucket: the same calls pass, and the waits it gives are
    /// the shortest.
    #[test]
    fn a_bucket_is_exact(
        count in 1..2_000_u32,
        per in 1..1_000_000_000_u64,
        burst in 1..20_u32,
        calls in prop::collection::vec((0..8_u32, prop_oneof![0..50_u64, 0..2_000_000_000_u64]), 1..60),
    ) {
        let time = VirtualClock::new();
        let per = u128::from(per);
        let rate = Rate::new(count, Duration::from_nanos(per as u64));
        let (limit, start) = (bucket(&time, rate, burst), time.now());
        // In tokens times `per`, so that everything is whole.
        let (mut tokens, mut last) = (u128::from(burst) * per, 0_u128);
        let mut passed = Vec::new();
        for (n, step) in calls {
            time.advance(Duration::from_nanos(step));
            let now = (time.now() - start).as_nanos();
            tokens = (tokens + (now - last) * u128::from(count)).min(u128::from(burst) * per);
            last = now;
            let ask = u128::from(n) * per;
            match limit.try_acquire(n) {
                Ok(()) => {
                    prop_assert!(ask <= tokens);
                    tokens -= ask;
                    passed.push((time.now(), n));
                }
                Err(TryRateError::TooMany { .. }) => prop_assert!(n > burst),
                Err(TryRateError::NotYet { wait }) => {
                    prop_assert!(ask > tokens);
                    prop_assert_eq!(wait.as_nanos(), (ask - tokens).div_ceil(u128::from(count)));
                }
                Err(other) => prop_assert!(false, "{other}"),
            }
        }
        check_bound(&passed, rate, burst);
    }

    /// Blocking calls on a clock that jumps keep to the bound, and are as fast as it allows.
    #[test]
    fn blocking_calls_keep_to_the_bound(
        count in 1..2_000_u32,
        per in 1..1_000_000_000_u64,
        burst in 1..20_u32,
        calls in prop::collection::vec((1..8_u32, 0..1_000_000_000_u64), 1..30),
    ) {
        let time = VirtualClock::auto();
        let (ctx, _cancel) = on(&time);
        let rate = Rate::new(count, Duration::from_nanos(per));
        let limit = bucket(&time, rate, burst);
        let mut passed = Vec::new();
        for (n, pause) in calls.into_iter().filter(|(n, _)| *n <= burst) {
            ctx.sleep(Duration::from_nanos(pause)).unwrap();
            limit.acquire(&ctx, n).unwrap();
            passed.push((time.now(), n));
        }
        check_bound(&passed, rate, burst);
    }

    /// A window never holds more than its limit, and lets everything pass that would not overfill it.
    #[test]
    fn a_window_is_exact(
        limit in 1..10_u32,
        span in 1..1_000_u64,
        calls in prop::collection::vec((1..5_u32, 0..300_u64), 1..80),
    ) {
        let time = VirtualClock::new();
        let window = SlidingWindow::builder(limit, NS * span as u32).clock(time.clock()).build().unwrap();
        let mut passed: Vec<(Instant, u32)> = Vec::new();
        for (n, step) in calls {
            time.advance(Duration::from_nanos(step));
            let now = time.now();
            let inside: u32 =
                passed.iter().filter(|(t, _)| now - *t < NS * span as u32).map(|(_, n)| n).sum();
            match window.try_acquire(n) {
                Ok(()) => {
                    prop_assert!(inside + n <= limit);
                    passed.push((now, n));
                }
                Err(e) => {
                    prop_assert!(inside + n > limit);
                    if let Some(wait) = e.retry_after() {
                        let later = now + wait;
                        let left = |t: Instant| -> u32 {
                            passed.iter().filter(|(p, _)| t - *p < NS * span as u32).map(|(_, n)| n).sum()
                        };
                        prop_assert!(left(later) + n <= limit && left(later - NS) + n > limit);
                    }
                }
            }
        }
    }

    /// A window of a large limit keeps few entries and errs on the safe side, by a 1024th.
    #[test]
    fn a_wide_window_errs_on_the_safe_side(
        calls in prop::collection::vec((1..3_000_u32, 0..3_000_u64), 1..200),
    ) {
        let (limit, span) = (20_000_u32, Duration::from_nanos(102_400));
        let time = VirtualClock::new();
        let window = SlidingWindow::builder(limit, span).clock(time.clock()).build().unwrap();
        let mut passed: Vec<(Instant, u32)> = Vec::new();
        for (n, step) in calls {
            time.advance(Duration::from_nanos(step));
            let now = time.now();
            let inside = |span: Duration| -> u32 {
                passed.iter().filter(|(t, _)| now - *t < span).map(|(_, n)| n).sum()
            };
            let (exact, wide) = (inside(span), inside(span + Duration::from_nanos(100)));
            if window.try_acquire(n).is_ok() {
                prop_assert!(exact + n <= limit);
                passed.push((now, n));
            } else {
                prop_assert!(wide + n > limit);
            }
        }
    }

    /// Whatever is done: nothing overflows, the books balance, and what was cancelled is as if it had
    /// never been.
    #[test]
    fn any_schedule_keeps_the_books(steps in steps()) {
        let time = VirtualClock::new();
        let limit = debts(&time, Rate::per_second(7), 10);
        let mut held = Vec::new();
        for step in steps {
            match step {
                Step::Pass(n) => drop(limit.try_acquire(n)),
                Step::Wait(nanos) => time.advance(Duration::from_nanos(nanos)),
                Step::Rate(rate) => limit.update_rate(rate),
                Step::Burst(burst) => limit.update_burst(burst),
                Step::Reserve(n) => held.extend(limit.reserve(n)),
                Step::Cancel => drop(held.pop()),
                Step::Use => {
                    if let Some(reserved) = held.pop() {
                        held.extend(reserved.try_use().err());
                    }
                }
            }
            let stats = limit.stats();
            prop_assert!(stats.ledger.is_balanced());
            prop_assert!(stats.balance <= i64::from(limit.capacity()));
            prop_assert!(stats.waiting <= held.len());
        }
        held.clear();
        limit.update_rate(Rate::per_second(7));
        time.advance(SECOND * 1_000_000_000);
        prop_assert_eq!(limit.available(), limit.capacity());
        prop_assert_eq!(limit.stats().ledger.in_flight, 0);
    }

    /// A reservation that is given back at once, or before anything ran over, leaves no trace.
    #[test]
    fn cancelling_leaves_no_trace(
        takes in prop::collection::vec((1..4_u32, 0..900_000_000_u64), 1..30),
        reserve in 1..30_u32,
        at in 0..30_usize,
        after in 0..30_usize,
    ) {
        let time = VirtualClock::new();
        let rate = Rate::per_second(3);
        let (with, without) = (debts(&time, rate, 10), debts(&time, rate, 10));
        let mut held = None;
        for (i, (n, step)) in takes.iter().enumerate() {
            if i == at {
                held = with.reserve(reserve).ok();
            }
            // Only what passes both ways is passed, so that the two differ by the reservation alone.
            if with.try_acquire(*n).is_ok() {
                without.try_acquire(*n).unwrap();
            }
            if i == at + after {
                held = None;
                prop_assert_eq!(with.stats().balance, without.stats().balance);
            }
            time.advance(Duration::from_nanos(*step));
        }
        drop(held);
        prop_assert_eq!(with.stats().balance, without.stats().balance);
    }
}
