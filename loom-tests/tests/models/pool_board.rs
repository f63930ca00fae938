//! Pools with an order or a range: what is decided while a job, a worker or the end comes in between.

use crate::{Count, SOON, join, small, spawn, timed};
use ironsys::Context;
use ironsys::pool::{Builder, JobOptions, Order, Pool, SubmitError, Submitter};
use ironsys::testing::Model;
use ironsys::time::VirtualClock;
use std::time::Duration;

fn ordered(queue: usize) -> Pool {
    let order = Order::Priority { aging: Duration::MAX };
    Pool::builder("p").workers(1).queue(queue).order(order).build().expect("fine numbers")
}

fn adaptive(ctx: &Context) -> Builder {
    Pool::builder("p").workers(1..=2).queue(2).context(ctx)
}

/// Everything has ended, and nobody works any more.
fn assert_over(pool: &Submitter, accepted: u64) {
    let stats = pool.stats();
    let ledger = stats.ledger;
    assert!(ledger.is_balanced() && ledger.in_flight == 0, "{ledger}");
    assert_eq!((ledger.accepted, stats.workers), (accepted, 0));
}

/// Two jobs, of which the worker may take either first; both run.
#[test]
fn submit_vs_take() {
    small("pool_board::submit_vs_take", || {
        let (ctx, _cancel) = Context::root();
        let pool = ordered(2);
        let low = pool.submit(&ctx, |_| 1).expect("there is room");
        let urgent = JobOptions::new().priority(1);
        let high = pool.submit_with(&ctx, urgent, |_| 2).expect("there is room");
        assert_eq!(low.join(&ctx).expect("it runs"), 1);
        assert!(pool.stats().queue.depth <= 1);
        let submitter = pool.submitter();
        assert_eq!(pool.drain(&ctx).done, 2);
        assert_eq!(high.join(&ctx).expect("it ran"), 2);
        assert_over(&submitter, 2);
    });
}

