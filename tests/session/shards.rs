//! Shards: nothing blocks another for long, and order holds across every move.

use crate::{Cmd, Counter, Oops, clocked, next, root, run, until};
use ironsys::channel;
use ironsys::session::{Failure, Manager};
use std::sync::mpsc;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

#[test]
fn a_stuck_shard_is_served_by_another_thread_and_the_hung_session_is_reported() {
    let (time, ctx, _cancel) = clocked();
    let (told, failures) = mpsc::channel();
    let manager = Manager::<Counter>::builder("counters").context(&ctx).sharded(1);
    let manager = manager.stuck_after(MS).hung_after(5 * MS).on_failure(move |id, failure, _| {
        if let Failure::<Oops>::Hung(limit) = failure {
            told.send((*id, *limit)).unwrap();
        }
    });
    let manager = manager.build().unwrap();
    let (begun, has_begun) = channel::bounded(1);
    let (go, may_go) = channel::bounded(1);
    time.advance(MS);
    manager.tell(&ctx, &1, Cmd::Block(begun, may_go)).unwrap();
    has_begun.recv(&ctx).unwrap();
    manager.tell(&ctx, &2, Cmd::Add(1)).unwrap();
    time.advance(2 * MS);
    assert_eq!(manager.ask(&ctx, &2, Cmd::Get).unwrap(), 1);
    until(|| manager.loads()[0].is_parked);
    time.advance(10 * MS);
    assert_eq!(next(&failures), (1, 5 * MS));
    go.send(&ctx, ()).unwrap();
    assert_eq!(manager.ask(&ctx, &1, Cmd::Get).unwrap(), 0);
    drop(manager);
    assert!(failures.try_recv().is_err(), "it is reported once");
}

#[test]
fn a_hung_session_is_reported_though_nobody_waits_and_no_shard_is_relieved() {
    let (time, ctx, _cancel) = clocked();
    let (told, failures) = mpsc::channel();
    let manager = Manager::<Counter>::builder("counters").context(&ctx).sharded(1);
    let manager = manager.stuck_after(Duration::MAX).hung_after(5 * MS);
    let manager = manager.on_failure(move |id, _, _| told.send(*id).unwrap()).build().unwrap();
    let (go, may_go) = channel::bounded(1);
    let (begun, has_begun) = channel::bounded(1);
    manager.tell(&ctx, &1, run(|_, _| ())).unwrap();
    manager.tell(&ctx, &1, Cmd::Block(begun, may_go)).unwrap();
    has_begun.recv(&ctx).unwrap();
    time.advance(11 * MS);
    assert_eq!(next(&failures), 1);
    assert_eq!(time.pending(), 0, "there is nothing more to look at");
    go.send(&ctx, ()).unwrap();
}

#[test]
fn sessions_of_one_shard_may_ask_each_other() {
    let (ctx, _cancel) = root();
    let manager = Manager::<Counter>::builder("counters").sharded(1).stuck_after(Duration::MAX);
    let manager = manager.build().unwrap();
    // 5 asks 4, which asks 3, and so on: one shard, and each waits in its handler.
    fn nested(id: u64, reply: channel::Reply<u64>) -> Cmd {
        run(move |_, cx| {
            let (ctx, _cancel) = root();
            let below = if id == 0 {
                0
            } else {
                cx.sessions().ask(&ctx, &(id - 1), |reply| nested(id - 1, reply)).unwrap()
            };
            reply.send(below + 1).unwrap();
        })
    }
    assert_eq!(manager.ask(&ctx, &5, |reply| nested(5, reply)).unwrap(), 6);
}

#[test]
fn a_blocking_session_moves_aside_or_to_a_thread_of_its_own() {
    let (ctx, _cancel) = root();
    let manager = Manager::<Counter>::builder("counters").sharded(1).stuck_after(Duration::MAX);
    let manager = manager.build().unwrap();
    let (go, may_go) = channel::bounded::<()>(1);
    let (begun, has_begun) = channel::bounded(1);
    let block = run(move |_, cx| {
        let (ctx, _cancel) = root();
        cx.block_in_place(|| {
            begun.try_send(()).unwrap();
            may_go.recv(&ctx).unwrap();
        });
    });
    manager.tell(&ctx, &1, block).unwrap();
    has_begun.recv(&ctx).unwrap();
    assert_eq!(manager.ask(&ctx, &2, Cmd::Get).unwrap(), 0);
    go.send(&ctx, ()).unwrap();

    manager.tell(&ctx, &3, Cmd::Dedicate).unwrap();
    let (begun, has_begun) = channel::bounded(1);
    let (go, may_go) = channel::bounded(1);
    manager.tell(&ctx, &3, Cmd::Block(begun, may_go)).unwrap();
    has_begun.recv(&ctx).unwrap();
    assert_eq!(manager.ask(&ctx, &2, Cmd::Get).unwrap(), 0);
    for n in 0..50 {
        manager
            .tell(
                &ctx,
                &3,
                run(move |this, _| assert_eq!(std::mem::replace(&mut this.count, n + 1), n)),
            )
            .unwrap();
    }
    go.send(&ctx, ()).unwrap();
    assert_eq!(manager.ask(&ctx, &3, Cmd::Get).unwrap(), 50);
}

#[test]
fn the_asker_may_run_the_session_itself() {
    let (ctx, _cancel) = root();
    let manager = Manager::<Counter>::builder("counters").caller_runs(true).build().unwrap();
    let address = manager.get_or_start(&ctx, &1).unwrap();
    until(|| manager.loads().iter().all(|shard| shard.is_parked));
    let me = std::thread::current().id();
    let there = address
        .ask(&ctx, |reply| run(move |_, _| reply.send(std::thread::current().id()).unwrap()))
        .unwrap();
    assert_eq!(there, me);
}

#[test]
fn order_holds_while_sessions_are_stolen_and_block() {
    let (ctx, _cancel) = root();
    let manager = Manager::<Counter>::builder("counters").sharded(3).turn(2).stuck_after(MS);
    let manager = manager.build().unwrap();
    std::thread::scope(|s| {
        for sender in 0..2_u64 {
            let (manager, ctx) = (&manager, &ctx);
            s.spawn(move || {
                for n in 0..2000_u64 {
                    let id = n % 20 + sender * 20;
                    let step = n / 20;
                    let check = run(move |this, cx| {
                        assert_eq!(this.count, step);
                        this.count += 1;
                        if step % 37 == 0 {
                            cx.block_in_place(std::thread::yield_now);
                        }
                    });
                    manager.tell(ctx, &id, check).unwrap();
                }
            });
        }
    });
    for id in 0..40 {
        assert_eq!(manager.ask(&ctx, &id, Cmd::Get).unwrap(), 100);
    }
    let stats = manager.stats();
    assert_eq!((stats.restarts, stats.sessions, stats.live), (0, 40, 40));
    assert!(manager.close(&ctx).ledger.is_balanced());
}
