//! The end of a pool: what becomes of every job, whoever ends it.

use crate::pool::{SECOND, at_work, cancelled, count, occupy, pool};
use crate::{Counted, both, ends, reason, root, until};
use ironsys::pool::{JobOptions, JoinError, Pool};
use ironsys::time::VirtualClock;
use ironsys::{Context, Stop, channel};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

// ===== shutting down =====

#[test]
fn drain_finishes_what_is_queued() {
    both(|ctx| {
        let pool = pool(ctx, 2, 100);
        let ran = Arc::new(AtomicUsize::new(0));
        for _ in 0..50 {
            let ran = ran.clone();
            pool.execute(ctx, move |_| count(&ran)).unwrap();
        }
        let report = pool.drain(ctx);
        assert_eq!((report.done, report.undelivered.len(), ran.load(SeqCst)), (50, 0, 50));
    });
}

#[test]
fn a_drain_that_is_stopped_hands_back_what_has_not_begun() {
    both(|ctx| {
        let first = pool(ctx, 1, 10);
        let (go, busy) = occupy(&first, ctx);
        let group_ctx = root().0;
        let options = [
            JobOptions::new().name("plain"),
            JobOptions::new().timeout(Duration::MAX),
            JobOptions::new().under(&group_ctx),
        ];
        let jobs =
            (0..6).map(|n| first.submit_with(ctx, options[n % 3].clone(), move |_| n).unwrap());
        let tickets: Vec<_> = jobs.collect();
        let mut group = first.group();
        group.submit(ctx, |_| 6).unwrap();
        let report = first.drain(&ctx.with_timeout(Duration::ZERO));
        busy.join(ctx).unwrap();
        drop(go);
        assert_eq!((report.done, report.undelivered.len()), (1, 7));
        assert_eq!(report.undelivered[0].name(), Some("plain"));
        assert!(report.undelivered[0].submitted_at().unwrap().file().ends_with("shutdown.rs"));
        let second = pool(ctx, 1, 10);
        for (i, job) in report.undelivered.into_iter().enumerate() {
            match i {
                0..3 => job.run(ctx),
                3 => drop(job),
                _ => second.resubmit(ctx, job).unwrap(),
            }
        }
        for (n, ticket) in tickets.into_iter().enumerate() {
            match n {
                3 => drop(cancelled(ticket.join(ctx))),
                _ => assert_eq!(ticket.join(ctx).unwrap(), n),
            }
        }
        assert_eq!(group.join(ctx).unwrap().pop().unwrap().unwrap(), 6);
    });
}

#[test]
fn a_job_handed_back_keeps_its_deadline() {
    let time = VirtualClock::new();
    let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    let pool = pool(&ctx, 1, 4);
    let (_go, _busy) = occupy(&pool, &ctx);
    let options = JobOptions::new().timeout(5 * SECOND);
    let left = pool.submit_with(&ctx, options.clone(), |job| job.remaining()).unwrap();
    let late = pool.submit_with(&ctx, options, |_| ()).unwrap();
    let mut undelivered = pool.drain(&ctx.with_timeout(Duration::ZERO)).undelivered.into_iter();
    time.advance(2 * SECOND);
    undelivered.next().unwrap().run(&ctx);
    assert_eq!(left.join(&ctx).unwrap(), Some(3 * SECOND));
    time.advance(4 * SECOND);
    undelivered.next().unwrap().run(&ctx);
    assert_eq!(cancelled(late.join(&ctx)), Stop::DeadlineExceeded);
}

#[test]
fn dropping_a_pool_stops_its_jobs_and_joins() {
    both(|ctx| {
        let pool = pool(ctx, 1, 10);
        let ended = Arc::new(AtomicBool::new(false));
        let flag = ended.clone();
        let running = pool.submit(ctx, move |job| {
            let why = job.wait_stopped();
            flag.store(true, SeqCst);
            why
        });
        until(|| pool.stats().running == 1);
        let things = Counted::new();
        let queued: Vec<_> = (0..5)
            .map(|_| {
                let thing = things.make();
                pool.submit(ctx, move |_| drop(thing)).unwrap()
            })
            .collect();
        drop(pool);
        assert!(ended.load(SeqCst)); // Joined.
        assert_eq!(things.all_gone(), 5);
        assert_eq!(reason(&running.unwrap().join(ctx).unwrap()), "the pool was dropped");
        for ticket in queued {
            let stop = cancelled(ticket.join(ctx));
            assert_eq!(reason(&stop), "the pool was shut down before the job began");
        }
    });
}

