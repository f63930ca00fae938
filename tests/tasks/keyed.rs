//! Keyed pools: order within a key, parallel across keys, bounded both ways.

use crate::pool::{SECOND, cancelled, count};
use crate::{Counted, Crowd, ends, logs, root, throw, until};
use ironsys::pool::{KeyedPool, KeyedSubmitter, Order, Pool, SubmitError};
use ironsys::{Context, channel};
use proptest::prelude::*;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn keyed(ctx: &Context, workers: usize, keys: usize, queue: usize) -> KeyedPool {
    let threads = Pool::builder("keyed").workers(workers).context(ctx);
    KeyedPool::over(threads).keys(keys).queue(queue).build().unwrap()
}

/// Keeps a key busy until the sender is dropped.
fn occupy(pool: &KeyedSubmitter, ctx: &Context, key: &str) -> channel::Sender<()> {
    let (go, gone) = channel::bounded(1);
    let blocked: channel::Receiver<()> = gone.clone();
    pool.execute(ctx, key, move |job| drop(gone.recv(job))).unwrap();
    until(|| blocked.stats().blocked_receivers == 1);
    go
}

#[test]
fn the_jobs_of_a_key_run_in_order_and_never_meet() {
    let ctx = root().0;
    for workers in [Pool::builder("fixed").workers(4), Pool::builder("grows").workers(1..=4)] {
        let workers = workers.patience(Duration::ZERO).keep_idle(Duration::ZERO).context(&ctx);
        let pool = KeyedPool::over(workers).keys(8).queue(3).build().unwrap();
        let ran: [Mutex<Vec<usize>>; 10] = Default::default();
        let crowds: [Crowd; 10] = Default::default();
        let (ran, crowds) = (Arc::new(ran), Arc::new(crowds));
        std::thread::scope(|s| {
            for key in 0..10 {
                let (pool, ctx, ran, crowds) = (&pool, &ctx, &ran, &crowds);
                s.spawn(move || {
                    for n in 0..300 {
                        let (ran, crowds) = (ran.clone(), crowds.clone());
                        let job = move |_: &Context| {
                            crowds[key].visit();
                            ran[key].lock().unwrap().push(n);
                        };
                        pool.execute(ctx, &key, job).unwrap();
                    }
                });
            }
        });
        let submitter = pool.submitter();
        let report = pool.drain(&ctx);
        assert_eq!((report.done, report.undelivered.len()), (3000, 0));
        for key in 0..10 {
            assert!(ran[key].lock().unwrap().iter().copied().eq(0..300), "key {key}");
            assert_eq!(crowds[key].peak(), 1);
        }
        let stats = submitter.stats();
        assert!(stats.ledger.is_balanced() && stats.ledger.in_flight == 0, "{:?}", stats.ledger);
        assert_eq!((stats.keys, stats.waiting, stats.blocked), (0, 0, 0));
    }
}

#[test]
fn different_keys_run_in_parallel() {
    let ctx = root().0;
    let pool = keyed(&ctx, 2, 10, 10);
    let (tx, rx) = channel::bounded(0);
    let sent = pool.submit(&ctx, "a", move |job| tx.send(job, 7).is_ok()).unwrap();
    let met = pool.submit(&ctx, "b", move |job| rx.recv(job).unwrap()).unwrap();
    assert_eq!((met.join(&ctx).unwrap(), sent.join(&ctx).unwrap()), (7, true));
}

#[test]
fn keys_take_turns() {
    let ctx = root().0;
    let pool = keyed(&ctx, 1, 10, 100);
    let go = occupy(&pool, &ctx, "gate");
    let ran = Arc::new(Mutex::new(Vec::new()));
    for key in ["hot", "hot", "hot", "cold", "hot", "cool"] {
        let ran = ran.clone();
        pool.execute(&ctx, key, move |_| ran.lock().unwrap().push(key)).unwrap();
    }
    drop(go);
    assert_eq!(pool.drain(&ctx).done, 7);
    assert_eq!(*ran.lock().unwrap(), ["hot", "cold", "cool", "hot", "hot", "hot"]);
}

