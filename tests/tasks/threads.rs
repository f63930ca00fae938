//! Warm threads: who is kept, for how long, and who is joined.

use crate::{Counted, Error, Thing, ends, reason, root, throw, thrown, until};
use ironsys::pool::Pool;
use ironsys::threads::ThreadCache;
use ironsys::{Context, channel, scope};
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread::{self, ThreadId};
use std::time::Duration;

fn on(cache: &ThreadCache) -> Context {
    root().0.with_value(cache.clone())
}

/// The thread that runs a task; it is idle again afterwards.
fn runs_on(ctx: &Context, cache: &ThreadCache) -> ThreadId {
    let id = scope(ctx, |s| {
        let task = s.spawn(|_| Ok::<_, Error>(thread::current().id()));
        Ok(task.join(ctx)?)
    });
    until(|| cache.idle() == cache.len());
    id.unwrap()
}

/// Has `n` threads of the cache at work at once, each of which calls `f`.
fn crowd(ctx: &Context, n: usize, f: impl Fn() + Sync) {
    let here = AtomicUsize::new(0);
    let result = scope(ctx, |s| {
        for _ in 0..n {
            let _ = s.spawn(|_| {
                f();
                here.fetch_add(1, SeqCst);
                until(|| here.load(SeqCst) == n);
                Ok::<_, Error>(())
            });
        }
        until(|| here.load(SeqCst) == n); // So that this thread runs none of them.
        Ok(())
    });
    result.unwrap();
}

thread_local! {
    /// Dropped when the thread ends.
    static KEPT: RefCell<Vec<Thing>> = const { RefCell::new(Vec::new()) };
}

fn leave(things: &Counted) {
    KEPT.with(|kept| kept.borrow_mut().push(things.make()));
}

#[test]
fn a_thread_is_used_again() {
    let cache = ThreadCache::new(4);
    let ctx = on(&cache);
    let first = runs_on(&ctx, &cache);
    for _ in 0..50 {
        assert_eq!(runs_on(&ctx, &cache), first);
    }
    assert_eq!((cache.len(), cache.idle()), (1, 1));
}

#[test]
fn a_thread_survives_the_panics_of_its_tasks() {
    let cache = ThreadCache::new(1);
    let ctx = on(&cache);
    let first = runs_on(&ctx, &cache);
    for _ in 0..100 {
        let _: u8 = thrown(|| {
            scope::<(), Error>(&ctx, |s| {
                let task = s.spawn::<(), _>(|_| throw(1_u8));
                Ok(task.join(&ctx)?)
            })
        });
        until(|| cache.idle() == 1);
    }
    assert_eq!(runs_on(&ctx, &cache), first);
}

#[test]
fn no_more_threads_stay_than_the_limit_allows() {
    for limit in [0, 1, 3] {
        let cache = ThreadCache::new(limit);
        crowd(&on(&cache), 4, || ());
        until(|| (cache.len(), cache.idle()) == (limit, limit));
        crowd(&on(&cache), 4, || ()); // And it works again.
        until(|| (cache.len(), cache.idle()) == (limit, limit));
    }
}

#[test]
fn a_thread_nobody_needs_ends_after_its_time() {
    for time in [Duration::ZERO, Duration::from_millis(1)] {
        let cache = ThreadCache::builder().keep_alive(time).build().unwrap();
        crowd(&on(&cache), 3, || ());
        until(|| cache.is_empty());
    }
}

#[test]
fn the_largest_values_are_taken() {
    let cache = ThreadCache::builder().idle(usize::MAX).keep_alive(Duration::MAX).build().unwrap();
    crowd(&on(&cache), 3, || ());
    until(|| cache.idle() == 3);
    cache.close(&root().0).unwrap();
    assert!(cache.is_empty());
}

#[test]
fn a_name_with_a_zero_byte_is_refused() {
    let e = ThreadCache::builder().name("a\0b").build().unwrap_err();
    assert_eq!(e.field(), "name");
}

#[test]
fn threads_have_the_name_of_the_cache() {
    let cache = ThreadCache::builder().name("kept-warm").build().unwrap();
    crowd(&on(&cache), 2, || assert_eq!(thread::current().name(), Some("kept-warm")));
}

