//! Select: exactly one arm happens, in the order asked for, and nobody's wake-up is kept.

use crate::until;
use ironsys::channel::{self, Order, Overflow, RecvError, SendError, TryRecvError};
use ironsys::time::VirtualClock;
use ironsys::{Context, Stop, select};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

#[test]
fn a_ready_arm_happens_and_the_others_do_not() {
    let (ctx, _cancel) = Context::root();
    let (tx, rx) = channel::bounded(1);
    let (out, sent) = channel::bounded(1);
    tx.send(&ctx, 1).unwrap();
    let got = select! { ctx;
        recv(rx) -> m => m.unwrap(),
        send(out, 7) -> r => { r.unwrap(); 0 },
    };
    assert_eq!((got, sent.len()), (Ok(1), 0));
    let got = select! { ctx;
        recv(rx) -> m => m.unwrap(),
        send(out, 7) -> r => { r.unwrap(); 0 },
    };
    assert_eq!((got, sent.try_recv()), (Ok(0), Ok(7)));
}

#[test]
fn a_blocked_select_takes_whichever_comes() {
    let (ctx, _cancel) = Context::root();
    let (tx_a, a) = channel::bounded::<u8>(1);
    let (tx_b, b) = channel::bounded::<u8>(1);
    for (tx, name) in [(&tx_a, "a"), (&tx_b, "b")] {
        thread::scope(|s| {
            let selecting = s.spawn(|| {
                select! { ctx;
                    recv(a) -> m => { m.unwrap(); "a" },
                    recv(b) -> m => { m.unwrap(); "b" },
                }
            });
            until(|| a.stats().blocked_receivers == 1 && b.stats().blocked_receivers == 1);
            tx.try_send(1).unwrap();
            assert_eq!(selecting.join().unwrap(), Ok(name));
        });
        assert_eq!((a.stats().blocked_receivers, b.stats().blocked_receivers), (0, 0));
    }
}

#[test]
fn of_two_offers_only_one_is_taken() {
    let (ctx, _cancel) = Context::root();
    for _ in 0..100 {
        let (tx_a, a) = channel::bounded(0);
        let (tx_b, b) = channel::bounded(0);
        thread::scope(|s| {
            let selecting = s.spawn(|| {
                select! { ctx;
                    send(tx_a, 1) -> r => { r.unwrap(); 'a' },
                    send(tx_b, 2) -> r => { r.unwrap(); 'b' },
                }
            });
            let first = s.spawn(|| a.recv(&ctx).ok());
            let second = s.spawn(|| b.recv(&ctx).ok());
            let sent = selecting.join().unwrap().unwrap();
            // Whoever got nothing still waits; let it go.
            until(|| tx_a.stats().ledger.done + tx_b.stats().ledger.done == 1);
            tx_a.close();
            tx_b.close();
            let got = (first.join().unwrap(), second.join().unwrap());
            assert_eq!(got, if sent == 'a' { (Some(1), None) } else { (None, Some(2)) });
        });
    }
}

#[test]
fn two_selects_meet_at_a_rendezvous() {
    let (ctx, _cancel) = Context::root();
    for _ in 0..200 {
        let (tx, rx) = channel::bounded(0);
        let (_keep, never) = channel::bounded::<u8>(0);
        thread::scope(|s| {
            let sender = s.spawn(|| {
                select! { ctx; send(tx, 5) -> r => r, recv(never) -> _m => unreachable!() }
            });
            let got = select! { ctx; recv(never) -> _m => unreachable!(), recv(rx) -> m => m };
            assert_eq!((got, sender.join().unwrap()), (Ok(Ok(5)), Ok(Ok(()))));
        });
        assert!(rx.stats().ledger.is_balanced());
    }
}

#[test]
fn two_selects_that_both_send_and_receive_on_one_rendezvous_meet() {
    let (ctx, _cancel) = Context::root();
    for round in 0..400 {
        let (tx, rx) = channel::bounded(0);
        thread::scope(|s| {
            let both = |me: i32| {
                let (tx, rx, ctx) = (&tx, &rx, &ctx);
                move || {
                    if (round + me) % 2 == 0 {
                        select! { ctx; recv(rx) -> m => m.unwrap(), send(tx, me) -> r => { r.unwrap(); 0 } }
                    } else {
                        select! { ctx; send(tx, me) -> r => { r.unwrap(); 0 }, recv(rx) -> m => m.unwrap() }
                    }
                }
            };
            let (one, two) = (s.spawn(both(1)), s.spawn(both(2)));
            let got = (one.join().unwrap().unwrap(), two.join().unwrap().unwrap());
            assert!(got == (0, 1) || got == (2, 0), "{got:?}");
        });
    }
}