#[test]
fn idle_keys_cost_nothing_and_live_ones_are_bounded() {
    let ctx = root().0;
    let pool = keyed(&ctx, 2, 16, 1);
    let ran = Arc::new(AtomicUsize::new(0));
    for key in 0..10_000 {
        let ran = ran.clone();
        pool.execute(&ctx, &key, move |_| count(&ran)).unwrap();
        assert!(pool.stats().keys <= 16);
    }
    until(|| pool.stats().keys == 0);
    assert_eq!(ran.load(SeqCst), 10_000);
}

#[test]
fn too_many_keys_or_jobs_of_one_are_refused_with_the_closure() {
    let ctx = root().0;
    let things = Counted::new();
    let pool = keyed(&ctx, 2, 2, 1);
    let go = occupy(&pool, &ctx, "a");
    let second = pool.try_submit("a", |_| 2).unwrap();
    let thing = things.make();
    let e = pool.try_submit("a", move |_| thing).unwrap_err();
    assert!(e.is_full());
    let _b = occupy(&pool, &ctx, "b");
    let e = pool.try_submit("c", e.into_inner()).unwrap_err();
    assert!(e.is_full());
    let soon = ctx.with_timeout(Duration::ZERO);
    let e = pool.submit(&soon, "c", e.into_inner()).unwrap_err();
    assert!(matches!(e, SubmitError::Stopped { .. }));
    assert_eq!((things.dropped(), pool.stats().rejected, pool.stats().keys), (0, 2, 2));
    drop(go);
    assert_eq!(second.join(&ctx).unwrap(), 2);
    drop(pool.submit(&ctx, "c", e.into_inner()).unwrap().join(&ctx).unwrap());
    assert_eq!(things.all_gone(), 1);
}

#[test]
fn a_blocked_submit_goes_on_when_there_is_room_and_leaves_nothing_when_it_is_cancelled() {
    let ctx = root().0;
    let pool = keyed(&ctx, 1, 1, 1);
    let go = occupy(&pool, &ctx, "a");
    let behind = pool.submit(&ctx, "a", |_| 1).unwrap();
    let pool = &pool;
    let (child, cancel) = ctx.with_cancel();
    std::thread::scope(|s| {
        let given_up = [("a", &child), ("b", &child)]
            .map(|(key, ctx)| s.spawn(move || pool.submit(ctx, key, |_| ()).is_err()));
        until(|| pool.stats().blocked == 2);
        let of_key = s.spawn(|| pool.submit(&ctx, "b", |_| 3).unwrap().join(&ctx).unwrap());
        let of_lane = s.spawn(|| pool.submit(&ctx, "a", |_| 2).unwrap().join(&ctx).unwrap());
        until(|| pool.stats().blocked == 4);
        cancel.cancel();
        assert!(given_up.into_iter().all(|thread| thread.join().unwrap()));
        assert_eq!(pool.stats().blocked, 2);
        drop(go);
        assert_eq!((of_lane.join().unwrap(), of_key.join().unwrap()), (2, 3));
    });
    assert_eq!(behind.join(&ctx).unwrap(), 1);
    until(|| pool.stats().keys == 0);
}

#[test]
fn a_job_that_panics_does_not_block_its_key() {
    ends(|| {
        logs::listen();
        let ctx = root().0;
        let pool = keyed(&ctx, 1, 4, 10);
        let go = occupy(&pool, &ctx, "a");
        let bad = pool.submit::<_, _, ()>(&ctx, "a", |_| throw("bad")).unwrap();
        pool.execute(&ctx, "a", |_| throw("PANICS")).unwrap(); // And the logger, too.
        let good = pool.submit(&ctx, "a", |_| 7).unwrap();
        drop(go);
        assert!(bad.join(&ctx).unwrap_err().is_panicked());
        assert_eq!(good.join(&ctx).unwrap(), 7);
        until(|| pool.stats().ledger.in_flight == 0);
        let stats = pool.stats();
        assert_eq!((stats.ledger.done, stats.ledger.failed, stats.threads.revived), (2, 2, 1));
        assert!(stats.ledger.is_balanced() && stats.keys == 0, "{stats:?}");
    });
}