#[test]
fn close_waits_for_the_busy_threads_under_its_context() {
    let cache = ThreadCache::new(2);
    let ctx = on(&cache);
    let (go, gone) = channel::bounded::<()>(1);
    let begun = AtomicBool::new(false);
    thread::scope(|outside| {
        outside.spawn(|| {
            scope(&ctx, |s| {
                let _ = s.spawn(|ctx| {
                    begun.store(true, SeqCst);
                    Ok::<_, Error>(gone.recv(ctx))
                });
                until(|| begun.load(SeqCst)); // So that this thread does not run it.
                Ok(())
            })
        });
        until(|| gone.stats().blocked_receivers == 1);
        let stop = cache.close(&ctx.with_timeout(Duration::ZERO)).unwrap_err();
        assert!(stop.is_timeout());
        assert_eq!(cache.len(), 1);
        drop(go);
        cache.close(&ctx).unwrap();
        assert!(cache.is_empty());
        cache.close(&ctx).unwrap(); // Once more does no harm.
    });
}

#[test]
fn close_on_a_thread_of_the_cache_waits_for_the_others_only() {
    ends(|| {
        let cache = ThreadCache::new(2);
        let ctx = on(&cache);
        crowd(&ctx, 2, || ());
        let result = scope(&ctx, |s| {
            let task = s.spawn(|ctx| Ok::<_, Error>(cache.close(ctx)?));
            Ok(task.join(&ctx)?)
        });
        assert_eq!(result, Ok(()));
        until(|| cache.is_empty());
    });
}

#[test]
fn dropping_the_last_handle_joins_the_threads() {
    let things = Counted::new();
    let cache = ThreadCache::new(3);
    crowd(&on(&cache), 3, || leave(&things));
    drop(cache);
    assert_eq!(things.all_gone(), 3);
}

#[test]
fn the_last_handle_may_be_dropped_by_a_thread_of_the_cache() {
    for _ in 0..20 {
        let things = Counted::new();
        let kept = things.clone();
        ends(move || {
            let cache = ThreadCache::new(3);
            let (ctx, _cancel) = Context::builder().value(cache.clone()).build();
            crowd(&ctx, 3, || leave(&kept));
            let pool = Pool::builder("p").workers(2).context(&ctx).build().unwrap();
            let (begun, has_begun) = channel::bounded(1);
            let submitter = pool.submitter();
            let ticket = pool.try_submit(move |job| {
                let _last = submitter; // Keeps the pool's context, which has the cache.
                begun.try_send(()).unwrap();
                job.wait_stopped();
            });
            let root = root().0;
            has_begun.recv(&root).unwrap();
            drop((cache, ctx));
            drop(pool);
            ticket.unwrap().join(&root).unwrap();
        });
        until(|| things.dropped() == 3);
        things.all_gone();
    }
}

#[test]
fn a_scope_on_a_closed_cache_says_so() {
    ends(|| {
        let cache = ThreadCache::new(1);
        let ctx = on(&cache);
        cache.close(&ctx).unwrap();
        let result: Result<(), Error> = scope::options().name("late").run(&ctx, |s| {
            // Also with another context than the scope's: nobody is left waiting.
            let stop = s.spawn(|_| Ok(())).join(&ctx).unwrap_err();
            assert_eq!(reason(&stop), "the scope stopped before the task began");
            Ok(())
        });
        let Err(Error::Stopped(stop)) = result else { panic!("{result:?}") };
        let expected = "scope `late` cannot start a thread: the thread cache is closed";
        assert_eq!(reason(&stop), expected);
    });
}

#[test]
fn a_pool_on_a_closed_cache_is_not_built() {
    let cache = ThreadCache::new(1);
    let ctx = on(&cache);
    cache.close(&ctx).unwrap();
    let e = Pool::builder("p").workers(2).context(&ctx).build().unwrap_err();
    assert_eq!(e.field(), "workers");
    assert!(e.to_string().ends_with("0 of 2 could be started: the thread cache is closed"), "{e}");
}

#[test]
fn many_scopes_share_a_cache() {
    let cache = ThreadCache::new(4);
    let ctx = on(&cache);
    let sum = AtomicUsize::new(0);
    thread::scope(|outside| {
        for _ in 0..4 {
            outside.spawn(|| {
                for _ in 0..100 {
                    let result = scope(&ctx, |s| {
                        for n in 1..=4 {
                            let sum = &sum;
                            let _ = s.spawn(move |_| {
                                sum.fetch_add(n, SeqCst);
                                Ok::<_, Error>(())
                            });
                        }
                        Ok(())
                    });
                    result.unwrap();
                }
            });
        }
    });
    assert_eq!(sum.into_inner(), 4 * 100 * 10);
    until(|| cache.idle() == cache.len());
    assert!(cache.len() <= 4);
}
