//! Broadcast: every subscriber gets every message of its time, or is told how many it missed.

use crate::{SOON, join, join_all, model, spawn, timed};
use ironsys::Context;
use ironsys::channel::{self, BroadcastRecvError, SendError, SlowReceiver};
use ironsys::testing::Model;

/// Two subscribers, each on a thread of its own, one place: both get both.
#[test]
fn two_subscribers() {
    Model::new("broadcast::two_subscribers").bound(2).check(|| {
        let (ctx, _cancel) = Context::root();
        let (tx, first) = channel::broadcast(1).build().expect("one place");
        let readers = [tx.subscribe(), first].map(|mut rx| {
            let ctx = ctx.clone();
            spawn(move || rx.iter(&ctx).sum::<Result<u32, _>>().expect("nobody lags"))
        });
        (1..=2).for_each(|n| drop(tx.send(&ctx, n)));
        drop(tx);
        assert_eq!(join_all(readers), [3, 3]);
    });
}

/// A blocked receive ends by the cancel alone, and takes nothing.
#[test]
fn recv_vs_cancel() {
    model("broadcast::recv_vs_cancel", || {
        let (ctx, _cancel) = Context::root();
        let (child, cancel) = ctx.with_cancel();
        let (tx, mut rx) = channel::broadcast(1).build().expect("one place");
        let sender = spawn(move || {
            cancel.cancel();
            tx.try_send(1).expect("there is room");
            tx
        });
        match rx.recv(&child) {
            Ok(n) => assert_eq!(n, 1),
            Err(_) => assert_eq!(rx.recv(&ctx), Ok(1)),
        }
        drop(join(sender));
    });
}

/// A receive with a deadline.
#[test]
fn recv_vs_deadline() {
    timed("broadcast::recv_vs_deadline").check(|| {
        let (ctx, _cancel) = Context::root();
        let (tx, mut rx) = channel::broadcast(1).build().expect("one place");
        let sender = spawn(move || tx.try_send(1).map(|_| tx));
        if rx.recv(&ctx.with_timeout(SOON)).is_err() {
            assert_eq!(rx.recv(&ctx), Ok(1));
        }
        drop(join(sender).expect("there is room"));
    });
}

/// A sender that waits for the slow subscriber, who goes instead.
#[test]
fn send_vs_last_subscriber() {
    model("broadcast::send_vs_last_subscriber", || {
        let (ctx, _cancel) = Context::root();
        let (tx, rx) = channel::broadcast(1).build().expect("one place");
        tx.try_send(1).expect("there is room");
        let subscriber = spawn(move || drop(rx));
        // Sent to nobody, or given back: but it does not wait for ever.
        let sent = tx.send(&ctx, 2);
        assert!(matches!(sent, Ok(0) | Err(SendError::Closed(2))), "{sent:?}");
        join(subscriber);
        assert!(tx.stats().ledger.is_balanced());
    });
}

/// A blocked send that is cancelled gives its value back, and lets the next sender in.
#[test]
fn send_vs_cancel() {
    Model::new("broadcast::send_vs_cancel").bound(2).check(|| {
        let (ctx, _cancel) = Context::root();
        let (child, cancel) = ctx.with_cancel();
        let (tx, mut rx) = channel::broadcast(1).build().expect("one place");
        let tx = std::sync::Arc::new(tx);
        tx.try_send(1).expect("there is room");
        let cancelled = spawn({
            let tx = tx.clone();
            move || tx.send(&child, 2).is_ok()
        });
        let next = spawn({
            let ctx = ctx.clone();
            move || tx.send(&ctx, 4).expect("the subscriber lives")
        });
        cancel.cancel();
        let mut sum = 0;
        while let Ok(n) = rx.recv(&ctx) {
            sum += n;
        }
        join(next);
        assert_eq!(sum, if join(cancelled) { 7 } else { 5 });
    });
}

/// A subscriber that lags is told how many it has missed, and what it reads is in order.
#[test]
fn lag() {
    model("broadcast::lag", || {
        let (tx, mut rx) =
            channel::broadcast(1).slow_receiver(SlowReceiver::Lag).build().expect("one place");
        let sender = spawn(move || (1..=2).for_each(|n| assert!(tx.try_send(n).is_ok())));
        let (ctx, _cancel) = Context::root();
        let (mut seen, mut missed) = (Vec::new(), 0);
        loop {
            match rx.recv(&ctx) {
                Ok(n) => seen.push(n),
                Err(BroadcastRecvError::Lagged(n)) => missed += n,
                Err(_) => break,
            }
        }
        join(sender);
        assert!(seen.is_sorted() && seen.len() as u64 + missed == 2, "{seen:?}, {missed}");
    });
}

/// Somebody subscribes while a message is sent: he is counted and gets it, or he is not.
#[test]
fn subscribe_vs_send() {
    model("broadcast::subscribe_vs_send", || {
        let (tx, first) = channel::broadcast(1).build().expect("one place");
        let tx = std::sync::Arc::new(tx);
        let sender = spawn({
            let tx = tx.clone();
            move || tx.try_send(1).expect("there is room")
        });
        let mut second = tx.subscribe();
        let seen_by = join(sender);
        assert_eq!(seen_by, 1 + usize::from(second.try_recv().is_ok()));
        drop(first);
    });
}

/// Close against a blocked receive.
#[test]
fn close_vs_recv() {
    model("broadcast::close_vs_recv", || {
        let (ctx, _cancel) = Context::root();
        let (tx, mut rx) = channel::broadcast::<u32>(1).build().expect("one place");
        let closer = spawn(move || tx.close());
        assert!(rx.recv(&ctx).expect_err("nothing was sent").is_closed());
        assert!(join(closer) && rx.is_empty());
    });
}
