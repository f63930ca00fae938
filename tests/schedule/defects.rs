//! What goes wrong in other schedulers, by name.

use crate::{World, secs, throw, until};
use ironsys::pool::Pool;
use ironsys::schedule::{Plan, Scheduler};
use ironsys::{Context, channel};
use std::time::Duration;

/// goflow 33: started after it was stopped it says nothing and is dead; stopped twice it panics.
#[test]
fn a_scheduler_that_has_ended_says_so() {
    let w = World::new();
    let s = w.scheduler();
    let handle = s.handle();
    drop(s.drain(&w.ctx));
    assert!(handle.after("late", secs(1), |_| ()).unwrap_err().is_closed());
    assert_eq!(handle.cancel_all(), 0);
}

/// goflow 34: the documentation shows what the parser rejects.
#[cfg(feature = "cron")]
#[test]
fn five_fields_six_fields_and_nicknames_are_understood() {
    for text in
        ["*/5 * * * *", "30 */5 * * * *", "@daily", "@hourly", "@midnight", "0 9 * * MON-FRI"]
    {
        text.parse::<ironsys::schedule::Cron>().unwrap();
    }
}

/// goflow 35: four runs of one job at once.
#[test]
fn one_job_does_not_overlap_itself_unless_it_is_allowed_to() {
    let w = World::new();
    let s = w.builder().workers(4).build().unwrap();
    s.add("job", Plan::every(secs(1)), w.takes(10, "begin", "end", "stopped")).unwrap();
    for _ in 0..5 {
        assert_eq!(w.next().0, "begin");
        assert_eq!(w.next().0, "end");
    }
}

/// goflow 36: an interval of 60 ms ran 30 times in 3 s, since the work and a tick came on top.
#[test]
fn an_interval_counts_from_start_to_start() {
    let w = World::new();
    let s = w.scheduler();
    let ms = Duration::from_millis;
    let (tx, rx) = channel::bounded(100);
    s.add("job", Plan::every(ms(60)), move |ctx: &Context| {
        tx.try_send(ctx.clock().now()).unwrap();
        let _ = ctx.sleep(ms(35));
    })
    .unwrap();
    w.ctx.sleep(ms(3010)).unwrap();
    let begins: Vec<_> = std::iter::from_fn(|| rx.try_recv().ok()).collect();
    assert!(begins.iter().map(|at| *at - w.start).eq((1..=50).map(|n| ms(60) * n)));
}

/// goflow 37: a full pool stalls every job, and what it refuses is forgotten.
#[test]
fn a_full_pool_delays_its_runs_and_nothing_else() {
    let w = World::new();
    let pool = Pool::builder("full").workers(1).queue(0).context(&w.ctx).build().unwrap();
    let s = w.builder().pool(&pool).build().unwrap();
    let (release, wait) = channel::bounded::<()>(1);
    pool.execute(&w.ctx, move |ctx| drop(wait.recv(ctx))).unwrap();
    s.after("once", secs(5), w.says("once")).unwrap();
    s.add("often", Plan::every(secs(10)), w.says("often")).unwrap();
    assert_eq!(w.live(95), []);
    // The dispatch went on: of nine times one waits for the pool, the others found it waiting.
    assert_eq!((s.job("often").unwrap().skipped, s.stats().waiting), (8, 2));
    release.send(&w.ctx, ()).unwrap();
    w.expect(&[("once", 95), ("often", 95), ("often", 100), ("often", 110)]);
}

/// goflow 38: every job is looked at every 50 ms.
#[test]
fn only_what_is_due_is_looked_at() {
    let w = World::new();
    let s = w.scheduler();
    s.add("rare", Plan::every(secs(1_000_000)), w.says("rare")).unwrap();
    w.next();
    w.next();
    assert!(s.stats().looks <= 5, "{}", s.stats().looks);
}

/// goflow 39: stopping waits neither for its own loop nor for what runs on somebody else's pool.
#[test]
fn the_end_waits_for_every_run() {
    let w = World::new();
    let pool = Pool::builder("given").workers(1).context(&w.ctx).build().unwrap();
    for s in [w.scheduler(), w.builder().pool(&pool).build().unwrap()] {
        let (says, ends) = (w.says("begins"), w.says("ends"));
        s.after("deaf", Duration::ZERO, move |ctx: &Context| {
            says(ctx);
            let _ = ctx.shielded(secs(1000)).sleep(secs(50));
            ends(&ctx.shielded(secs(1)));
        })
        .unwrap();
        assert_eq!(w.next().0, "begins");
        let begun = w.now();
        drop(s);
        assert_eq!(w.now(), begun + 50);
        assert_eq!(w.next().0, "ends");
    }
}

/// scheduled-thread-pool: a periodic job that panics silently never runs again.
#[test]
fn a_periodic_job_survives_its_panic() {
    let w = World::new();
    let s = w.scheduler();
    let says = w.says("run");
    s.add("job", Plan::every(secs(10)), move |ctx: &Context| {
        says(ctx);
        throw("again")
    })
    .unwrap();
    w.expect(&[("run", 10), ("run", 20), ("run", 30)]);
}

/// scheduled-thread-pool: cancelling does not reach the run at work.
#[test]
fn cancelling_reaches_the_run_at_work() {
    let w = World::new();
    let s = w.scheduler();
    s.add("job", Plan::every(secs(10)), w.takes(1000, "begin", "end", "stopped")).unwrap();
    assert_eq!(w.next(), ("begin", 10));
    assert!(s.cancel("job"));
    assert_eq!(w.next(), ("stopped", 10));
}

/// Two schedulers live in one process, without anything global.
#[test]
fn two_schedulers_do_not_know_of_each_other() {
    let (a, b) =
        (Scheduler::builder("a").build().unwrap(), Scheduler::builder("b").build().unwrap());
    a.after("id", secs(1000), |_| ()).unwrap();
    b.after("id", Duration::ZERO, |_| ()).unwrap();
    until(|| b.stats().ledger.done == 1);
    assert_eq!((a.list().len(), a.stats().ledger.accepted), (1, 0));
}
