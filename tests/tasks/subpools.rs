//! Subpools: several pools on common threads, none of which starves.

use crate::pool::{cancelled, count};
use crate::{Crowd, ends, logs, root, throw, until};
use ironsys::pool::{Drained, Order, Pool, Share, Submitter, Subpools, SubpoolsBuilder, Ticket};
use ironsys::{Context, channel};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn over(ctx: &Context, threads: usize) -> SubpoolsBuilder {
    Subpools::over(Pool::builder("common").workers(threads).context(ctx))
}

/// Jobs that wait until they are let go.
struct Gate {
    go: channel::Sender<()>,
    gone: channel::Receiver<()>,
}

impl Gate {
    fn new() -> Self {
        let (go, gone) = channel::bounded(1);
        Gate { go, gone }
    }

    fn submit(&self, pool: &Submitter, ctx: &Context, jobs: usize) -> Vec<Ticket<()>> {
        let job = || {
            let gone = self.gone.clone();
            pool.submit(ctx, move |job| drop(gone.recv(job))).unwrap()
        };
        (0..jobs).map(|_| job()).collect()
    }

    #[track_caller]
    fn held(&self, jobs: usize) {
        until(|| self.gone.stats().blocked_receivers == jobs);
    }
}

#[test]
fn what_is_reserved_is_there_although_the_others_take_all_they_can() {
    let ctx = root().0;
    let pools = over(&ctx, 4)
        .pool("greedy", Share::new(0..=4))
        .pool("modest", Share::new(1..=2))
        .build()
        .unwrap();
    let (greedy, modest) = (pools.get("greedy").unwrap(), pools.get("modest").unwrap());
    let gate = Gate::new();
    drop(gate.submit(greedy, &ctx, 10));
    gate.held(3);
    for n in 0..50 {
        assert_eq!(modest.submit(&ctx, move |_| n).unwrap().join(&ctx).unwrap(), n);
    }
    assert_eq!((greedy.stats().running, greedy.stats().queue.depth), (3, 7));
    drop(gate.go);
    let report = pools.drain(&ctx);
    assert_eq!((report["greedy"].done, report["modest"].done), (10, 50));
}

#[test]
fn a_subpool_takes_what_is_left_over_up_to_its_most() {
    let ctx = root().0;
    let pools =
        over(&ctx, 5).pool("a", Share::new(1..=3)).pool("b", Share::new(1..=5)).build().unwrap();
    let (a, b) = (pools.get("a").unwrap(), pools.get("b").unwrap());
    let (of_a, of_b) = (Gate::new(), Gate::new());
    drop(of_a.submit(a, &ctx, 10));
    of_a.held(3);
    drop(of_b.submit(b, &ctx, 10));
    of_b.held(2);
    assert_eq!((a.stats().running, b.stats().running), (3, 2));
    drop(of_a.go); // Its jobs end, and what they leave over goes to the other.
    of_b.held(4);
    until(|| a.stats().ledger.in_flight == 0);
    assert_eq!(a.submit(&ctx, |_| 7).unwrap().join(&ctx).unwrap(), 7, "the reserve stays");
    assert_eq!(b.stats().running, 4);
    drop(of_b.go);
    drop(pools);
}

#[test]
fn spare_threads_go_round() {
    let ctx = root().0;
    let names = ["a", "b", "c"];
    let pools = names.iter().fold(over(&ctx, 1), |b, name| b.pool(*name, Share::new(0..=1)));
    let pools = pools.build().unwrap();
    let gate = Gate::new();
    drop(gate.submit(pools.get("a").unwrap(), &ctx, 1));
    gate.held(1);
    let ran = Arc::new(Mutex::new(Vec::new()));
    for name in ["a", "a", "a", "b", "b", "c"] {
        let ran = ran.clone();
        let job = move |_: &Context| ran.lock().unwrap().push(name);
        pools.get(name).unwrap().execute(&ctx, job).unwrap();
    }
    drop(gate.go);
    drop(pools.drain(&ctx));
    let ran = ran.lock().unwrap();
    assert_eq!(ran.len(), 6);
    assert!(ran[..3].contains(&"b") && ran[..3].contains(&"c"), "{ran:?}");
}

