//! Jobs that take too long, and workers that die.

use crate::pool::SECOND;
use crate::{Bomb, ends, logs, root, throw, until};
use ironsys::observe::{Registry, TaskKind, WaitKind};
use ironsys::pool::{self, JobOptions, Pool, Stuck};
use ironsys::time::VirtualClock;
use ironsys::{Context, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A pool with a limit of ten seconds, on a virtual clock, and what it reports.
struct Watched {
    time: VirtualClock,
    ctx: Context,
    pool: Pool,
    reports: Arc<Mutex<Vec<Stuck>>>,
}

fn watched(name: &str, workers: usize, replace: usize) -> Watched {
    let time = VirtualClock::new();
    let registry = Registry::new();
    let (ctx, _cancel) = Context::builder().clock(time.clock()).registry(registry).build();
    let reports = Arc::new(Mutex::new(Vec::new()));
    let pool = Pool::builder(name).workers(workers).context(&ctx);
    let pool = pool.heartbeat(10 * SECOND).replace_stuck(replace).on_stuck({
        let reports = reports.clone();
        move |stuck| reports.lock().unwrap().push(stuck.clone())
    });
    Watched { time, ctx, pool: pool.build().unwrap(), reports }
}

impl Watched {
    /// A job that has begun and waits until the sender is dropped.
    fn job(&self, name: &str) -> channel::Sender<()> {
        let (go, gone) = channel::builder(1).name("the end").build().unwrap();
        let blocked: channel::Receiver<()> = gone.clone();
        let options = JobOptions::new().name(name);
        let job = move |job: &Context| drop(gone.recv(job));
        drop(self.pool.submit_with(&self.ctx, options, job).unwrap());
        until(|| blocked.stats().blocked_receivers == 1);
        go
    }

    fn reported(&self) -> usize {
        self.reports.lock().unwrap().len()
    }

    fn idle(&self, workers: usize) {
        until(|| self.pool.stats().queue.blocked_receivers == workers);
    }

    fn works(&self) {
        assert_eq!(self.pool.submit(&self.ctx, |_| 7).unwrap().join(&self.ctx).unwrap(), 7);
    }
}

#[test]
fn a_stuck_job_is_reported_once_with_what_it_waits_for() {
    logs::listen();
    let w = watched("slow", 2, 0);
    let go = w.job("mail");
    w.time.advance(10 * SECOND - Duration::from_nanos(1));
    assert_eq!(w.reported(), 0);
    w.time.advance(Duration::from_nanos(1));
    w.time.advance(100 * SECOND);
    assert_eq!((w.reported(), w.pool.stats().stuck, w.pool.stats().replaced), (1, 1, 0));
    {
        let reports = w.reports.lock().unwrap();
        let stuck = &reports[0];
        assert_eq!((&*stuck.pool, stuck.silent, stuck.replaced), ("slow", 10 * SECOND, false));
        let job = stuck.tasks.as_slice().iter().find(|task| task.kind == TaskKind::Job).unwrap();
        assert_eq!(job.name.as_deref(), Some("mail"));
        let waiting = job.waiting.as_ref().unwrap();
        assert_eq!((waiting.on, waiting.name.as_deref()), (WaitKind::Recv, Some("the end")));
        let text = stuck.to_string();
        assert!(text.contains("no sign of life for 10s") && text.contains("job `mail`"), "{text}");
    }
    let line = logs::lines(&["WARN", "of pool `slow`", "job `mail`", "recv `the end`"]);
    assert_eq!(line.len(), 1);
    drop(go);
    assert_eq!(w.pool.drain(&w.ctx).done, 1);
    assert_eq!(w.time.pending(), 0);
}

#[test]
fn each_job_is_reported_at_its_own_limit() {
    let w = watched("each", 3, 0);
    let _first = w.job("first");
    w.time.advance(4 * SECOND);
    let second = w.job("second");
    w.time.advance(3 * SECOND);
    let _third = w.job("third");
    w.time.advance(3 * SECOND);
    assert_eq!(w.reported(), 1);
    drop(second);
    w.idle(1);
    w.time.advance(4 * SECOND);
    assert_eq!(w.reported(), 1, "the second has ended in time");
    w.time.advance(3 * SECOND);
    assert_eq!(w.reported(), 2);
    assert_eq!(w.time.pending(), 0, "nobody is left to look after");
}

#[test]
fn an_idle_pool_has_no_alarm() {
    let w = watched("idle", 2, 2);
    w.works();
    w.idle(2);
    w.time.advance(10 * SECOND);
    assert_eq!((w.time.pending(), w.reported()), (0, 0));
    w.works();
    assert_eq!(w.time.pending(), 1, "a new job sets it again");
    drop(w.pool);
    assert_eq!(w.time.pending(), 0, "and the end of the pool takes it back");
}

#[test]
fn a_job_that_beats_is_not_stuck() {
    let w = watched("beats", 1, 0);
    let (go, gone) = channel::bounded::<()>(0);
    let (beaten, has_beaten) = channel::bounded(1);
    let ticket = w.pool.submit(&w.ctx, move |job| {
        while gone.recv(job).is_ok() {
            pool::beat();
            beaten.send(job, ()).unwrap();
        }
    });
    let beat = || {
        go.send(&w.ctx, ()).unwrap();
        has_beaten.recv(&w.ctx).unwrap();
    };
    for _ in 0..5 {
        beat();
        w.time.advance(9 * SECOND);
    }
    assert_eq!(w.reported(), 0);
    w.time.advance(SECOND);
    assert_eq!(w.reported(), 1);
    beat();
    w.time.advance(10 * SECOND);
    assert_eq!(w.reported(), 2, "it came back to life, and fell silent again");
    drop(go);
    ticket.unwrap().join(&w.ctx).unwrap();
    pool::beat(); // No job of a pool: nothing happens.
}

#[test]
fn a_stuck_worker_is_replaced_and_leaves_when_it_comes_back() {
    let w = watched("replaced", 1, 1);
    let go = w.job("stuck");
    w.time.advance(10 * SECOND);
    w.works(); // By another worker.
    assert_eq!((w.pool.stats().workers, w.pool.stats().replaced), (2, 1));
    let also = w.job("stuck too");
    w.time.advance(10 * SECOND);
    assert_eq!((w.reported(), w.pool.stats().replaced), (2, 1), "the number is bounded");
    drop(go);
    until(|| w.pool.stats().workers == 1);
    drop(also);
    w.works();
    let again = w.job("stuck again");
    w.time.advance(10 * SECOND);
    w.works();
    assert_eq!(w.pool.stats().replaced, 2, "one that has come back makes room for the next");
    drop(again);
    until(|| w.pool.stats().workers == 1);
    w.works();
    let report = w.pool.drain(&w.ctx);
    assert_eq!((report.done, report.undelivered.len()), (7, 0));
}

#[test]
fn a_pool_that_is_drained_waits_for_stuck_and_replacement_alike() {
    let w = watched("both", 2, 2);
    let one = w.job("one");
    let two = w.job("two");
    w.time.advance(10 * SECOND);
    until(|| w.pool.stats().replaced == 2);
    let submitter = w.pool.submitter();
    let report = std::thread::scope(|s| {
        let draining = s.spawn(|| w.pool.drain(&w.ctx));
        until(|| submitter.try_submit(|_| ()).is_err());
        drop((one, two));
        draining.join().unwrap()
    });
    let stats = submitter.stats();
    assert_eq!((report.done, stats.workers), (stats.ledger.accepted, 0));
}

#[test]
fn a_callback_that_panics_harms_nobody() {
    let time = VirtualClock::new();
    let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    let pool = Pool::builder("p").workers(1).context(&ctx).heartbeat(SECOND).replace_stuck(1);
    let pool = pool.on_stuck(|_| throw(Bomb("callback"))).build().unwrap();
    let (begun, has_begun) = channel::bounded(1);
    let stuck = pool.submit(&ctx, move |job| {
        begun.try_send(()).unwrap();
        job.wait_stopped()
    });
    has_begun.recv(&ctx).unwrap();
    time.advance(SECOND);
    assert_eq!(pool.submit(&ctx, |_| 7).unwrap().join(&ctx).unwrap(), 7);
    drop(pool);
    stuck.unwrap().join(&ctx).unwrap();
}

// ===== workers that die =====

/// A logger that panics unwinds through the worker, past everything that catches a job.
#[test]
fn a_worker_that_dies_is_replaced_and_counted() {
    ends(|| {
        logs::listen();
        let ctx = root().0;
        for watched in [false, true] {
            for most in [1, 2] {
                let pool = Pool::builder("p").workers(1..=most).context(&ctx);
                let limit = if watched { 60 * SECOND } else { Duration::MAX };
                let pool = if watched { pool.heartbeat(limit) } else { pool };
                let pool = pool.build().unwrap();
                for _ in 0..3 {
                    pool.execute(&ctx, |_| throw("PANICS")).unwrap(); // The line about it panics.
                }
                assert_eq!(pool.submit(&ctx, |_| 7).unwrap().join(&ctx).unwrap(), 7);
                until(|| pool.stats().ledger.in_flight == 0);
                let stats = pool.stats();
                assert_eq!((stats.revived, stats.ledger.failed, stats.ledger.done), (3, 3, 1));
                assert!(stats.ledger.is_balanced() && stats.running == 0, "{stats:?}");
                assert_eq!(pool.drain(&ctx).failed, 3);
            }
        }
    });
}

/// A job whose deadline has passed is logged after its result is there: the ticket has it.
#[test]
fn a_ticket_is_answered_although_the_worker_dies() {
    ends(|| {
        logs::listen();
        let time = VirtualClock::new();
        let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
        let pool = Pool::builder("p").workers(1).context(&ctx).build().unwrap();
        let clock = time.clone();
        let options = JobOptions::new().name("PANICS").timeout(SECOND);
        let late = pool.submit_with(&ctx, options, move |_| clock.advance(2 * SECOND)).unwrap();
        late.join(&ctx).unwrap();
        until(|| pool.stats().revived == 1);
        assert_eq!(pool.submit(&ctx, |_| 7).unwrap().join(&ctx).unwrap(), 7);
    });
}
