//! Watch: the latest value, and being told when it changes.

use crate::until;
use ironsys::channel::{self, WatchError};
use ironsys::time::VirtualClock;
use ironsys::{Context, Stop};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

#[test]
fn a_watcher_sees_the_latest_value_and_each_only_once() {
    let (ctx, cancel) = Context::root();
    let (publisher, mut watcher) = channel::watch(0);
    assert!(!watcher.has_changed()); // The first value is no change.
    for i in 1..=3 {
        assert_eq!(*publisher.publish(i), i - 1); // The one before comes back.
    }
    assert!(watcher.has_changed());
    assert_eq!(*watcher.get(), 3);
    assert!(watcher.has_changed()); // To look is not to see.
    assert_eq!(*watcher.wait_changed(&ctx).unwrap(), 3);
    assert!(!watcher.has_changed());
    cancel.cancel();
    assert!(watcher.wait_changed(&ctx).unwrap_err().stop().is_some());
}

#[test]
fn a_new_value_wakes_every_watcher() {
    let (ctx, _cancel) = Context::root();
    let (publisher, watcher) = channel::watch("old");
    thread::scope(|s| {
        let waiting: Vec<_> = (0..4)
            .map(|_| {
                let (mut watcher, ctx) = (watcher.clone(), &ctx);
                s.spawn(move || watcher.wait_changed(ctx).map(|v| *v))
            })
            .collect();
        until(|| ctx.linked().1 == 4);
        publisher.publish("new");
        for thread in waiting {
            assert_eq!(thread.join().unwrap(), Ok("new"));
        }
    });
    assert_eq!((ctx.linked(), publisher.watchers()), ((0, 0), 1));
}

#[test]
fn the_last_value_is_seen_after_the_publisher_has_gone() {
    let (ctx, _cancel) = Context::root();
    let (publisher, mut watcher) = channel::watch(1);
    publisher.publish(2);
    drop(publisher);
    assert!(watcher.is_closed());
    assert_eq!(watcher.wait_changed(&ctx).map(|v| *v), Ok(2));
    assert_eq!(watcher.wait_changed(&ctx), Err(WatchError::Closed));
    assert_eq!(*watcher.get(), 2);
}

#[test]
fn a_publisher_that_goes_wakes_its_watchers() {
    let (ctx, _cancel) = Context::root();
    let (publisher, mut watcher) = channel::watch(1);
    thread::scope(|s| {
        let waiting = s.spawn(|| watcher.wait_changed(&ctx).map(|v| *v));
        until(|| ctx.linked().1 == 1);
        drop(publisher);
        assert!(waiting.join().unwrap().unwrap_err().is_closed());
    });
}

#[test]
fn a_watcher_made_later_has_seen_the_present_value() {
    let (ctx, _cancel) = Context::root();
    let (publisher, first) = channel::watch(1);
    publisher.publish(2);
    let (mut late, mut copy) = (publisher.watch(), first.clone());
    assert!(!late.has_changed() && copy.has_changed());
    assert_eq!(copy.wait_changed(&ctx).map(|v| *v), Ok(2));
    publisher.publish(3);
    assert_eq!(late.wait_changed(&ctx).map(|v| *v), Ok(3));
    assert_eq!(publisher.watchers(), 3);
}

#[test]
fn waiting_for_a_condition_looks_at_the_present_value_first() {
    let (ctx, _cancel) = Context::root();
    let (publisher, mut watcher) = channel::watch(5);
    assert_eq!(watcher.wait_until(&ctx, |v| *v == 5).map(|v| *v), Ok(5));
    thread::scope(|s| {
        let waiting = s.spawn(|| watcher.wait_until(&ctx, |v| *v >= 50).map(|v| *v));
        for i in (0..=50).step_by(10) {
            publisher.publish(i);
        }
        assert_eq!(waiting.join().unwrap(), Ok(50));
    });
    drop(publisher);
    assert_eq!(watcher.wait_until(&ctx, |v| *v == 0).unwrap_err(), WatchError::Closed);
}

#[test]
fn a_cancelled_wait_has_seen_nothing() {
    let (root, _cancel) = Context::root();
    let (ctx, cancel) = root.with_cancel();
    let (publisher, mut watcher) = channel::watch(1);
    thread::scope(|s| {
        let waiting = s.spawn(|| watcher.wait_changed(&ctx).map(|v| *v));
        until(|| ctx.linked().1 == 1);
        cancel.cancel();
        assert!(waiting.join().unwrap().unwrap_err().stop().is_some());
    });
    publisher.publish(2);
    assert!(watcher.wait_changed(&ctx).is_err() && watcher.wait_until(&ctx, |_| true).is_err());
    assert_eq!(watcher.wait_changed(&root).map(|v| *v), Ok(2));
}

#[test]
fn a_wait_ends_at_the_deadline() {
    let time = VirtualClock::auto();
    let (root, _cancel) = Context::builder().clock(time.clock()).build();
    let (_publisher, mut watcher) = channel::watch(1);
    let soon = root.with_timeout(Duration::from_secs(1));
    assert_eq!(watcher.wait_changed(&soon), Err(WatchError::Stopped(Stop::DeadlineExceeded)));
}

#[test]
fn updates_by_several_threads_all_count() {
    let (publisher, watcher) = channel::watch(0);
    thread::scope(|s| {
        for _ in 0..3 {
            s.spawn(|| (0..500).for_each(|_| drop(publisher.update(|n| n + 1))));
        }
    });
    assert_eq!((*watcher.get(), *publisher.get()), (1500, 1500));
}

#[test]
fn an_update_may_use_the_value_it_updates() {
    let (publisher, watcher) = channel::watch(1);
    let old = publisher.update(|n| n + *publisher.get() + *watcher.get());
    assert_eq!((*old, *watcher.get()), (1, 3));
    let mut runs = 0;
    publisher.update(|n| {
        runs += 1;
        if runs == 1 {
            publisher.publish(10); // Somebody was faster: it runs again.
        }
        n + 1
    });
    assert_eq!((runs, *watcher.get()), (2, 11));
}

#[test]
fn the_old_value_is_dropped_outside_of_the_lock() {
    struct Nosy(Arc<OnceLock<channel::Watcher<Nosy>>>);
    impl Drop for Nosy {
        fn drop(&mut self) {
            let _ = self
                .0
                .get()
                .map(|watcher| (watcher.has_changed(), watcher.get().0.get().is_some()));
        }
    }
    let cell = Arc::new(OnceLock::new());
    let (publisher, watcher) = channel::watch(Nosy(cell.clone()));
    assert!(cell.set(watcher).is_ok());
    for _ in 0..3 {
        publisher.publish(Nosy(cell.clone()));
        publisher.update(|old| Nosy(old.0.clone()));
    }
}
