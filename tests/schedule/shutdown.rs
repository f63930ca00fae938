//! The end of a scheduler: nothing is lost, nothing outlives it, nothing hangs.

use crate::{World, secs, until};
use ironsys::pool::Pool;
use ironsys::schedule::{Overlap, Plan, Refused, RunNowError};
use ironsys::{Context, channel};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

#[test]
fn drain_finishes_what_was_accepted_and_hands_back_the_rest() {
    let w = World::new();
    let s = w.builder().workers(1).build().unwrap();
    let queue = Plan::every(secs(10)).overlap(Overlap::Queue(NonZeroU32::MIN));
    s.add("slow", queue, w.takes(15, "begin", "end", "stopped")).unwrap();
    let word = String::from("by value");
    let (tx, rx) = channel::bounded(1);
    s.after("later", secs(3600), move |_: &Context| drop(tx.try_send(word))).unwrap();
    w.live(22);
    let (handle, report) = (s.handle(), s.drain(&w.ctx));
    assert_eq!(w.now(), 40); // the one at work, and the one that waited for it
    assert_eq!((report.done, report.failed, report.cancelled), (2, 0, 0));
    let ids: Vec<_> = report.left.iter().map(|left| &*left.view().id).collect();
    assert_eq!(ids, ["slow", "later"]);
    for left in report.left {
        if &*left.view().id == "later" {
            assert_eq!(left.view().due_in, Some(secs(3600 - 40)));
            left.run(&w.ctx).unwrap();
        }
    }
    assert_eq!(rx.try_recv().unwrap(), "by value");
    let closed = handle.add("new", Plan::every(secs(1)), |_| ()).unwrap_err();
    assert_eq!(closed.why, Refused::Closed);
    assert_eq!(handle.run_now("slow"), Err(RunNowError::Closed));
    assert!(handle.list().is_empty());
}

#[test]
fn drain_that_is_stopped_cancels_the_runs() {
    let w = World::new();
    let s = w.builder().workers(1).build().unwrap();
    s.add("a", Plan::every(secs(10)), w.takes(100, "begin", "end", "stopped")).unwrap();
    let waits = |_: &Context| -> () { unreachable!("there is no thread for it") };
    s.after("b", secs(11), waits).unwrap();
    w.live(12);
    let report = s.drain(&w.ctx.with_timeout(secs(20)));
    assert_eq!(w.now(), 32);
    w.expect(&[("stopped", 32)]);
    assert_eq!((report.done, report.cancelled), (1, 1)); // "a" ends well when it is stopped
    let ids: Vec<_> = report.left.iter().map(|left| &*left.view().id).collect();
    assert_eq!(ids, ["a", "b"]); // what was accepted and not begun is handed back, too
}

#[test]
fn dropping_cancels_joins_and_drops_the_jobs() {
    let w = World::new();
    let alive = Arc::new(());
    let s = w.scheduler();
    let (mine, takes) = (alive.clone(), w.takes(100, "begin", "end", "stopped"));
    s.add("a", Plan::every(secs(10)), move |ctx: &Context| {
        let _ = &mine;
        takes(ctx);
    })
    .unwrap();
    let mine = alive.clone();
    s.after("b", secs(5000), move |_: &Context| drop(mine)).unwrap();
    w.live(12);
    drop(s);
    w.expect(&[("stopped", 12)]);
    assert_eq!(Arc::strong_count(&alive), 1);
    until(|| w.ctx.linked() == (0, 0));
}

#[test]
fn a_job_that_holds_a_handle_is_dropped_with_the_scheduler() {
    let w = World::new();
    let alive = Arc::new(());
    let s = w.scheduler();
    let (handle, mine) = (s.handle(), alive.clone());
    let job = move |_: &Context| drop((handle.stats(), mine.clone()));
    s.add("cycle", Plan::every(secs(10)), job).unwrap();
    drop(s);
    assert_eq!(Arc::strong_count(&alive), 1);
}

