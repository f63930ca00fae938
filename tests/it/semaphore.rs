//! Semaphore: order, weight, resizing, cancelling, and that permits are conserved.

use crate::until;
use ironsys::limit::{AcquireError, Permit, Semaphore, TryAcquireError};
use ironsys::time::VirtualClock;
use ironsys::{Context, Stop};
use proptest::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// G19, G20: all permits are free in the beginning.
#[test]
fn permits_pass_up_to_the_capacity() {
    let (ctx, _cancel) = Context::root();
    let slots = Semaphore::new(3);
    let two = slots.acquire(&ctx, 2).unwrap();
    let one = slots.try_acquire(1).unwrap();
    assert_eq!(slots.try_acquire(1).unwrap_err(), TryAcquireError::NoPermits);
    assert_eq!((slots.available(), slots.in_use(), slots.capacity()), (0, 3, 3));
    two.release();
    assert_eq!(slots.available(), 2);
    drop(one);
    assert_eq!(slots.available(), 3);
}

/// G20.
#[test]
fn nothing_is_granted_at_once_even_when_others_wait() {
    let (ctx, cancel) = Context::root();
    let slots = Semaphore::new(1);
    let held = slots.try_acquire(1).unwrap();
    thread::scope(|s| {
        s.spawn(|| slots.acquire(&ctx, 1).map(drop));
        until(|| slots.waiting() == 1);
        assert_eq!(slots.acquire(&ctx, 0).unwrap().permits(), 0);
        assert!(slots.try_acquire(0).is_ok());
        cancel.cancel();
    });
    drop(held);
    assert_eq!(slots.available(), 1);
}

/// G20: it waited until the context ended.
#[test]
fn asking_for_more_than_exists_is_refused_at_once() {
    let (ctx, _cancel) = Context::root();
    let slots = Semaphore::new(4);
    let too_many = AcquireError::TooMany { asked: 5, capacity: 4 };
    assert_eq!(slots.acquire(&ctx, 5).unwrap_err(), too_many);
    assert!(slots.try_acquire(usize::MAX).unwrap_err().is_too_many());
    assert_eq!(slots.stats().rejected, 2);
    assert_eq!(slots.waiting(), 0);
}

#[test]
fn zero_permits_refuse_everybody_until_resized() {
    let (ctx, _cancel) = Context::root();
    let slots = Semaphore::new(0);
    assert!(slots.acquire(&ctx, 1).unwrap_err().is_too_many());
    assert!(slots.acquire(&ctx, 0).is_ok());
    slots.resize(1);
    assert!(slots.acquire(&ctx, 1).is_ok());
}

#[test]
fn the_largest_capacity_neither_overflows_nor_blocks() {
    let (ctx, _cancel) = Context::root();
    for most in [usize::MAX, 1 << 31, (1 << 31) - 1] {
        let slots = Semaphore::new(most);
        let all = slots.acquire(&ctx, most).unwrap();
        assert_eq!(slots.try_acquire(1).unwrap_err(), TryAcquireError::NoPermits);
        slots.resize(1);
        assert_eq!((slots.available(), slots.in_use()), (0, most));
        drop(all);
        assert_eq!((slots.available(), slots.in_use()), (1, 0));
        slots.resize(most);
        drop(slots.hold(&ctx, most).unwrap());
        assert_eq!((slots.available(), slots.stats().ledger.done), (most, 2));
    }
}

#[test]
fn waiters_get_through_in_the_order_they_came() {
    let (ctx, _cancel) = Context::root();
    let slots = Semaphore::new(1);
    let held = slots.try_acquire(1).unwrap();
    let (through, order) = mpsc::channel();
    thread::scope(|s| {
        for i in 0..4 {
            let (slots, ctx, through) = (&slots, &ctx, through.clone());
            s.spawn(move || {
                let permit = slots.acquire(ctx, 1).unwrap();
                through.send(i).unwrap();
                drop(permit);
            });
            until(|| slots.waiting() == i + 1);
        }
        drop(held);
        let seen: Vec<usize> = order.iter().take(4).collect();
        assert_eq!(seen, [0, 1, 2, 3]);
    });
}

