//! Context: the tree, its stops, deadlines, values and hooks, and that nothing is left behind.

use crate::until;
use ironsys::time::{Clock, VirtualClock};
use ironsys::{Canceller, Context, Stop, channel};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// A root on a virtual clock.
fn on(time: &VirtualClock) -> (Context, Canceller) {
    Context::builder().clock(time.clock()).build()
}

fn reason(ctx: &Context) -> String {
    match ctx.check() {
        Err(Stop::Cancelled(cause)) => cause.reason().to_owned(),
        other => format!("{other:?}"),
    }
}

// ===== stops and causes =====

#[test]
fn a_cancel_reaches_everything_below_and_nothing_above() {
    let (root, _cancel) = Context::root();
    let (middle, cancel) = root.with_cancel();
    let leaf = middle.with_timeout(SECOND).with_value(1u8);
    let (sibling, _keep) = root.with_cancel();
    assert!(cancel.cancel_with("enough"));
    assert_eq!((reason(&middle), reason(&leaf)), ("enough".into(), "enough".into()));
    assert!(root.check().is_ok() && sibling.check().is_ok());
}

#[test]
fn a_child_of_a_stopped_context_is_stopped_with_its_cause() {
    let (root, cancel) = Context::root();
    cancel.cancel_with("early");
    let (child, again) = root.with_cancel();
    assert_eq!(reason(&child), "early");
    assert_eq!(reason(&child.with_timeout(SECOND)), "early");
    assert!(!again.cancel_with("late")); // The first stop is for good.
    assert_eq!(reason(&child), "early");
}

#[test]
fn only_the_first_cancel_counts() {
    let (ctx, cancel) = Context::root();
    assert!(cancel.cancel_with("first"));
    assert!(!cancel.clone().cancel_with("second"));
    assert_eq!(reason(&ctx), "first");
}

#[test]
fn the_cause_says_where() {
    let (ctx, cancel) = Context::root();
    let line = line!() + 1;
    cancel.cancel_with("here");
    let stop = ctx.check().unwrap_err();
    let cause = stop.cause().unwrap();
    assert_eq!((cause.location().line(), cause.location().file()), (line, file!()));
    assert_eq!(stop.to_string(), format!("cancelled at {}: here", cause.location()));
    assert!(stop.is_cancelled() && !stop.is_timeout());
}

#[test]
fn a_guard_cancels_when_it_is_dropped_and_a_canceller_does_not() {
    let (ctx, cancel) = Context::root();
    drop(cancel.clone());
    assert!(ctx.check().is_ok());
    drop(cancel.cancel_on_drop());
    assert_eq!(reason(&ctx), "its owner is gone");
}

#[test]
fn a_stop_is_level_triggered() {
    let (ctx, cancel) = Context::root();
    let (tx, rx) = channel::bounded(2);
    tx.send(&ctx, 1).unwrap();
    cancel.cancel();
    for _ in 0..3 {
        assert!(ctx.sleep(Duration::ZERO).is_err());
        assert_eq!(tx.send(&ctx, 2).unwrap_err().into_inner(), 2); // Though there is room.
        assert!(rx.recv(&ctx).unwrap_err().stop().is_some()); // Though there is a message.
    }
    assert_eq!(rx.try_recv(), Ok(1));
}

#[test]
fn one_cancel_wakes_every_blocked_thread() {
    let (ctx, cancel) = Context::root();
    let (_tx, rx) = channel::bounded::<u8>(1);
    thread::scope(|s| {
        let blocked: Vec<_> = (0..16).map(|_| s.spawn(|| rx.recv(&ctx))).collect();
        until(|| ctx.linked().1 == 16);
        cancel.cancel();
        for thread in blocked {
            assert!(thread.join().unwrap().unwrap_err().stop().is_some());
        }
    });
    assert_eq!((ctx.linked(), rx.stats().blocked_receivers), ((0, 0), 0));
}

#[test]
fn children_made_during_a_cancel_are_stopped_when_it_returns() {
    for _ in 0..100 {
        let (ctx, cancel) = Context::root();
        let made = thread::scope(|s| {
            let maker = s.spawn(|| {
                let mut made = Vec::new();
                while ctx.check().is_ok() {
                    made.push(ctx.with_cancel().0.with_timeout(60 * SECOND));
                }
                made
            });
            cancel.cancel();
            maker.join().unwrap()
        });
        assert!(made.iter().all(Context::is_stopped));
    }
}

