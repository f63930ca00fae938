//! Oneshot: one answer, given or not, and nobody left waiting.

use crate::until;
use ironsys::channel::{self, AnswerError, Reply, TryRecvError};
use ironsys::time::VirtualClock;
use ironsys::{Context, Stop};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

#[test]
fn an_answer_sent_before_the_question_is_waited_for_is_kept() {
    let (ctx, _cancel) = Context::root();
    let (reply, mut answer) = channel::oneshot();
    assert!(reply.is_wanted());
    reply.send("yes").unwrap();
    assert_eq!(answer.recv(&ctx), Ok("yes"));
    assert_eq!(answer.recv(&ctx), Err(AnswerError::Dropped)); // There is only one.
    assert_eq!(answer.try_recv(), Err(TryRecvError::Closed));
}

#[test]
fn a_blocked_asker_gets_the_answer() {
    let (ctx, _cancel) = Context::root();
    let (reply, mut answer) = channel::oneshot();
    thread::scope(|s| {
        let asker = s.spawn(|| answer.recv(&ctx));
        until(|| ctx.linked().1 == 1);
        reply.send(5).unwrap();
        assert_eq!(asker.join().unwrap(), Ok(5));
    });
    assert_eq!(ctx.linked(), (0, 0));
}

#[test]
fn a_dropped_reply_is_an_answer() {
    let (ctx, _cancel) = Context::root();
    let (reply, mut answer) = channel::oneshot::<u8>();
    thread::scope(|s| {
        let asker = s.spawn(|| answer.recv(&ctx));
        until(|| ctx.linked().1 == 1);
        drop(reply);
        assert!(asker.join().unwrap().unwrap_err().is_dropped());
    });
}

#[test]
fn a_server_that_panics_answers_too() {
    let (ctx, _cancel) = Context::root();
    let (reply, mut answer) = channel::oneshot::<u8>();
    let server = move |reply: Reply<u8>| -> u8 {
        let _duty = reply;
        std::panic::resume_unwind(Box::new("no such table"))
    };
    assert!(thread::spawn(move || server(reply)).join().is_err());
    assert_eq!(answer.recv(&ctx), Err(AnswerError::Dropped));
}

#[test]
fn an_answer_nobody_wants_comes_back() {
    let (reply, answer) = channel::oneshot();
    drop(answer);
    assert!(!reply.is_wanted());
    assert_eq!(reply.send("late"), Err("late"));
}

#[test]
fn an_unread_answer_is_dropped_with_its_asker() {
    let value = Arc::new(());
    let (reply, answer) = channel::oneshot();
    reply.send(value.clone()).unwrap();
    drop(answer);
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn a_cancelled_receive_took_nothing() {
    let (ctx, _cancel) = Context::root();
    let (mine, cancel) = ctx.with_cancel();
    let (reply, mut answer) = channel::oneshot();
    thread::scope(|s| {
        let asker = s.spawn(|| answer.recv(&mine));
        until(|| mine.linked().1 == 1);
        cancel.cancel_with("bored");
        let error = asker.join().unwrap().unwrap_err();
        assert_eq!(error.stop().and_then(Stop::cause).map(|c| c.reason()), Some("bored"));
    });
    reply.send(1).unwrap();
    assert!(answer.recv(&mine).unwrap_err().stop().is_some()); // Stopped is for good.
    assert_eq!(answer.recv(&ctx), Ok(1));
}

#[test]
fn a_deadline_ends_the_wait() {
    let time = VirtualClock::auto();
    let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    let (reply, mut answer) = channel::oneshot::<u8>();
    let soon = ctx.with_timeout(Duration::from_secs(1));
    assert_eq!(answer.recv(&soon), Err(AnswerError::Stopped(Stop::DeadlineExceeded)));
    drop(reply);
}

#[test]
fn answers_and_cancels_at_once_lose_nothing() {
    let (ctx, _cancel) = Context::root();
    for _ in 0..200 {
        let (mine, cancel) = ctx.with_cancel();
        let (reply, mut answer) = channel::oneshot();
        thread::scope(|s| {
            s.spawn(|| cancel.cancel());
            s.spawn(|| reply.send(3).unwrap());
            match answer.recv(&mine) {
                Ok(value) => assert_eq!(value, 3),
                Err(e) => {
                    assert!(e.stop().is_some());
                    assert_eq!(answer.recv(&ctx), Ok(3));
                }
            }
        });
    }
}
