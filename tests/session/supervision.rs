//! Restarts, with OTP's meaning; and what peers were measured to get wrong.

use crate::{Cmd, Counter, Notes, both, clocked, next, root, run, until};
use ironsys::schedule::Backoff;
use ironsys::session::{Child, Died, Manager, Reason, Restart, Strategy, Supervisor, TellError};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_failure_and_a_panic_restart_the_session_and_the_rest_is_handled() {
    both(|builder| {
        let (ctx, _cancel) = root();
        let (told, failures) = mpsc::channel();
        let builder = builder.backoff(Backoff::fixed(Duration::ZERO));
        let manager = builder
            .on_failure(move |_, failure, panicked| {
                let payload = panicked.map(|p| *p.into_payload().downcast::<&str>().unwrap());
                told.send((failure.to_string(), payload)).unwrap();
            })
            .build()
            .unwrap();
        for cmd in [Cmd::Add(1), Cmd::Fail(7), Cmd::Add(2), Cmd::Panic, Cmd::Add(4)] {
            manager.tell(&ctx, &1, cmd).unwrap();
        }
        assert_eq!(manager.ask(&ctx, &1, Cmd::Get).unwrap(), 4);
        assert_eq!(next(&failures), ("oops 7".into(), None));
        assert_eq!(next(&failures), ("panicked: thrown".into(), Some("thrown")));
        assert_eq!(manager.stats().restarts, 2);
        let ledger = manager.close(&ctx).ledger;
        assert_eq!((ledger.done, ledger.failed, ledger.in_flight), (4, 2, 0));
    });
}

#[test]
fn a_session_that_fails_too_often_is_given_up_and_its_messages_come_back() {
    both(|builder| {
        let (ctx, _cancel) = root();
        let (lost, undelivered) = mpsc::channel();
        let manager = builder
            .backoff(Backoff::fixed(Duration::ZERO))
            .intensity(2, 3600 * SECOND)
            .on_failure(|_, _, _| ())
            .on_undelivered(move |_, left, reason| {
                lost.send((left.len(), reason.to_string())).unwrap();
            })
            .build()
            .unwrap();
        let address = manager.get_or_start(&ctx, &1).unwrap();
        let go = ironsys::channel::bounded::<()>(1);
        let begun = ironsys::channel::bounded(1);
        manager.tell(&ctx, &1, Cmd::Block(begun.0, go.1)).unwrap();
        begun.1.recv(&ctx).unwrap();
        for n in 0..5 {
            address.tell(&ctx, Cmd::Fail(n)).unwrap();
        }
        go.0.send(&ctx, ()).unwrap();
        assert_eq!(next(&undelivered), (2, "it failed: oops 2".into()));
        let reason = address.wait_ended(&ctx).unwrap().expect("it has ended");
        assert!(matches!(reason, Reason::Failed(_)));
    });
}

#[test]
fn a_restart_waits_out_its_backoff_without_a_thread() {
    both(|builder| {
        let (time, ctx, _cancel) = clocked();
        let manager = builder.context(&ctx).stuck_after(Duration::MAX).on_failure(|_, _, _| ());
        let manager = manager.backoff(Backoff::fixed(SECOND)).build().unwrap();
        manager.tell(&ctx, &1, Cmd::Fail(1)).unwrap();
        manager.tell(&ctx, &1, Cmd::Add(3)).unwrap();
        until(|| time.pending() == 1 && manager.live() == 0);
        assert_eq!(manager.deepest(9), [(1, 1)]);
        time.advance(SECOND);
        assert_eq!(manager.ask(&ctx, &1, Cmd::Get).unwrap(), 3);
    });
}

#[test]
fn a_message_that_crashes_is_a_dead_letter_and_not_a_loop() {
    both(|builder| {
        let (ctx, _cancel) = root();
        let (lost, dead) = mpsc::channel();
        let manager = builder
            .backoff(Backoff::fixed(Duration::ZERO))
            .on_failure(|_, _, _| ())
            .on_dead_letter(move |letter| lost.send((letter.id, letter.why)).unwrap())
            .build()
            .unwrap();
        manager.tell(&ctx, &1, Cmd::Fail(1)).unwrap();
        assert_eq!(next(&dead), (1, Died::Poison));
        assert_eq!(manager.ask(&ctx, &1, Cmd::Get).unwrap(), 0);
    });
}

// ===== tonari-actor: after a panic the system says running, and a send to the dead actor is Ok =====

#[test]
fn tonari_the_address_of_a_dead_session_says_so() {
    both(|builder| {
        let (ctx, _cancel) = root();
        let manager = builder.restart(Restart::Temporary).on_failure(|_, _, _| ()).build().unwrap();
        let address = manager.get_or_start(&ctx, &1).unwrap();
        address.tell(&ctx, Cmd::Panic).unwrap();
        address.wait_ended(&ctx).unwrap();
        assert!(matches!(address.tell(&ctx, Cmd::Add(1)), Err(TellError::Ended(_))));
        assert!(address.is_ended() && manager.get(&1).is_none());
        drop(manager); // Which does not panic.
    });
}

// ===== rust_supervisor: a Transient child that ended well was restarted; OneForAll left copies =====

