//! Virtual time: moved by hand, or by itself when everybody waits.

use crate::until;
use ironsys::time::VirtualClock;
use ironsys::{Canceller, Context, Stop, channel};
use std::sync::{Barrier, mpsc};
use std::thread;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn on(time: &VirtualClock) -> (Context, Canceller) {
    Context::builder().clock(time.clock()).build()
}

#[test]
fn the_clock_stands_still_until_it_is_moved() {
    let time = VirtualClock::new();
    let before = time.now();
    assert_eq!(time.clock().now(), before);
    time.advance(SECOND);
    assert_eq!(time.now() - before, SECOND);
    assert_eq!(time.pending(), 0);
}

#[test]
fn an_advance_fires_in_order_of_time() {
    let time = VirtualClock::new();
    let (root, _cancel) = on(&time);
    let (tx, rx) = mpsc::channel();
    let _hooks: Vec<_> = [3u32, 1, 2, 5]
        .map(|s| {
            let (tx, clock) = (tx.clone(), time.clone());
            let start = time.now();
            root.with_timeout(SECOND * s)
                .on_stop(move |_| tx.send((s, clock.now() - start)).unwrap())
        })
        .into();
    time.advance(4 * SECOND);
    let fired: Vec<_> = rx.try_iter().collect();
    assert_eq!(fired, [1, 2, 3].map(|s| (s, SECOND * s))); // Each at its own time.
    assert_eq!(time.pending(), 1);
}

#[test]
fn an_advance_wakes_blocked_threads() {
    let time = VirtualClock::new();
    let (ctx, _cancel) = on(&time);
    thread::scope(|s| {
        let sleeper = s.spawn(|| ctx.sleep(10 * SECOND));
        until(|| time.pending() == 1);
        time.advance(9 * SECOND);
        assert_eq!(time.pending(), 1);
        time.advance(SECOND);
        assert_eq!(sleeper.join().unwrap(), Ok(()));
    });
    assert_eq!(time.pending(), 0);
}

/// A wait that begins while the clock moves past its deadline.
#[test]
fn an_advance_overlooks_no_deadline_that_comes_in_meanwhile() {
    for round in 0..200 {
        let time = VirtualClock::new();
        let (root, _cancel) = on(&time);
        let ctx = root.with_timeout(SECOND);
        thread::scope(|s| {
            if round % 2 == 0 {
                s.spawn(|| assert_eq!(ctx.wait_stopped(), Stop::DeadlineExceeded));
                time.advance(SECOND);
            } else {
                let (tx, rx) = mpsc::channel();
                let hook = s.spawn(|| ctx.on_stop(move |why| tx.send(why).unwrap()));
                time.advance(SECOND);
                let _guard = hook.join().unwrap();
                assert_eq!(rx.recv(), Ok(Stop::DeadlineExceeded));
            }
        });
    }
}

#[test]
fn advance_to_next_goes_from_deadline_to_deadline() {
    let time = VirtualClock::new();
    let (root, _cancel) = on(&time);
    let start = time.now();
    let _hooks = [2, 7].map(|s| root.with_timeout(SECOND * s).on_stop(|_| ()));
    assert_eq!(time.advance_to_next(), Some(start + 2 * SECOND));
    assert_eq!(time.advance_to_next(), Some(start + 7 * SECOND));
    assert_eq!(time.advance_to_next(), None);
    assert_eq!(time.now(), start + 7 * SECOND);
}

#[test]
fn an_automatic_clock_jumps_when_everybody_waits() {
    let time = VirtualClock::auto();
    let (ctx, _cancel) = on(&time);
    let start = time.now();
    ctx.sleep(3600 * SECOND).unwrap();
    assert_eq!(time.now() - start, 3600 * SECOND);
}

#[test]
fn an_automatic_clock_waits_for_a_participant_at_work() {
    let time = VirtualClock::auto();
    let (ctx, _cancel) = on(&time);
    let (tx, rx) = channel::bounded::<u8>(1);
    let me = time.participate();
    thread::scope(|s| {
        let sleeper = s.spawn(|| {
            let _me = time.participate();
            ctx.with_timeout(SECOND).sleep(5 * SECOND)
        });
        until(|| time.pending() == 1);
        let before = time.now();
        for i in 0..100 {
            tx.send(&ctx, i).unwrap(); // At work, though never parked.
            assert_eq!(rx.recv(&ctx), Ok(i));
        }
        assert_eq!(time.now(), before);
        drop(me); // Now everybody is parked.
        assert_eq!(sleeper.join().unwrap(), Err(Stop::DeadlineExceeded));
        assert_eq!(time.now(), before + SECOND);
    });
}

