//! Channels with a buffer: no message is lost, doubled or left lying while somebody waits for it.

use crate::{SOON, join, join_all, model, spawn, timed};
use ironsys::Context;
use ironsys::channel::{self, Overflow, RecvError, SendError};
use ironsys::testing::Model;

/// Two messages through one place: the sender blocks, the receiver blocks, the end is seen.
#[test]
fn handoff() {
    model("channel::handoff", || {
        let (ctx, _cancel) = Context::root();
        let (tx, rx) = channel::bounded(1);
        let sender = spawn({
            let ctx = ctx.clone();
            move || (1..=2).for_each(|n| tx.send(&ctx, n).expect("the receiver lives"))
        });
        assert_eq!((rx.recv(&ctx), rx.recv(&ctx)), (Ok(1), Ok(2)));
        assert_eq!(rx.recv(&ctx), Err(RecvError::Closed));
        join(sender);
    });
}

/// A blocked receive ends by the cancel alone.
#[test]
fn recv_vs_cancel() {
    model("channel::recv_vs_cancel", || {
        let (ctx, cancel) = Context::root();
        let (tx, rx) = channel::bounded::<u32>(1);
        let receiver = spawn(move || rx.recv(&ctx));
        cancel.cancel();
        assert!(join(receiver).expect_err("nothing was sent").stop().is_some());
        drop(tx);
    });
}

/// A cancelled receive took nothing: the message is there for the next.
#[test]
fn recv_cancel_takes_nothing() {
    model("channel::recv_cancel_takes_nothing", || {
        let (ctx, _cancel) = Context::root();
        let (child, cancel) = ctx.with_cancel();
        let (tx, rx) = channel::bounded(1);
        let receiver = spawn({
            let rx = rx.clone();
            move || rx.recv(&child)
        });
        let canceller = spawn(move || cancel.cancel());
        tx.try_send(7).expect("there is room");
        join(canceller);
        match join(receiver) {
            Ok(n) => assert_eq!((n, rx.len()), (7, 0)),
            Err(_) => assert_eq!(rx.try_recv(), Ok(7)),
        }
    });
}

/// A receive with a deadline: the message comes in time, or it is still there.
#[test]
fn recv_vs_deadline() {
    timed("channel::recv_vs_deadline").check(|| {
        let (ctx, _cancel) = Context::root();
        let short = ctx.with_timeout(SOON);
        let (tx, rx) = channel::bounded(1);
        let sender = spawn(move || tx.try_send(7).map(|()| tx));
        match rx.recv(&short) {
            Ok(n) => assert_eq!(n, 7),
            Err(e) => {
                assert!(e.stop().is_some_and(|stop| stop.is_timeout()));
                assert_eq!(rx.recv(&ctx), Ok(7));
            }
        }
        drop(join(sender).expect("there is room"));
    });
}

/// A cancelled send has not happened, and gives its value back; or it has, and is received.
#[test]
fn send_cancel_gives_back() {
    model("channel::send_cancel_gives_back", || {
        let (ctx, _cancel) = Context::root();
        let (child, cancel) = ctx.with_cancel();
        let (tx, rx) = channel::bounded(1);
        tx.try_send(1).expect("there is room");
        let sender = spawn(move || tx.send(&child, 2));
        let canceller = spawn(move || cancel.cancel());
        assert_eq!(rx.recv(&ctx), Ok(1));
        let second = rx.recv(&ctx);
        match join(sender) {
            Ok(()) => assert_eq!(second, Ok(2)),
            Err(e) => {
                assert_eq!(e.into_inner(), 2);
                assert_eq!(second, Err(RecvError::Closed));
            }
        }
        join(canceller);
    });
}

/// A send with a deadline that meets the receive that makes room.
#[test]
fn send_vs_deadline() {
    timed("channel::send_vs_deadline").check(|| {
        let (ctx, _cancel) = Context::root();
        let short = ctx.with_timeout(SOON);
        let (tx, rx) = channel::bounded(1);
        tx.try_send(1).expect("there is room");
        let sender = spawn(move || tx.send(&short, 2));
        assert_eq!(rx.recv(&ctx), Ok(1));
        let second = rx.recv(&ctx);
        match join(sender) {
            Ok(()) => assert_eq!(second, Ok(2)),
            Err(SendError::Stopped { value, stop }) => {
                assert!(value == 2 && stop.is_timeout());
                assert_eq!(second, Err(RecvError::Closed));
            }
            Err(e) => panic!("{e:?}"),
        }
    });
}

