//! Pools that grow and shrink, on a virtual clock: what makes them, and what they say about it.

use crate::pool::SECOND;
use crate::{logs, root, until};
use ironsys::observe::{Task, WaitKind};
use ironsys::pool::{JobOptions, Order, Pool, Ticket, Why};
use ironsys::time::VirtualClock;
use ironsys::{Context, channel, observe};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

/// A clock, its root, and a pool that grows after 10 ms and shrinks after 10 s.
fn adaptive(name: &str, least: usize, most: usize) -> (VirtualClock, Context, Pool) {
    let time = VirtualClock::new();
    let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    let pool = Pool::builder(name).workers(least..=most).context(&ctx).build().unwrap();
    (time, ctx, pool)
}

/// Jobs that wait until the sender is dropped.
struct Busy {
    go: channel::Sender<()>,
    gone: channel::Receiver<()>,
    tickets: Vec<Ticket<()>>,
}

impl Busy {
    fn new() -> Self {
        let (go, gone) = channel::bounded(1);
        Busy { go, gone, tickets: Vec::new() }
    }

    fn submit(&mut self, pool: &Pool, ctx: &Context, jobs: usize) {
        for _ in 0..jobs {
            let gone = self.gone.clone();
            self.tickets.push(pool.submit(ctx, move |job| drop(gone.recv(job))).unwrap());
        }
    }

    /// Waits until so many of them run.
    #[track_caller]
    fn running(&self, jobs: usize) {
        until(|| self.gone.stats().blocked_receivers == jobs);
    }

    fn end(self, ctx: &Context) {
        drop(self.go);
        self.tickets.into_iter().for_each(|ticket| ticket.join(ctx).unwrap());
    }
}

fn sizes(pool: &Pool) -> Vec<(usize, usize)> {
    pool.stats().resizes.iter().map(|resize| (resize.from, resize.to)).collect()
}

#[test]
fn a_pool_grows_when_a_job_has_waited_and_not_before() {
    let (time, ctx, pool) = adaptive("grows", 1, 8);
    let mut busy = Busy::new();
    busy.submit(&pool, &ctx, 1);
    busy.running(1);
    busy.submit(&pool, &ctx, 3);
    time.advance(9 * MS);
    assert_eq!((pool.stats().workers, sizes(&pool)), (1, vec![]));
    time.advance(MS);
    assert_eq!((pool.stats().workers, sizes(&pool)), (2, vec![(1, 2)]), "twofold at the most");
    busy.running(2);
    time.advance(9 * MS);
    assert_eq!(pool.stats().workers, 2, "the wait counts anew after a change");
    time.advance(MS);
    busy.running(4);
    assert_eq!(sizes(&pool), [(1, 2), (2, 4)]);
    let Why::Wait { waited, depth, service } = pool.stats().resizes[1].why else { panic!() };
    assert_eq!((waited, depth, service), (20 * MS, 2, None));
    busy.end(&ctx);
    assert_eq!(pool.drain(&ctx).done, 4);
    assert_eq!(time.pending(), 0, "a pool that has ended has no alarm");
}

#[test]
fn a_pool_never_has_more_workers_than_its_most() {
    let (time, ctx, pool) = adaptive("bounded", 2, 3);
    let mut busy = Busy::new();
    busy.submit(&pool, &ctx, 20);
    busy.running(2);
    for _ in 0..20 {
        time.advance(10 * MS);
    }
    busy.running(3);
    assert_eq!((pool.stats().workers, sizes(&pool)), (3, vec![(2, 3)]));
    busy.end(&ctx);
    assert_eq!(pool.drain(&ctx).done, 20);
}

#[test]
fn short_jobs_need_few_workers() {
    let (time, ctx, pool) = adaptive("short", 4, 64);
    let idle = |t: &&Task| {
        t.name.as_deref().is_some_and(|name| name.starts_with("short-"))
            && t.waiting.as_ref().is_some_and(|wait| wait.on == WaitKind::Work)
    };
    // Jobs take 1 ms: with 10 ms patience one worker serves ten of those that wait.
    for _ in 0..100 {
        let (begun, has_begun) = channel::bounded(1);
        let (go, gone) = channel::bounded::<()>(1);
        let ticket = pool.submit(&ctx, move |job| {
            begun.try_send(()).unwrap();
            let _ = gone.recv(job);
        });
        has_begun.recv(&ctx).unwrap();
        time.advance(MS);
        drop(go);
        ticket.unwrap().join(&ctx).unwrap();
        // A worker looks at the clock once more before it waits for its next job.
        until(|| observe::tasks().as_slice().iter().filter(idle).count() == 4);
    }
    let mut busy = Busy::new();
    busy.submit(&pool, &ctx, 4);
    busy.running(4);
    busy.submit(&pool, &ctx, 55);
    time.advance(10 * MS);
    let resize = pool.stats().resizes[0];
    let Why::Wait { service: Some(service), .. } = resize.why else { panic!("{resize}") };
    assert!(service > MS * 9 / 10 && service < MS * 11 / 10, "{service:?}");
    let enough = (service * 55).as_secs_f64() / (10 * MS).as_secs_f64();
    assert_eq!((resize.from, resize.to), (4, enough.ceil() as usize), "{resize}");
    busy.end(&ctx);
    assert_eq!(pool.drain(&ctx).done, 159);
}

