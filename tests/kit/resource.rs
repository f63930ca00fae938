//! The resource pool.

use crate::{ms, root, throw, timeless, until};
use ironsys::resource::{Pooled, ResourcePool, Stats, TakeError};
use ironsys::{Context, Stop};
use proptest::prelude::*;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

/// A resource: its number, and how many of its kind are alive.
#[derive(Debug)]
struct Thing {
    id: usize,
    world: Arc<World>,
}

#[derive(Debug, Default)]
struct World {
    made: AtomicUsize,
    alive: AtomicUsize,
    peak: AtomicUsize,
    /// The next so many creations fail.
    fail: AtomicUsize,
    sick: Mutex<HashSet<usize>>,
}

impl Drop for Thing {
    fn drop(&mut self) {
        self.world.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

type Things = ResourcePool<Thing, &'static str>;
type Setup = ironsys::resource::Builder<Thing, &'static str>;

fn setup(max: usize) -> (Setup, Arc<World>) {
    let world = Arc::new(World::default());
    let (w, c) = (world.clone(), world.clone());
    let create = move |_: &Context| {
        let fails = w.fail.load(Ordering::SeqCst);
        if fails != 0 {
            w.fail.store(fails - 1, Ordering::SeqCst);
            return Err("refused");
        }
        let alive = w.alive.fetch_add(1, Ordering::SeqCst) + 1;
        w.peak.fetch_max(alive, Ordering::SeqCst);
        Ok(Thing { id: w.made.fetch_add(1, Ordering::SeqCst), world: w.clone() })
    };
    let check = move |_: &Context, thing: &mut Thing| !c.sick.lock().unwrap().contains(&thing.id);
    (ResourcePool::builder("things", create).max(max).check(check), world)
}

fn things(max: usize) -> (Things, Arc<World>) {
    let (setup, world) = setup(max);
    (setup.build().unwrap(), world)
}

#[track_caller]
fn assert_settled(stats: &Stats) {
    assert!(stats.ledger.is_balanced(), "{}", stats.ledger);
    assert_eq!((stats.taken, stats.creating, stats.waiting), (0, 0, 0));
}

#[test]
fn the_one_returned_last_is_taken_first() {
    let (ctx, _cancel) = root();
    let (pool, _) = things(3);
    let all: Vec<_> = (0..3).map(|_| pool.take(&ctx).unwrap()).collect();
    all.into_iter().for_each(drop); // 2 comes back last.
    assert_eq!(pool.take(&ctx).unwrap().id, 2);
    assert_eq!(pool.take(&ctx).unwrap().id, 2);
    let taken = pool.take(&ctx).unwrap();
    assert_eq!((taken.uses(), pool.stats().idle, pool.stats().takes), (4, 2, 6));
}

#[test]
fn a_take_waits_in_line_and_gives_up_with_its_context() {
    let (ctx, _cancel) = root();
    let (pool, world) = things(1);
    let held = pool.take(&ctx).unwrap();
    assert!(matches!(pool.try_take(&ctx), Err(TakeError::Exhausted)));
    let e = pool.take(&ctx.with_timeout(Duration::ZERO)).unwrap_err();
    assert_eq!(e.stop(), Some(&Stop::DeadlineExceeded));
    let (order, came) = mpsc::channel();
    std::thread::scope(|s| {
        for me in 0..3 {
            let (pool, ctx, order) = (&pool, &ctx, order.clone());
            s.spawn(move || {
                let thing = pool.take(ctx).unwrap();
                order.send(me).unwrap();
                drop(thing);
            });
            until(|| pool.stats().waiting == me + 1);
        }
        drop(held);
    });
    drop(order);
    assert_eq!(came.iter().collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(world.peak.load(Ordering::SeqCst), 1);
    assert_settled(&pool.stats());
}

#[test]
fn what_is_sick_is_not_given_out() {
    let (ctx, _cancel) = root();
    let (pool, world) = things(3);
    let all: Vec<_> = (0..3).map(|_| pool.take(&ctx).unwrap()).collect();
    drop(all);
    world.sick.lock().unwrap().extend([1, 2]);
    assert_eq!(pool.take(&ctx).unwrap().id, 0);
    assert_eq!((world.alive.load(Ordering::SeqCst), pool.stats().ledger.failed), (1, 2));
    world.sick.lock().unwrap().insert(0);
    assert_eq!(pool.take(&ctx).unwrap().id, 3); // All were sick: a new one.
    assert_settled(&pool.stats());
}

#[test]
fn a_check_is_made_only_after_so_long() {
    let (time, ctx, _cancel) = timeless();
    let (setup, world) = setup(1);
    let pool = setup.check_after(ms(100)).build().unwrap();
    drop(pool.take(&ctx).unwrap());
    world.sick.lock().unwrap().insert(0);
    time.advance(ms(99));
    assert_eq!(pool.take(&ctx).unwrap().id, 0); // Fresh enough; returned now.
    time.advance(ms(100));
    assert_eq!(pool.take(&ctx).unwrap().id, 1);
}

#[test]
fn idle_and_old_ones_are_retired_on_use() {
    let (time, ctx, _cancel) = timeless();
    let (setup, world) = setup(4);
    let pool = setup.idle_timeout(ms(100)).max_lifetime(ms(500)).min_idle(1).build().unwrap();
    drop([(); 4].map(|()| pool.take(&ctx).unwrap()));
    time.advance(ms(60));
    drop(pool.take(&ctx).unwrap());
    assert_eq!(pool.stats().idle, 4);
    time.advance(ms(60));
    drop(pool.take(&ctx).unwrap()); // Three were idle for 120 ms.
    assert_eq!((pool.stats().idle, world.alive.load(Ordering::SeqCst)), (1, 1));
    time.advance(ms(300));
    assert_eq!(pool.maintain(&ctx).unwrap(), 0); // `min_idle` protects the last from being idle …
    assert_eq!(pool.stats().idle, 1);
    time.advance(ms(80));
    assert_eq!(pool.maintain(&ctx).unwrap(), 1); // … but not from being old.
    assert_eq!((pool.stats().ledger.done, pool.stats().idle), (4, 1));
    // One that grows too old while it is taken does not come back.
    let taken = pool.take(&ctx).unwrap();
    time.advance(ms(500));
    assert_eq!(taken.age(), ms(500));
    drop(taken);
    assert_eq!((pool.stats().idle, world.alive.load(Ordering::SeqCst)), (0, 0));
}

#[test]
fn what_comes_back_beyond_max_idle_is_retired() {
    let (ctx, _cancel) = root();
    let (setup, world) = setup(3);
    let pool = setup.max_idle(1).build().unwrap();
    drop([(); 3].map(|()| pool.take(&ctx).unwrap()));
    assert_eq!((pool.stats().idle, world.alive.load(Ordering::SeqCst)), (1, 1));
    assert_settled(&pool.stats());
}

#[test]
fn maintain_makes_the_first_ones_and_never_too_many() {
    let (ctx, _cancel) = root();
    let (setup, world) = setup(3);
    let pool = setup.min_idle(2).build().unwrap();
    assert_eq!(pool.maintain(&ctx), Ok(2));
    let held = [(); 2].map(|()| pool.take(&ctx).unwrap());
    assert_eq!(pool.maintain(&ctx), Ok(1)); // There is room for one.
    assert_eq!(pool.maintain(&ctx), Ok(0));
    drop(held);
    assert_eq!((world.peak.load(Ordering::SeqCst), pool.stats().idle), (3, 3));
    // Too old at once: it does not go on for ever.
    let (setup, world) = self::setup(3);
    let pool = setup.min_idle(2).max_lifetime(Duration::ZERO).build().unwrap();
    assert_eq!(pool.maintain(&ctx), Ok(2));
    assert_eq!((pool.stats().idle, world.alive.load(Ordering::SeqCst)), (0, 0));
}

#[test]
fn closing_wakes_who_waits_and_hands_back_what_is_idle() {
    let (ctx, _cancel) = root();
    let (pool, world) = things(2);
    let held = pool.take(&ctx).unwrap();
    drop(pool.take(&ctx).unwrap());
    let other = pool.take(&ctx).unwrap();
    std::thread::scope(|s| {
        let late = s.spawn(|| pool.take(&ctx).map(drop));
        until(|| pool.stats().waiting == 1);
        drop(other.detach());
        assert!(late.join().unwrap().is_ok());
    });
    let left = pool.close();
    assert_eq!((left.len(), pool.close().len(), pool.is_closed()), (1, 0, true));
    assert!(pool.take(&ctx).unwrap_err().is_closed());
    assert!(pool.try_take(&ctx).unwrap_err().is_closed());
    assert!(pool.maintain(&ctx).unwrap_err().is_closed());
    drop((left, held));
    assert_eq!(world.alive.load(Ordering::SeqCst), 0);
    assert_settled(&pool.stats());
}

#[test]
fn close_wakes_a_waiter() {
    let (ctx, _cancel) = root();
    let (pool, _) = things(1);
    let held = pool.take(&ctx).unwrap();
    std::thread::scope(|s| {
        let late = s.spawn(|| pool.take(&ctx).map(drop));
        until(|| pool.stats().waiting == 1);
        assert!(pool.close().is_empty());
        assert!(late.join().unwrap().unwrap_err().is_closed());
    });
    drop(held);
    assert_settled(&pool.stats());
}

#[test]
fn draining_waits_for_what_is_taken() {
    let (ctx, _cancel) = root();
    let (pool, _) = things(2);
    let held = pool.take(&ctx).unwrap();
    let report = pool.clone();
    std::thread::scope(|s| {
        let drain = s.spawn(|| report.drain(&ctx));
        until(|| pool.stats().waiting == 1);
        assert!(matches!(pool.try_take(&ctx), Err(TakeError::Exhausted))); // It would overtake.
        drop(held);
        let drained = drain.join().unwrap();
        assert_eq!((drained.resources.len(), drained.taken), (1, 0));
    });
    let (pool, world) = things(2);
    let held = pool.take(&ctx).unwrap();
    let drained = pool.drain(&ctx.with_timeout(Duration::ZERO));
    assert_eq!((drained.resources.len(), drained.taken), (0, 1));
    drop(held);
    assert_eq!(world.alive.load(Ordering::SeqCst), 0);
}

#[test]
fn a_panic_in_the_check_costs_a_resource_and_no_place() {
    let (ctx, _cancel) = root();
    let pool = ResourcePool::builder("p", |_: &Context| Ok::<_, ()>(()))
        .max(1)
        .check(|_, ()| throw("check"))
        .build()
        .unwrap();
    drop(pool.take(&ctx).unwrap()); // A new one is not checked.
    assert!(catch_unwind(AssertUnwindSafe(|| pool.take(&ctx).map(drop))).is_err());
    drop(pool.take(&ctx).unwrap());
    assert_settled(&pool.stats());
    assert_eq!((pool.stats().ledger.failed, pool.stats().ledger.accepted), (1, 2));
}

#[test]
fn a_resource_whose_drop_panics_harms_nobody() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            throw("drop");
        }
    }
    let (ctx, _cancel) = root();
    let pool = ResourcePool::builder("p", |_: &Context| Ok::<_, ()>(Bomb)).max(1).build().unwrap();
    pool.take(&ctx).unwrap().discard();
    drop(pool.take(&ctx).unwrap());
    drop(pool);
}

