//! Pools: jobs, their tickets, panics, nesting and groups.

use crate::{Bomb, Counted, both, ends, reason, root, throw, until};
use ironsys::pool::{JobOptions, JoinError, Pool, SubmitError, Submitter, Ticket};
use ironsys::time::VirtualClock;
use ironsys::{Context, Stop, channel};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn pool(ctx: &Context, workers: usize, queue: usize) -> Pool {
    Pool::builder("p").workers(workers).queue(queue).context(ctx).build().unwrap()
}

/// Keeps a worker busy until the sender is dropped.
pub(crate) fn occupy(pool: &Pool, ctx: &Context) -> (channel::Sender<()>, Ticket<()>) {
    let (go, gone) = channel::bounded(1);
    let blocked = gone.clone();
    let ticket = pool.submit(ctx, move |job| drop(gone.recv(job))).unwrap();
    until(|| blocked.stats().blocked_receivers == 1);
    (go, ticket)
}

/// A job that is at work, and returns why it was stopped.
pub(crate) fn at_work(pool: &Pool, ctx: &Context, options: JobOptions) -> Ticket<Stop> {
    let (begun, has_begun) = channel::bounded(1);
    let job = move |job: &Context| {
        let _ = begun.try_send(());
        job.wait_stopped()
    };
    let ticket = pool.submit_with(ctx, options, job).unwrap();
    has_begun.recv(ctx).unwrap();
    ticket
}

pub(crate) fn count(ran: &AtomicUsize) {
    ran.fetch_add(1, SeqCst);
}

#[track_caller]
pub(crate) fn cancelled<R>(out: Result<R, JoinError>) -> Stop {
    match out {
        Err(JoinError::Cancelled(stop)) => stop,
        Err(e) => panic!("{e}"),
        Ok(_) => panic!("the job ran"),
    }
}

// ===== submitting and joining =====

#[test]
fn jobs_run_and_their_tickets_have_the_results() {
    both(|ctx| {
        let pool = pool(ctx, 2, 4);
        let tickets: Vec<_> = (0..50).map(|n| pool.submit(ctx, move |_| n * n).unwrap()).collect();
        for (n, ticket) in tickets.into_iter().enumerate() {
            assert_eq!(ticket.join(ctx).unwrap(), n * n);
        }
        let report = pool.drain(ctx);
        assert_eq!((report.done, report.failed, report.cancelled), (50, 0, 0));
    });
}

#[test]
fn a_full_queue_gives_the_closure_back() {
    both(|ctx| {
        let things = Counted::new();
        let pool = pool(ctx, 1, 1);
        let (go, busy) = occupy(&pool, ctx);
        let queued = pool.try_submit(|_| 1).unwrap();
        let thing = things.make();
        let e = pool.try_submit(move |_| thing).unwrap_err();
        assert!(e.is_full());
        let e = pool.submit(&ctx.with_timeout(Duration::ZERO), e.into_inner()).unwrap_err();
        assert!(matches!(e, SubmitError::Stopped { stop: Stop::DeadlineExceeded, .. }));
        assert_eq!(things.dropped(), 0);
        drop(go);
        let thing = pool.submit(ctx, e.into_inner()).unwrap().join(ctx).unwrap();
        drop(thing);
        assert_eq!((things.all_gone(), queued.join(ctx).unwrap()), (1, 1));
        busy.join(ctx).unwrap();
        let stats = pool.stats();
        assert_eq!((stats.ledger.accepted, stats.workers, stats.queue.peak), (3, 1, 1));
    });
}

