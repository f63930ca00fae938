//! What the documents promise at the edges: restarts, backoff, ends in unusual places.

use crate::{Cmd, Counter, Notes, both, clocked, next, root, run, until};
use ironsys::schedule::Backoff;
use ironsys::session::{Cx, Idle, Manager, Reason, Restart, Session};
use std::convert::Infallible;
use std::sync::mpsc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_backoff_begins_anew_when_a_period_has_passed_without_a_restart() {
    both(|builder| {
        let (time, ctx, _cancel) = clocked();
        let manager = builder.context(&ctx).stuck_after(Duration::MAX).on_failure(|_, _, _| ());
        let backoff = Backoff::exponential(SECOND).jitter(ironsys::schedule::Jitter::None);
        let manager = manager.intensity(5, 60 * SECOND).backoff(backoff).build().unwrap();
        for _ in 0..4 {
            manager.tell(&ctx, &1, Cmd::Fail(1)).unwrap();
            until(|| time.pending() == 1 && manager.live() == 0);
            time.advance(SECOND); // The first delay, each time.
            assert_eq!(manager.ask(&ctx, &1, Cmd::Get).unwrap(), 0);
            time.advance(61 * SECOND);
        }
    });
}

#[test]
fn an_order_to_leave_memory_cuts_no_backoff_short() {
    both(|builder| {
        let (time, ctx, _cancel) = clocked();
        let manager = builder.context(&ctx).stuck_after(Duration::MAX).on_failure(|_, _, _| ());
        let manager = manager.backoff(Backoff::fixed(SECOND)).build().unwrap();
        manager.tell(&ctx, &1, Cmd::Fail(1)).unwrap();
        until(|| time.pending() == 1 && manager.live() == 0);
        assert!(manager.passivate(&1));
        manager.ask(&ctx, &2, Cmd::Get).unwrap();
        manager.ask(&ctx, &3, Cmd::Get).unwrap();
        assert_eq!((time.pending(), manager.live()), (1, 2));
        time.advance(SECOND);
        assert_eq!(manager.ask(&ctx, &1, Cmd::Get).unwrap(), 0);
    });
}

#[test]
fn a_session_that_ends_itself_waits_out_its_backoff_too() {
    both(|builder| {
        let (time, ctx, _cancel) = clocked();
        let manager = builder.context(&ctx).stuck_after(Duration::MAX).restart(Restart::Permanent);
        let manager = manager.backoff(Backoff::fixed(SECOND)).build().unwrap();
        manager.tell(&ctx, &1, Cmd::Stop).unwrap();
        until(|| time.pending() == 1 && manager.live() == 0);
        manager.tell(&ctx, &1, Cmd::Add(3)).unwrap();
        time.advance(SECOND);
        assert_eq!(manager.ask(&ctx, &1, Cmd::Get).unwrap(), 3);
    });
}

/// Panics when it is idle, the first time.
struct Dozer(u32);

impl Session for Dozer {
    type Id = u32;
    type Msg = ironsys::channel::Reply<u32>;
    type Error = Infallible;

    fn start(_: &u32, cx: &mut Cx<'_, Self>) -> Result<Self, Infallible> {
        let notes = cx.context().value::<Notes>().expect("the test gave them");
        notes.add("start");
        Ok(Dozer(notes.len() as u32))
    }

    fn handle(&mut self, reply: Self::Msg, _: &mut Cx<'_, Self>) -> Result<(), Infallible> {
        let _ = reply.send(self.0);
        Ok(())
    }

    fn idle(&mut self, _: &mut Cx<'_, Self>) -> Idle {
        match self.0 {
            1 => std::panic::resume_unwind(Box::new("a bad dream")),
            _ => Idle::Stay,
        }
    }
}