#[test]
fn guards_outlive_the_pool() {
    let (ctx, _cancel) = root();
    let (pool, world) = things(1);
    let held = pool.take(&ctx).unwrap();
    drop(pool);
    drop(held);
    assert_eq!(world.alive.load(Ordering::SeqCst), 0);
}

#[test]
fn builders_say_which_field_is_wrong() {
    let field = |b: Setup| b.build().unwrap_err().field();
    assert_eq!(field(setup(0).0), "max");
    assert_eq!(field(setup(2).0.max_idle(3)), "max_idle");
    assert_eq!(field(setup(2).0.max_idle(1).min_idle(2)), "min_idle");
    assert!(setup(usize::MAX).0.build().is_ok());
    assert!(setup(1).0.max_idle(0).build().is_ok());
}

#[test]
fn many_threads_never_more_than_max_and_nothing_left() {
    let (ctx, _cancel) = root();
    let (pool, world) = things(3);
    std::thread::scope(|s| {
        for me in 0..4 {
            let (pool, ctx, world) = (&pool, &ctx, &world);
            s.spawn(move || {
                for i in 0..400 {
                    if i % 17 == me {
                        world.fail.fetch_add(1, Ordering::SeqCst);
                    }
                    match pool.take(ctx) {
                        Ok(thing) if i % 5 == 0 => thing.discard(),
                        Ok(thing) => drop(thing),
                        Err(e) => assert!(e.create().is_some()),
                    }
                }
            });
        }
    });
    assert!(world.peak.load(Ordering::SeqCst) <= 3);
    assert_settled(&pool.stats());
    assert_eq!(pool.stats().idle, world.alive.load(Ordering::SeqCst));
}