/// goflow 14: small requests overtook.
#[test]
fn a_large_request_holds_up_smaller_ones_behind_it() {
    let (ctx, _cancel) = Context::root();
    let slots = Semaphore::new(3);
    let mut held = slots.try_acquire(3).unwrap();
    let (through, order) = mpsc::channel();
    thread::scope(|s| {
        for (i, weight) in [3, 1, 1].into_iter().enumerate() {
            let (slots, ctx, through) = (&slots, &ctx, through.clone());
            s.spawn(move || {
                let permit = slots.acquire(ctx, weight).unwrap();
                through.send(i).unwrap();
                permit
            });
            until(|| slots.waiting() == i + 1);
        }
        drop(held.split(2));
        assert_eq!((slots.available(), slots.waiting()), (2, 3)); // Two are free, nobody overtakes.
        assert_eq!(slots.try_acquire(1).unwrap_err(), TryAcquireError::NoPermits);
        drop(held);
        assert_eq!(order.recv().unwrap(), 0);
    });
    assert_eq!(slots.available(), 3);
}

#[test]
fn a_cancelled_head_lets_the_next_ones_through() {
    let (ctx, _cancel) = Context::root();
    let (big, cancel_big) = ctx.with_cancel();
    let slots = Semaphore::new(3);
    let held = slots.try_acquire(1).unwrap();
    thread::scope(|s| {
        let large = s.spawn(|| slots.acquire(&big, 3).map(drop));
        until(|| slots.waiting() == 1);
        let small = s.spawn(|| slots.acquire(&ctx, 2).map(drop));
        until(|| slots.waiting() == 2);
        cancel_big.cancel_with("not now");
        let refused = large.join().unwrap().unwrap_err();
        assert_eq!(refused.stop().and_then(|s| s.cause()).map(|c| c.reason()), Some("not now"));
        assert!(small.join().unwrap().is_ok());
    });
    drop(held);
    assert_eq!((slots.available(), slots.stats().ledger.cancelled), (3, 1));
}

#[test]
fn a_stopped_context_gets_nothing_even_if_permits_are_free() {
    let (ctx, cancel) = Context::root();
    let slots = Semaphore::new(1);
    cancel.cancel();
    for _ in 0..2 {
        assert!(slots.acquire(&ctx, 1).unwrap_err().stop().is_some());
        assert!(slots.acquire(&ctx, 0).unwrap_err().stop().is_some());
    }
    assert_eq!(slots.available(), 1);
}

#[test]
fn a_wait_ends_at_the_deadline_and_holds_nothing() {
    let time = VirtualClock::auto();
    let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    let slots = Semaphore::new(2);
    let held = slots.try_acquire(1).unwrap();
    let soon = ctx.with_timeout(Duration::from_secs(5));
    let late = slots.acquire(&soon, 2).unwrap_err();
    assert_eq!(late, AcquireError::Stopped(Stop::DeadlineExceeded));
    assert_eq!((slots.waiting(), slots.available()), (0, 1));
    drop(held);
}

#[test]
fn a_grant_at_the_deadline_is_a_grant() {
    let time = VirtualClock::new();
    let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    let slots = Semaphore::new(1);
    let held = slots.try_acquire(1).unwrap();
    let soon = ctx.with_timeout(Duration::from_secs(5));
    thread::scope(|s| {
        let waiter = s.spawn(|| slots.acquire(&soon, 1).map(|p| p.permits()));
        until(|| slots.waiting() == 1 && time.pending() == 1);
        drop(held); // Granted here, whatever the waiter sees first.
        time.advance(Duration::from_secs(5));
        assert_eq!(waiter.join().unwrap(), Ok(1));
    });
}

#[test]
fn growing_lets_waiters_through() {
    let (ctx, _cancel) = Context::root();
    let slots = Semaphore::new(2);
    let held = slots.try_acquire(2).unwrap();
    thread::scope(|s| {
        let waiters: Vec<_> =
            (0..2).map(|_| s.spawn(|| slots.acquire(&ctx, 2).map(drop))).collect();
        until(|| slots.waiting() == 2);
        slots.resize(6);
        for waiter in waiters {
            assert!(waiter.join().unwrap().is_ok());
        }
    });
    assert_eq!((slots.in_use(), slots.available()), (2, 4));
    drop(held);
}

/// G22; goflow 11: 10 of 2 were free after a shrink.
#[test]
fn shrinking_is_a_debt_that_releases_pay_first() {
    let slots = Semaphore::new(10);
    let mut held = slots.try_acquire(10).unwrap();
    slots.resize(2);
    for free in [0, 0, 0, 0, 0, 0, 0, 0, 1, 2] {
        drop(held.split(1));
        assert_eq!(slots.available(), free);
    }
    assert_eq!((slots.capacity(), slots.in_use()), (2, 0)); // goflow: 10 available of 2
}

