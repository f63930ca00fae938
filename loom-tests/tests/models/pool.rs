//! Pools: every accepted job ends once, and whoever waits for it is told how.

use crate::{Count, SOON, join, model, spawn, timed};
use ironsys::Context;
use ironsys::pool::{JobOptions, JoinError, Pool, Stats, SubmitError};
use ironsys::sync::InjectedPanic;
use ironsys::threads::ThreadCache;
use std::time::Duration;

fn pool(workers: usize, queue: usize) -> Pool {
    Pool::builder("p").workers(workers).queue(queue).build().expect("fine numbers")
}

fn assert_all_ended(stats: &Stats) {
    let ledger = stats.ledger;
    assert!(ledger.is_balanced() && ledger.in_flight == 0, "{ledger}");
}

/// One job, its result, and an empty pool at the end.
#[test]
fn submit_vs_join() {
    model("pool::submit_vs_join", || {
        let (ctx, _cancel) = Context::root();
        let pool = pool(1, 1);
        let ticket = pool.submit(&ctx, |_| 7).expect("there is room");
        let _ = ticket.is_finished();
        assert_eq!(ticket.join(&ctx).expect("it runs"), 7);
        let report = pool.drain(&ctx);
        assert_eq!((report.done, report.undelivered.len()), (1, 0));
    });
}

/// A join with a deadline, and one that is cancelled: the job runs all the same.
#[test]
fn join_vs_deadline() {
    timed("pool::join_vs_deadline").check(|| {
        let (ctx, _cancel) = Context::root();
        let pool = pool(1, 1);
        let mut ticket = pool.submit(&ctx, |_| 7).expect("there is room");
        match ticket.wait(&ctx.with_timeout(SOON)) {
            Ok(out) => assert_eq!(out.expect("it runs"), 7),
            Err(stop) => {
                assert!(stop.is_timeout());
                assert_eq!(ticket.join(&ctx).expect("it runs"), 7);
            }
        }
        assert_eq!(pool.drain(&ctx).done, 1);
    });
}

/// Draining runs what is queued.
#[test]
fn drain_finishes_the_queue() {
    model("pool::drain_finishes_the_queue", || {
        let (ctx, _cancel) = Context::root();
        let ran = Count::default();
        let pool = pool(1, 2);
        for _ in 0..2 {
            let ran = ran.clone();
            drop(pool.submit(&ctx, move |_| ran.add(1)).expect("there is room"));
        }
        let report = pool.drain(&ctx);
        assert_eq!((report.done, ran.get(), report.undelivered.len()), (2, 2, 0));
    });
}

/// Draining that is out of time hands back what did not run.
#[test]
fn drain_vs_deadline() {
    timed("pool::drain_vs_deadline").check(|| {
        let (ctx, _cancel) = Context::root();
        let ran = Count::default();
        let pool = pool(1, 2);
        for _ in 0..2 {
            let ran = ran.clone();
            drop(pool.submit(&ctx, move |_| ran.add(1)).expect("there is room"));
        }
        let submitter = pool.submitter();
        let report = pool.drain(&ctx.with_timeout(SOON));
        let ended = report.done + report.cancelled + report.undelivered.len() as u64;
        assert_eq!((ended, report.done), (2, ran.get() as u64));
        assert_all_ended(&submitter.stats());
    });
}

