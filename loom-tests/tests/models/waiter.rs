//! One parked thread and whoever wakes it.

use crate::{SOON, join, join_all, model, spawn, timed};
use ironsys::sync::{Arc, AtomicUsize, Ordering};
use ironsys::testing::Model;
use ironsys::testing::inner::Parking;
use ironsys::time::Clock;

/// A wake-up before, during or after the way to sleep is one wake-up.
#[test]
fn wake() {
    Model::new("waiter::wake").unbounded().check(|| {
        let parking = Parking::current();
        let waker = spawn({
            let parking = parking.clone();
            move || parking.wake()
        });
        assert!(parking.wait(&Clock::system(), None));
        join(waker);
        assert!(!parking.waits());
    });
}

/// Of two wake-ups the second may be left over; the thread still wakes, and sees what both did.
#[test]
fn two_wakers() {
    model("waiter::two_wakers", || {
        let parking = Parking::current();
        let done = Arc::new(AtomicUsize::new(0));
        let wakers = [1, 2].map(|n| {
            let (parking, done) = (parking.clone(), done.clone());
            spawn(move || {
                done.fetch_add(n, Ordering::Relaxed);
                parking.wake();
            })
        });
        let clock = Clock::system();
        while done.load(Ordering::Relaxed) != 3 {
            parking.wait(&clock, None);
        }
        join_all(wakers);
    });
}

/// A time-out and a wake-up at once: either may win, and a wake-up that lost is remembered.
#[test]
fn wake_vs_timeout() {
    timed("waiter::wake_vs_timeout").check(|| {
        let parking = Parking::current();
        let clock = Clock::system();
        let deadline = clock.now() + SOON;
        let waker = spawn({
            let parking = parking.clone();
            move || parking.wake()
        });
        if !parking.wait(&clock, Some(deadline)) {
            assert!(clock.now() >= deadline);
            assert!(parking.wait(&clock, None));
        }
        join(waker);
    });
}

/// Looking at what a thread waits for while it goes to sleep.
#[test]
fn watch_vs_wait() {
    model("waiter::watch_vs_wait", || {
        let parking = Parking::current();
        let watcher = spawn({
            let parking = parking.clone();
            move || {
                let _ = parking.waits();
                parking.wake();
            }
        });
        assert!(parking.wait(&Clock::system(), None));
        join(watcher);
        assert!(!parking.waits());
    });
}