#[test]
fn limits_hold_and_nothing_is_lost_in_a_storm() {
    let ctx = root().0;
    let shares = [(0, 3), (1, 1), (1, 4), (0, 1)];
    for threads in [Pool::builder("fixed").workers(4), Pool::builder("grows").workers(1..=4)] {
        let threads = threads.patience(Duration::ZERO).keep_idle(Duration::ZERO).context(&ctx);
        let mut pools = Subpools::over(threads);
        for (i, (least, most)) in shares.into_iter().enumerate() {
            pools = pools.pool(i.to_string(), Share::new(least..=most).queue(2));
        }
        let pools = pools.build().unwrap();
        let all = Arc::new(Crowd::default());
        std::thread::scope(|s| {
            for (i, (_, most)) in shares.into_iter().enumerate() {
                let (pools, ctx, all) = (&pools, &ctx, &all);
                s.spawn(move || {
                    let (mine, pool) = (Arc::new(Crowd::default()), pools.get(&i.to_string()));
                    let pool = pool.unwrap();
                    for n in 0..400 {
                        let (all, mine) = (all.clone(), mine.clone());
                        let job = move |_: &Context| {
                            all.visit();
                            mine.visit();
                            if n % 10 == 0 {
                                throw("now and then");
                            }
                        };
                        drop(pool.submit(ctx, job).unwrap());
                    }
                    until(|| pool.stats().ledger.in_flight == 0);
                    assert!(mine.peak() <= most, "{} of {most}", mine.peak());
                });
            }
        });
        assert!(all.peak() <= 4);
        let handles: Vec<_> = (0..4).map(|i| pools.get(&i.to_string()).unwrap().clone()).collect();
        for (name, report) in pools.drain(&ctx) {
            assert_eq!((report.done, report.failed, report.undelivered.len()), (360, 40, 0));
            let stats = handles[name.parse::<usize>().unwrap()].stats();
            assert!(stats.ledger.is_balanced() && stats.running == 0, "{stats:?}");
        }
    }
}

#[test]
fn a_job_joins_and_submits_to_its_own_subpool() {
    ends(|| {
        let ctx = root().0;
        let pools = over(&ctx, 1).pool("only", Share::new(1..=1).queue(1)).build().unwrap();
        let pool = pools.get("only").unwrap();
        let inner = pool.clone();
        let outer = pool.submit(&ctx, move |job| {
            let jobs = (0..10).map(|n| inner.submit(job, move |_| n).unwrap());
            let tickets: Vec<_> = jobs.collect();
            tickets.into_iter().map(|t| t.join(job).unwrap()).sum::<usize>()
        });
        assert_eq!(outer.unwrap().join(&ctx).unwrap(), 45);
        until(|| pool.stats().ledger.in_flight == 0);
        let stats = pool.stats();
        assert!(stats.ledger.is_balanced() && stats.ledger.done == 11, "{:?}", stats.ledger);
        assert_eq!(pools.drain(&ctx)["only"].done, 11);
    });
}

#[test]
fn a_job_waits_for_another_subpool() {
    ends(|| {
        let ctx = root().0;
        let pools = over(&ctx, 2)
            .pool("front", Share::new(1..=1))
            .pool("back", Share::new(1..=1).queue(1))
            .build()
            .unwrap();
        let back = pools.get("back").unwrap().clone();
        let front = pools.get("front").unwrap().submit(&ctx, move |job| {
            let jobs = (0..10).map(|n| back.submit(job, move |_| n).unwrap());
            let tickets: Vec<_> = jobs.collect();
            tickets.into_iter().map(|t| t.join(job).unwrap()).sum::<usize>()
        });
        assert_eq!(front.unwrap().join(&ctx).unwrap(), 45);
        let report = pools.drain(&ctx);
        assert_eq!((report["front"].done, report["back"].done), (1, 10));
    });
}

#[test]
fn a_full_queue_gives_the_closure_back() {
    let ctx = root().0;
    let pools = over(&ctx, 1).pool("a", Share::new(1..=1).queue(1)).build().unwrap();
    let a = pools.get("a").unwrap();
    let gate = Gate::new();
    drop(gate.submit(a, &ctx, 1));
    gate.held(1);
    let queued = a.try_submit(|_| 1).unwrap();
    let e = a.try_submit(|_| 2).unwrap_err();
    assert!(e.is_full());
    let e = a.submit(&ctx.with_timeout(Duration::ZERO), e.into_inner()).unwrap_err();
    std::thread::scope(|s| {
        let blocked = s.spawn(|| a.submit(&ctx, e.into_inner()).unwrap().join(&ctx).unwrap());
        until(|| a.stats().queue.blocked_senders == 1);
        drop(gate.go);
        assert_eq!(blocked.join().unwrap(), 2);
    });
    assert_eq!((queued.join(&ctx).unwrap(), a.stats().queue.rejected), (1, 1));
    assert_eq!(a.name(), "a");
}