/// A select whose own offer wakes its own receive must pass that wake-up on.
#[test]
fn an_offer_reaches_the_select_that_waits_behind_the_offering_one() {
    let (ctx, _cancel) = Context::root();
    for _ in 0..400 {
        let (tx, rx) = channel::bounded(0);
        let (_keep, never) = channel::bounded::<u8>(0);
        thread::scope(|s| {
            let (tx, rx, ctx, never) = (&tx, &rx, &ctx, &never);
            let receiver = s.spawn(move || {
                select! { ctx; recv(rx) -> m => m.unwrap(), recv(never) -> _m => unreachable!() }
            });
            let both = select! { ctx;
                recv(rx) -> _m => unreachable!(),
                send(tx, 3) -> r => { r.unwrap(); true },
            };
            assert_eq!((both, receiver.join().unwrap()), (Ok(true), Ok(3)));
        });
    }
}

#[test]
fn a_select_does_not_meet_itself() {
    let time = VirtualClock::auto();
    let (root, _cancel) = Context::builder().clock(time.clock()).build();
    let ctx = root.with_timeout(Duration::from_secs(1));
    let (tx, rx) = channel::bounded(0);
    let got = select! { ctx; recv(rx) -> m => m.is_ok(), send(tx, 1) -> r => r.is_ok() };
    assert_eq!(got, Err(Stop::DeadlineExceeded));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn the_same_channel_in_two_arms_gives_one_message() {
    let (ctx, _cancel) = Context::root();
    let (tx, rx) = channel::bounded::<u8>(2);
    thread::scope(|s| {
        let selecting =
            s.spawn(|| select! { ctx; recv(rx) -> m => m.unwrap(), recv(rx) -> m => m.unwrap() });
        until(|| rx.stats().blocked_receivers == 2);
        tx.try_send(1).unwrap();
        tx.try_send(2).unwrap();
        assert_eq!(selecting.join().unwrap(), Ok(1));
    });
    assert_eq!((rx.len(), rx.stats().blocked_receivers), (1, 0));
}

// ===== the context, default and after =====

#[test]
fn a_stopped_context_wins_over_a_ready_arm() {
    let (ctx, cancel) = Context::root();
    let (tx, rx) = channel::bounded(1);
    tx.try_send(1).unwrap();
    cancel.cancel_with("over");
    let got = select! { ctx; recv(rx) -> m => m.is_ok(), default => false };
    assert_eq!(got.unwrap_err().cause().map(|c| c.reason()), Some("over"));
    assert_eq!(rx.len(), 1);
}

#[test]
fn a_cancelled_select_leaves_nothing_behind() {
    let (ctx, cancel) = Context::root();
    let (tx, rx) = channel::bounded::<u8>(0);
    let (full, left) = channel::bounded(1);
    full.try_send(1).unwrap();
    thread::scope(|s| {
        let selecting = s.spawn(|| {
            select! { ctx; recv(rx) -> _m => (), send(full, 2) -> _r => () }
        });
        until(|| full.stats().blocked_senders == 1 && rx.stats().blocked_receivers == 1);
        cancel.cancel();
        assert!(selecting.join().unwrap().is_err());
    });
    assert_eq!((full.stats().blocked_senders, rx.stats().blocked_receivers), (0, 0));
    assert_eq!((left.drain(), ctx.linked()), (vec![1], (0, 0)));
    drop(tx);
}

#[test]
fn default_runs_if_nothing_is_ready() {
    let (ctx, _cancel) = Context::root();
    let (tx, rx) = channel::bounded(1);
    let poll = || select! { ctx; recv(rx) -> m => m.unwrap(), default => 0 };
    assert_eq!(poll(), Ok(0));
    tx.try_send(5).unwrap();
    assert_eq!(poll(), Ok(5));
    assert_eq!(select! { ctx; default => 3 }, Ok(3));
}

#[test]
fn after_runs_when_its_time_has_come() {
    let time = VirtualClock::auto();
    let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    let (_tx, rx) = channel::bounded::<u8>(1);
    let before = time.now();
    let got = select! { ctx;
        recv(rx) -> _m => "message",
        default(Duration::from_secs(30)) => "nothing",
    };
    assert_eq!((got, time.now() - before), (Ok("nothing"), Duration::from_secs(30)));
    let soon = ctx.with_timeout(Duration::from_secs(1));
    let got = select! { soon;
        recv(rx) -> _m => "message",
        default(Duration::from_secs(30)) => "nothing",
    };
    assert_eq!(got, Err(Stop::DeadlineExceeded));
}

#[test]
fn a_branch_may_leave_the_surrounding_loop_and_function() {
    fn first(
        ctx: &Context,
        rx: &channel::Receiver<u32>,
    ) -> Result<u32, Box<dyn std::error::Error>> {
        let mut sum = 0;
        loop {
            select! { ctx;
                recv(rx) -> m => match m? {
                    0 => continue,
                    9 => break,
                    n if n > 100 => return Ok(n),
                    n => sum += n,
                },
            }?;
        }
        Ok(sum)
    }
    let (ctx, _cancel) = Context::root();
    let (tx, rx) = channel::bounded(8);
    for n in [1, 0, 2, 9, 101] {
        tx.try_send(n).unwrap();
    }
    assert_eq!(first(&ctx, &rx).unwrap(), 3);
    assert_eq!(first(&ctx, &rx).unwrap(), 101);
    drop(tx);
    assert!(first(&ctx, &rx).is_err());
}

// ===== closed arms =====

#[test]
fn a_closed_arm_is_ready_with_its_error() {
    let (ctx, _cancel) = Context::root();
    let (tx, rx) = channel::bounded::<u8>(1);
    let (out, gone) = channel::bounded::<u8>(1);
    drop((tx, gone));
    let got = select! { ctx; recv(rx) -> m => m, default => Ok(1) };
    assert_eq!(got, Ok(Err(RecvError::Closed)));
    let got = select! { ctx; send(out, 4) -> r => r, default => Ok(()) };
    assert_eq!(got, Ok(Err(SendError::Closed(4))));
}

#[test]
fn closing_wakes_a_blocked_select() {
    let (ctx, _cancel) = Context::root();
    let (tx, rx) = channel::bounded::<u8>(0);
    let (out, gone) = channel::bounded::<u8>(0);
    for receiving in [true, false] {
        thread::scope(|s| {
            let selecting = s.spawn(|| {
                select! { ctx;
                    recv(rx) -> m => { m.unwrap_err(); true },
                    send(out, 1) -> r => { assert_eq!(r, Err(SendError::Closed(1))); false },
                }
            });
            if receiving {
                until(|| rx.stats().blocked_receivers == 1 && out.stats().blocked_senders == 1);
                tx.close();
            } else {
                gone.close(); // The receiving arm is closed already, and comes first.
            }
            assert_eq!(selecting.join().unwrap(), Ok(true));
        });
    }
    assert_eq!(out.stats().blocked_senders, 0);
    let got = select! { ctx; send(out, 1) -> r => r };
    assert_eq!(got, Ok(Err(SendError::Closed(1))));
}

// ===== overflow policies =====

#[test]
fn a_sending_arm_follows_the_policy_of_its_channel() {
    let (ctx, _cancel) = Context::root();
    let (lost, seen) = mpsc::channel();
    let (tx, rx) = channel::builder(2)
        .overflow(Overflow::drop_lowest(|v: &u32| i64::from(*v)))
        .on_drop(move |v| lost.send(v).unwrap())
        .build()
        .unwrap();
    for v in [4, 9, 1, 6] {
        let sent =
            select! { ctx; send(tx, v) -> r => r, default => unreachable!("it never waits") };
        assert_eq!(sent, Ok(Ok(())));
    }
    tx.try_send(7).unwrap();
    assert_eq!((rx.drain(), seen.try_iter().collect()), (vec![9, 7], vec![1, 4, 6]));
    assert!(tx.stats().ledger.is_balanced());

    let (tx, _rx) = channel::builder(1).overflow(Overflow::Reject).build().unwrap();
    tx.try_send(1).unwrap();
    let sent = select! { ctx; send(tx, 2) -> r => r, default => unreachable!("it never waits") };
    assert_eq!(sent, Ok(Err(SendError::Full(2))));
}

// ===== order =====

/// How often each of three arms is chosen; those in `ready` have a message.
fn chosen(order: Order<'_>, ready: [bool; 3]) -> [u32; 3] {
    let (ctx, _cancel) = Context::root();
    let (txs, rxs): (Vec<_>, Vec<_>) = (0..3).map(|_| channel::bounded(1)).unzip();
    let mut hits = [0; 3];
    for _ in 0..3000 {
        for i in 0..3 {
            if ready[i] {
                let _ = txs[i].try_send(i);
            }
        }
        let i = select! { ctx, order;
            recv(rxs[0]) -> m => m.unwrap(),
            recv(rxs[1]) -> m => m.unwrap(),
            recv(rxs[2]) -> m => m.unwrap(),
        };
        hits[i.unwrap()] += 1;
    }
    hits
}

#[track_caller]
fn assert_about(hits: [u32; 3], expected: [u32; 3]) {
    let far = hits.iter().zip(expected).any(|(hit, want)| hit.abs_diff(want) > 200);
    assert!(!far, "{hits:?} is far from {expected:?}");
}

#[test]
fn biased_takes_the_first_that_is_ready() {
    assert_eq!(chosen(Order::Biased, [true; 3]), [3000, 0, 0]);
    assert_eq!(chosen(Order::default(), [false, true, true]), [0, 3000, 0]);
}

#[test]
fn fair_takes_each_as_often() {
    assert_about(chosen(Order::Fair, [true; 3]), [1000; 3]);
}

#[test]
fn fair_is_fair_among_those_that_are_ready() {
    assert_about(chosen(Order::Fair, [false, true, true]), [0, 1500, 1500]);
    assert_about(chosen(Order::Fair, [true, false, true]), [1500, 0, 1500]);
}

#[test]
fn weighted_takes_each_by_its_weight() {
    assert_about(chosen(Order::Weighted(&[3, 2, 1]), [true; 3]), [1500, 1000, 500]);
    assert_about(chosen(Order::Weighted(&[3, 2, 1]), [false, true, true]), [0, 2000, 1000]);
    assert_about(chosen(Order::Weighted(&[2]), [true; 3]), [1500, 750, 750]); // Missing: 1.
}

#[test]
fn an_arm_of_weight_zero_comes_last() {
    assert_eq!(chosen(Order::Weighted(&[1, 0, 1]), [false, true, true]), [0, 0, 3000]);
    assert_eq!(chosen(Order::Weighted(&[0, 0, 1]), [true, true, false])[2], 0);
    assert_eq!(chosen(Order::Weighted(&[0, 0, 0]), [true, true, true]), [3000, 0, 0]);
    let huge = [u32::MAX, u32::MAX, 0];
    assert_about(chosen(Order::Weighted(&huge), [true; 3]), [1500, 1500, 0]);
}

// ===== the baton =====

/// A select that was told of a message, but leaves by another arm, tells the next receiver.
#[test]
fn a_select_that_leaves_by_another_arm_passes_its_wake_up_on() {
    let (ctx, _cancel) = Context::root();
    for _ in 0..200 {
        let (tx_a, a) = channel::bounded::<u8>(1);
        let (tx_b, b) = channel::bounded::<u8>(1);
        thread::scope(|s| {
            let selecting = s.spawn(|| {
                select! { ctx; recv(a) -> m => m.is_ok(), recv(b) -> m => m.is_err() }
            });
            until(|| b.stats().blocked_receivers == 1);
            let plain = s.spawn(|| b.recv(&ctx));
            until(|| b.stats().blocked_receivers == 2);
            tx_b.try_send(1).unwrap(); // Tells the select, which is first in line …
            tx_a.try_send(1).unwrap(); // … and may leave by the other arm, which it prefers.
            match selecting.join().unwrap().unwrap() {
                true => assert_eq!(plain.join().unwrap(), Ok(1)),
                false => {
                    tx_b.try_send(2).unwrap();
                    assert_eq!(plain.join().unwrap(), Ok(2));
                }
            }
        });
    }
}

#[test]
fn a_cancelled_receiver_passes_its_wake_up_on() {
    let (ctx, _cancel) = Context::root();
    for _ in 0..200 {
        let (mine, cancel) = ctx.with_cancel();
        let (tx, rx) = channel::bounded::<u8>(1);
        thread::scope(|s| {
            let first = s.spawn(|| rx.recv(&mine));
            until(|| rx.stats().blocked_receivers == 1);
            let second = s.spawn(|| rx.recv(&ctx));
            until(|| rx.stats().blocked_receivers == 2);
            s.spawn(|| cancel.cancel());
            tx.try_send(1).unwrap();
            if first.join().unwrap().is_ok() {
                tx.try_send(2).unwrap();
            }
            assert!(second.join().unwrap().is_ok());
        });
    }
}

#[test]
fn many_selects_share_the_work_and_lose_nothing() {
    let (ctx, _cancel) = Context::root();
    let (tx_a, a) = channel::bounded::<u64>(2);
    let (tx_b, b) = channel::bounded::<u64>(0);
    let (done, results) = mpsc::channel();
    thread::scope(|s| {
        for _ in 0..4 {
            let (done, ctx, a, b) = (done.clone(), &ctx, &a, &b);
            s.spawn(move || {
                loop {
                    let got = select! { ctx, Order::Fair; recv(a) -> m => m, recv(b) -> m => m };
                    match got.unwrap() {
                        Ok(v) => done.send(v).unwrap(),
                        Err(_) => return,
                    }
                }
            });
        }
        for i in 0..1000 {
            let sent =
                select! { ctx, Order::Fair; send(tx_a, i) -> r => r, send(tx_b, i) -> r => r };
            sent.unwrap().unwrap();
        }
        let mut got: Vec<_> = results.iter().take(1000).collect();
        got.sort_unstable();
        assert!(got.into_iter().eq(0..1000));
        tx_a.close();
        tx_b.close();
    });
    for stats in [a.stats(), b.stats()] {
        assert!(stats.ledger.is_balanced());
        assert_eq!((stats.blocked_receivers, stats.blocked_senders), (0, 0));
    }
}
