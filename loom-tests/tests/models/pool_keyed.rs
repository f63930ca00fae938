//! Keyed pools: turns, room, and the end.

use crate::{Count, SOON, join, small, spawn, timed};
use ironsys::Context;
use ironsys::pool::{KeyedPool, Pool, SubmitError};
use ironsys::testing::Model;

fn keyed(ctx: &Context, keys: usize, workers: usize) -> KeyedPool {
    let threads = Pool::builder("p").workers(workers).context(ctx);
    KeyedPool::over(threads).keys(keys).queue(1).build().expect("fine numbers")
}

/// The last job of a key ends while another comes, on two workers: they never meet, none is lost.
#[test]
fn turn_ends_vs_submit() {
    Model::new("pool_keyed::turn_ends_vs_submit").bound(1).check(|| {
        let (ctx, _cancel) = Context::root();
        let inside = Count::default();
        let pool = keyed(&ctx, 1, 2);
        for _ in 0..2 {
            let inside = inside.clone();
            let job = move |_: &Context| {
                assert_eq!(inside.enter(), 0);
                inside.leave();
            };
            pool.execute(&ctx, &1, job).expect("there is room");
        }
        let submitter = pool.submitter();
        assert_eq!(pool.drain(&ctx).done, 2);
        let stats = submitter.stats();
        assert!(stats.ledger.is_balanced() && stats.ledger.in_flight == 0, "{:?}", stats.ledger);
        assert_eq!(stats.keys, 0);
    });
}

/// A submit that waits for another key to go, and is cancelled.
#[test]
fn key_room_vs_cancel() {
    small("pool_keyed::key_room_vs_cancel", || {
        let (ctx, _cancel) = Context::root();
        let (child, cancel) = ctx.with_cancel();
        let ran = Count::default();
        let pool = keyed(&ctx, 1, 1);
        drop(pool.try_submit(&1, |_| ()).expect("there is room"));
        let canceller = spawn(move || cancel.cancel());
        let submitted = pool.submit(&child, &2, {
            let ran = ran.clone();
            move |_| ran.add(1)
        });
        join(canceller);
        match submitted {
            Ok(ticket) => ticket.join(&ctx).expect("it was accepted"),
            Err(SubmitError::Stopped { job, .. }) => job(&ctx),
            Err(e) => panic!("{e:?}"),
        }
        assert_eq!(ran.get(), 1);
        assert_eq!(pool.drain(&ctx).undelivered.len(), 0);
    });
}

/// A submit that waits for room in its key's queue, with a deadline.
#[test]
fn lane_room_vs_deadline() {
    timed("pool_keyed::lane_room_vs_deadline").bound(2).check(|| {
        let (ctx, _cancel) = Context::root();
        let ran = Count::default();
        let pool = keyed(&ctx, 2, 1);
        let job = || {
            let ran = ran.clone();
            move |_: &Context| ran.add(1)
        };
        let mut accepted = 0;
        for _ in 0..3 {
            match pool.submit(&ctx.with_timeout(SOON), &1, job()) {
                Ok(_) => accepted += 1,
                Err(e) => assert!(matches!(e, SubmitError::Stopped { .. })),
            }
        }
        assert_eq!(pool.drain(&ctx).done, accepted);
        assert_eq!(ran.get() as u64, accepted);
    });
}

/// A job submitted while the pool shuts down: refused and given back, or it ends.
#[test]
fn submit_vs_shutdown() {
    timed("pool_keyed::submit_vs_shutdown").bound(2).check(|| {
        let (ctx, _cancel) = Context::root();
        let ran = Count::default();
        let pool = keyed(&ctx, 1, 1);
        let submitter = spawn({
            let (ctx, ran, pool) = (ctx.clone(), ran.clone(), pool.submitter());
            move || match pool.submit(&ctx, &1, move |_| ran.add(1)) {
                Ok(ticket) => ticket.join(&ctx).is_ok(),
                Err(e) => {
                    assert!(e.is_closed());
                    false
                }
            }
        });
        let report = pool.drain(&ctx.with_timeout(SOON));
        let (done, left) = (report.done, report.undelivered.len());
        drop(report);
        assert_eq!((join(submitter), done == 1), (ran.get() == 1, ran.get() == 1));
        assert!(left <= 1);
    });
}

/// The context stops while a job is submitted: it is refused, or its ticket has an answer while the pool
/// still lives.
#[test]
fn stop_vs_submit() {
    small("pool_keyed::stop_vs_submit", || {
        let (ctx, _cancel) = Context::root();
        let (under, cancel) = ctx.with_cancel();
        let pool = keyed(&under, 1, 1);
        let canceller = spawn(move || cancel.cancel());
        let cancelled = match pool.submit(&ctx, &1, |_| ()) {
            Ok(ticket) => u64::from(ticket.join(&ctx).is_err()),
            Err(SubmitError::Closed(_)) => 0,
            Err(e) => panic!("{e:?}"),
        };
        join(canceller);
        let report = pool.drain(&ctx);
        assert_eq!(report.cancelled + report.undelivered.len() as u64, cancelled);
    });
}