#[test]
fn the_contexts_stop_ends_the_schedule() {
    let w = World::new();
    let (ctx, cancel) = w.ctx.with_cancel();
    let s = ironsys::schedule::Scheduler::builder("below").context(&ctx).build().unwrap();
    s.add("a", Plan::every(secs(10)), w.takes(100, "begin", "end", "stopped")).unwrap();
    w.live(12);
    cancel.cancel();
    w.expect(&[("stopped", 12)]);
    until(|| s.stats().running == 0);
    assert_eq!(w.live(100), []);
    assert_eq!(s.run_now("a"), Err(RunNowError::Closed));
    let report = s.drain(&w.ctx);
    assert_eq!((report.done, report.left.len()), (1, 1));
    let never = ironsys::schedule::Scheduler::builder("late").context(&ctx).build().unwrap();
    let closed = never.after("a", secs(1), |_| ()).unwrap_err();
    assert!(closed.is_closed());
    drop(never.drain(&w.ctx));
}

#[test]
fn a_job_may_be_the_one_that_ends_the_scheduler() {
    for (drain, given) in [(true, true), (true, false), (false, true), (false, false)] {
        let w = World::new();
        let place = Arc::new(Mutex::new(None));
        let pool = Pool::builder("given").workers(1).context(&w.ctx).build().unwrap();
        let s = if given { w.builder().pool(&pool) } else { w.builder() }.build().unwrap();
        let (mine, says) = (place.clone(), w.says("over"));
        s.after("last", secs(10), move |ctx: &Context| {
            let s: Option<ironsys::schedule::Scheduler> = mine.lock().unwrap().take();
            match s {
                Some(s) if drain => assert_eq!(s.drain(ctx).left.len(), 1),
                s => drop(s),
            }
            says(ctx);
        })
        .unwrap();
        s.after("never", secs(20), w.says("never")).unwrap();
        *place.lock().unwrap() = Some(s);
        assert_eq!(w.next(), ("over", 10));
        assert_eq!(w.live(100), []);
    }
}

/// The one thread there is drains from inside of a run: what is ready it runs itself, and what would come
/// after its own run does not begin.
#[test]
fn a_job_that_drains_leaves_nothing_waiting_for_its_own_thread() {
    for given in [true, false] {
        let (ctx, _cancel) = Context::builder().timeout(secs(30)).build();
        let place = Arc::new(Mutex::new(None::<ironsys::schedule::Scheduler>));
        let pool = Pool::builder("given").workers(1).context(&ctx).build().unwrap();
        let s = ironsys::schedule::Scheduler::builder("s").context(&ctx);
        let s = if given { s.pool(&pool) } else { s.workers(1) }.build().unwrap();
        let day = || Plan::every(secs(86_400)).overlap(Overlap::Queue(4.try_into().unwrap()));
        let (begun, has_begun) = channel::bounded(1);
        let (report, reported) = channel::bounded(1);
        let mine = place.clone();
        let drains = move |ctx: &Context| {
            begun.send(ctx, ()).unwrap();
            until(|| mine.lock().unwrap().is_some());
            let s = mine.lock().unwrap().take().unwrap();
            report.try_send(s.drain(ctx)).unwrap();
        };
        s.add("drains", day(), drains).unwrap();
        s.add("other", day(), |_: &Context| ()).unwrap();
        s.run_now("drains").unwrap();
        has_begun.recv(&ctx).unwrap();
        for id in ["drains", "drains", "other", "other", "other"] {
            s.run_now(id).unwrap();
        }
        let handle = s.handle();
        *place.lock().unwrap() = Some(s);
        until(|| !reported.is_empty());
        let report = reported.recv(&ctx).unwrap();
        assert_eq!((report.done, report.cancelled, report.left.len()), (3, 2, 2), "{given}");
        until(|| handle.stats().ledger.in_flight == 0);
        let ledger = handle.stats().ledger;
        assert!(ledger.is_balanced() && ledger.done == 4, "{ledger}");
        drop(pool);
    }
}

