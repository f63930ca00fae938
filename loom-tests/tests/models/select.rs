//! `select!`: exactly one arm happens, and what the others were told is passed on.

use crate::{SOON, join, join_all, model, spawn, timed};
use ironsys::channel::{self, RecvError};
use ironsys::sync::thread;
use ironsys::testing::Model;
use ironsys::{Context, select};

/// Two receiving arms, one message on each: two selects get both.
#[test]
fn two_receives() {
    model("select::two_receives", || {
        let (ctx, _cancel) = Context::root();
        let (ta, a) = channel::bounded(1);
        let (tb, b) = channel::bounded(1);
        let sender = spawn(move || {
            ta.try_send(1).expect("there is room");
            tb.try_send(2).expect("there is room");
            (ta, tb)
        });
        let mut sum = 0;
        for _ in 0..2 {
            sum += select! { ctx;
                recv(b) -> n => n.expect("b is open"),
                recv(a) -> n => n.expect("a is open"),
            }
            .expect("nobody cancels");
        }
        assert_eq!(sum, 3);
        drop(join(sender));
    });
}

/// A select that is told of one channel and takes from the other passes the first one on.
#[test]
fn passes_the_baton() {
    model("select::passes_the_baton", || {
        let (ctx, _cancel) = Context::root();
        let (ta, a) = channel::bounded(1);
        let (tb, b) = channel::bounded(1);
        let receiver = spawn({
            let (ctx, a) = (ctx.clone(), a.clone());
            move || a.recv(&ctx)
        });
        let sender = spawn({
            let ta = ta.clone();
            move || {
                ta.try_send(1).expect("there is room");
                tb.try_send(2).expect("there is room");
                tb
            }
        });
        let mine = select! { ctx;
            recv(b) -> n => n,
            recv(a) -> n => n,
        }
        .expect("nobody cancels");
        if mine == Ok(1) {
            ta.try_send(3).expect("there is room"); // For the receiver that is left.
        }
        assert_eq!(join(receiver), Ok(if mine == Ok(2) { 1 } else { 3 }));
        drop((join(sender), ta));
    });
}

/// Two sending arms and a receiver on each: one value goes, the other stays at home.
#[test]
fn two_sends() {
    model("select::two_sends", || {
        let (ctx, _cancel) = Context::root();
        let (ta, a) = channel::bounded(0);
        let (tb, b) = channel::bounded(0);
        let receivers = [a, b].map(|rx| {
            let ctx = ctx.clone();
            spawn(move || rx.recv(&ctx).ok())
        });
        let sent = select! { ctx;
            send(ta, 1) -> r => r.map(|()| 1),
            send(tb, 2) -> r => r.map(|()| 2),
        }
        .expect("nobody cancels")
        .expect("both receivers live");
        drop((ta, tb));
        let got = join_all(receivers);
        assert_eq!(got, if sent == 1 { [Some(1), None] } else { [None, Some(2)] });
    });
}

/// The same on channels with a buffer that is full: an offer is let in from elsewhere.
#[test]
fn two_sends_full() {
    model("select::two_sends_full", || {
        let (ctx, _cancel) = Context::root();
        let (ta, a) = channel::bounded(1);
        let (tb, b) = channel::bounded(1);
        ta.try_send(0).expect("there is room");
        tb.try_send(0).expect("there is room");
        let makers = [a.clone(), b.clone()].map(|rx| spawn(move || rx.try_recv()));
        let sent = select! { ctx;
            send(ta, 1) -> r => r.map(|()| 1),
            send(tb, 2) -> r => r.map(|()| 2),
        }
        .expect("nobody cancels")
        .expect("both channels are open");
        assert_eq!(join_all(makers), [Ok(0), Ok(0)]);
        let got = [a.try_recv().ok(), b.try_recv().ok()];
        assert_eq!(got, if sent == 1 { [Some(1), None] } else { [None, Some(2)] });
    });
}

/// Two selects on the same two rendezvous: they meet on one of them, and agree on which.
#[test]
fn select_vs_select() {
    model("select::select_vs_select", || {
        let (ctx, _cancel) = Context::root();
        let (ta, a) = channel::bounded(0);
        let (tb, b) = channel::bounded(0);
        let other = spawn({
            let (ctx, ta, b) = (ctx.clone(), ta.clone(), b.clone());
            move || {
                select! { ctx;
                    recv(b) -> n => { assert_eq!(n, Ok(2)); 'b' },
                    send(ta, 1) -> r => r.map(|()| 'a').expect("the other lives"),
                }
            }
        });
        let mine = select! { ctx;
            recv(a) -> n => { assert_eq!(n, Ok(1)); 'a' },
            send(tb, 2) -> r => r.map(|()| 'b').expect("the other lives"),
        };
        assert_eq!(mine, join(other));
        let done = (a.stats().ledger.done, b.stats().ledger.done);
        assert_eq!(done, if mine == Ok('a') { (1, 0) } else { (0, 1) });
    });
}