/// Two receivers, two messages: nobody stays parked while a message lies there.
#[test]
fn two_receivers() {
    model("channel::two_receivers", || {
        let (ctx, _cancel) = Context::root();
        let (tx, rx) = channel::bounded(2);
        let receivers = [rx.clone(), rx].map(|rx| {
            let ctx = ctx.clone();
            spawn(move || rx.recv(&ctx).expect("two messages for two receivers"))
        });
        tx.try_send(1).expect("there is room");
        tx.try_send(2).expect("there is room");
        assert_eq!(join_all(receivers).iter().sum::<u32>(), 3);
    });
}

/// The receiver that was told finds more than it takes and tells the next: the baton. Both sends in a
/// row, so that the second finds a receiver on its way; the sender stays, so that no end wakes anybody.
#[test]
fn baton() {
    model("channel::baton", || {
        let (ctx, _cancel) = Context::root();
        let (tx, rx) = channel::bounded(2);
        let first = spawn({
            let (ctx, rx) = (ctx.clone(), rx.clone());
            move || rx.recv(&ctx).expect("two messages for two receivers")
        });
        let sender = spawn(move || {
            tx.try_send(1).expect("there is room");
            tx.try_send(2).expect("there is room");
            tx
        });
        let mine = rx.recv(&ctx).expect("two messages for two receivers");
        assert_eq!(mine + join(first), 3);
        drop(join(sender));
    });
}

/// A receiver that was told and is cancelled before it looks passes the baton on.
#[test]
fn baton_vs_cancel() {
    Model::new("channel::baton_vs_cancel").bound(2).check(|| {
        let (ctx, _cancel) = Context::root();
        let (child, cancel) = ctx.with_cancel();
        let (tx, rx) = channel::bounded(2);
        let cancelled = spawn({
            let rx = rx.clone();
            move || rx.recv(&child).is_ok()
        });
        let sender = spawn(move || {
            tx.try_send(1).expect("there is room");
            cancel.cancel();
            tx
        });
        let staying = spawn(move || rx.recv(&ctx));
        let tx = join(sender);
        if join(cancelled) {
            tx.try_send(2).expect("there is room");
        }
        assert!(join(staying).is_ok());
        drop(tx);
    });
}

/// Two blocked senders, one place: both are let in, in turn.
#[test]
fn two_senders() {
    model("channel::two_senders", || {
        let (ctx, _cancel) = Context::root();
        let (tx, rx) = channel::bounded(1);
        let senders = [(1, tx.clone()), (2, tx)].map(|(n, tx)| {
            let ctx = ctx.clone();
            spawn(move || tx.send(&ctx, n).expect("the receiver lives"))
        });
        assert_eq!(rx.iter(&ctx).sum::<i32>(), 3);
        join_all(senders);
    });
}

/// The counts agree with each other at every moment.
#[test]
fn stats_vs_send() {
    model("channel::stats_vs_send", || {
        let (ctx, _cancel) = Context::root();
        let (tx, rx) = channel::bounded(1);
        let watched = rx.clone();
        let sender = spawn({
            let ctx = ctx.clone();
            move || (1..=2).for_each(|n| tx.send(&ctx, n).expect("a receiver lives"))
        });
        let receiver = spawn(move || rx.recv(&ctx));
        let stats = watched.stats();
        assert!(stats.ledger.is_balanced(), "{stats:?}");
        assert!(stats.depth <= 1 && stats.peak <= 1 && stats.ledger.done <= 1, "{stats:?}");
        assert_eq!(join(receiver), Ok(1));
        join(sender);
        let ledger = watched.stats().ledger;
        assert_eq!((ledger.accepted, ledger.done, ledger.in_flight), (2, 1, 1));
    });
}

/// `DropOldest` against a receive: each message is received or dropped, never both.
#[test]
fn drop_oldest_vs_recv() {
    model("channel::drop_oldest_vs_recv", || {
        let (lost, gone) = channel::bounded(2);
        let (tx, rx) = channel::builder(1)
            .overflow(Overflow::DropOldest)
            .on_drop(move |n| lost.try_send(n).expect("at most one is dropped"))
            .build()
            .expect("a place to drop from");
        tx.try_send(1).expect("it never refuses");
        let sender = spawn(move || tx.try_send(2));
        let first = rx.try_recv().expect("one is there");
        join(sender).expect("it never refuses");
        let ledger = rx.stats().ledger;
        match first {
            1 => assert_eq!((rx.try_recv(), ledger.dropped), (Ok(2), 0)),
            _ => assert_eq!((gone.try_recv(), ledger.dropped), (Ok(1), 1)),
        }
        assert!(ledger.is_balanced());
    });
}