#[test]
fn jobs_run_on_a_given_pool() {
    let w = World::new();
    let pool = Pool::builder("given").workers(2).context(&w.ctx).build().unwrap();
    let s = w.builder().pool(&pool).build().unwrap();
    let says = w.says("run");
    s.add("job", Plan::every(secs(10)), move |ctx: &Context| {
        assert!(std::thread::current().name().unwrap().starts_with("given"));
        says(ctx);
    })
    .unwrap();
    w.expect(&[("run", 10), ("run", 20), ("run", 30)]);
    assert_eq!(pool.stats().ledger.accepted, 3);
}

#[test]
fn dropping_waits_for_the_runs_on_a_given_pool() {
    let w = World::new();
    let pool = Pool::builder("given").workers(1).context(&w.ctx).build().unwrap();
    let s = w.builder().pool(&pool).build().unwrap();
    s.add("a", Plan::every(secs(10)), w.takes(100, "begin", "end", "stopped")).unwrap();
    s.add("b", Plan::every(secs(11)), w.says("never")).unwrap();
    w.live(12); // "b" waits in the pool's queue
    let handle = s.handle();
    drop(s);
    assert_eq!(w.live(100), [("begin", 10), ("stopped", 12)][1..]);
    let ledger = handle.stats().ledger;
    assert!(ledger.is_balanced() && ledger.in_flight == 0, "{ledger}");
    assert_eq!((ledger.accepted, ledger.done, ledger.cancelled), (2, 1, 1));
}

#[test]
fn a_pool_that_is_gone_refuses_the_runs_and_the_jobs_keep_their_schedule() {
    let w = World::new();
    let pool = Pool::builder("given").workers(1).queue(8).context(&w.ctx).build().unwrap();
    let s = w.builder().pool(&pool).build().unwrap();
    s.add("a", Plan::every(secs(10)), w.takes(100, "begin", "end", "stopped")).unwrap();
    s.add("b", Plan::every(secs(11)), w.says("never")).unwrap();
    w.live(12);
    drop(pool); // with a run at work and one in the queue
    w.live(50);
    let ledger = s.stats().ledger;
    assert!(ledger.is_balanced() && ledger.in_flight == 0, "{ledger}");
    assert_eq!((ledger.done, ledger.cancelled + 1), (1, ledger.accepted));
    assert!(ledger.cancelled > 5);
    assert_eq!(s.drain(&w.ctx).left.len(), 2);
}

#[test]
fn chaos_of_adds_cancels_and_runs_balances() {
    let s = ironsys::schedule::Scheduler::builder("real").workers(2).build().unwrap();
    let (ctx, _cancel) = Context::root();
    let ms = std::time::Duration::from_micros;
    std::thread::scope(|threads| {
        for t in 0..3 {
            let s = s.handle();
            threads.spawn(move || {
                for n in 0..300_u64 {
                    let id = format!("{}", (t + n) % 7);
                    let rule = match n % 4 {
                        0 => Overlap::Skip,
                        1 => Overlap::Replace,
                        2 => Overlap::Queue(NonZeroU32::MIN),
                        _ => Overlap::Allow(NonZeroU32::MIN),
                    };
                    let plan = Plan::every(ms(1 + n % 50)).overlap(rule);
                    let _ = s.add(&id, plan, |_| ());
                    let _ = s.run_now(&id);
                    match n % 5 {
                        0 => drop(s.cancel(&id)),
                        1 => drop(s.remove(&id)),
                        2 => drop(s.pause(&id)),
                        3 => drop(s.resume(&id)),
                        _ => assert!(s.stats().ledger.is_balanced()),
                    }
                }
            });
        }
    });
    let handle = s.handle();
    drop(s.drain(&ctx));
    let stats = handle.stats();
    assert!(stats.ledger.is_balanced() && stats.ledger.in_flight == 0, "{}", stats.ledger);
    assert!(stats.ledger.done > 0 && stats.jobs == 0);
}