#[test]
fn a_job_submits_to_its_own_pool_without_waiting_for_itself() {
    ends(|| {
        let ctx = root().0;
        let pool = keyed(&ctx, 1, 2, 1);
        let inner = pool.submitter();
        let ticket = pool.submit(&ctx, "a", move |job| {
            let next = inner.submit(job, "a", |_| 1).unwrap();
            let full = inner.submit(job, "a", |_| 2).unwrap_err();
            assert!(matches!(full, SubmitError::Full(_)), "{full:?}");
            let other = inner.submit(job, "b", |_| 3).unwrap();
            let full = inner.execute(job, "c", |_| ()).unwrap_err();
            assert!(matches!(full, SubmitError::Full(_)), "{full:?}");
            (next, other)
        });
        let (next, other) = ticket.unwrap().join(&ctx).unwrap();
        assert_eq!((next.join(&ctx).unwrap(), other.join(&ctx).unwrap()), (1, 3));
    });
}

// ===== the end =====

#[test]
fn a_drain_finishes_or_hands_back_in_the_order_of_each_key() {
    let ctx = root().0;
    let pool = keyed(&ctx, 1, 4, 10);
    let go = occupy(&pool, &ctx, "a");
    let ran = Arc::new(Mutex::new(Vec::new()));
    for n in 0..6 {
        let ran = ran.clone();
        let key = if n % 2 == 0 { "a" } else { "b" };
        pool.execute(&ctx, key, move |_| ran.lock().unwrap().push(n)).unwrap();
    }
    let submitter = pool.submitter();
    let report = pool.drain(&ctx.with_timeout(Duration::ZERO));
    drop(go);
    assert_eq!((report.done, report.undelivered.len()), (1, 6));
    report.undelivered.into_iter().for_each(|job| job.run(&ctx));
    let ran = ran.lock().unwrap();
    let of = |rest| ran.iter().copied().filter(|n| n % 2 == rest).collect::<Vec<_>>();
    assert_eq!((of(0), of(1)), (vec![0, 2, 4], vec![1, 3, 5]));
    assert!(submitter.submit(&ctx, "a", |_| ()).unwrap_err().is_closed());
    let ledger = submitter.stats().ledger;
    assert_eq!((ledger.accepted, ledger.done, ledger.dropped, ledger.in_flight), (7, 1, 6, 0));
}

#[test]
fn a_drain_gives_blocked_submits_their_closures_back() {
    let ctx = root().0;
    let pool = keyed(&ctx, 1, 1, 1);
    let go = occupy(&pool, &ctx, "a");
    let submitter = pool.submitter();
    std::thread::scope(|s| {
        let blocked = s.spawn(|| submitter.submit(&ctx, "b", |_| ()).unwrap_err().is_closed());
        until(|| submitter.stats().blocked == 1);
        let draining = s.spawn(|| pool.drain(&ctx));
        assert!(blocked.join().unwrap());
        drop(go);
        assert_eq!(draining.join().unwrap().done, 1);
    });
}

#[test]
fn a_pool_that_is_dropped_or_stopped_answers_every_ticket() {
    ends(|| {
        for stops in [false, true] {
            let (ctx, cancel) = root();
            let outside = root().0;
            let pool = keyed(&ctx, 1, 4, 10);
            let _go = occupy(&pool, &ctx, "a");
            let tickets: Vec<_> =
                ["a", "a", "b"].map(|key| pool.submit(&ctx, key, |_| ()).unwrap()).into();
            if stops {
                cancel.cancel();
                let report = pool.drain(&outside);
                assert_eq!((report.cancelled, report.undelivered.len()), (3, 0));
            } else {
                drop(pool);
            }
            tickets.into_iter().for_each(|ticket| drop(cancelled(ticket.join(&outside))));
        }
    });
}

#[test]
fn a_job_may_drain_its_own_pool() {
    ends(|| {
        let ctx = root().0;
        let pool = keyed(&ctx, 1, 4, 10);
        let submitter = pool.submitter();
        let (give, given) = channel::bounded::<KeyedPool>(1);
        let ticket = submitter.submit(&ctx, "a", move |job| {
            let pool = given.recv(job).unwrap();
            pool.drain(job).undelivered.len()
        });
        submitter.execute(&ctx, "a", |_| ()).unwrap();
        give.try_send(pool).unwrap();
        assert_eq!(ticket.unwrap().join(&ctx).unwrap(), 1);
    });
}

