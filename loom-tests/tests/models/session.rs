//! Sessions: one thread at a time, nothing lost between two of them, and every end told once.
//!
//! The managers have one shard, so one thread, wherever the race is not between two.

use crate::{Count, SOON, join, spawn, timed};
use ironsys::channel::{self, Receiver, Reply, Sender};
use ironsys::schedule::Backoff;
use ironsys::session::{
    AskError, Builder, Child, Cx, Idle, Manager, MemoryStore, Reason, Restore, Session, Snapshot,
    Strategy, Supervisor, TellError,
};
use ironsys::sync::{Arc, InjectedPanic};
use ironsys::testing::Model;
use ironsys::time::VirtualClock;
use ironsys::{Context, Stop};
use std::time::Duration;

/// The models are long, the races few: two preemptions find them.
fn model(name: &str, body: impl Fn() + Send + Sync + 'static) {
    Model::new(name).bound(2).branches(20_000).check(body);
}

/// With three threads of the manager's own there is enough to try with one.
fn wide(name: &str, body: impl Fn() + Send + Sync + 'static) {
    Model::new(name).bound(1).branches(20_000).check(body);
}

struct Tally {
    sum: u64,
}

enum Cmd {
    Add(u64),
    Get(Reply<u64>),
    Forget(Reply<u64>),
    Crash,
    /// Says that it has begun, and waits for the word to end.
    Wait(Sender<()>, Receiver<()>),
    Aside(Reply<u64>),
    Later,
    Beat,
    Dedicate,
    Finish(Reply<u64>),
}

impl Session for Tally {
    type Id = u8;
    type Msg = Cmd;
    type Error = &'static str;