// ===== what r2d2 0.8.10 does, as read in its source =====

/// r2d2: `get` waits the whole `connection_timeout` when the server refuses, and then says it as text.
#[test]
fn r2d2_a_refused_connection_is_an_error_at_once_and_typed() {
    let (time, ctx, _cancel) = timeless();
    let (pool, world) = things(1);
    world.fail.store(1, Ordering::SeqCst);
    assert_eq!(pool.take(&ctx).unwrap_err().create(), Some(&"refused"));
    assert_eq!(time.pending(), 0); // And nobody goes on trying behind our back.
    assert_eq!((pool.stats().create_failed, pool.stats().creating), (1, 0));
    assert!(pool.take(&ctx).is_ok());
}

/// r2d2: a `connect` that panics leaves `pending_conns` up for ever: the place is lost.
#[test]
fn r2d2_a_panic_in_create_loses_no_place() {
    let (ctx, _cancel) = root();
    let first = AtomicUsize::new(0);
    let pool = ResourcePool::builder("p", move |_: &Context| {
        if first.fetch_add(1, Ordering::SeqCst) == 0 {
            throw("connect");
        }
        Ok::<_, ()>(())
    })
    .max(1)
    .build()
    .unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| pool.take(&ctx).map(drop))).is_err());
    drop(pool.take(&ctx).unwrap());
    assert_settled(&pool.stats());
}