#[test]
fn a_waiter_that_asks_for_more_than_is_left_is_refused() {
    let (ctx, _cancel) = Context::root();
    let slots = Semaphore::new(4);
    let held = slots.try_acquire(2).unwrap();
    thread::scope(|s| {
        let large = s.spawn(|| slots.acquire(&ctx, 4).map(drop));
        until(|| slots.waiting() == 1);
        let small = s.spawn(|| slots.acquire(&ctx, 1).map(drop));
        until(|| slots.waiting() == 2);
        slots.resize(3);
        let too_many = AcquireError::TooMany { asked: 4, capacity: 3 };
        assert_eq!(large.join().unwrap(), Err(too_many));
        assert!(small.join().unwrap().is_ok()); // It was only in the way.
    });
    drop(held);
    let stats = slots.stats();
    assert_eq!((stats.ledger.failed, slots.available()), (1, 3));
    assert!(stats.ledger.is_balanced());
}

/// G22; goflow 12: it panicked.
#[test]
fn shrinking_to_zero_is_a_way_to_shut_down() {
    let (ctx, _cancel) = Context::root();
    let slots = Semaphore::new(1);
    let held = slots.try_acquire(1).unwrap();
    thread::scope(|s| {
        let waiter = s.spawn(|| slots.acquire(&ctx, 1).map(drop));
        until(|| slots.waiting() == 1);
        slots.resize(0);
        assert!(waiter.join().unwrap().unwrap_err().is_too_many());
    });
    drop(held);
    assert_eq!((slots.available(), slots.in_use()), (0, 0));
}

#[test]
fn closing_fails_those_who_wait_and_keeps_what_is_out() {
    let (ctx, _cancel) = Context::root();
    let slots = Semaphore::new(1);
    let held = slots.try_acquire(1).unwrap();
    thread::scope(|s| {
        let waiter = s.spawn(|| slots.acquire(&ctx, 1).map(drop));
        until(|| slots.waiting() == 1);
        assert!(slots.close());
        assert!(waiter.join().unwrap().unwrap_err().is_closed());
    });
    assert!(!slots.close() && slots.is_closed());
    assert_eq!(slots.in_use(), 1);
    drop(held);
    assert_eq!(slots.in_use(), 0);
    assert!(slots.acquire(&ctx, 1).unwrap_err().is_closed());
}

/// G21: there is no way to give back more than one has.
#[test]
fn permits_split_merge_and_move_between_threads() {
    let slots = Semaphore::named("slots", 5);
    let other = Semaphore::new(1);
    let mut whole = slots.try_acquire(5).unwrap();
    let part = whole.split(2).unwrap();
    assert!(whole.split(4).is_none());
    thread::spawn(move || drop(part)).join().unwrap();
    assert_eq!(slots.available(), 2);
    whole.merge(slots.try_acquire(1).unwrap()).unwrap();
    assert_eq!(whole.permits(), 4);
    let foreign = whole.merge(other.try_acquire(1).unwrap()).unwrap_err();
    assert_eq!((foreign.permits(), other.available()), (1, 0));
    drop((whole, foreign));
    assert_eq!((slots.available(), other.available()), (5, 1));
}

#[test]
fn a_permit_outlives_the_handle() {
    let slots = Semaphore::new(1);
    let again = slots.clone();
    let permit = slots.try_acquire(1).unwrap();
    drop(slots);
    assert_eq!(again.available(), 0);
    drop(permit);
    assert_eq!(again.available(), 1);
}

/// Cancel against grant: goflow leaked 26 permits in 7.8 million rounds.
#[test]
fn cancel_and_grant_at_once_lose_no_permit() {
    let (ctx, _cancel) = Context::root();
    let slots = Semaphore::new(1);
    let (got, stopped) = (AtomicUsize::new(0), AtomicUsize::new(0));
    for _ in 0..300 {
        let held = slots.try_acquire(1).unwrap();
        let (mine, cancel) = ctx.with_cancel();
        thread::scope(|s| {
            s.spawn(|| match slots.acquire(&mine, 1) {
                Ok(_) => got.fetch_add(1, Ordering::Relaxed),
                Err(_) => stopped.fetch_add(1, Ordering::Relaxed),
            });
            s.spawn(|| cancel.cancel());
            drop(held);
        });
        assert_eq!((slots.available(), slots.waiting()), (1, 0));
    }
    assert_eq!(got.into_inner() + stopped.into_inner(), 300);
    assert_eq!(ctx.linked(), (0, 0));
}

