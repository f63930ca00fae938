//! What can be seen of turns while they run and afterwards, and turns that run on other people's threads.

use crate::{Cmd, Counter, PATIENCE, clocked, root, run, until};
use ironsys::channel;
use ironsys::observe::{Registry, TaskKind};
use ironsys::session::{Address, Manager};
use ironsys::time::VirtualClock;
use ironsys::{Context, Stop};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

// ===== what can be seen =====

#[test]
fn a_turn_stands_below_its_worker_while_it_runs() {
    let registry = Registry::new();
    let (ctx, _cancel) = Context::builder().registry(registry.clone()).timeout(PATIENCE).build();
    let builder = Manager::<Counter>::builder("counters").context(&ctx).sharded(1);
    let manager = builder.observe_turns(0).build().unwrap();
    let (begun, has_begun) = channel::bounded(1);
    let (go, may_go) = channel::bounded(1);
    manager.tell(&ctx, &7, Cmd::Block(begun, may_go)).unwrap();
    has_begun.recv(&ctx).unwrap();
    until(|| registry.tasks().as_slice().iter().any(|task| task.waiting.is_some()));
    let tasks = registry.tasks();
    let turn = tasks.as_slice().iter().find(|task| task.kind == TaskKind::Job).expect("a line");
    let worker = tasks.as_slice().iter().find(|task| task.kind == TaskKind::Worker).unwrap();
    assert_eq!((turn.name.as_deref(), turn.parent), (Some("counters-7"), Some(worker.id)));
    assert!(turn.waiting.is_some() && worker.waiting.is_none(), "{tasks}");
    go.send(&ctx, ()).unwrap();
    until(|| registry.tasks().as_slice().iter().all(|task| task.kind != TaskKind::Job));
    assert!(manager.slowest().is_empty(), "none was to be kept");
}

#[test]
fn turns_that_nobody_observes_are_not_listed() {
    let registry = Registry::new();
    let (ctx, _cancel) = Context::builder().registry(registry.clone()).timeout(PATIENCE).build();
    let builder = Manager::<Counter>::builder("counters").context(&ctx).sharded(1);
    let manager = builder.build().unwrap();
    let seen = registry.clone();
    let lines = manager.ask(&ctx, &7, |reply| {
        run(move |_, _| {
            let _ = reply.send(seen.tasks().len() as u64);
        })
    });
    assert_eq!(lines.unwrap(), 1, "the worker alone");
    assert!(manager.slowest().is_empty());
}

/// A turn that takes so long.
fn slow(time: &VirtualClock, millis: u32) -> Cmd {
    let time = time.clone();
    run(move |_, _| time.advance(MS * millis))
}

#[test]
fn the_slowest_sessions_are_kept_each_with_its_longest_turn() {
    let (time, ctx, _cancel) = clocked();
    let builder = Manager::<Counter>::builder("counters").context(&ctx).sharded(1);
    let builder = builder.stuck_after(Duration::MAX).observe_turns(2);
    let manager = builder.build().unwrap();
    for (id, millis) in [(1, 5), (2, 1), (3, 9), (1, 7), (1, 2), (4, 3)] {
        manager.tell(&ctx, &id, slow(&time, millis)).unwrap();
        // Only the shard moves the clock, so the times are exact.
        manager.ask(&ctx, &id, Cmd::Get).unwrap();
    }
    let sessions = manager.sessions();
    drop(manager);
    assert_eq!(sessions.slowest(), [(3, 9 * MS), (1, 7 * MS)]);
    let too_many = Manager::<Counter>::builder("counters").observe_turns(1025).build();
    assert_eq!(too_many.unwrap_err().field(), "observe_turns");
}

// ===== a turn on the thread that asks =====

type Owned = Arc<Mutex<Option<Manager<Counter>>>>;

fn owned(shards: usize) -> Owned {
    let builder = Manager::<Counter>::builder("counters").sharded(shards).caller_runs(true);
    Arc::new(Mutex::new(Some(builder.build().unwrap())))
}

fn take(owned: &Owned) -> Manager<Counter> {
    owned.lock().unwrap().take().expect("it is taken once")
}

#[test]
fn a_handler_on_the_asking_thread_may_drop_its_manager() {
    let (ctx, _cancel) = root();
    let owned = owned(1);
    let sessions = owned.lock().unwrap().as_ref().unwrap().sessions();
    sessions.ask(&ctx, &1, Cmd::Get).unwrap();
    let its = owned.clone();
    let out = sessions.ask(&ctx, &1, |reply| {
        run(move |_, _| {
            drop(take(&its));
            let _ = reply.send(5);
        })
    });
    assert_eq!(out.unwrap(), 5);
    assert!(sessions.ask(&ctx, &1, Cmd::Get).is_err());
}

