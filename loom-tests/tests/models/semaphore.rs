//! Permits: never more out than there are, and none lost on the way to somebody who gives up.

use crate::{Count, SOON, join, join_all, model, spawn, timed};
use ironsys::Context;
use ironsys::limit::{AcquireError, Semaphore};

/// One permit is a lock.
#[test]
fn mutual_exclusion() {
    model("semaphore::mutual_exclusion", || {
        let (ctx, _cancel) = Context::root();
        let slots = Semaphore::new(1);
        let inside = Count::default();
        let users = [(); 2].map(|()| {
            let (ctx, slots, inside) = (ctx.clone(), slots.clone(), inside.clone());
            spawn(move || {
                let permit = slots.acquire(&ctx, 1).expect("nobody cancels");
                assert_eq!(inside.enter(), 0, "two were inside");
                inside.leave();
                drop(permit);
            })
        });
        join_all(users);
        assert_eq!((slots.available(), slots.waiting()), (1, 0));
    });
}

/// A permit that comes back by the word, at the moment when somebody goes to the line for it.
#[test]
fn release_vs_enqueue() {
    model("semaphore::release_vs_enqueue", || {
        let (ctx, _cancel) = Context::root();
        let slots = Semaphore::new(1);
        let held = slots.try_acquire(1).expect("it is free");
        let user = spawn({
            let slots = slots.clone();
            move || slots.hold(&ctx, 1).map(drop)
        });
        drop(held);
        join(user).expect("nobody cancels"); // Hangs if the line was not told.
        let stats = slots.stats();
        assert_eq!((stats.in_use, stats.ledger.done, stats.ledger.in_flight), (0, 2, 0));
    });
}

/// While somebody waits nobody passes by the word, though enough is free for him.
#[test]
fn word_vs_line() {
    model("semaphore::word_vs_line", || {
        let (ctx, _cancel) = Context::root();
        let slots = Semaphore::new(2);
        let held = slots.try_acquire(1).expect("it is free");
        let both = spawn({
            let slots = slots.clone();
            move || slots.hold(&ctx, 2).map(drop)
        });
        let waits = slots.waiting() == 1;
        let passed = slots.try_acquire(1);
        assert!(!waits || passed.is_err(), "it has overtaken");
        drop((held, passed));
        join(both).expect("nobody cancels");
        assert_eq!((slots.available(), slots.stats().ledger.cancelled), (2, 0));
    });
}

/// Passing by the word while the semaphore grows and shrinks: none is minted, and each is counted.
#[test]
fn resize_vs_word() {
    model("semaphore::resize_vs_word", || {
        let slots = Semaphore::new(1);
        let resizer = spawn({
            let slots = slots.clone();
            move || {
                slots.resize(2);
                slots.resize(1);
            }
        });
        let first = slots.try_acquire(1).expect("one is always there");
        let second = slots.try_acquire(1);
        let granted = 1 + u64::from(second.is_ok());
        drop(first);
        join(resizer);
        assert_eq!(slots.in_use(), second.as_ref().map_or(0, |permit| permit.permits()));
        drop(second);
        let stats = slots.stats();
        assert_eq!((stats.ledger.done, stats.in_use, slots.available()), (granted, 0, 1));
    });
}

/// The permit is granted to somebody who is being cancelled: he has it, or the next one gets it.
#[test]
fn cancel_vs_grant() {
    model("semaphore::cancel_vs_grant", || {
        let (ctx, _cancel) = Context::root();
        let (child, cancel) = ctx.with_cancel();
        let slots = Semaphore::new(1);
        let held = slots.try_acquire(1).expect("it is free");
        let user = spawn({
            let slots = slots.clone();
            move || slots.acquire(&child, 1).is_ok()
        });
        let canceller = spawn(move || cancel.cancel());
        drop(held);
        drop(slots.acquire(&ctx, 1).expect("it comes round")); // Hangs if it was lost.
        join(user);
        join(canceller);
        assert_eq!((slots.available(), slots.waiting()), (1, 0));
        assert!(slots.stats().ledger.is_balanced());
    });
}