#[test]
fn a_pool_shrinks_to_its_least_and_then_sleeps() {
    let (time, ctx, pool) = adaptive("shrinks", 1, 4);
    let mut busy = Busy::new();
    busy.submit(&pool, &ctx, 4);
    busy.running(1);
    for workers in [2, 4] {
        time.advance(10 * MS);
        busy.running(workers);
    }
    busy.end(&ctx);
    until(|| pool.stats().queue.blocked_receivers == 4);
    until(|| time.pending() == 4); // Each is idle until its time.
    time.advance(10 * SECOND - MS);
    assert_eq!(pool.stats().workers, 4);
    time.advance(MS);
    until(|| pool.stats().workers == 1);
    assert_eq!(sizes(&pool), [(1, 2), (2, 4), (4, 3), (3, 2), (2, 1)]);
    assert_eq!(pool.stats().resizes[4].why, Why::Idle(10 * SECOND));
    until(|| pool.stats().queue.blocked_receivers == 1 && time.pending() == 0);
    assert_eq!(pool.submit(&ctx, |_| 7).unwrap().join(&ctx).unwrap(), 7);
    until(|| pool.stats().queue.blocked_receivers == 1);
    time.advance(SECOND); // If the job came while nobody was idle, an alarm was set for it.
    until(|| time.pending() == 0); // At its least nobody waits for a time.
    assert_eq!(pool.drain(&ctx).done, 5);
}

#[test]
fn a_pool_grows_and_shrinks_and_grows_again() {
    let (time, ctx, pool) = adaptive("again", 1, 3);
    for _ in 0..30 {
        let mut busy = Busy::new();
        busy.submit(&pool, &ctx, 3);
        busy.running(1);
        while pool.stats().workers < 3 {
            time.advance(10 * MS);
        }
        busy.running(3);
        busy.end(&ctx);
        while pool.stats().workers > 1 {
            time.advance(10 * SECOND);
        }
    }
    let stats = pool.stats();
    assert_eq!(stats.resizes.len(), 16, "the ring is bounded");
    assert!(stats.resizes.is_sorted_by_key(|resize| resize.at));
    assert_eq!((stats.ledger.done, stats.ledger.in_flight), (90, 0));
}

#[test]
fn every_resize_is_explained_in_the_log() {
    logs::listen();
    let (time, ctx, pool) = adaptive("talks", 1, 2);
    let mut busy = Busy::new();
    busy.submit(&pool, &ctx, 2);
    busy.running(1);
    time.advance(10 * MS);
    busy.running(2);
    busy.end(&ctx);
    until(|| time.pending() == 2);
    time.advance(10 * SECOND);
    until(|| pool.stats().workers == 1);
    let why = "1 jobs wait, the oldest for 10ms; no job has ended yet";
    assert_eq!(logs::lines(&["INFO", "pool `talks`: 1 -> 2 workers", why]).len(), 1);
    let why = "one had nothing to do for 10s";
    until(|| logs::lines(&["INFO", "pool `talks`: 2 -> 1 workers", why]).len() == 1);
}

#[test]
fn virtual_time_that_moves_by_itself_makes_a_pool_grow() {
    let time = VirtualClock::auto();
    let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    let start = time.now();
    let _me = time.participate();
    let pool = Pool::builder("auto").workers(1..=4).context(&ctx).build().unwrap();
    for _ in 0..4 {
        pool.execute(&ctx, |job| job.sleep(SECOND).unwrap()).unwrap();
    }
    assert_eq!(pool.drain(&ctx).done, 4);
    assert!(time.now() - start < 2 * SECOND, "{:?}", time.now() - start);
}

#[test]
fn patience_has_its_extremes() {
    let build = |patience, keep| {
        let time = VirtualClock::new();
        let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
        let pool = Pool::builder("extreme").workers(1..=8).context(&ctx);
        (time, ctx, pool.patience(patience).keep_idle(keep).build().unwrap())
    };
    let (time, ctx, eager) = build(Duration::ZERO, Duration::MAX);
    let mut busy = Busy::new();
    busy.submit(&eager, &ctx, 1);
    busy.running(1);
    busy.submit(&eager, &ctx, 3);
    busy.running(4); // Nobody moves the clock.
    busy.end(&ctx);
    until(|| eager.stats().queue.blocked_receivers == eager.stats().workers);
    time.advance(Duration::MAX);
    assert!(eager.stats().workers >= 4, "it never shrinks");
    let (time, ctx, stoic) = build(Duration::MAX, Duration::ZERO);
    let mut busy = Busy::new();
    busy.submit(&stoic, &ctx, 4);
    busy.running(1);
    time.advance(Duration::MAX);
    assert_eq!((stoic.stats().workers, time.pending()), (1, 0));
    busy.end(&ctx);
    assert_eq!(stoic.drain(&ctx).done, 4);
}

