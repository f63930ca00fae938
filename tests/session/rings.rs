//! Sessions that ask themselves, each other, or with no thread left to answer.

use crate::{Cmd, Counter, both, clocked, next, root, run, until};
use ironsys::session::{AskError, Manager, Sessions};
use ironsys::{Context, Stop};
use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;

/// Has session 1 ask session `other` for its count, and tells what came of it.
fn asks(
    ctx: &Context,
    all: &Sessions<Counter>,
    other: u64,
    told: mpsc::Sender<Result<u64, AskError<Cmd>>>,
) -> Cmd {
    let (ctx, all) = (ctx.clone(), all.clone());
    run(move |_, _| told.send(all.ask(&ctx, &other, Cmd::Get)).unwrap())
}

#[test]
fn a_session_that_asks_itself_is_told_so_and_lives() {
    both(|builder| {
        // Without a deadline: it would wait for ever.
        let (ctx, _cancel) = Context::root();
        let manager = builder.build().unwrap();
        let (told, out) = mpsc::channel();
        manager.tell(&ctx, &1, Cmd::Add(3)).unwrap();
        manager.tell(&ctx, &1, asks(&ctx, &manager.sessions(), 1, told)).unwrap();
        let error = next(&out).unwrap_err();
        assert!(matches!(error, AskError::Itself));
        assert_eq!((error.to_string(), error.stop()), ("the session asks itself".into(), None));
        assert_eq!(manager.ask(&ctx, &1, Cmd::Get).unwrap(), 3);
        // The question was taken, and was handled.
        assert_eq!(manager.close(&ctx).ledger.done, 4);
    });
}

#[test]
fn so_is_one_that_asks_itself_by_its_address() {
    both(|builder| {
        let (ctx, _cancel) = Context::root();
        let manager = builder.build().unwrap();
        let (told, out) = mpsc::channel();
        let its = ctx.clone();
        let ask = run(move |_, cx| told.send(cx.address().ask(&its, Cmd::Get)).unwrap());
        manager.tell(&ctx, &1, ask).unwrap();
        assert!(matches!(next(&out), Err(AskError::Itself)));
    });
}

#[test]
fn a_guest_that_asks_back_is_told_so() {
    let (ctx, _cancel) = Context::root();
    crate::patience();
    let manager = Manager::<Counter>::builder("back").sharded(1).caller_runs(true).build().unwrap();
    let all = manager.sessions();
    let (told, out) = mpsc::channel();
    let (its, theirs) = (ctx.clone(), all.clone());
    let first = run(move |_, _| {
        let back = all.clone();
        let answer = its.clone().with_cancel();
        let asked = all.ask(&its, &2, |reply| {
            run(move |_, _| {
                told.send(back.ask(&answer.0, &1, Cmd::Get)).unwrap();
                let _ = reply.send(2);
            })
        });
        assert_eq!(asked.unwrap(), 2);
    });
    manager.tell(&ctx, &1, first).unwrap();
    assert!(matches!(next(&out), Err(AskError::Itself)));
    assert_eq!(theirs.ask(&ctx, &1, Cmd::Get).unwrap(), 0);
}

/// Each is on a thread of its own, and nothing on either thread tells: the deadline does, and
/// `export::DeadlockFinder` names both.
#[test]
fn a_ring_of_two_ends_at_the_deadline() {
    both(|builder| {
        let (time, ctx, _cancel) = clocked();
        let manager = builder.context(&ctx).stuck_after(Duration::MAX).build().unwrap();
        let all = manager.sessions();
        let (told, out) = mpsc::channel();
        let meet = Arc::new(Barrier::new(2));
        for me in [1, 2] {
            let (all, told, meet) = (all.clone(), told.clone(), meet.clone());
            let soon = ctx.with_timeout(Duration::from_secs(1));
            let ask = run(move |_, cx| {
                cx.block_in_place(|| meet.wait());
                told.send(all.ask(&soon, &(3 - me), Cmd::Get)).unwrap();
            });
            manager.tell(&ctx, &me, ask).unwrap();
        }
        until(|| time.pending() == 2);
        time.advance(Duration::from_secs(1));
        let outs = [next(&out), next(&out)];
        assert!(outs.iter().any(|out| matches!(out, Err(AskError::Stopped(_)))));
        until(|| manager.stats().ledger.in_flight == 0);
    });
}

#[test]
fn without_a_thread_for_the_asked_one_the_deadline_ends_the_wait() {
    let (time, ctx, _cancel) = clocked();
    let builder = Manager::<Counter>::builder("used up").context(&ctx).stuck_after(Duration::MAX);
    let manager = builder.sharded(1).max_threads(1).build().unwrap();
    let (told, out) = mpsc::channel();
    let soon = ctx.with_timeout(Duration::from_secs(1));
    manager.tell(&ctx, &1, asks(&soon, &manager.sessions(), 2, told)).unwrap();
    until(|| time.pending() == 1);
    time.advance(Duration::from_secs(1));
    let stop = next(&out).unwrap_err().stop().cloned();
    assert_eq!(stop, Some(Stop::DeadlineExceeded));
    assert_eq!(manager.ask(&ctx, &2, Cmd::Get).unwrap(), 0);
}

#[test]
fn the_asker_that_runs_the_asked_one_needs_no_thread_for_it() {
    let (ctx, _cancel) = root();
    let builder = Manager::<Counter>::builder("enough").sharded(1).max_threads(1);
    let manager = builder.caller_runs(true).build().unwrap();
    let (told, out) = mpsc::channel();
    manager.tell(&ctx, &1, asks(&ctx, &manager.sessions(), 2, told)).unwrap();
    assert_eq!(next(&out).unwrap(), 0);
}
