//! Clocks: time by hand, the autojump, and the timer thread of a system clock.

use crate::{Count, SOON, join, join_all, model, spawn, timed};
use ironsys::time::VirtualClock;
use ironsys::{Context, Stop, channel};
use std::time::{Duration, SystemTime};

const SECOND: Duration = Duration::from_secs(1);

/// The time passes the deadline of a thread that is just going to sleep: it wakes all the same.
#[test]
fn virtual_clock_advance_vs_park() {
    model("time::virtual_clock_advance_vs_park", || {
        let time = VirtualClock::new();
        let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
        let short = ctx.with_timeout(SECOND);
        let sleeper = spawn(move || short.wait_stopped());
        time.advance(SECOND);
        assert_eq!(join(sleeper), Stop::DeadlineExceeded);
        assert_eq!(time.pending(), 0);
    });
}

/// Two sleepers, woken by two advances in whatever order they fell asleep.
#[test]
fn virtual_clock_two_sleepers() {
    model("time::virtual_clock_two_sleepers", || {
        let time = VirtualClock::new();
        let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
        let sleepers = [1, 2].map(|n| {
            let ctx = ctx.with_timeout(n * SECOND);
            spawn(move || ctx.wait_stopped())
        });
        time.advance(SECOND);
        time.advance(SECOND);
        assert_eq!(join_all(sleepers), [Stop::DeadlineExceeded, Stop::DeadlineExceeded]);
    });
}

/// A cancel reaches a thread parked on a clock that stands still.
#[test]
fn virtual_clock_cancel_vs_park() {
    model("time::virtual_clock_cancel_vs_park", || {
        let time = VirtualClock::new();
        let (ctx, cancel) = Context::builder().clock(time.clock()).build();
        let sleeper = spawn(move || ctx.sleep(SECOND));
        cancel.cancel();
        assert!(join(sleeper).is_err());
        assert_eq!(time.pending(), 0);
    });
}

/// The wall clock is set while the time moves: whoever reads it sees it before or after, and going on.
#[test]
fn wall_set_vs_advance() {
    model("time::wall_set_vs_advance", || {
        let time = VirtualClock::new();
        let wall = SystemTime::UNIX_EPOCH + 100 * SECOND;
        let setter = spawn({
            let time = time.clone();
            move || time.set_wall(wall)
        });
        time.advance(SECOND);
        let seen = time.clock().wall();
        join(setter);
        let end = time.clock().wall();
        assert!(end == wall || end == wall + SECOND);
        assert!(seen == end || seen > wall + SECOND);
    });
}

/// The clock jumps when the last participant parks, not before, and each sleeps for its own time.
#[test]
fn autojump() {
    model("time::autojump", || {
        let time = VirtualClock::auto();
        let start = time.now();
        let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
        let _me = time.participate();
        let other = spawn({
            let (time, ctx) = (time.clone(), ctx.with_deadline(start + SECOND));
            move || {
                let _me = time.participate();
                ctx.wait_stopped();
                assert!(time.now() >= start + SECOND);
            }
        });
        ctx.with_deadline(start + 2 * SECOND).wait_stopped();
        assert_eq!(time.now(), start + 2 * SECOND);
        join(other);
        assert_eq!(time.pending(), 0);
    });
}

/// A parked participant that is woken by a message counts as at work before it runs again: the
/// clock does not jump over it to the deadline.
#[test]
fn autojump_vs_message() {
    model("time::autojump_vs_message", || {
        let time = VirtualClock::auto();
        let start = time.now();
        let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
        let me = time.participate();
        let (tx, rx) = channel::bounded(1);
        let receiver = spawn({
            let (time, ctx) = (time.clone(), ctx.with_timeout(SECOND));
            move || {
                let _me = time.participate();
                rx.recv(&ctx)
            }
        });
        tx.try_send(7).expect("there is room");
        drop(me);
        assert_eq!(join(receiver), Ok(7));
        assert_eq!(time.now(), start);
    });
}