/// A job submitted while the pool shuts down: refused and given back, or it ends.
#[test]
fn submit_vs_shutdown() {
    model("pool::submit_vs_shutdown", || {
        let (ctx, _cancel) = Context::root();
        let ran = Count::default();
        let pool = pool(1, 1);
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

/// A pool dropped with a job in the queue: it has run, or its ticket says that it was cancelled.
#[test]
fn drop_vs_job() {
    model("pool::drop_vs_job", || {
        let (ctx, _cancel) = Context::root();
        let ran = Count::default();
        let pool = pool(1, 1);
        let ticket = pool.submit(&ctx, {
            let ran = ran.clone();
            move |_| ran.add(1)
        });
        drop(pool);
        let out = ticket.expect("there is room").join(&ctx);
        assert_eq!(out.is_ok(), ran.get() == 1, "{out:?}");
    });
}

/// A cancelled submit gives the job back, not run.
#[test]
fn submit_vs_cancel() {
    model("pool::submit_vs_cancel", || {
        let (ctx, _cancel) = Context::root();
        let (child, cancel) = ctx.with_cancel();
        let pool = pool(1, 0);
        let ran = Count::default();
        let canceller = spawn(move || cancel.cancel());
        let submitted = pool.submit(&child, {
            let ran = ran.clone();
            move |_| ran.add(1)
        });
        join(canceller);
        match submitted {
            Ok(ticket) => ticket.join(&ctx).expect("it was accepted"),
            Err(SubmitError::Stopped { job, .. }) => {
                assert_eq!(ran.get(), 0);
                job(&ctx);
            }
            Err(e) => panic!("{e:?}"),
        }
        assert_eq!(ran.get(), 1);
        drop(pool);
    });
}

/// A panic is the job's failure, not the worker's.
#[test]
fn job_panics() {
    model("pool::job_panics", || {
        let (ctx, _cancel) = Context::root();
        let pool = pool(1, 1);
        let bad = |_: &Context| -> u32 { std::panic::resume_unwind(Box::new(InjectedPanic)) };
        let ticket = pool.submit(&ctx, bad).expect("there is room");
        assert!(ticket.join(&ctx).expect_err("it panics").is_panicked());
        let report = pool.drain(&ctx);
        assert_eq!((report.done, report.failed), (0, 1));
    });
}

/// Two workers and a job that waits for the stop.
#[test]
fn two_workers_dropped() {
    model("pool::two_workers_dropped", || {
        let (ctx, _cancel) = Context::root();
        let pool = pool(2, 1);
        let ticket = pool.submit(&ctx, |ctx| ctx.wait_stopped()).expect("there is room");
        drop(pool);
        match ticket.join(&ctx) {
            Ok(stop) => assert!(stop.is_cancelled()),
            Err(e) => assert!(e.is_cancelled(), "{e}"),
        }
    });
}

/// The only worker waits for a job of its own pool, and runs it meanwhile.
#[test]
fn worker_joins_its_own_pool() {
    model("pool::worker_joins_its_own_pool", || {
        let (ctx, _cancel) = Context::root();
        let pool = pool(1, 1);
        let inner = pool.submitter();
        let ticket = pool.submit(&ctx, move |ctx| {
            let ticket = inner.submit(ctx, |_| 7).expect("the pool is open");
            ticket.join(ctx)
        });
        let out = ticket.expect("there is room").join(&ctx).expect("it runs");
        assert_eq!(out.expect("it runs too"), 7);
        assert_eq!(pool.drain(&ctx).done, 2);
    });
}

/// The counts of a pool at work add up.
#[test]
fn stats_vs_job() {
    model("pool::stats_vs_job", || {
        let (ctx, _cancel) = Context::root();
        let pool = pool(1, 1);
        let ticket = pool.submit(&ctx, |_| ()).expect("there is room");
        let stats = pool.stats();
        assert!(stats.ledger.is_balanced() && stats.running <= 1, "{stats:?}");
        assert_eq!(stats.ledger.accepted, 1);
        ticket.join(&ctx).expect("it runs");
        let submitter = pool.submitter();
        drop(pool);
        assert_all_ended(&submitter.stats());
    });
}

/// A job's deadline counts from its submission: it runs in time, or not at all.
#[test]
fn job_deadline() {
    timed("pool::job_deadline").check(|| {
        let (ctx, _cancel) = Context::root();
        let ran = Count::default();
        let pool = pool(1, 1);
        let options = JobOptions::new().timeout(SOON);
        let ticket = pool.submit_with(&ctx, options, {
            let ran = ran.clone();
            move |ctx| {
                ran.add(1);
                ctx.wait_stopped()
            }
        });
        match ticket.expect("there is room").join(&ctx) {
            Ok(stop) => assert!(stop.is_timeout() && ran.get() == 1),
            Err(JoinError::Cancelled(stop)) => assert!(stop.is_timeout() && ran.get() == 0),
            Err(e) => panic!("{e}"),
        }
        drop(pool);
    });
}

/// A group is cancelled while its job is about to begin.
#[test]
fn group_vs_cancel() {
    model("pool::group_vs_cancel", || {
        let (ctx, _cancel) = Context::root();
        let ran = Count::default();
        let pool = pool(1, 1);
        let mut group = pool.group();
        let job = {
            let ran = ran.clone();
            move |_: &Context| ran.add(1)
        };
        group.submit(&ctx, job).expect("there is room");
        group.cancel();
        let results = group.join(&ctx).expect("nobody cancels the join");
        assert_eq!((results.len(), results[0].is_ok()), (1, ran.get() == 1));
        drop(pool);
    });
}

/// A pool on warm threads gives them back.
#[test]
fn warm_threads() {
    model("pool::warm_threads", || {
        let cache =
            ThreadCache::builder().idle(1).keep_alive(Duration::MAX).build().expect("a fine name");
        let (ctx, _cancel) = Context::builder().value(cache.clone()).build();
        let pool = Pool::builder("p").workers(1).queue(1).context(&ctx).build().expect("fine");
        let ticket = pool.submit(&ctx, |_| 7).expect("there is room");
        assert_eq!(ticket.join(&ctx).expect("it runs"), 7);
        assert_eq!(pool.drain(&ctx).done, 1);
        drop((ctx, cache));
    });
}

/// The pool's context stops while a job is submitted: it is refused, or its ticket has an answer while
/// the pool still lives; and it runs once, in the pool or handed back.
#[test]
fn stop_vs_submit() {
    model("pool::stop_vs_submit", || {
        let (ctx, _cancel) = Context::root();
        let (under, cancel) = ctx.with_cancel();
        let ran = Count::default();
        let pool = Pool::builder("p").workers(1).queue(1).context(&under).build().expect("fine");
        let canceller = spawn(move || cancel.cancel());
        let submitted = pool.submit(&ctx, {
            let ran = ran.clone();
            move |_| ran.add(1)
        });
        let cancelled = match submitted {
            Ok(ticket) => u64::from(ticket.join(&ctx).is_err()),
            Err(SubmitError::Closed(job)) => {
                job(&ctx);
                0
            }
            Err(e) => panic!("{e:?}"),
        };
        join(canceller);
        let report = pool.drain(&ctx);
        assert_eq!(report.cancelled + report.undelivered.len() as u64, cancelled);
        assert_eq!(ran.get() as u64, 1 - cancelled);
    });
}