// ===== deadlines =====

#[test]
fn the_deadline_is_the_earliest_of_all_above() {
    let time = VirtualClock::new();
    let (root, _cancel) = on(&time);
    let outer = root.with_timeout(5 * SECOND);
    assert_eq!(outer.with_timeout(9 * SECOND).remaining(), Some(5 * SECOND));
    assert_eq!(outer.with_timeout(2 * SECOND).remaining(), Some(2 * SECOND));
    assert_eq!(outer.with_cancel().0.deadline(), outer.deadline());
    assert_eq!(root.remaining(), None);
}

#[test]
fn a_deadline_stops_at_its_instant_and_not_before() {
    let time = VirtualClock::new();
    let (root, _cancel) = on(&time);
    let ctx = root.with_timeout(SECOND);
    time.advance(SECOND - Duration::from_nanos(1));
    assert!(ctx.check().is_ok());
    time.advance(Duration::from_nanos(1));
    assert_eq!(ctx.check(), Err(Stop::DeadlineExceeded));
    assert_eq!(ctx.remaining(), Some(Duration::ZERO));
    assert!(root.check().is_ok());
}

#[test]
fn extreme_timeouts_mean_what_they_say() {
    let (root, _cancel) = Context::root();
    assert_eq!(root.with_timeout(Duration::ZERO).check(), Err(Stop::DeadlineExceeded));
    assert_eq!(root.with_timeout(Duration::MAX).deadline(), None);
    let (short, _cancel) = Context::builder().timeout(Duration::ZERO).build();
    assert!(short.is_stopped());
    let past = root.clock().now();
    assert!(root.with_deadline(past).is_stopped());
}

#[test]
fn a_cancel_before_the_deadline_keeps_its_cause() {
    let time = VirtualClock::new();
    let (root, cancel) = on(&time);
    let ctx = root.with_timeout(SECOND);
    cancel.cancel_with("first");
    time.advance(2 * SECOND);
    assert_eq!(reason(&ctx), "first");
}

#[test]
fn a_deadline_on_the_system_clock_ends_a_wait() {
    let (root, _cancel) = Context::root();
    let ctx = root.with_timeout(Duration::from_millis(5));
    assert_eq!(ctx.wait_stopped(), Stop::DeadlineExceeded);
    assert_eq!(ctx.sleep(SECOND), Err(Stop::DeadlineExceeded));
}

#[test]
fn a_sleep_that_ends_at_the_deadline_has_ended_well() {
    let time = VirtualClock::auto();
    let (root, _cancel) = on(&time);
    assert_eq!(root.with_timeout(SECOND).sleep(SECOND), Ok(()));
    assert_eq!(root.with_timeout(SECOND).sleep(SECOND * 2), Err(Stop::DeadlineExceeded));
}

#[test]
fn what_happened_before_the_deadline_stays_happened() {
    let time = VirtualClock::new();
    let (root, _cancel) = on(&time);
    let ctx = root.with_timeout(SECOND);
    let (tx, rx) = channel::bounded(1);
    thread::scope(|s| {
        let receiver = s.spawn(|| rx.recv(&ctx));
        until(|| time.pending() == 1);
        tx.try_send(9).unwrap();
        time.advance(SECOND); // The receiver wakes to both.
        assert_eq!(receiver.join().unwrap(), Ok(9));
    });
}

// ===== merge and shield =====

#[test]
fn a_merged_context_stops_with_either() {
    let (a, cancel_a) = Context::root();
    let (b, cancel_b) = Context::root();
    let first = Context::merge(&a, &b);
    let (c, _keep) = a.with_cancel();
    let second = Context::merge(&b, &c);
    cancel_b.cancel_with("b");
    assert_eq!((reason(&first), reason(&second)), ("b".into(), "b".into()));
    assert!(a.check().is_ok() && c.check().is_ok());
    cancel_a.cancel_with("a");
    assert_eq!(reason(&first), "b");
}