/// The clock jumps to a closure, which runs on the thread that parked last and sleeps there: it is at
/// work meanwhile, and what it sends wakes it.
#[test]
fn autojump_runs_a_closure() {
    model("time::autojump_runs_a_closure", || {
        let time = VirtualClock::auto();
        let start = time.now();
        let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
        let _me = time.participate();
        let (tx, rx) = channel::bounded(1);
        let guard = ctx.with_timeout(SECOND).on_stop({
            let ctx = ctx.clone();
            move |_| {
                ctx.sleep(SECOND).expect("nobody stops it");
                tx.try_send(7).expect("there is room");
            }
        });
        let other = spawn({
            let (time, ctx) = (time.clone(), ctx.with_deadline(start + SECOND));
            move || {
                let _me = time.participate();
                ctx.wait_stopped()
            }
        });
        assert_eq!(rx.recv(&ctx), Ok(7));
        assert_eq!(join(other), Stop::DeadlineExceeded);
        assert_eq!(time.now(), start + 2 * SECOND);
        drop(guard);
    });
}

/// A closure on a deadline of a virtual clock runs once or is taken back.
#[test]
fn virtual_clock_call_vs_drop() {
    model("time::virtual_clock_call_vs_drop", || {
        let time = VirtualClock::new();
        let (ctx, _cancel) = Context::builder().clock(time.clock()).timeout(SECOND).build();
        let calls = Count::default();
        let mover = spawn({
            let time = time.clone();
            move || time.advance_to_next()
        });
        let guard = ctx.on_stop({
            let calls = calls.clone();
            move |_| calls.add(1)
        });
        drop(guard);
        let moved = join(mover);
        let calls = calls.get();
        assert!(calls <= usize::from(moved.is_some()));
        assert_eq!((time.pending(), ctx.linked()), (0, (0, 0)));
    });
}

/// The timer thread calls at the deadline, with nobody else looking.
#[test]
fn timer_calls() {
    timed("time::timer_calls").check(|| {
        let (ctx, _cancel) = Context::root();
        let (tx, rx) = channel::bounded(1);
        let guard = ctx.with_timeout(SOON).on_stop(move |why| tx.try_send(why).expect("room"));
        assert_eq!(rx.recv(&ctx), Ok(Stop::DeadlineExceeded));
        drop(guard);
    });
}

/// The call is taken back while the timer thread is about to make it: once or never, and the thread
/// ends either way.
#[test]
fn timer_call_vs_drop() {
    timed("time::timer_call_vs_drop").check(|| {
        let (ctx, _cancel) = Context::root();
        let calls = Count::default();
        let guard = ctx.with_timeout(SOON).on_stop({
            let calls = calls.clone();
            move |_| calls.add(1)
        });
        drop(guard);
        assert!(calls.get() <= 1);
    });
}

/// A call that is earlier than the one the thread waits for.
#[test]
fn timer_earlier_call() {
    timed("time::timer_earlier_call").check(|| {
        let (ctx, _cancel) = Context::root();
        let (tx, rx) = channel::bounded(2);
        let call = |name, tx: channel::Sender<_>| move |_| tx.try_send(name).expect("room");
        let late = ctx.with_timeout(2 * SOON).on_stop(call("late", tx.clone()));
        let early = ctx.with_timeout(SOON).on_stop(call("early", tx));
        let mut seen = [rx.recv(&ctx).expect("both are called"), rx.recv(&ctx).expect("both")];
        seen.sort_unstable();
        assert_eq!(seen, ["early", "late"]);
        drop((late, early));
    });
}

/// A call added while the thread finds nothing left to do and ends.
#[test]
fn timer_thread_ends_vs_call() {
    timed("time::timer_thread_ends_vs_call").check(|| {
        let (ctx, _cancel) = Context::root();
        let (tx, rx) = channel::bounded(1);
        drop(ctx.with_timeout(SOON).on_stop(|_| ()));
        let guard = ctx.with_timeout(SOON).on_stop(move |_| tx.try_send(()).expect("room"));
        assert_eq!(rx.recv(&ctx), Ok(()));
        drop(guard);
    });
}