/// The same with a deadline.
#[test]
fn deadline_vs_grant() {
    timed("semaphore::deadline_vs_grant").check(|| {
        let (ctx, _cancel) = Context::root();
        let short = ctx.with_timeout(SOON);
        let slots = Semaphore::new(1);
        let held = slots.try_acquire(1).expect("it is free");
        let user = spawn({
            let slots = slots.clone();
            move || slots.acquire(&short, 1).map(drop)
        });
        drop(held);
        if let Err(e) = join(user) {
            assert!(e.stop().is_some_and(|stop| stop.is_timeout()));
        }
        assert_eq!((slots.available(), slots.waiting()), (1, 0));
    });
}

/// A big request holds up a small one behind it, and leaves: the small one passes.
#[test]
fn first_in_line_leaves() {
    model("semaphore::first_in_line_leaves", || {
        let (ctx, _cancel) = Context::root();
        let (child, cancel) = ctx.with_cancel();
        let slots = Semaphore::new(2);
        let held = slots.try_acquire(1).expect("it is free");
        let big = spawn({
            let slots = slots.clone();
            move || slots.acquire(&child, 2).is_ok()
        });
        let small = spawn({
            let (ctx, slots) = (ctx.clone(), slots.clone());
            move || slots.acquire(&ctx, 1).map(drop)
        });
        cancel.cancel();
        join(small).expect("one permit is free all along");
        assert!(!join(big), "there were never two");
        drop(held);
        assert_eq!(slots.available(), 2);
    });
}

/// The semaphore shrinks and grows while a permit comes back and somebody waits.
#[test]
fn resize_vs_release() {
    model("semaphore::resize_vs_release", || {
        let (ctx, _cancel) = Context::root();
        let slots = Semaphore::new(1);
        let held = slots.try_acquire(1).expect("it is free");
        let resizer = spawn({
            let slots = slots.clone();
            move || slots.resize(2)
        });
        let user = spawn({
            let slots = slots.clone();
            move || slots.acquire(&ctx, 2).map(drop)
        });
        drop(held);
        join(resizer);
        match join(user) {
            Ok(()) => {}
            Err(e) => assert_eq!(e, AcquireError::TooMany { asked: 2, capacity: 1 }),
        }
        assert_eq!((slots.available(), slots.in_use(), slots.capacity()), (2, 0, 2));
    });
}

/// A shrink below what a call in line asks for refuses it; a debt is paid before anything is given.
#[test]
fn shrink_vs_acquire() {
    model("semaphore::shrink_vs_acquire", || {
        let (ctx, _cancel) = Context::root();
        let slots = Semaphore::new(2);
        let held = slots.try_acquire(1).expect("it is free");
        let user = spawn({
            let slots = slots.clone();
            move || slots.acquire(&ctx, 2).map(drop)
        });
        slots.resize(1);
        assert_eq!(join(user), Err(AcquireError::TooMany { asked: 2, capacity: 1 }));
        assert!(slots.try_acquire(1).is_err());
        drop(held);
        assert_eq!(slots.available(), 1);
    });
}

/// Closing ends every wait; the permit that is out stays valid.
#[test]
fn close_vs_acquire() {
    model("semaphore::close_vs_acquire", || {
        let (ctx, _cancel) = Context::root();
        let slots = Semaphore::new(1);
        let held = slots.try_acquire(1).expect("it is free");
        let user = spawn({
            let slots = slots.clone();
            move || slots.acquire(&ctx, 1).map(drop)
        });
        assert!(slots.close());
        assert_eq!(join(user), Err(AcquireError::Closed));
        drop(held);
        assert!(slots.is_closed() && slots.in_use() == 0);
    });
}