#[test]
fn a_merge_with_a_stopped_context_is_stopped() {
    let (a, _keep) = Context::root();
    let (b, cancel) = Context::root();
    cancel.cancel_with("gone");
    assert_eq!(reason(&Context::merge(&a, &b)), "gone");
    assert_eq!(reason(&Context::merge(&b, &a)), "gone");
    assert_eq!(a.linked(), (0, 0));
}

#[test]
fn a_merge_takes_the_earlier_deadline() {
    let time = VirtualClock::new();
    let (root, _cancel) = on(&time);
    let (soon, late) = (root.with_timeout(SECOND), root.with_timeout(3 * SECOND));
    assert_eq!(Context::merge(&soon, &late).remaining(), Some(SECOND));
    assert_eq!(Context::merge(&late, &soon).remaining(), Some(SECOND));
}

#[test]
fn a_merge_across_clocks_counts_what_is_left_on_the_first_clock() {
    let (mine, other) = (VirtualClock::new(), VirtualClock::new());
    let ((a, _keep), (b, cancel)) = (on(&mine), on(&other));
    other.advance(100 * SECOND);
    let b = b.with_timeout(2 * SECOND);
    let merged = Context::merge(&a, &b);
    assert!(merged.clock().is_same(&mine.clock()));
    assert_eq!(merged.remaining(), Some(2 * SECOND));
    mine.advance(2 * SECOND);
    assert_eq!(merged.check(), Err(Stop::DeadlineExceeded));
    let again = Context::merge(&a, &b);
    cancel.cancel_with("across");
    assert_eq!(reason(&again), "across");
}

#[test]
fn a_merged_context_leaves_both_parents_when_it_goes() {
    let (a, _keep_a) = Context::root();
    let (b, _keep_b) = Context::root();
    let merged = Context::merge(&a, &b);
    assert_eq!((a.linked(), b.linked()), ((1, 0), (1, 0)));
    drop(merged);
    assert_eq!((a.linked(), b.linked()), ((0, 0), (0, 0)));
}

#[test]
fn a_shielded_context_ignores_the_stop_and_keeps_clock_and_values() {
    let time = VirtualClock::new();
    let (root, cancel) = on(&time);
    let ctx = root.with_value("tenant").with_timeout(SECOND);
    cancel.cancel();
    let cleanup = ctx.shielded(5 * SECOND);
    assert_eq!((cleanup.check(), cleanup.value::<&str>()), (Ok(()), Some(&"tenant")));
    assert_eq!(cleanup.remaining(), Some(5 * SECOND)); // Its own, not the parent's.
    time.advance(5 * SECOND);
    assert_eq!(cleanup.check(), Err(Stop::DeadlineExceeded));
}

// ===== values =====

#[test]
fn the_nearest_value_of_a_type_is_found() {
    let (root, _cancel) = Context::builder().value(1u32).build();
    let inner = root.with_value("a").with_timeout(SECOND).with_value(2u32);
    assert_eq!((root.value::<u32>(), inner.value::<u32>()), (Some(&1), Some(&2)));
    assert_eq!((inner.value::<&str>(), inner.value::<u64>()), (Some(&"a"), None));
    let other = root.with_value(3u32).with_value(4u64);
    let merged = Context::merge(&inner, &other);
    assert_eq!((merged.value::<u32>(), merged.value::<u64>()), (Some(&2), Some(&4)));
}

#[test]
fn merging_again_and_again_does_not_multiply_the_look_up() {
    let (root, _cancel) = Context::builder().value(1u32).build();
    let mut ctx = root.clone();
    for _ in 0..64 {
        ctx = Context::merge(&ctx, &ctx); // 2^64 looks, if each side were kept.
    }
    assert_eq!((ctx.value::<u32>(), ctx.value::<u64>()), (Some(&1), None));
}

// ===== hooks =====

/// Counts how often its closure ran.
fn counting(ctx: &Context) -> (ironsys::context::OnStop, Arc<AtomicUsize>) {
    let ran = Arc::new(AtomicUsize::new(0));
    let hit = ran.clone();
    let guard = ctx.on_stop(move |_| {
        hit.fetch_add(1, Ordering::SeqCst);
    });
    (guard, ran)
}

