//! What goes wrong in the pools of others, named for them, on every kind of pool of ours.
//!
//! goflow's worker pool (its defects 1 to 5), rusty_pool, threadfin, threadpool, scheduled-thread-pool.

use crate::pool::{SECOND, cancelled, count};
use crate::{ends, root, throw, until};
use ironsys::pool::{JobOptions, JoinError, Order, Pool, Share, Submitter, Subpools};
use ironsys::time::VirtualClock;
use ironsys::{Context, channel};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

/// A pool of two workers, one of which may be all there is at first.
enum Any {
    One(Pool),
    Several(Subpools),
}

impl Any {
    fn submitter(&self) -> Submitter {
        match self {
            Any::One(pool) => pool.submitter(),
            Any::Several(pools) => pools.get("mine").unwrap().clone(),
        }
    }

    /// How many are done, failed, and handed back.
    fn drain(self, ctx: &Context) -> (u64, u64, usize) {
        let report = match self {
            Any::One(pool) => pool.drain(ctx),
            Any::Several(pools) => pools.drain(ctx).remove("mine").unwrap(),
        };
        (report.done, report.failed, report.undelivered.len())
    }
}

fn every_kind(ctx: &Context, queue: usize) -> Vec<Any> {
    let pool = || Pool::builder("p").queue(queue).context(ctx);
    let hasty = || pool().workers(1..=2).patience(Duration::ZERO);
    let order = Order::Priority { aging: SECOND };
    let one = |builder: ironsys::pool::Builder| Any::One(builder.build().unwrap());
    let share = Share::new(1..=2).queue(queue);
    let several = Subpools::over(pool().workers(2)).pool("mine", share);
    vec![
        one(pool().workers(2)),
        one(hasty()),
        one(hasty().order(order)),
        one(pool().workers(2).heartbeat(SECOND).replace_stuck(1)),
        Any::Several(several.build().unwrap()),
    ]
}

/// Runs `test` on every kind of pool.
fn each(queue: usize, test: impl Fn(&Context, Any) + Send + 'static) {
    ends(move || {
        let ctx = root().0;
        every_kind(&ctx, queue).into_iter().for_each(|pool| test(&ctx, pool));
    });
}

#[test]
fn goflow_01_a_shutdown_does_not_drop_the_queue() {
    each(50, |ctx, any| {
        let (pool, ran) = (any.submitter(), Arc::new(AtomicUsize::new(0)));
        for _ in 0..50 {
            let ran = ran.clone();
            pool.execute(ctx, move |_| count(&ran)).unwrap();
        }
        assert_eq!((any.drain(ctx), ran.load(SeqCst)), ((50, 0, 0), 50));
    });
}

/// Shutting down consumes the pool: who comes second is told so, and nothing waits for ever.
#[test]
fn goflow_02_after_a_shutdown_everything_answers_at_once() {
    each(10, |ctx, any| {
        let pool = any.submitter();
        drop(any);
        assert!(pool.submit(ctx, |_| 1).unwrap_err().is_closed());
        assert!(!pool.try_submit(|_| 1).unwrap_err().is_full());
        assert!(pool.execute(ctx, |_| ()).unwrap_err().is_closed());
        assert_eq!(pool.stats().ledger.in_flight, 0);
    });
}

#[test]
fn goflow_03_results_that_nobody_reads_hold_nobody_up_and_do_not_vanish() {
    each(4, |ctx, any| {
        let pool = any.submitter();
        let kept = pool.submit(ctx, |_| 7).unwrap();
        for n in 0..500 {
            drop(pool.submit(ctx, move |_| n).unwrap());
        }
        assert_eq!(kept.join(ctx).unwrap(), 7);
        assert_eq!(any.drain(ctx), (501, 0, 0));
    });
}

/// A pool with a queue of -1 panicked.
#[test]
fn goflow_04_a_pool_with_numbers_that_make_no_sense_is_refused() {
    for (workers, queue, field) in [(0, 1, "workers"), (usize::MAX, 1, "workers")] {
        let error = Pool::builder("p").workers(workers).queue(queue).build().unwrap_err();
        assert_eq!(error.field(), field);
    }
    let error = Pool::builder("p").workers(1..=2).queue(0).build().unwrap_err();
    assert_eq!(error.field(), "queue");
    drop(Pool::builder("p").workers(1).queue(usize::MAX).build().unwrap());
}

#[test]
fn goflow_05_a_job_that_ignores_its_timeout_is_marked() {
    let time = VirtualClock::new();
    let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    for any in every_kind(&ctx, 4) {
        let (pool, clock) = (any.submitter(), time.clone());
        let options = JobOptions::new().timeout(SECOND);
        let deaf = pool.submit_with(&ctx, options, move |_| clock.advance(2 * SECOND));
        deaf.unwrap().join(&ctx).unwrap();
        until(|| pool.stats().ledger.in_flight == 0);
        assert_eq!(pool.stats().overran, 1);
    }
}

