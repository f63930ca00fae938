//! Supervisors at the edges: starts that fail half-way, stops that are cut short, reports.

use crate::{Cmd, Counter, Notes, clocked, next, root, run, until};
use ironsys::schedule::{Backoff, Jitter};
use ironsys::session::{Child, Manager, Strategy, Supervisor};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// A task that waits for its end, and notes both.
fn waits(name: &'static str, notes: &Notes) -> Child {
    let notes = notes.clone();
    Child::task(name, move |ctx| {
        notes.add(format!("{name} starts"));
        let _ = ctx.wait_stopped();
        notes.add(format!("{name} ends"));
        Ok::<_, String>(())
    })
}

#[test]
fn a_name_that_no_thread_can_have_is_an_error_and_leaves_no_child_behind() {
    let (ctx, _cancel) = root();
    let notes = Notes::default();
    let builder = Supervisor::builder("a\0b").child(waits("a", &notes));
    let error = builder.start(&ctx).unwrap_err();
    assert!(error.to_string().contains("zero byte"), "{error}");
    assert_eq!(notes.len(), 0);
    let child = Child::task("c\0d", |_| Ok::<_, String>(()));
    let error = Supervisor::builder("s").child(child).start(&ctx).unwrap_err();
    assert_eq!(error.child(), "c\0d");
}

#[test]
fn a_supervisor_that_cannot_be_built_is_a_child_that_does_not_start() {
    let (ctx, _cancel) = root();
    let builds = Arc::new(AtomicU32::new(0));
    let notes = Notes::default();
    let its = builds.clone();
    let below = Child::supervisor("below", move || match its.fetch_add(1, Ordering::Relaxed) {
        0 => Supervisor::builder("below")
            .child(Child::task("t", |_| Err("no good")))
            .intensity(0, SECOND),
        _ => std::panic::resume_unwind(Box::new("no plan")),
    });
    let above = Supervisor::builder("above").intensity(1, 3600 * SECOND);
    let above = above.child(waits("a", &notes)).child(below);
    let mut above = above.start(&ctx).unwrap();
    let stopped = above.wait_ended(&ctx).unwrap();
    assert_eq!(stopped.gave_up.as_deref(), Some("below: panicked: no plan"));
    assert_eq!(notes.all(), ["a starts", "a ends"]);
    // Later answers are the same.
    assert_eq!(above.wait_ended(&ctx).unwrap(), stopped);
    assert_eq!(above.stop(&ctx), stopped);
}

#[test]
fn a_start_that_panics_leaves_no_child_behind() {
    let (ctx, _cancel) = root();
    let notes = Notes::default();
    let below = Child::supervisor("below", || std::panic::resume_unwind(Box::new("no plan")));
    let above = Supervisor::builder("above").child(waits("a", &notes)).child(below);
    let error = above.start(&ctx).unwrap_err();
    assert_eq!(error.to_string(), "child below did not start: panicked: no plan");
    assert_eq!(notes.all(), ["a starts", "a ends"]);
}

#[test]
fn who_did_not_start_again_is_who_is_named() {
    let (ctx, _cancel) = root();
    let manager = Manager::<Counter>::builder("m").sharded(1).on_failure(|_, _, _| ());
    let manager = manager.backoff(Backoff::fixed(Duration::ZERO)).build().unwrap();
    let notes = Notes::default();
    let (fail, failing) = ironsys::channel::bounded::<()>(1);
    let builds = AtomicU32::new(0);
    let below = Child::supervisor("below", move || match builds.fetch_add(1, Ordering::Relaxed) {
        0 => Supervisor::builder("b"),
        _ => std::panic::resume_unwind(Box::new("no plan")),
    });
    let fails = Child::task("fails", move |ctx| {
        let _ = failing.recv(ctx);
        Err("it was told to")
    });
    let builder = Supervisor::builder("s").strategy(Strategy::OneForAll);
    let builder = builder.intensity(1, 3600 * SECOND).child(waits("a", &notes)).child(fails);
    let keeps = Child::session(&manager.sessions(), 1);
    let mut supervisor = builder
        .child(below.restart(ironsys::session::Restart::Temporary))
        .child(keeps)
        .start(&ctx)
        .unwrap();
    fail.send(&ctx, ()).unwrap();
    let stopped = supervisor.wait_ended(&ctx).unwrap();
    assert_eq!(stopped.gave_up.as_deref(), Some("below: panicked: no plan"));
    until(|| manager.is_empty());
}