#[test]
fn a_hook_runs_once() {
    let (ctx, cancel) = Context::root();
    let (_guard, ran) = counting(&ctx);
    assert_eq!(ran.load(Ordering::SeqCst), 0);
    cancel.cancel();
    cancel.cancel();
    assert_eq!(ran.load(Ordering::SeqCst), 1); // It ran before `cancel` returned.
    assert_eq!(ctx.linked(), (0, 0));
}

#[test]
fn a_hook_below_runs_when_the_parent_stops() {
    let (root, cancel) = Context::root();
    let (child, _keep) = root.with_cancel();
    let (_guard, ran) = counting(&child);
    cancel.cancel();
    assert_eq!(ran.load(Ordering::SeqCst), 1);
}

/// A hook may wait for a thread that is blocked further down.
#[test]
fn a_hook_runs_when_everything_below_is_stopped() {
    let (ctx, cancel) = Context::root();
    let (child, _keep) = ctx.with_cancel();
    let (tx, rx) = mpsc::channel();
    let worker = thread::spawn({
        let child = child.clone();
        move || tx.send(child.wait_stopped()).unwrap()
    });
    until(|| child.linked().1 == 1);
    let seen = Arc::new(Mutex::new(None));
    let _guard = ctx.on_stop({
        let seen = seen.clone();
        move |_| *seen.lock().unwrap() = rx.recv().ok()
    });
    cancel.cancel_with("all");
    assert_eq!(
        seen.lock().unwrap().as_ref().and_then(Stop::cause).map(|c| c.reason()),
        Some("all")
    );
    worker.join().unwrap();
}

#[test]
fn a_hook_taken_back_does_not_run() {
    let (ctx, cancel) = Context::root();
    let (guard, ran) = counting(&ctx);
    assert_eq!(ctx.linked(), (0, 1));
    drop(guard);
    assert_eq!(ctx.linked(), (0, 0));
    cancel.cancel();
    assert_eq!((ran.load(Ordering::SeqCst), Arc::strong_count(&ran)), (0, 1));
}

#[test]
fn a_hook_on_a_stopped_context_runs_at_once() {
    let (ctx, cancel) = Context::root();
    cancel.cancel();
    assert_eq!(counting(&ctx).1.load(Ordering::SeqCst), 1);
    assert_eq!(counting(&ctx.with_timeout(Duration::ZERO)).1.load(Ordering::SeqCst), 1);
}

#[test]
fn a_hook_runs_at_a_virtual_deadline() {
    let time = VirtualClock::new();
    let (root, _cancel) = on(&time);
    let ctx = root.with_timeout(SECOND);
    let (guard, ran) = counting(&ctx);
    assert_eq!(time.pending(), 1);
    time.advance(SECOND);
    assert_eq!(ran.load(Ordering::SeqCst), 1);
    drop(guard);
    assert_eq!(time.pending(), 0);
}

#[test]
fn a_hook_runs_at_a_deadline_of_the_system_clock() {
    let (root, _cancel) = Context::root();
    let ctx = root.with_timeout(Duration::from_millis(3));
    let (tx, rx) = mpsc::channel();
    let _guard = ctx
        .on_stop(move |why| tx.send((why, thread::current().name().map(str::to_owned))).unwrap());
    let (why, thread) = rx.recv().unwrap(); // Nobody looks at the context: the clock calls.
    assert_eq!(why, Stop::DeadlineExceeded);
    assert_eq!(thread.as_deref(), Some("ironsys-timer"));
}

#[test]
fn a_hook_taken_back_leaves_no_alarm() {
    let time = VirtualClock::new();
    let (root, _cancel) = on(&time);
    let ctx = root.with_timeout(SECOND);
    drop(ctx.on_stop(|_| ()));
    assert_eq!(time.pending(), 0);
}

#[test]
fn a_hook_that_panics_keeps_nobody_from_being_told() {
    let (ctx, cancel) = Context::root();
    let _bad = ctx.on_stop(|_| std::panic::resume_unwind(Box::new("hook")));
    let (_good, ran) = counting(&ctx);
    let (child, _keep) = ctx.with_cancel();
    assert!(cancel.cancel());
    assert_eq!(ran.load(Ordering::SeqCst), 1);
    assert!(child.is_stopped());
}

