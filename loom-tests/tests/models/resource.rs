//! Resource pools: no place is lost, no resource is in two hands, and there are never too many.

use crate::{Count, SOON, join, join_all, model, spawn, timed};
use ironsys::Context;
use ironsys::resource::{BufferPool, ResourcePool, TakeError};
use ironsys::sync::{InjectedPanic, catch_unwind};
use ironsys::testing::Model;

type Numbers = ResourcePool<usize, &'static str>;

/// Resources with numbers, of which only the first `max` may exist if none is dropped.
fn numbers(max: usize) -> Numbers {
    let made = Count::default();
    ResourcePool::builder("n", move |_: &Context| Ok(made.enter())).max(max).build().expect("fine")
}

fn assert_settled(pool: &Numbers) {
    let stats = pool.stats();
    assert!(stats.ledger.is_balanced(), "{}", stats.ledger);
    assert_eq!((stats.taken, stats.creating, stats.waiting), (0, 0, 0));
}

/// One resource is in one hand, and there is no second one.
#[test]
fn take_vs_return() {
    model("resource::take_vs_return", || {
        let (ctx, _cancel) = Context::root();
        let (pool, inside) = (numbers(1), Count::default());
        let users = [(); 2].map(|()| {
            let (ctx, pool, inside) = (ctx.clone(), pool.clone(), inside.clone());
            spawn(move || {
                let number = pool.take(&ctx).expect("nobody cancels");
                assert_eq!((inside.enter(), *number), (0, 0), "two had it, or there were two");
                inside.leave();
            })
        });
        join_all(users);
        assert_eq!(pool.stats().idle, 1);
        assert_settled(&pool);
    });
}

/// It comes back just as somebody gives up waiting for it.
#[test]
fn cancel_vs_return() {
    model("resource::cancel_vs_return", || {
        let (ctx, _cancel) = Context::root();
        let (child, cancel) = ctx.with_cancel();
        let pool = numbers(1);
        let held = pool.take(&ctx).expect("it is free");
        let user = spawn({
            let pool = pool.clone();
            move || pool.take(&child).map(drop)
        });
        let canceller = spawn(move || cancel.cancel());
        drop(held);
        drop(pool.take(&ctx).expect("it comes round")); // Hangs if the place was lost.
        if let Err(e) = join(user) {
            assert!(e.stop().is_some());
        }
        join(canceller);
        assert_settled(&pool);
    });
}

/// The same with a deadline.
#[test]
fn deadline_vs_return() {
    timed("resource::deadline_vs_return").check(|| {
        let (ctx, _cancel) = Context::root();
        let pool = numbers(1);
        let held = pool.take(&ctx).expect("it is free");
        let user = spawn({
            let (pool, short) = (pool.clone(), ctx.with_timeout(SOON));
            move || pool.take(&short).map(drop)
        });
        drop(held);
        if let Err(e) = join(user) {
            assert!(e.stop().is_some_and(|stop| stop.is_timeout()));
        }
        assert_settled(&pool);
    });
}

/// A creation fails, another panics: the place goes to who waits.
#[test]
fn creation_fails_vs_waiter() {
    model("resource::creation_fails_vs_waiter", || {
        let (ctx, _cancel) = Context::root();
        let made = Count::default();
        let pool = ResourcePool::builder("n", move |_: &Context| match made.enter() {
            0 => Err("refused"),
            1 => std::panic::resume_unwind(Box::new(InjectedPanic)),
            n => Ok(n),
        })
        .max(1)
        .build()
        .expect("fine");
        let user = spawn({
            let (ctx, pool) = (ctx.clone(), pool.clone());
            move || catch_unwind(|| pool.take(&ctx).map(drop))
        });
        let mine = catch_unwind(|| pool.take(&ctx).map(drop));
        let fates = [mine, join(user)];
        let refused = fates.iter().filter(|f| matches!(f, Ok(Err(TakeError::Create(_))))).count();
        assert_eq!((refused, fates.iter().filter(|f| f.is_err()).count()), (1, 1));
        drop(pool.take(&ctx).expect("the third is made"));
        assert_settled(&pool);
    });
}

/// Closing while one is taken and somebody waits.
#[test]
fn close_vs_take() {
    model("resource::close_vs_take", || {
        let (ctx, _cancel) = Context::root();
        let pool = numbers(1);
        let held = pool.take(&ctx).expect("it is free");
        let user = spawn({
            let pool = pool.clone();
            move || pool.take(&ctx).map(drop)
        });
        let returner = spawn(move || drop(held));
        let left = pool.close().len();
        if let Err(e) = join(user) {
            assert!(e.is_closed());
        }
        join(returner);
        assert!(left <= 1 && pool.is_closed() && pool.stats().idle == 0);
        assert_settled(&pool);
    });
}

/// One is thrown away while another is waited for: a new one is made, one at a time.
#[test]
fn discard_vs_take() {
    model("resource::discard_vs_take", || {
        let (ctx, _cancel) = Context::root();
        let pool = numbers(1);
        let held = pool.take(&ctx).expect("it is free");
        let user = spawn({
            let (ctx, pool) = (ctx.clone(), pool.clone());
            move || pool.take(&ctx).map(|number| number.detach())
        });
        held.discard();
        assert_eq!(join(user), Ok(1));
        drop(pool.try_take(&ctx).expect("its place is free"));
        assert_settled(&pool);
    });
}

/// Maintaining beside a taker: together they make no more than there may be.
#[test]
fn maintain_vs_take() {
    Model::new("resource::maintain_vs_take").check(|| {
        let (ctx, _cancel) = Context::root();
        let alive = Count::default();
        let made = alive.clone();
        let pool = ResourcePool::builder("n", move |_: &Context| Ok::<_, &str>(made.enter()))
            .max(2)
            .min_idle(2)
            .build()
            .expect("fine");
        let user = spawn({
            let (ctx, pool) = (ctx.clone(), pool.clone());
            move || drop(pool.take(&ctx).expect("there is room for it"))
        });
        pool.maintain(&ctx).expect("nothing fails");
        join(user);
        assert!(alive.get() <= 2, "there are {}", alive.get());
        assert_eq!(pool.drain(&ctx).resources.len(), alive.get());
        assert_settled_any(&pool.stats());
    });
}

fn assert_settled_any(stats: &ironsys::resource::Stats) {
    assert!(stats.ledger.is_balanced() && stats.taken == 0 && stats.creating == 0);
}

/// Buffers are handed on, cleared, and counted.
#[test]
fn buffers_take_vs_return() {
    model("resource::buffers_take_vs_return", || {
        let pool = BufferPool::builder().keep(1).size(0).build().expect("fine");
        let users = [(); 2].map(|()| {
            let pool = pool.clone();
            spawn(move || {
                let mut buffer = pool.take();
                assert!(buffer.is_empty());
                buffer.push(7);
            })
        });
        join_all(users);
        let stats = pool.stats();
        assert!(stats.ledger.is_balanced() && stats.kept == 1 && stats.taken == 0);
    });
}