#[test]
fn a_watcher_on_the_asking_thread_may_close_the_manager() {
    let (ctx, _cancel) = root();
    let owned = owned(1);
    let sessions = owned.lock().unwrap().as_ref().unwrap().sessions();
    let address: Address<Counter> = sessions.get_or_start(&ctx, &1).unwrap();
    until(|| sessions.loads()[0].is_parked);
    let (told, closed) = mpsc::channel();
    let (its, theirs) = (owned.clone(), ctx.clone());
    address.on_end(move |_, _| {
        let report = take(&its).close(&theirs);
        told.send((report.in_time, std::thread::current().id())).unwrap();
    });
    let out = sessions.ask(&ctx, &1, |reply| {
        run(move |_, cx| {
            cx.stop();
            let _ = reply.send(1);
        })
    });
    assert_eq!(out.unwrap(), 1);
    let (_, thread) = closed.recv_timeout(PATIENCE).expect("it waits for itself");
    assert_eq!(thread, std::thread::current().id(), "the asker ran it");
}

/// A session of one manager asks one of another and runs it: whoever drops the first in there must not
/// wait for it, either.
#[test]
fn a_guest_is_still_at_work_for_its_own_manager() {
    let (ctx, _cancel) = root();
    let (outer, inner) = (owned(1), owned(1));
    let (outers, inners) = (
        outer.lock().unwrap().as_ref().unwrap().sessions(),
        inner.lock().unwrap().as_ref().unwrap().sessions(),
    );
    let (told, done) = mpsc::channel();
    let theirs = ctx.clone();
    outers
        .tell(
            &ctx,
            &1,
            run(move |_, _| {
                let out = inners.ask(&theirs, &2, |reply| {
                    run(move |_, _| {
                        drop(take(&outer));
                        let _ = reply.send(3);
                    })
                });
                told.send(out.map_err(|e| e.to_string())).unwrap();
            }),
        )
        .unwrap();
    assert_eq!(done.recv_timeout(PATIENCE).expect("it waits for itself"), Ok(3));
    drop(take(&inner));
}

// ===== short of threads =====

/// What the log was told about shards without a thread, by the name of the manager.
pub(crate) fn warnings() -> &'static Mutex<Vec<String>> {
    static WARNINGS: OnceLock<Mutex<Vec<String>>> = OnceLock::new();
    struct Keep;
    impl log::Log for Keep {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &log::Record<'_>) {
            let text = record.args().to_string();
            if text.contains("gets no other thread") {
                WARNINGS.get().unwrap().lock().unwrap().push(text);
            }
        }
        fn flush(&self) {}
    }
    WARNINGS.get_or_init(|| {
        log::set_logger(&Keep).expect("nobody else in this binary sets one");
        log::set_max_level(log::LevelFilter::Warn);
        Mutex::default()
    })
}

#[test]
fn a_manager_short_of_threads_warns_once_a_period() -> Result<(), Stop> {
    let told = || warnings().lock().unwrap().iter().filter(|w| w.contains("of short gets")).count();
    assert_eq!(told(), 0);
    let (time, ctx, _cancel) = clocked();
    let builder = Manager::<Counter>::builder("short").context(&ctx).sharded(1).max_threads(1);
    let manager = builder.stuck_after(MS).build().unwrap();
    let (begun, has_begun) = channel::bounded(1);
    let (go, may_go) = channel::bounded(1);
    manager.tell(&ctx, &1, Cmd::Block(begun, may_go)).unwrap();
    has_begun.recv(&ctx).unwrap();
    manager.tell(&ctx, &2, Cmd::Add(1)).unwrap();
    for _ in 0..20 {
        until(|| time.pending() == 1);
        time.advance(MS);
    }
    until(|| time.pending() == 1);
    assert_eq!(told(), 1);
    time.advance(Duration::from_secs(10));
    until(|| time.pending() == 1 && told() == 2);
    time.advance(MS);
    until(|| time.pending() == 1);
    assert_eq!(told(), 2);
    go.send(&ctx, ()).unwrap();
    assert_eq!(manager.ask(&ctx, &2, Cmd::Get).unwrap(), 1);
    Ok(())
}