#[test]
fn a_hook_may_use_the_tree_it_hangs_on() {
    let (ctx, cancel) = Context::root();
    let (again, inner) = (ctx.clone(), cancel.clone());
    let (tx, rx) = mpsc::channel();
    let _guard = ctx.on_stop(move |_| {
        assert!(again.is_stopped() && !inner.cancel());
        let nested = again.on_stop(|_| ()); // Runs at once.
        tx.send((again.linked(), again.with_cancel().0.is_stopped())).unwrap();
        drop(nested);
    });
    cancel.cancel();
    assert_eq!(rx.recv().unwrap(), ((0, 0), true));
}

#[test]
fn a_hook_may_own_the_last_handle_of_its_context() {
    let (root, cancel) = Context::root();
    let (ctx, _inner) = root.with_cancel();
    let slot = Arc::new(Mutex::new(None));
    let guard = ctx.on_stop({
        let (ctx, slot) = (ctx.clone(), slot.clone());
        move |_| drop((ctx, slot))
    });
    *slot.lock().unwrap() = Some(guard); // The closure owns its own guard.
    drop(ctx);
    cancel.cancel();
    slot.lock().unwrap().take();
    assert_eq!(root.linked().1, 0);
}

#[test]
fn cancelling_and_taking_back_at_once_is_one_or_the_other() {
    for _ in 0..200 {
        let (ctx, cancel) = Context::root();
        let (guard, ran) = counting(&ctx);
        thread::scope(|s| {
            s.spawn(|| cancel.cancel());
            s.spawn(|| drop(guard));
        });
        assert!(ran.load(Ordering::SeqCst) <= 1);
        assert_eq!((Arc::strong_count(&ran), ctx.linked()), (1, (0, 0)));
    }
}

// ===== nothing is left behind =====

#[test]
fn ten_thousand_children_leave_nothing_behind() {
    let (root, _cancel) = Context::root();
    let all: Vec<_> = (0..10_000).map(|_| root.with_cancel()).collect();
    assert_eq!(root.linked(), (10_000, 0));
    drop(all);
    assert_eq!(root.linked(), (0, 0));
    for _ in 0..10_000 {
        let ctx = root.with_timeout(SECOND);
        drop(ctx.on_stop(|_| ()));
    }
    assert_eq!(root.linked(), (0, 0));
}

#[test]
fn a_long_chain_of_children_drops_without_recursion() {
    let (root, _cancel) = Context::root();
    let mut ctx = root.clone();
    for _ in 0..100_000 {
        ctx = ctx.with_cancel().0;
    }
    drop(ctx);
    assert_eq!(root.linked(), (0, 0));
}

#[test]
fn a_long_chain_stops_without_recursion() {
    let (root, cancel) = Context::root();
    let mut all = vec![root];
    for i in 0..100_000 {
        all.push(all[i].with_cancel().0);
    }
    cancel.cancel();
    assert!(all.iter().all(Context::is_stopped));
}

#[test]
fn a_long_chain_of_merges_drops_without_recursion() {
    let (root, _cancel) = Context::root();
    let (mut left, mut right) = (root.clone(), root.clone());
    for _ in 0..50_000 {
        left = Context::merge(&left, &root);
        right = Context::merge(&root, &right);
    }
    drop((left, right));
    assert_eq!(root.linked(), (0, 0));
}

#[test]
fn a_long_chain_of_values_drops_without_recursion() {
    let (root, _cancel) = Context::root();
    let mut ctx = root.with_value("bottom");
    for i in 0..100_000u32 {
        ctx = ctx.with_value(i);
    }
    assert_eq!((ctx.value::<u32>(), ctx.value::<&str>()), (Some(&99_999), Some(&"bottom")));
}

#[test]
fn roots_on_system_clocks_measure_the_same_time() {
    assert!(Clock::system().is_same(&Clock::system()));
    let (a, _a) = Context::root();
    let (b, _b) = Context::root();
    let merged = Context::merge(&a, &b.with_timeout(60 * SECOND));
    assert!(merged.remaining().is_some_and(|left| left <= 60 * SECOND));
}