#[test]
fn a_stop_cuts_the_stops_for_a_restart_short_as_well() {
    let (ctx, _cancel) = root();
    let (lost, undelivered) = mpsc::channel();
    let manager = Manager::<Counter>::builder("m").sharded(1).mailbox(5_000);
    let manager = manager.on_undelivered(move |_, left, _| lost.send(left.len()).unwrap());
    let manager = manager.build().unwrap();
    let (fail, failing) = ironsys::channel::bounded::<()>(1);
    let fails = Child::task("fails", move |ctx| {
        let _ = failing.recv(ctx);
        Err("it was told to")
    });
    let slow = Child::session(&manager.sessions(), 1).stop_within(Duration::MAX);
    let builder = Supervisor::builder("s").strategy(Strategy::OneForAll);
    let supervisor = builder.child(slow).child(fails).start(&ctx).unwrap();
    let (go, going) = ironsys::channel::bounded::<()>(1);
    let (begun, has_begun) = ironsys::channel::bounded(1);
    for _ in 0..5_000 {
        manager.tell(&ctx, &1, Cmd::Block(begun.clone(), going.clone())).unwrap();
    }
    has_begun.recv(&ctx).unwrap();
    fail.send(&ctx, ()).unwrap();
    until(|| manager.try_tell(&1, Cmd::Add(1)).is_err_and(|e| e.is_ended()));
    let (now, at_once) = ctx.with_cancel();
    at_once.cancel();
    std::thread::scope(|s| {
        let stops = s.spawn(move || supervisor.stop(&now));
        // One message after the other, until the order comes through.
        until(|| {
            let _ = go.try_send(());
            stops.is_finished()
        });
        assert!(!stops.join().unwrap().in_time);
    });
    assert!(next(&undelivered) >= 1);
}

#[test]
fn a_builder_s_own_end_is_called_below_a_supervisor_too() {
    let (ctx, _cancel) = root();
    let (told, ends) = mpsc::channel();
    let below = Child::supervisor("below", move || {
        let told = told.clone();
        Supervisor::builder("b")
            .child(Child::task("t", |ctx| {
                let _ = ctx.wait_stopped();
                Ok::<_, String>(())
            }))
            .on_end(move |failure| told.send(failure.map(str::to_owned)).unwrap())
    });
    let above = Supervisor::builder("above").child(below).start(&ctx).unwrap();
    assert!(above.stop(&ctx).in_time);
    assert_eq!(next(&ends), None);
}

#[test]
fn its_backoff_begins_anew_when_a_period_has_passed_without_a_restart() {
    let (time, ctx, _cancel) = clocked();
    let (fail, failing) = ironsys::channel::bounded::<()>(1);
    let (told, starts) = mpsc::channel();
    let task = Child::task("t", move |ctx| {
        told.send(()).unwrap();
        let _ = failing.recv(ctx);
        Err("it was told to")
    });
    let backoff = Backoff::exponential(SECOND).jitter(Jitter::None);
    let builder = Supervisor::builder("s").intensity(5, 60 * SECOND).backoff(backoff);
    let supervisor = builder.child(task).start(&ctx).unwrap();
    for _ in 0..4 {
        next(&starts);
        time.advance(61 * SECOND);
        fail.send(&ctx, ()).unwrap();
        until(|| time.pending() == 1);
        time.advance(SECOND);
    }
    next(&starts);
    drop(supervisor);
}

#[test]
fn a_session_that_is_told_to_drop_a_strange_supervisor_waits_for_it() {
    let (ctx, _cancel) = root();
    let notes = Notes::default();
    let manager = Manager::<Counter>::builder("m").sharded(1).build().unwrap();
    let supervisor = Supervisor::builder("s").child(waits("a", &notes)).start(&ctx).unwrap();
    manager.tell(&ctx, &1, run(move |_, _| drop(supervisor))).unwrap();
    manager.ask(&ctx, &1, Cmd::Get).unwrap();
    assert_eq!(notes.all(), ["a starts", "a ends"]);
}