/// A worker's own job may submit to the full pool, join, and drain: as in a fixed pool.
#[test]
fn an_adaptive_pool_does_not_deadlock_on_itself() {
    let ctx = root().0;
    for order in [Order::Fifo, Order::Priority { aging: SECOND }] {
        let pool = Pool::builder("nest").workers(1..=2).queue(1).order(order).context(&ctx);
        let pool = pool.build().unwrap();
        let inner = pool.submitter();
        let outer = pool.submit(&ctx, move |job| {
            let jobs = (0..10).map(|n| inner.submit(job, move |_| n).unwrap());
            let tickets: Vec<_> = jobs.collect();
            tickets.into_iter().map(|t| t.join(job).unwrap()).sum::<usize>()
        });
        assert_eq!(outer.unwrap().join(&ctx).unwrap(), 45);
        assert_eq!(pool.drain(&ctx).done, 11);
    }
}

#[test]
fn a_drain_that_is_stopped_hands_back_and_a_full_queue_refuses() {
    let (_time, ctx, pool) = adaptive("full", 1, 2);
    let pool = {
        drop(pool);
        Pool::builder("full").workers(1..=2).queue(2).context(&ctx).build().unwrap()
    };
    let mut busy = Busy::new();
    busy.submit(&pool, &ctx, 1);
    busy.running(1);
    let kept: Vec<_> = (0..2).map(|n| pool.try_submit(move |_| n).unwrap()).collect();
    assert!(pool.try_submit(|_| ()).unwrap_err().is_full());
    let late = ctx.with_timeout(Duration::ZERO);
    assert!(pool.submit(&late, |_| ()).unwrap_err().to_string().contains("stopped"));
    assert_eq!((pool.stats().queue.depth, pool.stats().queue.rejected), (2, 1));
    let submitter = pool.submitter();
    let report = pool.drain(&late);
    assert_eq!((report.done, report.undelivered.len()), (1, 2));
    report.undelivered.into_iter().for_each(|job| job.run(&ctx));
    for (n, ticket) in kept.into_iter().enumerate() {
        assert_eq!(ticket.join(&ctx).unwrap(), n);
    }
    let e = submitter.submit(&ctx, |_| 1).unwrap_err();
    assert!(e.is_closed() && submitter.try_submit(|_| 1).is_err());
    let ledger = submitter.stats().ledger;
    assert!(ledger.is_balanced() && ledger.in_flight == 0 && ledger.dropped == 2, "{ledger}");
}

/// Many submitters, real time, growth and shrinking as they come.
#[test]
fn nothing_is_lost_while_the_size_changes() {
    let ctx = root().0;
    for order in [Order::Fifo, Order::Priority { aging: MS }] {
        let pool = Pool::builder("storm").workers(1..=8).queue(4).order(order).context(&ctx);
        let pool = pool.patience(Duration::ZERO).keep_idle(Duration::ZERO).build().unwrap();
        std::thread::scope(|s| {
            for me in 0..4_u8 {
                let (pool, ctx) = (&pool, &ctx);
                s.spawn(move || {
                    for n in 0..500 {
                        let options = JobOptions::new().priority(me);
                        let ticket = pool.submit_with(ctx, options, move |_| n).unwrap();
                        if n % 7 == 0 {
                            assert_eq!(ticket.join(ctx).unwrap(), n);
                        }
                    }
                });
            }
        });
        let submitter = pool.submitter();
        let report = pool.drain(&ctx);
        assert_eq!((report.done, report.undelivered.len()), (2000, 0));
        let stats = submitter.stats();
        assert!(stats.ledger.is_balanced() && stats.ledger.in_flight == 0, "{:?}", stats.ledger);
        assert_eq!(stats.workers, 0);
    }
}

#[test]
fn misuse_of_the_builder_names_the_field() {
    let field = |b: ironsys::pool::Builder| b.build().unwrap_err().field();
    let pool = || Pool::builder("p");
    assert_eq!(field(pool().workers(0..=4)), "workers");
    #[expect(clippy::reversed_empty_ranges, reason = "that is what is tested")]
    let backwards = 4..=2;
    assert_eq!(field(pool().workers(backwards)), "workers");
    assert_eq!(field(pool().workers(1..=usize::MAX)), "workers");
    assert_eq!(field(pool().workers(1..=2).queue(0)), "queue");
    let order = Order::Priority { aging: SECOND };
    assert_eq!(field(pool().workers(1).order(order).queue(0)), "queue");
    let hasty = Order::Priority { aging: Duration::ZERO };
    assert_eq!(field(pool().workers(1).order(hasty)), "order");
    assert_eq!(field(pool().workers(1).heartbeat(Duration::ZERO)), "heartbeat");
    assert_eq!(field(pool().workers(1).replace_stuck(1)), "replace_stuck");
    let endless = pool().workers(1).heartbeat(Duration::MAX);
    assert_eq!(field(endless.clone().replace_stuck(usize::MAX)), "replace_stuck");
    let ctx = root().0;
    assert_eq!(endless.build().unwrap().submit(&ctx, |_| 1).unwrap().join(&ctx).unwrap(), 1);
}