#[test]
fn a_pool_that_is_over_says_why() {
    both(|ctx| {
        let why = |submitter: &Submitter| {
            assert!(submitter.submit(ctx, |_| ()).unwrap_err().is_closed());
            submitter.over().map(|stop| stop.to_string()).unwrap_or_default()
        };
        let drained = pool(ctx, 1, 1);
        let submitter = drained.submitter();
        assert!(submitter.over().is_none());
        drop(drained.drain(ctx));
        assert!(why(&submitter).contains("the pool was drained"), "{}", why(&submitter));

        let dropped = pool(ctx, 1, 1);
        let submitter = dropped.submitter();
        drop(dropped);
        assert!(why(&submitter).contains("the pool was dropped"), "{}", why(&submitter));

        let hurried = pool(ctx, 1, 1);
        let submitter = hurried.submitter();
        let (begun, has_begun) = channel::bounded(1);
        let job = move |job: &Context| {
            let _ = begun.try_send(());
            job.wait_stopped();
        };
        hurried.execute(ctx, job).unwrap();
        has_begun.recv(ctx).unwrap();
        drop(hurried.drain(&ctx.with_timeout(Duration::ZERO)));
        assert!(why(&submitter).contains("was to drain, but was stopped"), "{}", why(&submitter));

        let (below, cancel) = ctx.with_cancel();
        let cancelled = Pool::builder("below").workers(1).context(&below).build().unwrap();
        cancel.cancel_with("no more money");
        assert!(why(&cancelled).contains("no more money"), "{}", why(&cancelled));

        let late = ctx.with_timeout(Duration::ZERO);
        let late = Pool::builder("late").workers(1).context(&late).build().unwrap();
        assert!(late.submit(ctx, |_| ()).is_err());
        assert_eq!(late.over(), Some(Stop::DeadlineExceeded));
    });
}

#[test]
fn a_closed_pool_gives_the_closure_back() {
    both(|ctx| {
        let pool = pool(ctx, 1, 1);
        let submitter = pool.submitter();
        drop(pool.drain(ctx));
        let e = submitter.submit(ctx, |_| 7).unwrap_err();
        assert!(e.is_closed());
        assert_eq!(e.into_inner()(ctx), 7);
        assert_eq!(submitter.try_submit(|_| 8).unwrap_err().into_inner()(ctx), 8);
        assert!(submitter.execute(ctx, |_| ()).unwrap_err().is_closed());
    });
}

#[test]
fn a_wait_that_is_stopped_keeps_the_ticket() {
    both(|ctx| {
        let pool = pool(ctx, 1, 1);
        let (go, gone) = channel::bounded::<()>(1);
        let mut ticket = pool.submit(ctx, move |job| gone.recv(job).is_err()).unwrap();
        assert!(ticket.wait(&ctx.with_timeout(Duration::ZERO)).is_err());
        assert!(!ticket.is_finished());
        drop(go);
        assert!(ticket.wait(ctx).unwrap().unwrap());
    });
}

#[test]
fn a_deadline_counts_from_the_submission() {
    let time = VirtualClock::new();
    let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    let pool = pool(&ctx, 1, 4);
    let (go, busy) = occupy(&pool, &ctx);
    let late = pool.submit_with(&ctx, JobOptions::new().timeout(5 * SECOND), |_| ()).unwrap();
    let options = JobOptions::new().timeout(15 * SECOND);
    let left = pool.submit_with(&ctx, options, |job| job.remaining()).unwrap();
    let never = JobOptions::new().timeout(Duration::MAX);
    let never = pool.submit_with(&ctx, never, |job| job.deadline()).unwrap();
    time.advance(10 * SECOND);
    drop(go);
    busy.join(&ctx).unwrap();
    assert_eq!(cancelled(late.join(&ctx)), Stop::DeadlineExceeded);
    assert_eq!(left.join(&ctx).unwrap(), Some(5 * SECOND));
    assert_eq!(never.join(&ctx).unwrap(), None);
    let report = pool.drain(&ctx);
    assert_eq!((report.done, report.cancelled), (3, 1));
}

#[test]
fn a_job_that_overruns_its_deadline_keeps_its_value_and_is_counted() {
    let time = VirtualClock::new();
    let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    let pool = pool(&ctx, 1, 4);
    let (begun, has_begun) = channel::bounded(1);
    let (go, goes) = channel::bounded::<()>(1);
    let (outside, _keep) = Context::root(); // It does not look at its own context.
    let options = JobOptions::new().timeout(SECOND);
    let deaf = pool
        .submit_with(&ctx, options, move |_| {
            begun.try_send(()).unwrap();
            let _ = goes.recv(&outside);
            "late"
        })
        .unwrap();
    has_begun.recv(&ctx).unwrap();
    time.advance(2 * SECOND);
    drop(go);
    assert_eq!(deaf.join(&ctx).unwrap(), "late");
    let report = pool.drain(&ctx);
    assert_eq!((report.done, report.overran, report.cancelled), (1, 1, 0));
}