#[test]
fn a_panic_when_idle_is_a_failure_like_any_other() {
    let notes = Notes::default();
    let (ctx, _cancel) = crate::noted(&notes);
    let (told, failures) = mpsc::channel();
    let manager = Manager::<Dozer>::builder("dozers").sharded(1).context(&ctx);
    let manager = manager.backoff(Backoff::fixed(Duration::ZERO));
    let manager = manager.on_failure(move |_, failure, _| told.send(failure.to_string()).unwrap());
    let manager = manager.build().unwrap();
    let address = manager.get_or_start(&ctx, &1).unwrap();
    assert!(manager.passivate(&1));
    assert_eq!(next(&failures), "panicked: a bad dream");
    assert_eq!(address.ask(&ctx, |reply| reply).unwrap(), 2);
    assert_eq!(manager.stats().restarts, 1);
}

#[test]
fn a_close_by_a_session_says_that_the_others_had_no_time() {
    let (ctx, _cancel) = root();
    let manager = Manager::<Counter>::builder("m").sharded(1).build().unwrap();
    let sessions = manager.sessions();
    let (told, closed) = mpsc::channel();
    let its = ctx.clone();
    let close = run(move |_, _| told.send(manager.close(&its).in_time).unwrap());
    sessions.tell(&ctx, &1, close).unwrap();
    assert!(!next(&closed));
}

#[test]
fn a_session_for_whose_own_thread_there_is_no_room_stays_on_its_shard() {
    let (ctx, _cancel) = root();
    let manager = Manager::<Counter>::builder("m").sharded(1).max_threads(1).build().unwrap();
    let address = manager.get_or_start(&ctx, &1).unwrap();
    manager.tell(&ctx, &1, Cmd::Add(1)).unwrap();
    manager.tell(&ctx, &1, Cmd::Dedicate).unwrap();
    manager.tell(&ctx, &1, Cmd::Add(2)).unwrap();
    assert_eq!(address.ask(&ctx, Cmd::Get).unwrap(), 3);
}

#[test]
fn a_session_that_gets_no_thread_is_a_failure_that_is_told() {
    let (ctx, _cancel) = root();
    let (told, failures) = mpsc::channel();
    let manager = Manager::<Counter>::builder("m").thread_per_session().max_threads(1);
    let manager = manager.on_failure(move |id, failure, _| {
        told.send((*id, failure.to_string())).unwrap();
    });
    let manager = manager.build().unwrap();
    manager.ask(&ctx, &1, Cmd::Get).unwrap();
    let error = manager.get_or_start(&ctx, &2).unwrap_err();
    assert!(error.to_string().contains("no thread"), "{error}");
    let (id, failure) = next(&failures);
    assert!(id == 2 && failure.contains("no thread"), "{failure}");
}

/// Ends in its start.
struct Brief;

impl Session for Brief {
    type Id = u32;
    type Msg = ironsys::channel::Reply<u32>;
    type Error = Infallible;

    fn start(id: &u32, cx: &mut Cx<'_, Self>) -> Result<Self, Infallible> {
        cx.stop();
        cx.context().value::<Notes>().expect("the test gave them").add(format!("start {id}"));
        Ok(Brief)
    }

    fn handle(&mut self, reply: Self::Msg, _: &mut Cx<'_, Self>) -> Result<(), Infallible> {
        let _ = reply.send(1);
        Ok(())
    }
}

#[test]
fn an_end_in_start_comes_after_what_was_told_and_is_for_good() {
    let notes = Notes::default();
    let (ctx, _cancel) = crate::noted(&notes);
    let manager = Manager::<Brief>::builder("b").sharded(1).context(&ctx);
    let manager = manager.restart(Restart::Permanent).build().unwrap();
    let (reply, mut answer) = ironsys::channel::oneshot();
    manager.tell(&ctx, &1, reply).unwrap();
    assert_eq!(answer.recv(&ctx).unwrap(), 1);
    let address = manager.try_get_or_start(&2).unwrap();
    assert!(matches!(address.wait_ended(&ctx).unwrap(), Some(Reason::Finished)));
    until(|| manager.is_empty());
    assert_eq!(notes.all(), ["start 1", "start 2"]);
}