#[test]
fn rust_supervisor_a_normal_end_is_no_failure_for_transient() {
    for (restart, restarts) in [(Restart::Transient, 0), (Restart::Permanent, 2)] {
        let (ctx, _cancel) = root();
        let notes = Notes::default();
        let ran = notes.clone();
        let task = Child::task("t", move |_| {
            ran.add("ran");
            Ok::<_, String>(())
        });
        let supervisor = Supervisor::builder("s").intensity(2, 3600 * SECOND);
        let mut supervisor = supervisor.child(task.restart(restart)).start(&ctx).unwrap();
        let stopped = supervisor.wait_ended(&ctx).unwrap();
        assert_eq!((stopped.restarts, notes.len()), (restarts, restarts as usize + 1));
        assert_eq!(stopped.gave_up.is_some(), restarts > 0);
    }
}

/// Three tasks; the second fails when told to. Returns what happened after the start.
fn failing(strategy: Strategy) -> Vec<String> {
    let (ctx, _cancel) = root();
    let notes = Notes::default();
    let alive = Arc::new(AtomicUsize::new(0));
    let (fail, failing) = ironsys::channel::bounded::<()>(1);
    let mut builder = Supervisor::builder("s").strategy(strategy);
    for name in ["a", "b", "c"] {
        let (notes, alive, failing) = (notes.clone(), alive.clone(), failing.clone());
        builder = builder.child(Child::task(name, move |ctx| {
            notes.add(format!("+{name}"));
            assert!(alive.fetch_add(1, Ordering::SeqCst) < 3, "a copy too many");
            let failed = if name == "b" {
                failing.recv(ctx).is_ok()
            } else {
                ctx.wait_stopped().is_timeout()
            };
            alive.fetch_sub(1, Ordering::SeqCst);
            notes.add(format!("-{name}"));
            if failed { Err("told to") } else { Ok(()) }
        }));
    }
    let supervisor = builder.start(&ctx).unwrap();
    until(|| notes.len() == 3);
    fail.send(&ctx, ()).unwrap();
    let expected = match strategy {
        Strategy::OneForOne => 5,
        Strategy::RestForOne => 7,
        _ => 9,
    };
    until(|| notes.len() == expected && alive.load(Ordering::SeqCst) == 3);
    let all = notes.all().split_off(3);
    let stopped = supervisor.stop(&ctx);
    assert_eq!((stopped.restarts, stopped.gave_up), (1, None));
    assert_eq!(&notes.all()[expected..], ["-c", "-b", "-a"]);
    all
}

#[test]
fn rust_supervisor_stops_before_it_starts_and_in_order() {
    assert_eq!(failing(Strategy::OneForOne), ["-b", "+b"]);
    let mut rest = failing(Strategy::RestForOne);
    rest[2..].sort();
    assert_eq!(rest, ["-b", "-c", "+b", "+c"]);
    let mut all = failing(Strategy::OneForAll);
    all[3..].sort();
    assert_eq!(all, ["-b", "-c", "-a", "+a", "+b", "+c"]);
}

#[test]
fn a_child_that_does_not_start_is_an_error_and_those_before_it_stop() {
    let (ctx, _cancel) = root();
    let manager = Manager::<Counter>::builder("counters").on_failure(|_, _, _| ()).build().unwrap();
    let sessions = manager.sessions();
    let supervisor = Supervisor::builder("s")
        .child(Child::session(&sessions, 1))
        .child(Child::session(&sessions, 1000));
    let e = supervisor.start(&ctx).unwrap_err();
    assert_eq!((e.child(), e.to_string().contains("oops 1000")), ("counters-1000", true));
    until(|| manager.is_empty());
}

#[test]
fn a_supervisor_that_gives_up_is_a_failure_to_the_one_above() {
    let (ctx, _cancel) = root();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let below = move || {
        let runs = counted.clone();
        let task = Child::task("t", move |_| {
            runs.fetch_add(1, Ordering::SeqCst);
            Err::<(), _>("always")
        });
        Supervisor::builder("below").intensity(1, 3600 * SECOND).child(task)
    };
    let above = Supervisor::builder("above").intensity(2, 3600 * SECOND);
    let mut above = above.child(Child::supervisor("below", below)).start(&ctx).unwrap();
    let stopped = above.wait_ended(&ctx).unwrap();
    assert_eq!(stopped.gave_up.as_deref(), Some("below: t: always"));
    assert_eq!((stopped.restarts, runs.load(Ordering::SeqCst)), (2, 6)); // They multiply, as in OTP.
}

#[test]
fn one_for_all_restarts_sessions_with_fresh_state() {
    let (ctx, _cancel) = root();
    let manager = Manager::<Counter>::builder("counters").restart(Restart::Temporary);
    let manager = manager.on_failure(|_, _, _| ()).build().unwrap();
    let sessions = manager.sessions();
    let supervisor = Supervisor::builder("s").strategy(Strategy::OneForAll);
    let supervisor = supervisor.child(Child::session(&sessions, 1));
    let supervisor = supervisor.child(Child::session(&sessions, 2)).start(&ctx).unwrap();
    let before = sessions.get(&2).unwrap();
    sessions.tell(&ctx, &2, Cmd::Add(9)).unwrap();
    sessions.tell(&ctx, &1, run(|_, _| std::panic::resume_unwind(Box::new("boom")))).unwrap();
    assert!(matches!(before.wait_ended(&ctx).unwrap(), Some(Reason::Sibling)));
    until(|| sessions.get(&2).is_some());
    assert_eq!(sessions.ask(&ctx, &2, Cmd::Get).unwrap(), 0);
    assert!(supervisor.stop(&ctx).in_time);
}