#[test]
fn never_more_than_the_capacity_at_once() {
    let (ctx, _cancel) = Context::root();
    let slots = Semaphore::new(3);
    let inside = AtomicUsize::new(0);
    thread::scope(|s| {
        for weight in [1, 2, 3, 1] {
            let (slots, inside, ctx) = (&slots, &inside, &ctx);
            s.spawn(move || {
                for _ in 0..500 {
                    let permit = slots.acquire(ctx, weight).unwrap();
                    assert!(inside.fetch_add(weight, Ordering::SeqCst) + weight <= 3);
                    inside.fetch_sub(weight, Ordering::SeqCst);
                    drop(permit);
                }
            });
        }
    });
    let stats = slots.stats();
    assert_eq!((stats.ledger.done, slots.available()), (2000, 3));
    assert!(stats.ledger.is_balanced());
}

#[derive(Debug, Clone)]
enum Step {
    Take(usize),
    Drop(usize),
    Split(usize, usize),
    Resize(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..6usize).prop_map(Step::Take),
        3 => (0..8usize).prop_map(Step::Drop),
        1 => (0..8usize, 0..4usize).prop_map(|(i, n)| Step::Split(i, n)),
        1 => (0..8usize).prop_map(Step::Resize),
    ];
    proptest::collection::vec(step, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// The sequential model: a number of permits out, a capacity, and nothing else.
    #[test]
    fn behaves_like_two_numbers(steps in steps()) {
        let slots = Semaphore::new(4);
        let (mut capacity, mut out) = (4, 0);
        let mut held: Vec<Permit> = Vec::new();
        for step in steps {
            match step {
                Step::Take(n) => {
                    let fits = n == 0 || out + n <= capacity;
                    match slots.try_acquire(n) {
                        Ok(permit) => {
                            prop_assert!(fits);
                            out += n;
                            held.push(permit);
                        }
                        Err(e) => {
                            prop_assert!(!fits);
                            prop_assert_eq!(e.is_too_many(), n > capacity);
                        }
                    }
                }
                Step::Drop(i) if i < held.len() => out -= held.swap_remove(i).permits(),
                Step::Split(i, n) if i < held.len() => {
 let part = held[i].split(n);
 held.extend(part);
 }
                Step::Resize(n) => {
                    slots.resize(n);
                    capacity = n;
                }
                Step::Drop(_) | Step::Split(..) => {}
            }
            prop_assert_eq!(slots.in_use(), out);
            prop_assert_eq!(slots.available(), capacity.saturating_sub(out));
            prop_assert!(slots.stats().ledger.is_balanced());
        }
    }
}

/// goflow 13: of permits granted while their callers were being cancelled, 26 in 7.8 million were lost.
///
/// 20,000 races; `IRONSYS_RACES=10000000` for as many as there were then.
#[test]
fn permits_survive_races_of_grant_and_cancel() {
    let races = std::env::var("IRONSYS_RACES").ok().and_then(|n| n.parse().ok()).unwrap_or(20_000);
    let (root, _cancel) = Context::root();
    let slots = Semaphore::new(1);
    let (mut granted, mut cancelled) = (0_u64, 0_u64);
    thread::scope(|s| {
        let (calls, todo) = mpsc::channel::<Context>();
        let (done, ends) = mpsc::channel();
        let slots = &slots;
        s.spawn(move || {
            for ctx in todo {
                let granted = slots.acquire(&ctx, 1).map(drop).is_ok(); // And given back.
                done.send(granted).unwrap();
            }
        });
        for _ in 0..races {
            let (ctx, cancel) = root.with_cancel();
            let held = slots.try_acquire(1).unwrap();
            calls.send(ctx).unwrap();
            until(|| slots.waiting() == 1);
            // On this thread one comes after the other, on that one both are there at once.
            if (granted + cancelled).is_multiple_of(2) {
                drop(held);
                cancel.cancel();
            } else {
                cancel.cancel();
                drop(held);
            }
            if ends.recv().unwrap() {
                granted += 1
            } else {
                cancelled += 1
            }
            assert_eq!((slots.available(), slots.waiting()), (1, 0));
        }
        drop(calls);
    });
    let ledger = slots.stats().ledger;
    assert!(ledger.is_balanced());
    assert_eq!((ledger.done, ledger.cancelled), (races + granted, cancelled));
}
