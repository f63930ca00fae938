//! Warm threads: none is lost, none is left, and the work they borrow is given back in time.

use crate::{Count, Oops, join, model, spawn, timed};
use ironsys::threads::ThreadCache;
use ironsys::{Context, scope};
use std::time::Duration;

/// A cache whose idle threads wait without a deadline.
fn patient(idle: usize) -> ThreadCache {
    ThreadCache::builder().idle(idle).keep_alive(Duration::MAX).build().expect("a fine name")
}

fn root(cache: &ThreadCache) -> Context {
    Context::builder().value(cache.clone()).build().0
}

fn two_tasks(ctx: &Context) -> usize {
    let ran = Count::default();
    scope(ctx, |s| {
        for _ in 0..2 {
            let _ = s.spawn(|_| {
                ran.add(1);
                Ok::<_, Oops>(())
            });
        }
        Ok(())
    })
    .expect("nobody fails");
    ran.get()
}

fn one_task(ctx: &Context) -> Result<u32, Oops> {
    scope(ctx, |s| {
        let task = s.spawn(|_| Ok(7));
        Ok(task.join(s.ctx())?)
    })
}

/// Two tasks on warm threads, and the cache closed at the end.
#[test]
fn scope_on_warm_threads() {
    model("threads::scope_on_warm_threads", || {
        let cache = patient(1);
        assert_eq!(two_tasks(&root(&cache)), 2);
        drop(cache);
    });
}

/// A second scope takes the thread of the first, or a new one if that has not come back yet.
#[test]
fn reuse() {
    model("threads::reuse", || {
        let cache = patient(1);
        let ctx = root(&cache);
        assert_eq!((one_task(&ctx), one_task(&ctx)), (Ok(7), Ok(7)));
        drop(ctx);
        assert!(cache.len() <= 2 && cache.idle() <= 1);
        drop(cache);
    });
}

/// A thread whose time to be idle runs out while it is asked to come.
#[test]
fn keep_alive_vs_job() {
    timed("threads::keep_alive_vs_job").check(|| {
        let brief = Duration::from_micros(50);
        let cache = ThreadCache::builder().idle(1).keep_alive(brief).build().expect("a fine name");
        let ctx = root(&cache);
        assert_eq!((one_task(&ctx), one_task(&ctx)), (Ok(7), Ok(7)));
        drop((ctx, cache));
    });
}

/// Closing while a scope asks for a thread: it gets one, or says that it did not.
#[test]
fn close_vs_scope() {
    model("threads::close_vs_scope", || {
        let cache = patient(1);
        let ctx = root(&cache);
        let closer = spawn({
            let (ctx, cache) = (Context::root().0, cache.clone());
            move || cache.close(&ctx)
        });
        assert!(matches!(one_task(&ctx), Ok(7) | Err(Oops::Stopped(_))));
        assert_eq!(join(closer), Ok(()));
        assert!(cache.is_empty());
        drop((ctx, cache));
    });
}

/// A close that is cut short has shut the cache; the last handle joins whoever is left.
#[test]
fn close_vs_cancel() {
    model("threads::close_vs_cancel", || {
        let cache = patient(1);
        let ctx = root(&cache);
        assert_eq!(one_task(&ctx), Ok(7));
        let (stoppable, cancel) = Context::root();
        let canceller = spawn(move || cancel.cancel());
        if cache.close(&stoppable).is_ok() {
            assert!(cache.is_empty());
        }
        join(canceller);
        drop((ctx, cache));
    });
}
