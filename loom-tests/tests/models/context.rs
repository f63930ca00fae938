//! The tree of contexts: every stop arrives, once, whatever comes and goes meanwhile.

use crate::{Count, SOON, join, join_all, model, spawn, timed};
use ironsys::sync::Arc;
use ironsys::{Context, Stop};

fn reason(stop: &Stop) -> Option<&str> {
    stop.cause().map(|cause| cause.reason())
}

/// A closure that is being registered while the context stops runs exactly once.
#[test]
fn on_stop_exactly_once() {
    model("context::on_stop_exactly_once", || {
        let (ctx, cancel) = Context::root();
        let calls = Count::default();
        let canceller = spawn(move || cancel.cancel());
        let guard = ctx.on_stop({
            let calls = calls.clone();
            move |_| calls.add(1)
        });
        assert!(join(canceller));
        assert_eq!(calls.get(), 1);
        drop(guard);
        assert_eq!(ctx.linked(), (0, 0));
    });
}

/// A closure that is taken back while the context stops has run once or never will.
#[test]
fn on_stop_or_removed() {
    model("context::on_stop_or_removed", || {
        let (ctx, cancel) = Context::root();
        let owned = Count::default();
        let guard = ctx.on_stop({
            let owned = owned.clone();
            move |_| owned.add(1)
        });
        let canceller = spawn(move || cancel.cancel());
        drop(guard);
        join(canceller);
        assert!(owned.get() <= 1);
        assert_eq!(Arc::strong_count(&owned.0), 1, "the closure is dropped either way");
        assert_eq!(ctx.linked(), (0, 0));
    });
}

/// A child and a grandchild made while the root is cancelled, the one between dropped.
#[test]
fn child_vs_cancel() {
    model("context::child_vs_cancel", || {
        let (ctx, cancel) = Context::root();
        let canceller = spawn(move || cancel.cancel_with("root"));
        let (child, _c) = ctx.with_cancel();
        let grandchild = child.with_cancel().0;
        drop(child);
        join(canceller);
        let stop = grandchild.check().expect_err("it is below the root");
        assert_eq!(reason(&stop), Some("root"));
    });
}

/// Two cancels of one context: one of them did it, and its reason stays.
#[test]
fn two_cancels_one_winner() {
    model("context::two_cancels_one_winner", || {
        let (ctx, cancel) = Context::root();
        let other = cancel.clone();
        let other = spawn(move || other.cancel_with("other"));
        let mine = cancel.cancel_with("mine");
        let stop = ctx.check().expect_err("it is cancelled");
        assert!(mine != join(other));
        assert_eq!(reason(&stop), Some(if mine { "mine" } else { "other" }));
        assert_eq!(ctx.check(), Err(stop));
    });
}

/// A parent and its child cancelled at once: both are stopped, each for a reason it was given.
#[test]
fn parent_vs_child_cancel() {
    model("context::parent_vs_child_cancel", || {
        let (ctx, cancel) = Context::root();
        let (child, cancel_child) = ctx.with_cancel();
        let other = spawn(move || cancel_child.cancel_with("child"));
        assert!(cancel.cancel_with("parent"));
        let (by_child, stop) = (join(other), child.check().expect_err("cancelled twice over"));
        assert_eq!(reason(&stop), Some(if by_child { "child" } else { "parent" }));
        assert_eq!(ctx.linked(), (0, 0));
    });
}

/// What happened before the cancel is seen by whoever sees the cancel.
#[test]
fn cancel_publishes() {
    model("context::cancel_publishes", || {
        let (ctx, cancel) = Context::root();
        let data = Count::default();
        let canceller = spawn({
            let data = data.clone();
            move || {
                data.add(7);
                cancel.cancel();
            }
        });
        if ctx.is_stopped() {
            assert_eq!(data.get(), 7);
        }
        join(canceller);
    });
}

/// A thread that waits for the stop wakes, without a deadline.
#[test]
fn wait_vs_cancel() {
    model("context::wait_vs_cancel", || {
        let (ctx, cancel) = Context::root();
        let child = ctx.with_cancel().0;
        let waiter = spawn(move || child.wait_stopped());
        cancel.cancel_with("now");
        assert_eq!(reason(&join(waiter)), Some("now"));
        assert_eq!(ctx.linked(), (0, 0));
    });
}

/// A deadline and a cancel at once: one reason, and it stays.
#[test]
fn deadline_vs_cancel() {
    timed("context::deadline_vs_cancel").check(|| {
        let (ctx, cancel) = Context::root();
        let short = ctx.with_timeout(SOON);
        let waiter = spawn({
            let short = short.clone();
            move || short.wait_stopped()
        });
        cancel.cancel();
        let stop = join(waiter);
        assert_eq!(short.check(), Err(stop));
        assert!(ctx.check().expect_err("cancelled").is_cancelled());
    });
}

