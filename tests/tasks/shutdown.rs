//! The end of a pool: what becomes of every job, whoever ends it.

use crate::pool::{SECOND, at_work, cancelled, count, occupy, pool};
use crate::{Counted, both, ends, reason, root, until};
use ironsys::pool::{
    Drained, JobOptions, JoinError, KeyedPool, Order, Pool, Share, SubmitError, Subpools, Ticket,
};
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
        let (begun, has_begun) = channel::bounded(1);
        let running = pool.submit(ctx, move |job| {
            begun.try_send(()).unwrap();
            let why = job.wait_stopped();
            flag.store(true, SeqCst);
            why
        });
        has_begun.recv(ctx).unwrap(); // Counted as running it might still be refused its begin.
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
        assert_eq!(pool.try_submit(|_| 1).unwrap_err().into_inner()(ctx), 1);
        let refused = pool.submit(ctx, |_| 1).unwrap_err();
        assert!(refused.is_closed());
        assert_eq!(refused.into_inner()(ctx), 1);
        let report = pool.drain(ctx);
        assert_eq!((report.done, report.cancelled, report.undelivered.len()), (1, 0, 0));
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

// ===== the pool's context =====

type Job = Box<dyn FnOnce(&Context) + Send>;

/// A pool with one worker and room for one job, of any kind.
trait Small {
    fn give(&self, ctx: &Context, job: Job) -> Result<Ticket<()>, SubmitError<Job>>;
    fn blocked(&self) -> usize;
    fn end(self, ctx: &Context) -> Drained;
}

impl Small for Pool {
    fn give(&self, ctx: &Context, job: Job) -> Result<Ticket<()>, SubmitError<Job>> {
        self.submit(ctx, job)
    }

    fn blocked(&self) -> usize {
        self.stats().queue.blocked_senders
    }

    fn end(self, ctx: &Context) -> Drained {
        self.drain(ctx)
    }
}

impl Small for KeyedPool {
    fn give(&self, ctx: &Context, job: Job) -> Result<Ticket<()>, SubmitError<Job>> {
        self.submit(ctx, &1, job)
    }

    fn blocked(&self) -> usize {
        self.stats().blocked
    }

    fn end(self, ctx: &Context) -> Drained {
        self.drain(ctx)
    }
}

impl Small for Subpools {
    fn give(&self, ctx: &Context, job: Job) -> Result<Ticket<()>, SubmitError<Job>> {
        self.get("a").unwrap().submit(ctx, job)
    }

    fn blocked(&self) -> usize {
        self.get("a").unwrap().stats().queue.blocked_senders
    }

    fn end(self, ctx: &Context) -> Drained {
        self.drain(ctx).remove("a").unwrap()
    }
}

/// One job at work, one in the queue, one that waits for room; then the stop.
fn refuses_when_stopped<P: Small + Sync>(make: impl Fn(&Context) -> P) {
    for late in [false, true] {
        let time = VirtualClock::new();
        let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
        let (under, cancel) = ctx.with_cancel();
        let pool = make(&if late { under.with_timeout(SECOND) } else { under });
        let (begun, has_begun) = channel::bounded(1);
        let (go, gone) = channel::bounded::<()>(1);
        let busy = pool.give(
            &ctx,
            Box::new({
                let ctx = ctx.clone(); // It does not care for the pool's.
                move |_| {
                    begun.try_send(()).unwrap();
                    drop(gone.recv(&ctx));
                }
            }),
        );
        has_begun.recv(&ctx).unwrap();
        let ran = Arc::new(AtomicUsize::new(0));
        let job = || -> Job {
            let ran = ran.clone();
            Box::new(move |_| count(&ran))
        };
        let queued = pool.give(&ctx, job()).unwrap();
        thread::scope(|s| {
            let blocked = s.spawn(|| pool.give(&ctx, job()).unwrap_err());
            until(|| pool.blocked() == 1);
            if late {
                time.advance(SECOND)
            } else {
                assert!(cancel.cancel());
            }
            // All of it while the worker is still at work.
            let refused = blocked.join().unwrap();
            assert!(refused.is_closed());
            refused.into_inner()(&ctx);
        });
        let stop = cancelled(queued.join(&ctx));
        assert_eq!(stop == Stop::DeadlineExceeded, late);
        assert!(pool.give(&ctx, job()).unwrap_err().is_closed());
        drop(go);
        busy.unwrap().join(&ctx).unwrap();
        let report = pool.end(&ctx);
        assert_eq!((report.done, report.cancelled, report.undelivered.len()), (1, 1, 0));
        assert_eq!(ran.load(SeqCst), 1);
    }
}

#[test]
fn a_pool_whose_context_stops_refuses_jobs_and_wakes_who_waits() {
    ends(|| {
        let plain = || Pool::builder("p").workers(1).queue(1);
        refuses_when_stopped(|ctx| plain().context(ctx).build().unwrap());
        let order = Order::Priority { aging: SECOND };
        refuses_when_stopped(|ctx| plain().order(order).context(ctx).build().unwrap());
        let most = || plain().workers(1..=2).patience(Duration::MAX);
        refuses_when_stopped(|ctx| most().context(ctx).build().unwrap());
    });
}

#[test]
fn a_keyed_pool_whose_context_stops_refuses_jobs_and_wakes_who_waits() {
    ends(|| {
        refuses_when_stopped(|ctx| {
            let threads = Pool::builder("p").workers(1).context(ctx);
            KeyedPool::over(threads).queue(1).build().unwrap()
        });
    });
}

#[test]
fn subpools_whose_context_stops_refuse_jobs_and_wake_who_waits() {
    ends(|| {
        refuses_when_stopped(|ctx| {
            let threads = Pool::builder("p").workers(1).context(ctx);
            Subpools::over(threads).pool("a", Share::new(1..=1).queue(1)).build().unwrap()
        });
    });
}

/// What nobody has a ticket for comes back; what somebody has one for is dropped, and so is what it owes.
#[test]
fn a_pool_whose_context_stops_hands_back_what_has_no_ticket() {
    ends(|| {
        both(|ctx| {
            let (under, cancel) = ctx.with_cancel();
            let mine = pool(&under, 1, 3);
            let (owed, owes) = channel::bounded::<()>(1);
            let busy = mine.submit(ctx, {
                let ctx = ctx.clone(); // It does not care for the pool's.
                move |_| assert!(owes.recv(&ctx).is_err())
            });
            until(|| mine.stats().running == 1);
            let ran = Arc::new(AtomicUsize::new(0));
            let count_one = ran.clone();
            mine.execute(ctx, move |_| count(&count_one)).unwrap();
            drop(mine.submit(ctx, move |_| drop(owed)).unwrap());
            cancel.cancel();
            busy.unwrap().join(ctx).unwrap(); // It has waited for what the other owed.
            let stats = mine.stats();
            assert!(stats.ledger.is_balanced(), "{}", stats.ledger);
            let mut report = mine.drain(ctx);
            assert_eq!((report.done, report.cancelled, report.undelivered.len()), (1, 1, 1));
            report.undelivered.remove(0).run(ctx);
            assert_eq!(ran.load(SeqCst), 1);
        });
    });
}

#[test]
fn a_pool_made_under_a_stopped_context_is_closed() {
    ends(|| {
        both(|ctx| {
            let (under, cancel) = ctx.with_cancel();
            cancel.cancel();
            assert!(pool(&under, 1, 1).submit(ctx, |_| ()).unwrap_err().is_closed());
        });
    });
}