#[test]
fn misuse_of_the_builder_names_the_field() {
    let threads = || Pool::builder("p").workers(1);
    let field = |b: ironsys::pool::KeyedBuilder| b.build().unwrap_err().field();
    assert_eq!(field(KeyedPool::over(threads()).keys(0)), "keys");
    assert_eq!(field(KeyedPool::over(threads()).queue(0)), "queue");
    assert_eq!(field(KeyedPool::over(threads().workers(0))), "workers");
    let order = Order::Priority { aging: SECOND };
    assert_eq!(field(KeyedPool::over(threads().order(order))), "order");
    let ctx = root().0;
    let huge = KeyedPool::over(threads()).keys(usize::MAX).queue(usize::MAX).build().unwrap();
    assert_eq!(huge.submit(&ctx, &1, |_| 7).unwrap().join(&ctx).unwrap(), 7);
}

// ===== against a sequential model =====

/// One worker: the live keys in the order of their turns, each with its jobs.
struct Model {
    keys: usize,
    queue: usize,
    lanes: HashMap<u8, VecDeque<usize>>,
    turns: VecDeque<u8>,
}

impl Model {
    fn submit(&mut self, key: u8, n: usize) -> bool {
        if !self.lanes.contains_key(&key) && self.lanes.len() == self.keys {
            return false;
        }
        let lane = self.lanes.entry(key).or_default();
        if lane.len() == self.queue {
            return false;
        }
        lane.push_back(n);
        if !self.turns.contains(&key) {
            self.turns.push_back(key);
        }
        true
    }

    fn run(&mut self) -> Option<usize> {
        let key = self.turns.pop_front()?;
        let lane = self.lanes.get_mut(&key).unwrap();
        let n = lane.pop_front();
        if lane.is_empty() {
            self.lanes.remove(&key);
        } else {
            self.turns.push_back(key);
        }
        n
    }
}

const GATE: u8 = 255;

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn it_does_what_the_sequential_model_does(
        rounds in proptest::collection::vec(proptest::collection::vec(0..6_u8, 0..30), 1..4),
        keys in 2..6_usize,
        queue in 1..4_usize,
    ) {
        let ctx = root().0;
        let pool = keyed(&ctx, 1, keys, queue);
        let mut model = Model { keys, queue, lanes: HashMap::new(), turns: VecDeque::new() };
        let ran = Arc::new(Mutex::new(Vec::new()));
        let (mut n, gates) = (0, rounds.len() as u64);
        for round in rounds {
            // The only worker is held, so that what is submitted waits. Its key is live as well.
            let (go, gone) = channel::bounded::<()>(1);
            let held: channel::Receiver<()> = gone.clone();
            pool.execute(&ctx, &GATE, move |job| drop(gone.recv(job))).unwrap();
            until(|| held.stats().blocked_receivers == 1);
            model.lanes.insert(GATE, VecDeque::new());
            for key in round {
                let ran = ran.clone();
                let accepted = pool.try_submit(&key, move |_| ran.lock().unwrap().push(n)).is_ok();
                prop_assert_eq!(accepted, model.submit(key, n), "job {} of key {}", n, key);
                n += 1;
            }
            model.lanes.remove(&GATE);
            drop(go);
            until(|| pool.stats().ledger.in_flight == 0);
            let expected: Vec<_> = std::iter::from_fn(|| model.run()).collect();
            prop_assert_eq!(std::mem::take(&mut *ran.lock().unwrap()), expected);
        }
        let stats = pool.stats();
        prop_assert!(stats.ledger.is_balanced() && stats.keys == 0);
        prop_assert_eq!(stats.ledger.accepted + stats.rejected, n as u64 + gates);
    }
}

/// Two wait for a key that may not be live yet. When it is, both have what they waited for.
#[test]
fn a_key_that_becomes_live_lets_all_in_that_wait_for_it() {
    let ctx = root().0;
    let pool = keyed(&ctx, 2, 1, 8);
    let first = occupy(&pool, &ctx, "a");
    let (go, gone) = channel::bounded::<()>(1);
    std::thread::scope(|s| {
        for n in 0..3 {
            let (pool, ctx, gone) = (&pool, &ctx, gone.clone());
            s.spawn(move || pool.execute(ctx, "b", move |job| drop(gone.recv(job))).unwrap());
            until(|| pool.stats().blocked == n + 1);
        }
        drop(first); // One key may be live, and that is now `b`, which is busy until `go` goes.
    });
    until(|| pool.stats().waiting == 2); // All are in, and a worker is at the first of them.
    assert_eq!(pool.stats().keys, 1);
    drop(go);
    assert_eq!(pool.drain(&ctx).done, 4);
}