/// r2d2: whoever calls `get` just as a connection comes back overtakes those who wait.
#[test]
fn r2d2_nobody_overtakes_who_waits() {
    let (ctx, _cancel) = root();
    let (pool, _) = things(1);
    let held = pool.take(&ctx).unwrap();
    std::thread::scope(|s| {
        let waiter = s.spawn(|| pool.take(&ctx));
        until(|| pool.stats().waiting == 1);
        drop(held);
        // It is his, whether he has woken up yet or not.
        assert!(matches!(pool.try_take(&ctx), Err(TakeError::Exhausted)));
        drop(waiter.join().unwrap().unwrap());
    });
}

/// r2d2: only the reaper, every 30 seconds, looks at `max_lifetime`: `get` hands out expired ones.
#[test]
fn r2d2_what_is_too_old_is_not_given_out() {
    let (time, ctx, _cancel) = timeless();
    let (setup, _) = setup(1);
    let pool = setup.max_lifetime(ms(10)).build().unwrap();
    drop(pool.take(&ctx).unwrap());
    time.advance(ms(10));
    assert_eq!(pool.take(&ctx).unwrap().id, 1);
}

/// r2d2: connections take turns, so under a light load none is ever idle for long enough.
#[test]
fn r2d2_under_a_light_load_the_pool_shrinks() {
    let (time, ctx, _cancel) = timeless();
    let (setup, world) = setup(4);
    let pool = setup.idle_timeout(ms(100)).build().unwrap();
    drop([(); 4].map(|()| pool.take(&ctx).unwrap()));
    for _ in 0..12 {
        time.advance(ms(10));
        drop(pool.take(&ctx).unwrap()); // One caller, every 10 ms.
    }
    assert_eq!(world.alive.load(Ordering::SeqCst), 1);
}