/// A sleep that is cut short, without a deadline of its own to save it.
#[test]
fn sleep_vs_cancel() {
    timed("context::sleep_vs_cancel").check(|| {
        let (ctx, cancel) = Context::root();
        let sleeper = spawn({
            let ctx = ctx.clone();
            move || ctx.sleep(SOON)
        });
        cancel.cancel();
        if let Err(stop) = join(sleeper) {
            assert!(stop.is_cancelled());
        }
        assert_eq!(ctx.linked(), (0, 0));
    });
}

/// A sleep for ever wakes by the cancel alone.
#[test]
fn endless_sleep_vs_cancel() {
    model("context::endless_sleep_vs_cancel", || {
        let (ctx, cancel) = Context::root();
        let sleeper = spawn(move || ctx.sleep(std::time::Duration::MAX));
        cancel.cancel();
        assert!(join(sleeper).expect_err("nothing else ends it").is_cancelled());
    });
}

/// A merged context made while its second parent stops.
#[test]
fn merge_vs_cancel() {
    model("context::merge_vs_cancel", || {
        let (a, cancel_a) = Context::root();
        let (b, cancel_b) = Context::root();
        let canceller = spawn(move || cancel_b.cancel_with("b"));
        let both = Context::merge(&a, &b);
        join(canceller);
        assert_eq!(reason(&both.check().expect_err("b is stopped")), Some("b"));
        assert!(a.check().is_ok());
        drop(both);
        cancel_a.cancel();
        assert_eq!((a.linked(), b.linked()), ((0, 0), (0, 0)));
    });
}

/// Both parents of a merged context stop at once while somebody waits under it.
#[test]
fn merge_two_cancels() {
    model("context::merge_two_cancels", || {
        let (a, cancel_a) = Context::root();
        let (b, cancel_b) = Context::root();
        let both = Context::merge(&a, &b);
        let waiter = spawn({
            let both = both.clone();
            move || both.wait_stopped()
        });
        let canceller = spawn(move || cancel_b.cancel_with("b"));
        cancel_a.cancel_with("a");
        join(canceller);
        assert_eq!(both.check(), Err(join(waiter)));
    });
}

/// The last handle of a child goes while its parent stops: nothing is left linked, nothing leaks.
#[test]
fn last_handle_dropped_vs_cancel() {
    model("context::last_handle_dropped_vs_cancel", || {
        let (ctx, cancel) = Context::root();
        let child = ctx.with_cancel().0;
        let grandchild = child.with_cancel().0;
        drop(child);
        let dropper = spawn(move || drop(grandchild));
        cancel.cancel();
        join(dropper);
        assert_eq!(ctx.linked(), (0, 0));
    });
}

/// Both parents of a merged context go while it is dropped itself.
#[test]
fn merged_dropped_vs_parents() {
    model("context::merged_dropped_vs_parents", || {
        let (a, cancel_a) = Context::root();
        let (b, cancel_b) = Context::root();
        let both = Context::merge(&a, &b);
        drop((cancel_a, cancel_b));
        let droppers = [spawn(move || drop(a)), spawn(move || drop(b))];
        drop(both);
        join_all(droppers);
    });
}

/// Cleaning up under a shield is not disturbed by the cancel that made it necessary.
#[test]
fn shielded_vs_cancel() {
    model("context::shielded_vs_cancel", || {
        let (ctx, cancel) = Context::root();
        let canceller = spawn(move || cancel.cancel());
        let shield = ctx.shielded(std::time::Duration::from_secs(3600));
        let _ = ctx.is_stopped();
        assert!(shield.check().is_ok() && shield.deadline().is_some());
        join(canceller);
        assert!(ctx.is_stopped() && !shield.is_stopped());
    });
}

/// A closure that panics does not keep the others from being called.
#[test]
fn on_stop_panics() {
    model("context::on_stop_panics", || {
        let (ctx, cancel) = Context::root();
        let calls = Count::default();
        let bad =
            ctx.on_stop(|_| std::panic::resume_unwind(Box::new(ironsys::sync::InjectedPanic)));
        let canceller = spawn(move || cancel.cancel());
        let good = ctx.on_stop({
            let calls = calls.clone();
            move |_| calls.add(1)
        });
        assert!(join(canceller));
        assert_eq!(calls.get(), 1);
        drop((bad, good));
    });
}