#[test]
fn a_result_is_there_once() {
    both(|ctx| {
        let pool = pool(ctx, 1, 4);
        let mut ticket = pool.submit(ctx, |_| 7).unwrap();
        assert_eq!(ticket.wait(ctx).unwrap().unwrap(), 7);
        assert!(ticket.is_finished());
        assert!(matches!(ticket.wait(ctx), Ok(Err(JoinError::Taken))));
    });
}

#[test]
fn virtual_time_goes_on_while_jobs_wait_in_the_queue() {
    let time = VirtualClock::auto();
    let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    let start = time.now();
    let _me = time.participate(); // At work until it waits in `drain`.
    let pool = pool(&ctx, 2, 10);
    for _ in 0..6 {
        pool.execute(&ctx, |job| assert!(job.sleep(SECOND).is_ok())).unwrap();
    }
    assert_eq!(pool.drain(&ctx).done, 6);
    assert_eq!(time.now() - start, 3 * SECOND);
}

#[test]
fn a_job_runs_under_the_context_it_was_given_and_under_the_pool_s() {
    both(|ctx| {
        let pool = pool(ctx, 2, 2);
        let (mine, cancel) = ctx.with_value("tenant").with_cancel();
        let options = JobOptions::new().under(&mine);
        let seen = pool.submit_with(ctx, options.clone(), |job| job.value::<&str>().copied());
        assert_eq!(seen.unwrap().join(ctx).unwrap(), Some("tenant"));
        let waits = at_work(&pool, ctx, options.clone());
        cancel.cancel_with("mine");
        assert_eq!(reason(&waits.join(ctx).unwrap()), "mine");
        assert_eq!(
            reason(&cancelled(pool.submit_with(ctx, options, |_| ()).unwrap().join(ctx))),
            "mine"
        );
        let waits = at_work(&pool, ctx, JobOptions::new().under(&root().0));
        drop(pool);
        assert_eq!(reason(&waits.join(ctx).unwrap()), "the pool was dropped");
    });
}

// ===== panics =====

#[test]
fn a_panic_goes_to_the_ticket_with_name_and_place() {
    both(|ctx| {
        let pool = pool(ctx, 1, 1);
        let named = JobOptions::new().name("bake");
        let (line, ticket) =
            (line!(), pool.submit_with::<_, ()>(ctx, named, |_| throw("burnt")).unwrap());
        let Err(JoinError::Panicked(panicked)) = ticket.join(ctx) else { panic!("no panic") };
        assert_eq!((panicked.task(), panicked.message()), ("bake", "burnt"));
        let at = panicked.spawned_at();
        assert!(at.file().ends_with("pool.rs") && at.line() == line, "{at}");
        assert_eq!(panicked.into_payload().downcast_ref(), Some(&"burnt"));
        let report = pool.drain(ctx);
        assert_eq!((report.done, report.failed), (0, 1));
    });
}

#[test]
fn a_worker_survives_a_hundred_panics() {
    both(|ctx| {
        let pool = pool(ctx, 1, 8);
        let first = pool.submit(ctx, |_| thread::current().id()).unwrap().join(ctx).unwrap();
        for i in 0..100 {
            drop(pool.submit::<_, ()>(ctx, move |_| throw(i)).unwrap());
        }
        let last = pool.submit(ctx, |_| thread::current().id()).unwrap().join(ctx).unwrap();
        assert_eq!(first, last);
        assert_eq!(pool.drain(ctx).failed, 100);
    });
}

#[test]
fn a_drop_that_panics_costs_no_worker() {
    ends(|| {
        both(|ctx| {
            let pool = pool(ctx, 1, 8);
            let (go, busy) = occupy(&pool, ctx);
            // Values nobody joins, payloads nobody reads, closures that never run.
            drop(pool.submit(ctx, |_| Bomb("value")).unwrap());
            drop(pool.submit::<_, ()>(ctx, |_| throw(Bomb("payload"))).unwrap());
            let bomb = Bomb("closure");
            let late = JobOptions::new().timeout(Duration::ZERO);
            let late = pool.submit_with(ctx, late, move |_| drop(bomb)).unwrap();
            pool.execute(ctx, |_| throw(Bomb("payload"))).unwrap();
            drop(go);
            busy.join(ctx).unwrap();
            cancelled(late.join(ctx));
            assert_eq!(pool.submit(ctx, |_| 1).unwrap().join(ctx).unwrap(), 1);
            assert!(pool.stats().ledger.is_balanced());
            // And in the queue of a pool that is dropped.
            let (_go, _busy) = occupy(&pool, ctx);
            let bomb = Bomb("closure");
            let queued = pool.submit(ctx, move |_| drop(bomb)).unwrap();
            let bomb = Bomb("closure");
            pool.execute(ctx, move |_| drop(bomb)).unwrap();
            drop(pool);
            cancelled(queued.join(ctx));
        });
    });
}