/// r2d2: a connection whose holder panicked goes back into the pool, in the midst of a transaction.
#[test]
fn r2d2_a_panic_while_holding_discards() {
    let (ctx, _cancel) = root();
    let crash = |pool: &Things| {
        catch_unwind(AssertUnwindSafe(|| {
            let _thing = pool.take(&ctx).unwrap();
            throw("in the midst of it");
        }))
        .unwrap_err();
        pool.take(&ctx).unwrap().id
    };
    let (pool, _) = things(1);
    assert_eq!((crash(&pool), pool.stats().ledger.failed), (1, 1));
    let (setup, _) = setup(1);
    let pool = setup.keep_on_panic().build().unwrap();
    assert_eq!((crash(&pool), pool.stats().ledger.failed), (0, 0));
    // What is taken and returned while a panic goes on is as good as ever.
    struct Cleanup<'a>(&'a Things, &'a Context);
    impl Drop for Cleanup<'_> {
        fn drop(&mut self) {
            drop(self.0.take(self.1).unwrap());
        }
    }
    let (pool, _) = things(1);
    catch_unwind(AssertUnwindSafe(|| {
        let _cleanup = Cleanup(&pool, &ctx);
        throw("elsewhere");
    }))
    .unwrap_err();
    assert_eq!((pool.stats().idle, pool.stats().ledger.failed), (1, 0));
}

// ===== against a sequential model =====

#[derive(Debug, Clone)]
enum Act {
    Take,
    TakeFailing,
    Return(prop::sample::Index),
    Discard(prop::sample::Index),
    Detach(prop::sample::Index),
    FallSick(prop::sample::Index),
    Advance(u64),
    Maintain,
    Close,
}

fn act() -> impl Strategy<Value = Act> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        6 => Just(Act::Take),
        1 => Just(Act::TakeFailing),
        5 => index().prop_map(Act::Return),
        1 => index().prop_map(Act::Discard),
        1 => index().prop_map(Act::Detach),
        2 => index().prop_map(Act::FallSick),
        3 => (0..80_u64).prop_map(Act::Advance),
        1 => Just(Act::Maintain),
        1 => prop_oneof![9 => Just(Act::Maintain), 1 => Just(Act::Close)],
    ]
}

/// What the pool is to do, said as simply as possible. Times in milliseconds.
#[derive(Debug, Default)]
struct Model {
    /// Number, born, idle since; the one returned last at the end.
    idle: Vec<(usize, u64, u64)>,
    taken: Vec<(usize, u64)>,
    sick: HashSet<usize>,
    made: usize,
    broken: u64,
    retired: u64,
    closed: bool,
    now: u64,
}

const MAX: usize = 3;
const MAX_IDLE: usize = 2;
const MIN_IDLE: usize = 1;
const IDLE_TIMEOUT: u64 = 50;
const MAX_LIFETIME: u64 = 120;

impl Model {
    fn expire(&mut self) {
        let before = self.idle.len();
        while self.idle.len() > MIN_IDLE && self.idle[0].2 + IDLE_TIMEOUT <= self.now {
            self.idle.remove(0);
        }
        self.idle.retain(|(_, born, _)| born + MAX_LIFETIME > self.now);
        self.retired += (before - self.idle.len()) as u64;
    }

    fn take(&mut self, fails: bool) -> Result<usize, &'static str> {
        if self.closed {
            return Err("closed");
        }
        if self.taken.len() == MAX {
            return Err("exhausted");
        }
        self.expire();
        while let Some((id, born, _)) = self.idle.pop() {
            if !self.sick.contains(&id) {
                self.taken.push((id, born));
                return Ok(id);
            }
            self.broken += 1;
            self.expire();
        }
        if fails {
            return Err("refused");
        }
        let id = self.make();
        self.taken.push((id, self.now));
        Ok(id)
    }

    fn make(&mut self) -> usize {
        self.made += 1;
        self.made - 1
    }

    fn keep(&mut self, id: usize, born: u64) {
        if self.closed || self.idle.len() >= MAX_IDLE {
            self.retired += 1;
        } else {
            self.idle.push((id, born, self.now));
            self.expire();
        }
    }

    fn maintain(&mut self) -> Result<usize, &'static str> {
        if self.closed {
            return Err("closed");
        }
        self.expire();
        let mut made = 0;
        while self.idle.len() < MIN_IDLE && self.idle.len() + self.taken.len() < MAX {
            let id = self.make();
            self.keep(id, self.now);
            made += 1;
        }
        Ok(made)
    }
}