#[test]
fn a_pool_that_was_joined_has_let_go_of_its_context() {
    both(|ctx| {
        for _ in 0..20 {
            let pool = pool(ctx, 3, 3);
            pool.submit(ctx, |_| ()).unwrap().join(ctx).unwrap();
            drop(pool);
            assert_eq!(ctx.linked(), (0, 0));
        }
    });
}

#[test]
fn a_pool_stops_with_its_context() {
    both(|ctx| {
        let (mine, cancel) = ctx.with_cancel();
        let pool = pool(&mine, 2, 10);
        let waits = at_work(&pool, ctx, JobOptions::new());
        cancel.cancel_with("over");
        assert_eq!(reason(&waits.join(ctx).unwrap()), "over");
        // The workers are about to leave; what they do not take comes back with the drain.
        let queued = pool.submit(ctx, |_| 1).unwrap();
        let report = pool.drain(ctx);
        assert_eq!(report.undelivered.len() as u64 + report.cancelled, 1);
        drop(report);
        cancelled(queued.join(ctx));
    });
}

#[test]
fn every_job_accepted_while_the_pool_shuts_down_is_resolved() {
    for round in 0..60 {
        ends(move || {
            let ctx = root().0;
            let pool = pool(&ctx, 2, 1 + round % 3);
            let ran = Arc::new(AtomicUsize::new(0));
            let submitters: Vec<_> = (0..3)
                .map(|_| {
                    let (submitter, ctx, ran) = (pool.submitter(), ctx.clone(), ran.clone());
                    thread::spawn(move || {
                        let job = || {
                            let ran = ran.clone();
                            move |_: &Context| count(&ran)
                        };
                        let mut tickets = Vec::new();
                        while let Ok(ticket) = submitter.submit(&ctx, job()) {
                            tickets.push(ticket);
                        }
                        tickets
                    })
                })
                .collect();
            until(|| ran.load(SeqCst) > round);
            let undelivered = match round % 3 {
                0 => pool.drain(&ctx).undelivered,
                1 => pool.drain(&ctx.with_timeout(Duration::ZERO)).undelivered,
                _ => {
                    drop(pool);
                    Vec::new()
                }
            };
            let (mut done, mut lost) = (0, 0);
            drop(undelivered);
            for ticket in submitters.into_iter().flat_map(|s| s.join().unwrap()) {
                match ticket.join(&ctx) {
                    Ok(()) => done += 1,
                    Err(JoinError::Cancelled(_)) => lost += 1,
                    Err(e) => panic!("{e}"),
                }
            }
            assert_eq!(done, ran.load(SeqCst));
            assert!(round % 3 != 0 || lost == 0);
        });
    }
}

#[test]
fn a_pool_dropped_by_its_own_job_ends_after_it() {
    ends(|| {
        both(|ctx| {
            let mine = pool(ctx, 2, 4);
            let submitter = mine.submitter();
            let waits = at_work(&mine, ctx, JobOptions::new());
            let (give, take) = channel::bounded::<Pool>(1);
            let ticket = mine.submit(ctx, move |job| {
                drop(take.recv(job).unwrap());
                job.is_stopped()
            });
            give.send(ctx, mine).unwrap();
            assert!(ticket.unwrap().join(ctx).unwrap());
            assert_eq!(reason(&waits.join(ctx).unwrap()), "the pool was dropped");
            let refused = submitter.try_submit(|_| 5).unwrap_err();
            assert_eq!(refused.into_inner()(ctx), 5);
        });
    });
}

#[test]
fn a_pool_drained_by_its_own_job_finishes_the_others_first() {
    ends(|| {
        both(|ctx| {
            for workers in [1, 2] {
                let mine = pool(ctx, workers, 40);
                let (give, take) = channel::bounded::<Pool>(1);
                let ticket = mine.submit(ctx, move |job| take.recv(job).unwrap().drain(job));
                let others: Vec<_> = (0..20).map(|n| mine.submit(ctx, move |_| n)).collect();
                give.send(ctx, mine).unwrap();
                let report = ticket.unwrap().join(ctx).unwrap();
                assert_eq!((report.done, report.undelivered.len()), (20, 0));
                for (n, other) in others.into_iter().enumerate() {
                    assert_eq!(other.unwrap().join(ctx).unwrap(), n);
                }
            }
        });
    });
}