// ===== jobs that submit and join =====

#[test]
fn a_job_may_join_a_job_of_its_own_pool() {
    both(|ctx| {
        for queue in [0, 1, 10] {
            let pool = pool(ctx, 1, queue);
            let inner = pool.submitter();
            let outer = pool
                .submit(ctx, move |job| inner.submit(job, |_| 20).unwrap().join(job).unwrap() + 1);
            assert_eq!(outer.unwrap().join(ctx).unwrap(), 21, "queue {queue}");
        }
    });
}

#[test]
fn a_job_may_submit_to_its_own_full_pool() {
    both(|ctx| {
        for queue in [0, 1, 3] {
            let pool = pool(ctx, 1, queue);
            let inner = pool.submitter();
            let outer = pool.submit(ctx, move |job| {
                let jobs = (0..10).map(|n| inner.submit(job, move |_| n).unwrap());
                let tickets: Vec<_> = jobs.collect();
                tickets.into_iter().map(|t| t.join(job).unwrap()).sum::<usize>()
            });
            assert_eq!(outer.unwrap().join(ctx).unwrap(), 45, "queue {queue}");
            until(|| pool.stats().ledger.in_flight == 0);
            let ledger = pool.stats().ledger;
            assert!(ledger.is_balanced(), "{ledger}");
            assert_eq!((ledger.accepted, ledger.done), (11, 11), "queue {queue}");
            assert_eq!(pool.drain(ctx).done, 11);
        }
    });
}

fn fib(pool: &Submitter, ctx: &Context, n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let half = |n| {
        let inner = pool.clone();
        pool.submit(ctx, move |ctx| fib(&inner, ctx, n)).unwrap()
    };
    let (a, b) = (half(n - 1), half(n - 2));
    a.join(ctx).unwrap() + b.join(ctx).unwrap()
}

/// A job that waits must not pile unrelated jobs onto its stack: their number has no bound.
#[test]
fn jobs_that_divide_and_join_need_a_stack_as_deep_as_their_own_nesting() {
    ends(|| {
        for (workers, queue) in [(1, 16), (2, 256), (2, 100_000)] {
            let ctx = root().0;
            let pool = pool(&ctx, workers, queue);
            let inner = pool.submitter();
            let ticket = pool.submit(&ctx, move |ctx| fib(&inner, ctx, 17)).unwrap();
            assert_eq!(ticket.join(&ctx).unwrap(), 1597);
            assert_eq!(pool.drain(&ctx).undelivered.len(), 0);
        }
    });
}

#[test]
fn a_thousand_jobs_that_each_join_another_need_no_deep_stack() {
    ends(|| {
        let ctx = root().0;
        let pool = pool(&ctx, 1, 100_000);
        let (go, busy) = occupy(&pool, &ctx);
        let tickets: Vec<_> = (0..5_000)
            .map(|n| {
                let inner = pool.submitter();
                let job =
                    move |job: &Context| inner.submit(job, move |_| n).unwrap().join(job).unwrap();
                pool.submit(&ctx, job).unwrap()
            })
            .collect();
        drop(go);
        busy.join(&ctx).unwrap();
        for (n, ticket) in tickets.into_iter().enumerate() {
            assert_eq!(ticket.join(&ctx).unwrap(), n);
        }
        let report = pool.drain(&ctx);
        assert_eq!((report.done, report.undelivered.len()), (10_001, 0));
    });
}

// ===== groups =====

#[test]
fn a_group_returns_its_results_in_the_order_of_submission() {
    both(|ctx| {
        let pool = pool(ctx, 2, 4);
        let mut group = pool.group();
        for n in 0..20 {
            group.submit(ctx, move |_| if n == 7 { throw("seven") } else { n }).unwrap();
        }
        assert_eq!((group.len(), group.is_empty()), (20, false));
        let results = group.join(ctx).unwrap();
        for (n, result) in results.into_iter().enumerate() {
            match n {
                7 => assert!(result.unwrap_err().is_panicked()),
                _ => assert_eq!(result.unwrap(), n),
            }
        }
        assert!(pool.group::<()>().join(ctx).unwrap().is_empty());
    });
}

