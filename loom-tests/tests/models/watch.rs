//! Watch: the latest value, and nobody sleeps through a change.

use crate::{SOON, join, join_all, model, spawn, timed};
use ironsys::Context;
use ironsys::channel;

/// A change is seen, however it meets the wait for it.
#[test]
fn publish_vs_wait() {
    model("watch::publish_vs_wait", || {
        let (ctx, _cancel) = Context::root();
        let (publisher, mut watcher) = channel::watch(0);
        let publishing = spawn(move || {
            publisher.publish(1);
            publisher.publish(2);
            publisher
        });
        let seen = watcher.wait_until(&ctx, |n| *n == 2).expect("it comes");
        assert_eq!((*seen, watcher.has_changed()), (2, false));
        drop(join(publishing));
    });
}

/// Two watchers, each waiting for a change.
#[test]
fn two_watchers() {
    model("watch::two_watchers", || {
        let (ctx, _cancel) = Context::root();
        let (publisher, watcher) = channel::watch(0);
        let watchers = [publisher.watch(), watcher].map(|mut watcher| {
            let ctx = ctx.clone();
            spawn(move || watcher.wait_changed(&ctx).map(|n| *n))
        });
        publisher.publish(1);
        assert_eq!(join_all(watchers), [Ok(1), Ok(1)]);
        assert_eq!(publisher.watchers(), 0);
    });
}

/// The publisher goes: whoever waits is told.
#[test]
fn close_vs_wait() {
    model("watch::close_vs_wait", || {
        let (ctx, _cancel) = Context::root();
        let (publisher, mut watcher) = channel::watch(0);
        let gone = spawn(move || drop(publisher));
        assert!(watcher.wait_changed(&ctx).expect_err("nothing comes").is_closed());
        join(gone);
        assert!(watcher.is_closed() && *watcher.get() == 0);
    });
}

/// A wait that is cancelled; the change is still there for the next.
#[test]
fn wait_vs_cancel() {
    model("watch::wait_vs_cancel", || {
        let (ctx, _cancel) = Context::root();
        let (child, cancel) = ctx.with_cancel();
        let (publisher, mut watcher) = channel::watch(0);
        let other = spawn(move || {
            cancel.cancel();
            publisher.publish(1);
            publisher
        });
        let seen = watcher.wait_changed(&child);
        if let Err(e) = seen {
            assert!(e.stop().is_some());
            assert_eq!(watcher.wait_changed(&ctx).map(|n| *n), Ok(1));
        }
        drop(join(other));
    });
}

/// A wait with a deadline.
#[test]
fn wait_vs_deadline() {
    timed("watch::wait_vs_deadline").check(|| {
        let (ctx, _cancel) = Context::root();
        let (publisher, mut watcher) = channel::watch(0);
        let publishing = spawn(move || {
            publisher.publish(1);
            publisher
        });
        if watcher.wait_changed(&ctx.with_timeout(SOON)).is_err() {
            assert_eq!(watcher.wait_changed(&ctx).map(|n| *n), Ok(1));
        }
        drop(join(publishing));
    });
}

/// Two updates from two threads: neither is lost.
#[test]
fn two_updates() {
    model("watch::two_updates", || {
        let (publisher, watcher) = channel::watch(0);
        let publisher = std::sync::Arc::new(publisher);
        let updates = [(); 2].map(|()| {
            let publisher = publisher.clone();
            spawn(move || drop(publisher.update(|n| n + 1)))
        });
        let _ = watcher.clone().has_changed();
        join_all(updates);
        assert_eq!((*publisher.get(), *watcher.get()), (2, 2));
    });
}