    fn start(id: &u8, cx: &mut Cx<'_, Self>) -> Result<Self, &'static str> {
        if let Some(starts) = cx.context().value::<Count>() {
            starts.add(1);
        }
        if *id == 99 { Err("no") } else { Ok(Tally { sum: 0 }) }
    }

    fn handle(&mut self, cmd: Cmd, cx: &mut Cx<'_, Self>) -> Result<(), &'static str> {
        match cmd {
            Cmd::Add(n) => self.sum += n,
            Cmd::Get(reply) => drop(reply.send(self.sum)),
            Cmd::Forget(reply) => drop(reply),
            Cmd::Crash => std::panic::resume_unwind(Box::new(InjectedPanic)),
            Cmd::Wait(begun, go) => {
                let (ctx, _cancel) = Context::root();
                let _ = begun.try_send(());
                let _ = go.recv(&ctx);
            }
            Cmd::Aside(reply) => drop(reply.send(cx.block_in_place(|| 7))),
            Cmd::Later => {
                cx.after(SOON, Cmd::Add(10));
            }
            Cmd::Beat => drop(cx.every(SOON, || Cmd::Add(1))),
            Cmd::Dedicate => cx.dedicate(),
            Cmd::Finish(reply) => {
                cx.stop();
                let _ = reply.send(self.sum);
            }
        }
        Ok(())
    }

    fn idle(&mut self, _: &mut Cx<'_, Self>) -> Idle {
        Idle::Passivate
    }

    fn save(&self) -> Option<Snapshot> {
        Some(Snapshot::new(1, self.sum.to_be_bytes()))
    }

    fn restore(
        _: &u8,
        snapshot: Snapshot,
        _: &mut Cx<'_, Self>,
    ) -> Result<Self, Restore<&'static str>> {
        let bytes = snapshot.bytes.try_into().map_err(|_| Restore::Corrupt("length".into()))?;
        Ok(Tally { sum: u64::from_be_bytes(bytes) })
    }
}

fn one() -> Builder<Tally> {
    Manager::builder("m").sharded(1).stuck_after(Duration::MAX).on_failure(|_, _, _| ())
}

/// Two threads start one id: it starts once.
#[test]
fn start_vs_start() {
    model("session::start_vs_start", || {
        let starts = Count::default();
        let (ctx, _cancel) = Context::builder().value(starts.clone()).build();
        let manager = one().context(&ctx).build().expect("fine numbers");
        let other = spawn({
            let (sessions, ctx) = (manager.sessions(), ctx.clone());
            move || drop(sessions.get_or_start(&ctx, &1).expect("it starts"))
        });
        manager.get_or_start(&ctx, &1).expect("it starts");
        join(other);
        assert_eq!((starts.get(), manager.len(), manager.live()), (1, 1, 1));
        assert_eq!(manager.ids(), [1]);
        drop(manager);
    });
}

/// A start that fails is told to who waits for it, and a tell gets its message back by the hook.
#[test]
fn failed_start_vs_tell() {
    model("session::failed_start_vs_tell", || {
        let (ctx, _cancel) = Context::root();
        let back = Count::default();
        let lost = back.clone();
        let manager = one().on_undelivered(move |_, left, _| lost.add(left.len())).build();
        let manager = manager.expect("fine numbers");
        let other = spawn({
            let (sessions, ctx) = (manager.sessions(), ctx.clone());
            move || sessions.tell(&ctx, &99, Cmd::Add(1)).expect("it is started for that")
        });
        assert!(manager.get_or_start(&ctx, &99).is_err());
        join(other);
        let ledger = manager.close(&ctx).ledger;
        assert_eq!((ledger.accepted, ledger.dropped, back.get()), (1, 1, 1));
    });
}

/// A message is handled before the stop, or comes back; and who watches is told before the stop returns.
#[test]
fn tell_vs_stop() {
    model("session::tell_vs_stop", || {
        let (ctx, _cancel) = Context::root();
        let manager = one().build().expect("fine numbers");
        let address = manager.get_or_start(&ctx, &1).expect("it starts");
        let ends = Count::default();
        let told_of_it = ends.clone();
        address.on_end(move |_, _| told_of_it.add(1));
        let teller = spawn({
            let (address, ctx) = (address.clone(), ctx.clone());
            move || match address.tell(&ctx, Cmd::Add(1)) {
                Ok(()) => 1,
                Err(TellError::Ended(Cmd::Add(1))) => 0,
                Err(e) => panic!("{e:?}"),
            }
        });
        let reason = manager.stop(&ctx, &1).expect("nobody cancels");
        assert!(matches!(reason, Some(Reason::Asked)));
        assert_eq!((ends.get(), manager.live(), manager.len()), (1, 0, 0));
        let told = join(teller);
        let ledger = manager.close(&ctx).ledger;
        assert_eq!((ledger.accepted, ledger.done, ledger.in_flight), (told, told, 0));
    });
}

/// A message finds the session, or its successor, with the state of all before it.
#[test]
fn tell_vs_passivate() {
    model("session::tell_vs_passivate", || {
        let (ctx, _cancel) = Context::root();
        let store: Arc<MemoryStore<u8>> = Arc::new(MemoryStore::new());
        assert_eq!(store.len(), 0);
        let manager = one().store(store.clone()).build().expect("fine numbers");
        manager.tell(&ctx, &1, Cmd::Add(1)).expect("it lives");
        let teller = spawn({
            let (sessions, ctx) = (manager.sessions(), ctx.clone());
            move || sessions.tell(&ctx, &1, Cmd::Add(2)).expect("it lives, or comes back")
        });
        manager.passivate(&1);
        join(teller);
        let closed = manager.close(&ctx);
        assert_eq!((closed.ledger.done, closed.ledger.in_flight), (2, 0));
        use ironsys::session::Store;
        let kept = store.load(&ctx, &1).expect("it is there").expect("it was saved");
        assert_eq!(kept.bytes, 3_u64.to_be_bytes());
    });
}

/// A session that is idle for too long leaves, or is told something first.
#[test]
fn idle_time_vs_tell() {
    model("session::idle_time_vs_tell", || {
        let time = VirtualClock::new();
        let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
        let manager = one().context(&ctx).idle_after(SOON).live_limit(1).store(MemoryStore::new());
        let manager = manager.build().expect("fine numbers");
        assert_eq!(manager.ask(&ctx, &1, Cmd::Get).expect("it answers"), 0);
        let mover = spawn(move || time.advance(SOON));
        manager.tell(&ctx, &1, Cmd::Add(2)).expect("it lives, or comes back");
        join(mover);
        let closed = manager.close(&ctx);
        assert_eq!((closed.ledger.done, closed.ledger.in_flight), (2, 0));
    });
}

/// A crash and a message: the next state handles it, or nobody does and it comes back.
#[test]
fn restart_vs_tell() {
    model("session::restart_vs_tell", || {
        let (ctx, _cancel) = Context::root();
        let manager = one().backoff(Backoff::fixed(Duration::ZERO)).build().expect("fine numbers");
        let teller = spawn({
            let (sessions, ctx) = (manager.sessions(), ctx.clone());
            move || sessions.tell(&ctx, &1, Cmd::Add(1)).expect("it is restarted")
        });
        manager.tell(&ctx, &1, Cmd::Crash).expect("it lives");
        join(teller);
        let ledger = manager.close(&ctx).ledger;
        // If it was told to end before it crashed, it is not restarted.
        assert_eq!((ledger.accepted, ledger.done + ledger.dropped, ledger.failed), (2, 1, 1));
    });
}

/// A session rests after a crash, and is stopped meanwhile.
#[test]
fn rest_vs_stop() {
    model("session::rest_vs_stop", || {
        let time = VirtualClock::new();
        let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
        let manager = one().context(&ctx).backoff(Backoff::fixed(SOON)).build().expect("fine");
        manager.tell(&ctx, &1, Cmd::Crash).expect("it lives");
        let mover = spawn(move || time.advance(SOON));
        let reason = manager.stop(&ctx, &1).expect("nobody cancels");
        join(mover);
        assert!(reason.is_some());
        assert_eq!(manager.close(&ctx).ledger.failed, 1);
    });
}

/// A reply that is dropped answers.
#[test]
fn reply_dropped() {
    model("session::reply_dropped", || {
        let (ctx, _cancel) = Context::root();
        let manager = one().build().expect("fine numbers");
        assert!(manager.ask(&ctx, &1, Cmd::Forget).expect_err("no answer").is_dropped());
        drop(manager);
    });
}

/// An answer comes in time or not; the question is handled all the same.
#[test]
fn ask_vs_deadline() {
    timed("session::ask_vs_deadline").bound(1).check(|| {
        let (ctx, _cancel) = Context::root();
        let manager = one().build().expect("fine numbers");
        match manager.ask(&ctx.with_timeout(SOON), &1, Cmd::Get) {
            Ok(n) => assert_eq!(n, 0),
            Err(AskError::Stopped(stop)) => assert!(stop.is_timeout()),
            Err(AskError::NotAsked(TellError::Stopped { .. })) => return drop(manager),
            Err(e) => panic!("{e:?}"),
        }
        assert_eq!(manager.close(&ctx).ledger.done, 1);
    });
}

/// The asker runs the session itself, or the shard does: one of them at a time.
#[test]
fn caller_runs_vs_tell() {
    model("session::caller_runs_vs_tell", || {
        let (ctx, _cancel) = Context::root();
        let manager = one().caller_runs(true).build().expect("fine numbers");
        let address = manager.get_or_start(&ctx, &1).expect("it starts");
        address.tell(&ctx, Cmd::Add(1)).expect("it lives");
        assert_eq!(address.ask(&ctx, Cmd::Get).expect("it answers"), 1);
        drop(manager);
    });
}

/// Whoever hears of the end, be it on the thread that asked, drops the manager there.
#[test]
fn caller_runs_vs_drop_inside() {
    wide("session::caller_runs_vs_drop_inside", || {
        let (ctx, _cancel) = Context::root();
        let manager = one().caller_runs(true).build().expect("fine numbers");
        let sessions = manager.sessions();
        let address = sessions.get_or_start(&ctx, &1).expect("it starts");
        address.on_end(move |_, _| drop(manager));
        assert_eq!(address.ask(&ctx, Cmd::Finish).expect("it answers"), 0);
        drop((address, sessions));
    });
}

/// A session is made as the manager ends on a thread of its own, which waits for nobody: it comes to
/// its queue when that is served no more, and whoever brings it there ends it.
#[test]
fn ask_vs_drop_inside() {
    wide("session::ask_vs_drop_inside", || {
        let (ctx, _cancel) = Context::root();
        let manager = one().build().expect("fine numbers");
        let sessions = manager.sessions();
        let address = sessions.get_or_start(&ctx, &1).expect("it starts");
        address.on_end(move |_, _| drop(manager));
        let asker = spawn({
            let (sessions, ctx) = (sessions.clone(), ctx.clone());
            move || match sessions.ask(&ctx, &2, Cmd::Get) {
                Ok(0) | Err(AskError::Dropped) => {}
                Err(AskError::NotAsked(TellError::Closed(_) | TellError::Ended(_))) => {}
                other => panic!("{:?}", other.err()),
            }
        });
        sessions.try_stop(&1);
        join(asker);
        drop((address, sessions));
    });
}

/// A turn is noted while somebody reads the list.
#[test]
fn turn_vs_slowest() {
    wide("session::turn_vs_slowest", || {
        let (ctx, _cancel) = Context::root();
        let manager = one().observe_turns(1).build().expect("fine numbers");
        manager.tell(&ctx, &1, Cmd::Add(1)).expect("there is room");
        let sessions = manager.sessions();
        assert!(sessions.slowest().len() <= 1);
        manager.close(&ctx);
        assert_eq!(sessions.slowest().len(), 1);
    });
}

/// A sender waits for room, and gets it.
#[test]
fn tell_vs_room() {
    model("session::tell_vs_room", || {
        let (ctx, _cancel) = Context::root();
        let manager = one().mailbox(1).turn(1).build().expect("fine numbers");
        let teller = spawn({
            let (sessions, ctx) = (manager.sessions(), ctx.clone());
            move || sessions.tell(&ctx, &1, Cmd::Add(1)).expect("there will be room")
        });
        manager.tell(&ctx, &1, Cmd::Add(1)).expect("there will be room");
        manager.tell(&ctx, &1, Cmd::Add(1)).expect("there will be room");
        join(teller);
        assert_eq!(manager.close(&ctx).ledger.done, 3);
    });
}

/// A batch waits for room half-way: what it has made ready before is not left lying, and its order holds.
#[test]
fn batch_vs_room() {
    model("session::batch_vs_room", || {
        let (ctx, _cancel) = Context::root();
        let manager = one().mailbox(1).turn(1).build().expect("fine numbers");
        manager.get_or_start(&ctx, &1).expect("it starts");
        let batch = vec![(1, Cmd::Add(1)), (1, Cmd::Add(2)), (2, Cmd::Add(4))];
        manager.tell_all(&ctx, batch).expect("there will be room");
        assert_eq!(manager.close(&ctx).ledger.done, 3);
    });
}

/// A batch races with a passivation: each message finds the session, or its successor.
#[test]
fn batch_vs_passivate() {
    model("session::batch_vs_passivate", || {
        let (ctx, _cancel) = Context::root();
        let manager = one().store(MemoryStore::new()).build().expect("fine numbers");
        manager.tell(&ctx, &1, Cmd::Add(1)).expect("it lives");
        let passivator = spawn({
            let sessions = manager.sessions();
            move || sessions.passivate(&1)
        });
        let batch = vec![(1, Cmd::Add(2)), (1, Cmd::Add(4))];
        manager.tell_all(&ctx, batch).expect("it comes back");
        join(passivator);
        assert_eq!(manager.ask(&ctx, &1, Cmd::Get).expect("it answers"), 7);
        drop(manager);
    });
}

/// A sender waits for room, and is cancelled: its message was taken, or comes back.
#[test]
fn tell_vs_deadline() {
    timed("session::tell_vs_deadline").bound(1).check(|| {
        let (ctx, _cancel) = Context::root();
        let manager = one().mailbox(1).build().expect("fine numbers");
        manager.tell(&ctx, &1, Cmd::Add(1)).expect("there is room");
        let told = match manager.tell(&ctx.with_timeout(SOON), &1, Cmd::Add(1)) {
            Ok(()) => 1,
            Err(TellError::Stopped { msg: Cmd::Add(1), stop: Stop::DeadlineExceeded }) => 0,
            Err(e) => panic!("{e:?}"),
        };
        let ledger = manager.close(&ctx).ledger;
        assert_eq!((ledger.accepted, ledger.done), (1 + told, 1 + told));
    });
}

/// Two shards: what one does not get to, the other takes; every session handles all that it was told.
#[test]
fn steal_vs_tell() {
    wide("session::steal_vs_tell", || {
        let (ctx, _cancel) = Context::root();
        let manager = one().sharded(2).build().expect("fine numbers");
        for id in 0..4 {
            manager.tell(&ctx, &id, Cmd::Add(1)).expect("it lives");
        }
        manager.tell(&ctx, &0, Cmd::Add(1)).expect("it lives");
        let ledger = manager.close(&ctx).ledger;
        assert_eq!((ledger.accepted, ledger.done), (5, 5));
    });
}

/// A handler that blocks lets another thread serve its shard.
#[test]
fn block_in_place() {
    wide("session::block_in_place", || {
        let (ctx, _cancel) = Context::root();
        let manager = one().build().expect("fine numbers");
        assert_eq!(manager.ask(&ctx, &1, Cmd::Aside).expect("it answers"), 7);
        assert_eq!(manager.ask(&ctx, &2, Cmd::Get).expect("it answers"), 0);
        drop(manager);
    });
}

/// A shard that is stuck for too long is served by another thread, and who holds it up is reported.
#[test]
fn stuck_vs_tell() {
    wide("session::stuck_vs_tell", || {
        let time = VirtualClock::new();
        let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
        let hung = Count::default();
        let reported = hung.clone();
        let manager = one().context(&ctx).stuck_after(SOON).hung_after(3 * SOON);
        let manager =
            manager.on_failure(move |_, _, _| reported.add(1)).build().expect("fine numbers");
        let (begun, has_begun) = channel::bounded(1);
        let (go, may_go) = channel::bounded(1);
        manager.tell(&ctx, &1, Cmd::Wait(begun, may_go)).expect("it lives");
        has_begun.recv(&ctx).expect("it begins");
        manager.tell(&ctx, &2, Cmd::Add(1)).expect("it lives");
        let address = manager.get(&2).expect("it was told something");
        time.advance(SOON);
        assert_eq!(address.ask(&ctx, Cmd::Get).expect("it answers"), 1);
        time.advance(2 * SOON);
        assert_eq!(hung.get(), 1);
        let _ = go.try_send(());
        drop(manager);
    });
}

/// A session with a thread of its own.
#[test]
fn own_thread() {
    model("session::own_thread", || {
        let (ctx, _cancel) = Context::root();
        let manager = Manager::<Tally>::builder("m").thread_per_session().build().expect("fine");
        manager.tell(&ctx, &1, Cmd::Add(1)).expect("it lives");
        manager.tell(&ctx, &1, Cmd::Add(1)).expect("it lives");
        assert_eq!(manager.close(&ctx).ledger.done, 2);
    });
}

/// The thread of one session has another one leave memory: that one's thread goes, too.
#[test]
fn own_threads_vs_limit() {
    wide("session::own_threads_vs_limit", || {
        let (ctx, _cancel) = Context::root();
        let manager = Manager::<Tally>::builder("m").thread_per_session().live_limit(1);
        let manager = manager.store(MemoryStore::new()).build().expect("fine numbers");
        manager.tell(&ctx, &1, Cmd::Add(1)).expect("it lives");
        manager.tell(&ctx, &2, Cmd::Add(1)).expect("it lives");
        assert_eq!(manager.close(&ctx).ledger.done, 2);
    });
}

/// A session moves from its shard to a thread of its own, while it is told something.
#[test]
fn dedicate_vs_tell() {
    model("session::dedicate_vs_tell", || {
        let (ctx, _cancel) = Context::root();
        let manager = one().build().expect("fine numbers");
        manager.tell(&ctx, &1, Cmd::Dedicate).expect("it lives");
        manager.tell(&ctx, &1, Cmd::Add(1)).expect("it lives");
        assert_eq!(manager.close(&ctx).ledger.done, 2);
    });
}

/// A message to itself, later.
#[test]
fn timer() {
    model("session::timer", || {
        let time = VirtualClock::new();
        let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
        let manager = one().context(&ctx).build().expect("fine numbers");
        manager.tell(&ctx, &1, Cmd::Later).expect("it lives");
        assert_eq!(manager.ask(&ctx, &1, Cmd::Get).expect("it answers"), 0);
        time.advance(SOON);
        assert_eq!(manager.ask(&ctx, &1, Cmd::Get).expect("it answers"), 10);
        drop(manager);
    });
}

/// Beats to itself, while the time moves: there is always a next one.
#[test]
fn beat_vs_time() {
    wide("session::beat_vs_time", || {
        let time = VirtualClock::new();
        let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
        let manager = one().context(&ctx).build().expect("fine numbers");
        manager.tell(&ctx, &1, Cmd::Beat).expect("it lives");
        let mover = spawn({
            let time = time.clone();
            move || time.advance(SOON)
        });
        manager.ask(&ctx, &1, Cmd::Get).expect("it answers");
        join(mover);
        assert_eq!(time.pending(), 1);
        drop(manager);
    });
}

/// The context of the manager is cancelled while a session is told something: handled or handed back.
#[test]
fn cancel_vs_tell() {
    model("session::cancel_vs_tell", || {
        let (ctx, cancel) = Context::root();
        let (mine, _keep) = Context::root();
        let back = Count::default();
        let lost = back.clone();
        let manager = one().context(&ctx).on_undelivered(move |_, left, _| lost.add(left.len()));
        let manager = manager.build().expect("fine numbers");
        let canceller = spawn(move || cancel.cancel());
        let told = u64::from(manager.tell(&mine, &1, Cmd::Add(1)).is_ok());
        join(canceller);
        let sessions = manager.sessions();
        drop(manager);
        let ledger = sessions.stats().ledger;
        assert_eq!((ledger.accepted, ledger.in_flight), (told, 0));
        assert_eq!(ledger.dropped, back.get() as u64);
    });
}

/// A child fails once and is started again, after its sibling was stopped.
#[test]
fn supervisor_restarts() {
    model("session::supervisor_restarts", || {
        let (ctx, _cancel) = Context::root();
        let runs = Count::default();
        let mine = runs.clone();
        let task = Child::task("t", move |ctx| {
            if mine.enter() == 0 {
                return Err("once");
            }
            ctx.wait_stopped();
            Ok(())
        });
        let supervisor = Supervisor::builder("s").strategy(Strategy::OneForAll);
        let supervisor = supervisor.child(task.stop_within(Duration::MAX));
        let supervisor = supervisor.start(&ctx).expect("it starts");
        let stopped = supervisor.stop(&ctx);
        assert!(stopped.in_time && stopped.restarts <= 1 && runs.get() >= 1);
    });
}