#[test]
fn cancelling_a_group_leaves_the_rest_of_the_pool_alone() {
    both(|ctx| {
        let pool = pool(ctx, 1, 10);
        let (go, busy) = occupy(&pool, ctx);
        let mut group = pool.group();
        group.submit(ctx, |_| 1).unwrap();
        let other = pool.submit(ctx, |_| 2).unwrap();
        group.cancel();
        group.submit(ctx, |_| 3).unwrap();
        drop(go);
        busy.join(ctx).unwrap();
        assert_eq!(other.join(ctx).unwrap(), 2);
        for result in group.join(ctx).unwrap() {
            assert_eq!(reason(&cancelled(result)), "the group was cancelled");
        }
    });
}

#[test]
fn dropping_a_group_cancels_its_jobs() {
    both(|ctx| {
        let pool = pool(ctx, 1, 10);
        let mut group = pool.group();
        let (told, is_told) = channel::bounded(1);
        let (begun, has_begun) = channel::bounded(1);
        let job = move |job: &Context| {
            begun.try_send(()).unwrap();
            told.try_send(job.wait_stopped()).unwrap();
        };
        group.submit(ctx, job).unwrap();
        has_begun.recv(ctx).unwrap();
        drop(group);
        assert_eq!(reason(&is_told.recv(ctx).unwrap()), "the group was dropped");
    });
}

// ===== counting =====

#[test]
fn tickets_nobody_reads_cost_nothing() {
    both(|ctx| {
        let things = Counted::new();
        let pool = pool(ctx, 2, 16);
        for _ in 0..2000 {
            let thing = things.make();
            drop(pool.submit(ctx, move |_| thing).unwrap());
        }
        assert_eq!(pool.drain(ctx).done, 2000);
        assert_eq!(things.all_gone(), 2000);
    });
}

#[test]
fn the_ledger_balances_whatever_happens() {
    both(|ctx| {
        let pool = pool(ctx, 2, 8);
        let mut random = 7_u64;
        let mut tickets = Vec::new();
        for _ in 0..500 {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let job = move |_: &Context| {
                if random >> 60 == 0 {
                    throw(1_u8)
                }
            };
            match random >> 61 {
                0 => tickets.extend(pool.try_submit(job).ok()),
                1 => pool.execute(ctx, job).unwrap(),
                2 => {
                    let late = JobOptions::new().timeout(Duration::ZERO);
                    tickets.push(pool.submit_with(ctx, late, job).unwrap());
                }
                3 => {
                    let inner = pool.submitter();
                    let job = move |ctx: &Context| drop(inner.submit(ctx, job));
                    tickets.push(pool.submit(ctx, job).unwrap());
                }
                _ => drop(pool.submit(ctx, job).unwrap()),
            }
        }
        for ticket in tickets {
            let _ = ticket.join(ctx);
        }
        until(|| pool.stats().ledger.in_flight == 0);
        let ledger = pool.stats().ledger;
        assert!(ledger.is_balanced() && ledger.failed > 0 && ledger.cancelled > 0, "{ledger}");
        let submitter = pool.submitter();
        let report = pool.drain(ctx);
        let sum = report.done + report.failed + report.cancelled;
        assert_eq!((sum, ledger.dropped), (ledger.accepted, 0));
        assert!(submitter.stats().ledger.is_balanced());
    });
}

#[test]
fn misuse_of_the_builder_names_the_field() {
    let field = |b: ironsys::pool::Builder| b.build().unwrap_err().field();
    assert_eq!(field(Pool::builder("p").workers(0)), "workers");
    assert_eq!(field(Pool::builder("p").workers(usize::MAX)), "workers");
    assert_eq!(field(Pool::builder("a\0b").workers(1)), "name");
    let pool = Pool::builder("").workers(1).queue(usize::MAX).build().unwrap();
    let ctx = root().0;
    assert_eq!(pool.submit(&ctx, |_| 1).unwrap().join(&ctx).unwrap(), 1);
}