/// rusty_pool counts a worker as idle until it has taken a job, so its join returns too early.
#[test]
fn rusty_pool_a_drain_never_misses_a_job_on_its_way_to_a_worker() {
    ends(|| {
        let ctx = root().0;
        for _ in 0..50 {
            for any in every_kind(&ctx, 2) {
                let (submitter, ran) = (any.submitter(), Arc::new(AtomicUsize::new(0)));
                for _ in 0..20 {
                    let ran = ran.clone();
                    submitter.execute(&ctx, move |_| count(&ran)).unwrap();
                }
                assert_eq!((any.drain(&ctx), ran.load(SeqCst)), ((20, 0, 0), 20));
            }
        }
    });
}

#[test]
fn rusty_pool_the_payload_of_a_panic_is_kept() {
    each(2, |ctx, any| {
        let ticket = any.submitter().submit::<_, ()>(ctx, |_| throw(17_u8)).unwrap();
        let Err(JoinError::Panicked(panicked)) = ticket.join(ctx) else { panic!("no panic") };
        assert_eq!(panicked.into_payload().downcast_ref(), Some(&17_u8));
        assert_eq!(any.drain(ctx), (0, 1, 0));
    });
}

/// threadpool took 581,834 jobs nobody had asked it to keep; threadfin blocks without a deadline.
#[test]
fn threadpool_and_threadfin_a_full_queue_refuses_or_waits_under_a_context() {
    each(2, |ctx, any| {
        let pool = any.submitter();
        let (go, gone) = channel::bounded::<()>(1);
        let mut accepted = 0;
        let mut full = || {
            let gone = gone.clone();
            accepted += u64::from(pool.try_submit(move |job| drop(gone.recv(job))).is_ok());
            let stats = pool.stats();
            stats.running == 2 && stats.queue.depth == 2
        };
        let give_up = std::time::Instant::now() + 10 * SECOND;
        while !full() {
            assert!(std::time::Instant::now() < give_up, "{:?}", pool.stats());
            std::thread::yield_now();
        }
        assert!(pool.try_submit(|_| ()).unwrap_err().is_full());
        let (child, cancel) = ctx.with_cancel();
        std::thread::scope(|s| {
            let waiting = s.spawn(|| pool.submit(&child, |_| ()).unwrap_err().to_string());
            until(|| pool.stats().queue.blocked_senders == 1);
            cancel.cancel_with("enough");
            assert!(waiting.join().unwrap().contains("enough"));
        });
        drop(go);
        assert_eq!((any.drain(ctx), accepted), ((4, 0, 0), 4));
    });
}

/// `drop(pool)` of threadpool and rayon returns at once, with the jobs undone and running on.
#[test]
fn threadpool_a_drop_waits_for_what_runs_and_answers_for_what_does_not() {
    each(8, |ctx, any| {
        let pool = any.submitter();
        let (begun, has_begun) = channel::bounded(2);
        let ended = Arc::new(AtomicUsize::new(0));
        let job = || {
            let (begun, ended) = (begun.clone(), ended.clone());
            move |job: &Context| {
                begun.send(job, ()).unwrap();
                job.wait_stopped();
                count(&ended);
            }
        };
        let running = [job(), job()].map(|job| pool.submit(ctx, job).unwrap());
        has_begun.recv(ctx).unwrap();
        has_begun.recv(ctx).unwrap();
        let queued = pool.submit(ctx, |_| ()).unwrap();
        drop(any);
        assert_eq!(ended.load(SeqCst), 2, "both have ended when it returns");
        running.into_iter().for_each(|ticket| ticket.join(ctx).unwrap());
        cancelled(queued.join(ctx));
    });
}

/// scheduled-thread-pool and threadpool say nothing of a job that panicked; work goes on in silence.
#[test]
fn scheduled_thread_pool_a_panic_is_counted_and_costs_no_worker() {
    each(8, |ctx, any| {
        let pool = any.submitter();
        for n in 0..20 {
            drop(pool.submit::<_, ()>(ctx, move |_| throw(n)).unwrap());
        }
        assert_eq!(pool.submit(ctx, |_| 7).unwrap().join(ctx).unwrap(), 7);
        until(|| pool.stats().ledger.in_flight == 0);
        assert_eq!((pool.stats().ledger.failed, pool.stats().revived), (20, 0));
        assert_eq!(any.drain(ctx), (1, 20, 0));
    });
}