/// A submit that waits for room, and is cancelled: accepted and run, or given back.
#[test]
fn full_vs_cancel() {
    small("pool_board::full_vs_cancel", || {
        let (ctx, _cancel) = Context::root();
        let (child, cancel) = ctx.with_cancel();
        let ran = Count::default();
        let pool = ordered(1);
        drop(pool.try_submit(|_| ()).expect("there is room"));
        if let Err(e) = pool.try_submit(|_| ()) {
            assert!(e.is_full());
        }
        let canceller = spawn(move || cancel.cancel());
        let submitted = pool.submit(&child, {
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
        drop(pool);
    });
}

/// A job submitted while the pool shuts down: refused and given back, or it ends.
#[test]
fn submit_vs_shutdown() {
    small("pool_board::submit_vs_shutdown", || {
        let (ctx, _cancel) = Context::root();
        let ran = Count::default();
        let pool = ordered(1);
        let submitter = spawn({
            let (ctx, ran, pool) = (ctx.clone(), ran.clone(), pool.submitter());
            move || match pool.submit(&ctx, move |_| ran.add(1)) {
                Ok(ticket) => ticket.join(&ctx).is_ok(),
                Err(e) => {
                    assert!(e.is_closed());
                    false
                }
            }
        });
        let report = pool.drain(&ctx);
        assert!(report.undelivered.is_empty());
        assert_eq!((join(submitter), report.done == 1), (ran.get() == 1, ran.get() == 1));
    });
}

/// Draining that is out of time hands back what did not run.
#[test]
fn drain_vs_deadline() {
    timed("pool_board::drain_vs_deadline").bound(2).check(|| {
        let (ctx, _cancel) = Context::root();
        let ran = Count::default();
        let pool = ordered(2);
        for _ in 0..2 {
            let ran = ran.clone();
            drop(pool.submit(&ctx, move |_| ran.add(1)).expect("there is room"));
        }
        let submitter = pool.submitter();
        let report = pool.drain(&ctx.with_timeout(SOON));
        let ended = report.done + report.cancelled + report.undelivered.len() as u64;
        assert_eq!((ended, report.done), (2, ran.get() as u64));
        assert_over(&submitter, 2);
    });
}

/// The pool grows while it is drained: the new worker is joined, too.
#[test]
fn grow_vs_drain() {
    small("pool_board::grow_vs_drain", || {
        let time = VirtualClock::new();
        let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
        let pool = adaptive(&ctx).patience(Duration::ZERO).build().expect("fine numbers");
        let ran = Count::default();
        for _ in 0..2 {
            let ran = ran.clone();
            drop(pool.submit(&ctx, move |_| ran.add(1)).expect("there is room"));
        }
        let submitter = pool.submitter();
        let report = pool.drain(&ctx);
        assert_eq!((report.done, ran.get(), report.undelivered.len()), (2, 2, 0));
        assert_over(&submitter, 2);
        assert_eq!(time.pending(), 0);
    });
}

/// The alarm rings while the only worker takes the job that it is about, or while it does not.
#[test]
fn alarm_vs_take() {
    small("pool_board::alarm_vs_take", || {
        let time = VirtualClock::new();
        let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
        let pool = adaptive(&ctx).patience(SOON).build().expect("fine numbers");
        let ran = Count::default();
        for _ in 0..2 {
            let ran = ran.clone();
            pool.execute(&ctx, move |_| ran.add(1)).expect("there is room");
        }
        time.advance(SOON);
        let submitter = pool.submitter();
        assert_eq!((pool.drain(&ctx).done, ran.get()), (2, 2));
        assert_over(&submitter, 2);
        assert_eq!(time.pending(), 0);
    });
}

/// A worker retires at the moment when a job comes: one that stays takes it.
#[test]
fn retire_vs_job() {
    Model::new("pool_board::retire_vs_job").bound(1).check(|| {
        let time = VirtualClock::new();
        let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
        let pool = adaptive(&ctx).patience(Duration::ZERO).keep_idle(SOON);
        let pool = pool.build().expect("fine numbers");
        for _ in 0..2 {
            pool.execute(&ctx, |_| ()).expect("there is room"); // The second may make it grow.
        }
        time.advance(SOON);
        assert_eq!(pool.submit(&ctx, |_| 7).expect("open").join(&ctx).expect("it runs"), 7);
        drop(pool);
    });
}

/// An idle worker waits for a job until it may retire.
#[test]
fn take_vs_deadline() {
    timed("pool_board::take_vs_deadline").bound(1).check(|| {
        let (ctx, _cancel) = Context::root();
        let pool = adaptive(&ctx).patience(Duration::ZERO).keep_idle(SOON);
        let pool = pool.build().expect("fine numbers");
        for _ in 0..2 {
            pool.execute(&ctx, |_| ()).expect("there is room");
        }
        assert_eq!(pool.submit(&ctx, |_| 7).expect("open").join(&ctx).expect("it runs"), 7);
        let submitter = pool.submitter();
        assert_eq!(pool.drain(&ctx).done, 3);
        assert_over(&submitter, 3);
    });
}

/// The context stops while a job is submitted: it is refused, or its ticket has an answer while the pool
/// still lives.
#[test]
fn stop_vs_submit() {
    small("pool_board::stop_vs_submit", || {
        let (ctx, _cancel) = Context::root();
        let (under, cancel) = ctx.with_cancel();
        let pool = Pool::builder("p").workers(1..=2).patience(Duration::MAX).queue(1);
        let pool = pool.context(&under).build().expect("fine numbers");
        let canceller = spawn(move || cancel.cancel());
        let cancelled = match pool.submit(&ctx, |_| ()) {
            Ok(ticket) => u64::from(ticket.join(&ctx).is_err()),
            Err(e) => {
                assert!(e.is_closed());
                0
            }
        };
        join(canceller);
        let report = pool.drain(&ctx);
        assert_eq!((report.cancelled, report.undelivered.len()), (cancelled, 0));
    });
}
