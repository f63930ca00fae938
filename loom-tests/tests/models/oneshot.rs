//! One answer: sent, dropped, or given up, and both sides agree.

use crate::{SOON, join, model, spawn, timed};
use ironsys::Context;
use ironsys::channel::{self, AnswerError};

#[test]
fn send_vs_recv() {
    model("oneshot::send_vs_recv", || {
        let (ctx, _cancel) = Context::root();
        let (reply, mut answer) = channel::oneshot();
        let server = spawn(move || reply.is_wanted() && reply.send(7).is_ok());
        assert_eq!(answer.recv(&ctx), Ok(7));
        assert!(join(server));
    });
}

/// A reply that is dropped leaves nobody waiting.
#[test]
fn drop_vs_recv() {
    model("oneshot::drop_vs_recv", || {
        let (ctx, _cancel) = Context::root();
        let (reply, mut answer) = channel::oneshot::<u32>();
        let server = spawn(move || drop(reply));
        assert_eq!(answer.recv(&ctx), Err(AnswerError::Dropped));
        join(server);
    });
}

/// A cancelled receive took nothing: the answer can still be had.
#[test]
fn recv_vs_cancel() {
    model("oneshot::recv_vs_cancel", || {
        let (ctx, _cancel) = Context::root();
        let (child, cancel) = ctx.with_cancel();
        let (reply, mut answer) = channel::oneshot();
        let server = spawn(move || reply.send(7).expect("the asker lives"));
        let canceller = spawn(move || cancel.cancel());
        match answer.recv(&child) {
            Ok(n) => assert_eq!(n, 7),
            Err(_) => assert_eq!(answer.recv(&ctx), Ok(7)),
        }
        join(server);
        join(canceller);
    });
}

#[test]
fn recv_vs_deadline() {
    timed("oneshot::recv_vs_deadline").check(|| {
        let (ctx, _cancel) = Context::root();
        let (reply, mut answer) = channel::oneshot();
        let server = spawn(move || reply.send(7).expect("the asker lives"));
        if answer.recv(&ctx.with_timeout(SOON)).is_err() {
            assert_eq!(answer.recv(&ctx), Ok(7));
        }
        join(server);
    });
}

/// The asker gives up while the answer is sent: it comes back, or it was taken.
#[test]
fn give_up_vs_send() {
    model("oneshot::give_up_vs_send", || {
        let (reply, mut answer) = channel::oneshot();
        let server = spawn(move || reply.send(7));
        let got = answer.try_recv();
        drop(answer);
        if got.is_ok() {
            assert_eq!(join(server), Ok(()));
        } else {
            let _ = join(server); // Sent just before it was given up, or returned.
        }
    });
}
