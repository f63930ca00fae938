//! Channels without a buffer: a send and a receive happen together or not at all.

use crate::{SOON, join, join_all, model, spawn, timed};
use ironsys::Context;
use ironsys::channel::{self, RecvError, SendError, TrySendError};

/// Whoever comes first waits for the other.
#[test]
fn handoff() {
    model("rendezvous::handoff", || {
        let (ctx, _cancel) = Context::root();
        let (tx, rx) = channel::bounded(0);
        let sender = spawn({
            let ctx = ctx.clone();
            move || tx.send(&ctx, 1)
        });
        assert_eq!(rx.recv(&ctx), Ok(1));
        assert_eq!(rx.recv(&ctx), Err(RecvError::Closed));
        join(sender).expect("it was received");
    });
}

/// A cancelled send against the receive: handed over, or given back.
#[test]
fn send_vs_cancel() {
    model("rendezvous::send_vs_cancel", || {
        let (ctx, _cancel) = Context::root();
        let (child, cancel) = ctx.with_cancel();
        let (tx, rx) = channel::bounded(0);
        let sender = spawn(move || tx.send(&child, 1));
        let canceller = spawn(move || cancel.cancel());
        let got = rx.recv(&ctx);
        match join(sender) {
            Ok(()) => assert_eq!(got, Ok(1)),
            Err(e) => assert_eq!((e.into_inner(), got), (1, Err(RecvError::Closed))),
        }
        join(canceller);
    });
}

/// A receiver that a sender has counted on takes the value, also if it is cancelled meanwhile.
#[test]
fn recv_vs_cancel() {
    model("rendezvous::recv_vs_cancel", || {
        let (ctx, cancel) = Context::root();
        let (tx, rx) = channel::bounded(0);
        let receiver = spawn(move || rx.recv(&ctx));
        let canceller = spawn(move || cancel.cancel());
        let sent = tx.try_send(1);
        let got = join(receiver);
        join(canceller);
        match sent {
            Ok(()) => assert_eq!(got, Ok(1)),
            Err(e) => {
                assert!(matches!(e, TrySendError::Full(1) | TrySendError::Closed(1)));
                assert!(got.expect_err("nothing was sent").stop().is_some());
            }
        }
    });
}

/// The same with a deadline: success at the very deadline stays success.
#[test]
fn recv_vs_deadline() {
    timed("rendezvous::recv_vs_deadline").check(|| {
        let (ctx, _cancel) = Context::root();
        let short = ctx.with_timeout(SOON);
        let (tx, rx) = channel::bounded(0);
        let receiver = spawn(move || rx.recv(&short));
        let sent = tx.try_send(1).is_ok();
        assert_eq!(join(receiver).is_ok(), sent);
    });
}

/// A send with a deadline against the receive.
#[test]
fn send_vs_deadline() {
    timed("rendezvous::send_vs_deadline").check(|| {
        let (ctx, _cancel) = Context::root();
        let short = ctx.with_timeout(SOON);
        let (tx, rx) = channel::bounded(0);
        let sender = spawn(move || tx.send(&short, 1));
        let got = rx.recv(&ctx);
        match join(sender) {
            Ok(()) => assert_eq!(got, Ok(1)),
            Err(SendError::Stopped { value, .. }) => {
                assert_eq!((value, got), (1, Err(RecvError::Closed)));
            }
            Err(e) => panic!("{e:?}"),
        }
    });
}

/// Close against a blocked send.
#[test]
fn close_vs_send() {
    model("rendezvous::close_vs_send", || {
        let (ctx, _cancel) = Context::root();
        let (tx, rx) = channel::bounded(0);
        let sender = spawn(move || tx.send(&ctx, 1));
        rx.close();
        assert!(matches!(join(sender), Err(SendError::Closed(1))));
        assert!(rx.stats().ledger.is_balanced());
    });
}

/// Two senders, two receivers in turn: every value arrives once.
#[test]
fn two_senders() {
    model("rendezvous::two_senders", || {
        let (ctx, _cancel) = Context::root();
        let (tx, rx) = channel::bounded(0);
        let senders = [(1, tx.clone()), (2, tx)].map(|(n, tx)| {
            let ctx = ctx.clone();
            spawn(move || tx.send(&ctx, n).expect("the receiver lives"))
        });
        assert_eq!(rx.iter(&ctx).sum::<i32>(), 3);
        join_all(senders);
    });
}