fn code(e: &TakeError<&'static str>) -> &'static str {
    match e {
        TakeError::Closed => "closed",
        TakeError::Exhausted => "exhausted",
        TakeError::Create(e) => e,
        _ => "stopped",
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_pool_does_what_the_model_does(acts in prop::collection::vec(act(), 0..80)) {
        let (time, ctx, _cancel) = timeless();
        let (setup, world) = setup(MAX);
        let pool = setup
            .max_idle(MAX_IDLE)
            .min_idle(MIN_IDLE)
            .idle_timeout(ms(IDLE_TIMEOUT))
            .max_lifetime(ms(MAX_LIFETIME))
            .build()
            .unwrap();
        let mut model = Model::default();
        let mut taken: Vec<Pooled<Thing>> = Vec::new();
        for act in acts {
            match act {
                Act::Take | Act::TakeFailing => {
                    let fails = matches!(act, Act::TakeFailing);
                    world.fail.store(usize::from(fails), Ordering::SeqCst);
                    let out = pool.try_take(&ctx);
                    world.fail.store(0, Ordering::SeqCst);
                    let id = out.as_ref().map(|thing| thing.id).map_err(code);
                    prop_assert_eq!(id, model.take(fails));
                    taken.extend(out);
                }
                Act::Return(i) | Act::Discard(i) | Act::Detach(i) if !taken.is_empty() => {
                    let i = i.index(taken.len());
                    let thing = taken.remove(i);
                    let (id, born) = model.taken.remove(i);
                    match act {
                        Act::Return(_) => {
                            drop(thing);
                            model.keep(id, born);
                        }
                        Act::Discard(_) => {
                            thing.discard();
                            model.broken += 1;
                        }
                        _ => {
                            drop(thing.detach());
                            model.retired += 1;
                        }
                    }
                }
                Act::FallSick(i) if model.made != 0 => {
                    let id = i.index(model.made);
                    model.sick.insert(id);
                    world.sick.lock().unwrap().insert(id);
                }
                Act::Advance(by) => {
                    time.advance(ms(by));
                    model.now += by;
                }
                Act::Maintain => {
                    prop_assert_eq!(pool.maintain(&ctx).map_err(|e| code(&e)), model.maintain());
                }
                Act::Close => {
                    let ids: Vec<_> = pool.close().iter().map(|thing| thing.id).collect();
                    let expected: Vec<_> = model.idle.drain(..).map(|(id, ..)| id).collect();
                    model.retired += expected.len() as u64;
                    model.closed = true;
                    prop_assert_eq!(ids, expected);
                }
                _ => {}
            }
            let stats = pool.stats();
            prop_assert!(stats.ledger.is_balanced());
            prop_assert_eq!((stats.idle, stats.taken), (model.idle.len(), model.taken.len()));
            prop_assert_eq!(
                (stats.ledger.accepted, stats.ledger.failed, stats.ledger.done),
                (model.made as u64, model.broken, model.retired)
            );
            prop_assert_eq!(world.alive.load(Ordering::SeqCst), stats.idle + stats.taken);
        }
        prop_assert!(world.peak.load(Ordering::SeqCst) <= MAX);
        drop(taken);
        drop(pool);
        prop_assert_eq!(world.alive.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn a_take_counts_once_however_many_checks_fail() {
    let (ctx, _cancel) = root();
    let pool = ResourcePool::builder("r", |_: &Context| Ok::<_, String>(())).check(|_, ()| false);
    let pool = pool.build().unwrap();
    drop(pool.take(&ctx).unwrap());
    drop(pool.take(&ctx).unwrap());
    assert_eq!((pool.stats().takes, pool.stats().ledger.failed), (2, 1));
}