#[test]
fn an_automatic_clock_does_not_jump_past_a_message_on_its_way() {
    let time = VirtualClock::auto();
    let (ctx, _cancel) = on(&time);
    let (tx, rx) = channel::bounded::<u32>(1);
    let start = time.now();
    let both_counted = Barrier::new(2);
    thread::scope(|s| {
        let _me = time.participate();
        s.spawn(|| {
            let _me = time.participate();
            both_counted.wait();
            for i in 0..200 {
                tx.send(&ctx, i).unwrap();
            }
        });
        both_counted.wait();
        let soon = ctx.with_timeout(SECOND);
        for i in 0..200 {
            assert_eq!(rx.recv(&soon), Ok(i)); // Never a time-out: the sender is at work.
        }
    });
    assert_eq!(time.now(), start);
}

#[test]
fn a_deadline_beyond_the_end_of_time_never_comes() {
    let time = VirtualClock::auto();
    let (root, cancel) = on(&time);
    let ctx = root.with_timeout(Duration::from_secs(1 << 40));
    thread::scope(|s| {
        let waiting = s.spawn(|| ctx.wait_stopped());
        until(|| time.pending() == 1);
        time.advance(Duration::MAX);
        cancel.cancel_with("end of test");
        assert!(waiting.join().unwrap().is_cancelled());
    });
}

/// Hooks wake nobody, so whoever fires one goes on to the next deadline.
#[test]
fn an_automatic_clock_does_not_stop_at_a_hook() {
    for main_jumps in [true, false] {
        let time = VirtualClock::auto();
        let (root, _cancel) = on(&time);
        let _hooks = [1, 2, 3].map(|s| root.with_timeout(SECOND * s).on_stop(|_| ()));
        let me = main_jumps.then(|| time.participate());
        thread::scope(|s| {
            let sleeper = s.spawn(|| {
                let _me = time.participate();
                root.sleep(10 * SECOND)
            });
            if main_jumps {
                until(|| time.pending() == 4);
                drop(me);
            }
            assert_eq!(sleeper.join().unwrap(), Ok(()));
        });
        assert_eq!(time.pending(), 0);
    }
}

/// A thread that jumps the clock runs the hook itself. The hook may wait, too, and must not eat the
/// wake-up that the thread's own wait was sent meanwhile.
#[test]
fn a_hook_that_waits_does_not_eat_the_wake_up_of_the_wait_it_interrupts() {
    let time = VirtualClock::auto();
    let (ctx, _cancel) = on(&time);
    let (tx, rx) = channel::bounded::<u8>(1);
    let soon = ctx.with_timeout(SECOND);
    let _hook = soon.on_stop({
        let ctx = ctx.clone();
        move |_| {
            tx.send(&ctx, 7).unwrap(); // Wakes the very thread that runs this.
            ctx.sleep(SECOND).unwrap();
            std::mem::forget(tx); // No second wake-up by closing.
        }
    });
    assert_eq!(rx.recv(&ctx), Ok(7));
}

/// The hook runs on a thread that is parked, as far as the clock can see.
#[test]
fn a_hook_that_sleeps_lets_the_clock_go_on() {
    let time = VirtualClock::auto();
    let (ctx, _cancel) = on(&time);
    let start = time.now();
    let soon = ctx.with_timeout(SECOND);
    let (slept, has_slept) = mpsc::channel();
    let _hook = soon.on_stop({
        let (ctx, time) = (ctx.clone(), time.clone());
        move |_| {
            ctx.sleep(SECOND).unwrap();
            slept.send(time.now()).unwrap();
        }
    });
    assert_eq!(ctx.with_timeout(10 * SECOND).wait_stopped(), Stop::DeadlineExceeded);
    assert_eq!(has_slept.recv().unwrap(), start + 2 * SECOND);
    assert_eq!(time.now(), start + 10 * SECOND);
}