#[test]
fn groups_and_names_work_on_a_subpool() {
    let ctx = root().0;
    let pools = over(&ctx, 2).pool("a", Share::new(1..=2)).build().unwrap();
    let mut group = pools.get("a").unwrap().group();
    for n in 0..10 {
        group.submit(&ctx, move |_| n).unwrap();
    }
    let results: Vec<_> = group.join(&ctx).unwrap().into_iter().map(Result::unwrap).collect();
    assert!(results.into_iter().eq(0..10));
    assert!(pools.get("b").is_none());
}

#[test]
fn a_worker_that_dies_gives_its_share_back() {
    ends(|| {
        logs::listen();
        let ctx = root().0;
        let pools = over(&ctx, 1).pool("a", Share::new(1..=1)).build().unwrap();
        let a = pools.get("a").unwrap();
        for _ in 0..3 {
            a.execute(&ctx, |_| throw("PANICS")).unwrap(); // The line about it panics.
        }
        assert_eq!(a.submit(&ctx, |_| 7).unwrap().join(&ctx).unwrap(), 7);
        until(|| a.stats().ledger.in_flight == 0);
        let ledger = a.stats().ledger;
        assert_eq!((ledger.failed, ledger.done, pools.stats().revived), (3, 1, 3));
    });
}

#[test]
fn the_end_hands_back_or_cancels() {
    ends(|| {
        for how in ["drained", "dropped", "stopped"] {
            let (ctx, cancel) = root();
            let outside = root().0;
            let pools = over(&ctx, 1)
                .pool("a", Share::new(0..=1))
                .pool("b", Share::new(0..=1))
                .build()
                .unwrap();
            let (a, b) = (pools.get("a").unwrap().clone(), pools.get("b").unwrap().clone());
            let gate = Gate::new();
            drop(gate.submit(&a, &ctx, 1));
            gate.held(1);
            let ran = Arc::new(AtomicUsize::new(0));
            let job = |ran: &Arc<AtomicUsize>| {
                let ran = ran.clone();
                move |_: &Context| count(&ran)
            };
            let tickets = [&a, &b, &b].map(|pool| pool.submit(&ctx, job(&ran)).unwrap());
            if how == "dropped" {
                drop(pools);
            } else {
                if how == "stopped" {
                    cancel.cancel();
                }
                let patience = if how == "stopped" { Duration::MAX } else { Duration::ZERO };
                let report = pools.drain(&outside.with_timeout(patience));
                let not_begun = |name| {
                    let Drained { cancelled, undelivered, .. } = &report[name];
                    let undelivered = undelivered.len() as u64;
                    if how == "stopped" { *cancelled } else { undelivered }
                };
                assert_eq!(not_begun("a") + not_begun("b"), 3);
            }
            tickets.into_iter().for_each(|ticket| drop(cancelled(ticket.join(&outside))));
            assert_eq!(ran.load(SeqCst), 0);
            for pool in [a, b] {
                let ledger = pool.stats().ledger;
                assert!(ledger.is_balanced() && ledger.in_flight == 0, "{how}: {ledger}");
                assert!(pool.submit(&outside, |_| ()).unwrap_err().is_closed());
            }
        }
    });
}

#[test]
fn misuse_of_the_builder_names_the_field() {
    let ctx = root().0;
    let field = |b: SubpoolsBuilder| b.build().unwrap_err().field();
    let one = |share| over(&ctx, 2).pool("a", share);
    assert_eq!(field(over(&ctx, 2)), "pool");
    assert_eq!(field(one(Share::new(0..=0))), "pool");
    #[expect(clippy::reversed_empty_ranges, reason = "that is what is tested")]
    let backwards = 2..=1;
    assert_eq!(field(one(Share::new(backwards))), "pool");
    assert_eq!(field(one(Share::new(1..=1).queue(0))), "pool");
    assert_eq!(field(one(Share::new(1..=1)).pool("a", Share::new(1..=1))), "pool");
    assert_eq!(field(one(Share::new(1..=1)).pool("b", Share::new(2..=2))), "pool");
    assert_eq!(
        field(one(Share::new(usize::MAX..=usize::MAX)).pool("b", Share::new(2..=2))),
        "pool"
    );
    assert_eq!(field(one(Share::new(2..=2)).pool("b", Share::new(0..=1))), "pool");
    assert_eq!(field(over(&ctx, 0).pool("a", Share::new(0..=1))), "pool");
    let order = Order::Priority { aging: Duration::MAX };
    let ordered = Subpools::over(Pool::builder("p").workers(1).order(order));
    assert_eq!(field(ordered.pool("a", Share::new(1..=1))), "order");
    let huge = one(Share::new(0..=usize::MAX).queue(usize::MAX)).build().unwrap();
    assert_eq!(huge.get("a").unwrap().submit(&ctx, |_| 7).unwrap().join(&ctx).unwrap(), 7);
}