/// The same with a third party that would take the value of one of them.
#[test]
fn select_vs_select_vs_recv() {
    Model::new("select::select_vs_select_vs_recv").bound(2).check(|| {
        let (ctx, _cancel) = Context::root();
        let (others, cancel) = ctx.with_cancel();
        let (ta, a) = channel::bounded(0);
        let (tb, b) = channel::bounded(0);
        let other = spawn({
            let (ctx, ta, b) = (others.clone(), ta.clone(), b.clone());
            move || {
                select! { ctx;
                    send(ta, 1) -> r => r.map(|()| 'a').expect("a receiver lives"),
                    recv(b) -> n => { assert_eq!(n, Ok(2)); 'b' },
                }
                .ok()
            }
        });
        let receiver = spawn(move || b.recv(&others).is_ok());
        // The order in which the two begin is no event that a model checker varies by itself.
        thread::yield_now();
        let mine = select! { ctx;
            send(tb, 2) -> r => r.map(|()| 'b').expect("a receiver lives"),
            recv(a) -> n => { assert_eq!(n, Ok(1)); 'a' },
        }
        .expect("nobody cancels this one");
        cancel.cancel();
        let (other, received) = (join(other), join(receiver));
        match mine {
            'a' => assert_eq!((other, received), (Some('a'), false)),
            _ => assert!((other == Some('b')) != received, "{other:?} {received}"),
        }
    });
}

/// A cancelled select has done nothing: no message taken, no value sent.
#[test]
fn cancel_does_nothing() {
    model("select::cancel_does_nothing", || {
        let (ctx, cancel) = Context::root();
        let (ta, a) = channel::bounded(1);
        let (tb, b) = channel::bounded(0);
        let canceller = spawn(move || cancel.cancel());
        let sender = spawn(move || ta.try_send(1));
        let mine = select! { ctx;
            recv(a) -> n => n,
            send(tb, 2) -> r => panic!("nobody receives: {r:?}"),
        };
        join(sender).expect("there is room");
        join(canceller);
        match mine {
            Ok(n) => assert_eq!((n, a.len()), (Ok(1), 0)),
            Err(_) => assert_eq!(a.len(), 1),
        }
        drop(tb);
        assert_eq!(b.stats().ledger.accepted, 0);
    });
}

/// A limit and a message at once.
#[test]
fn recv_vs_default() {
    timed("select::recv_vs_default").check(|| {
        let (ctx, _cancel) = Context::root();
        let (tx, rx) = channel::bounded(1);
        let sender = spawn(move || tx.try_send(1));
        let got = select! { ctx;
            recv(rx) -> n => n.ok(),
            default(SOON) => None,
        }
        .expect("nobody cancels");
        join(sender).expect("there is room");
        assert_eq!(rx.len(), usize::from(got.is_none()));
    });
}

/// A limit and a receiver for the value at once: sent or not, both sides agree.
#[test]
fn send_vs_default() {
    timed("select::send_vs_default").check(|| {
        let (ctx, _cancel) = Context::root();
        let (tx, rx) = channel::bounded(0);
        let receiver = spawn({
            let ctx = ctx.clone();
            move || rx.recv(&ctx)
        });
        let sent = select! { ctx;
            send(tx, 1) -> r => r.is_ok(),
            default(SOON) => false,
        }
        .expect("nobody cancels");
        drop(tx);
        assert_eq!(join(receiver), if sent { Ok(1) } else { Err(RecvError::Closed) });
    });
}

/// A channel that closes is ready, for a receiving and for a sending arm.
#[test]
fn close_is_ready() {
    model("select::close_is_ready", || {
        let (ctx, _cancel) = Context::root();
        let (ta, a) = channel::bounded::<u32>(1);
        let (tb, b) = channel::bounded(0);
        let closers = [spawn(move || drop(ta)), spawn(move || drop(b))];
        let closed = select! { ctx;
            recv(a) -> n => n.is_err(),
            send(tb, 1) -> r => r.is_err_and(|e| e.into_inner() == 1),
        };
        assert_eq!(closed, Ok(true));
        join_all(closers);
    });
}
