//! The end of a channel: closed, or one side gone.

use crate::{Count, join, join_all, model, spawn};
use ironsys::Context;
use ironsys::channel::{self, RecvError, SendError, TrySendError};

/// Close against a blocked receive: it ends, and what was queued before is still received.
#[test]
fn close_vs_recv() {
    model("channel_close::close_vs_recv", || {
        let (ctx, _cancel) = Context::root();
        let (tx, rx) = channel::bounded(1);
        let receiver = spawn(move || (rx.recv(&ctx), rx.recv(&ctx)));
        let sent = tx.try_send(1);
        assert!(tx.close());
        sent.expect("there was room");
        assert_eq!(join(receiver), (Ok(1), Err(RecvError::Closed)));
        assert!(!tx.close());
    });
}

/// Close by one thread, a send by another, a receive by a third: the message is refused or received.
#[test]
fn close_vs_send_vs_recv() {
    model("channel_close::close_vs_send_vs_recv", || {
        let (ctx, _cancel) = Context::root();
        let (tx, rx) = channel::bounded(1);
        let closer = spawn({
            let tx = tx.clone();
            move || tx.close()
        });
        let sender = spawn(move || tx.try_send(1));
        let got = rx.recv(&ctx);
        join(closer);
        match join(sender) {
            Ok(()) => assert_eq!(got, Ok(1)),
            Err(TrySendError::Closed(1)) => assert_eq!(got, Err(RecvError::Closed)),
            Err(e) => panic!("{e:?}"),
        }
    });
}

/// Close against a blocked send: the value comes back, the queued one stays.
#[test]
fn close_vs_blocked_send() {
    model("channel_close::close_vs_blocked_send", || {
        let (ctx, _cancel) = Context::root();
        let (tx, rx) = channel::bounded(1);
        tx.try_send(1).expect("there is room");
        let sender = spawn({
            let ctx = ctx.clone();
            move || tx.send(&ctx, 2)
        });
        rx.close();
        assert!(matches!(join(sender), Err(SendError::Closed(2))));
        assert_eq!((rx.recv(&ctx), rx.recv(&ctx)), (Ok(1), Err(RecvError::Closed)));
    });
}

/// Both senders go at once: the receiver sees the end.
#[test]
fn drop_wakes() {
    model("channel_close::drop_wakes", || {
        let (ctx, _cancel) = Context::root();
        let (tx, rx) = channel::bounded::<u32>(1);
        let droppers = [tx.clone(), tx].map(|tx| spawn(move || drop(tx)));
        assert_eq!(rx.recv(&ctx), Err(RecvError::Closed));
        join_all(droppers);
    });
}

/// The last receiver goes while a sender is blocked and a message lies in the queue: the one comes
/// back, the other is given to `on_drop`.
#[test]
fn last_receiver_vs_send() {
    model("channel_close::last_receiver_vs_send", || {
        let (ctx, _cancel) = Context::root();
        let lost = Count::default();
        let (tx, rx) = channel::builder(1)
            .on_drop({
                let lost = lost.clone();
                move |n| lost.add(n)
            })
            .build()
            .expect("a place to drop from");
        tx.try_send(1).expect("there is room");
        let receiver = spawn(move || drop(rx));
        let back = tx.send(&ctx, 2).expect_err("nobody will receive it").into_inner();
        join(receiver);
        assert_eq!((back, lost.get()), (2, 1));
        assert!(tx.is_closed() && tx.stats().ledger.is_balanced());
    });
}

/// Draining takes what is queued and what a blocked sender holds out, once.
#[test]
fn drain_vs_send() {
    model("channel_close::drain_vs_send", || {
        let (ctx, _cancel) = Context::root();
        let (tx, rx) = channel::bounded(1);
        tx.try_send(1).expect("there is room");
        let sender = spawn({
            let ctx = ctx.clone();
            move || tx.send(&ctx, 2).expect("the receiver lives")
        });
        let mut all = rx.drain();
        join(sender);
        all.extend(rx.drain());
        assert_eq!(all, [1, 2]);
    });
}
