//! `map` and `for_each`: order, limits, and iterators that end, fail, or do neither.

use crate::{Counted, Crowd, Error, both, reason, throw, thrown};
use ironsys::scope::{for_each, map};
use ironsys::{Context, Stop};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

fn double(_: &Context, n: usize) -> Result<usize, Error> {
    Ok(2 * n)
}

#[test]
fn results_come_in_the_order_of_the_items() {
    both(|ctx| {
        for limit in [1, 2, 7, usize::MAX] {
            let doubled = map(ctx, limit, 0..100, double);
            assert_eq!(doubled, Ok((0..200).step_by(2).collect()), "limit {limit}");
        }
    });
}

#[test]
fn nothing_to_do_is_no_failure() {
    both(|ctx| {
        assert_eq!(map(ctx, 4, 0..0, double), Ok(vec![]));
        assert_eq!(for_each(ctx, 4, [], |_, ()| Ok::<_, Error>(())), Ok(()));
    });
}

#[test]
fn no_more_items_are_at_work_than_the_limit_allows() {
    both(|ctx| {
        for limit in [1, 2, 5] {
            let crowd = Crowd::default();
            for_each(ctx, limit, 0..200, |_, _| {
                crowd.visit();
                Ok::<_, Error>(())
            })
            .unwrap();
            assert!(crowd.peak() <= limit);
        }
    });
}

#[test]
fn with_limit_one_everything_happens_on_the_calling_thread() {
    both(|ctx| {
        let me = std::thread::current().id();
        let same = map(ctx, 1, 0..20, |_, _| Ok::<_, Error>(std::thread::current().id() == me));
        assert_eq!(same, Ok(vec![true; 20]));
    });
}

#[test]
fn limit_zero_says_so() {
    both(|ctx| {
        let Err(Error::Stopped(stop)) = map(ctx, 0, 0..9, double) else { panic!("it ran") };
        assert_eq!(reason(&stop), "a scope with limit 0 can run no task");
    });
}

#[test]
fn an_error_ends_an_endless_iterator() {
    both(|ctx| {
        let f = |_: &Context, n: usize| if n < 1000 { Ok(()) } else { Err(Error::Own(n)) };
        for limit in [1, 4] {
            let Err(Error::Own(n)) = for_each(ctx, limit, 0.., f) else { panic!("no error") };
            assert!((1000..1000 + limit).contains(&n));
        }
    });
}

#[test]
fn a_cancel_ends_an_endless_iterator() {
    both(|ctx| {
        let (ctx, cancel) = ctx.with_cancel();
        let result = for_each(&ctx, 3, 0.., |_, n: usize| {
            if n == 500 {
                cancel.cancel_with("enough");
            }
            Ok::<_, Error>(())
        });
        let Err(Error::Stopped(stop)) = result else { panic!("{result:?}") };
        assert_eq!(reason(&stop), "enough");
    });
}

#[test]
fn items_are_drawn_when_a_thread_is_free() {
    both(|ctx| {
        let (drawn, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let items = (0..200).inspect(|_| {
            drawn.fetch_add(1, SeqCst);
        });
        for_each(ctx, 3, items, |_, _| {
            let ahead = drawn.load(SeqCst) - done.load(SeqCst);
            assert!(ahead <= 2 * 3, "{ahead} items drawn ahead");
            done.fetch_add(1, SeqCst);
            Ok::<_, Error>(())
        })
        .unwrap();
    });
}

#[test]
fn an_iterator_that_panics_is_the_caller_s_panic() {
    both(|ctx| {
        for limit in [1, 4] {
            let items = (0..100).inspect(|n| {
                if *n == 50 {
                    throw("drawn")
                }
            });
            let text: &str = thrown(|| map(ctx, limit, items, double));
            assert_eq!(text, "drawn");
        }
    });
}

#[test]
fn a_function_that_panics_is_the_caller_s_panic() {
    both(|ctx| {
        let text: &str = thrown(|| {
            for_each(
                ctx,
                4,
                0..,
                |_, n: usize| if n == 50 { throw("called") } else { Ok::<_, Error>(()) },
            )
        });
        assert_eq!(text, "called");
    });
}

#[test]
fn an_iterator_that_goes_on_after_its_end_is_not_asked_again() {
    both(|ctx| {
        let mut calls = 0;
        let mut again = std::iter::from_fn(|| {
            calls += 1;
            (calls != 10).then_some(calls)
        });
        let out = map(ctx, 3, &mut again, double).unwrap();
        assert_eq!(out.len(), 9);
    });
}

#[test]
fn under_a_stopped_context_nothing_is_drawn() {
    both(|ctx| {
        let (ctx, cancel) = ctx.with_cancel();
        cancel.cancel();
        let items = (0..9).inspect(|_| unreachable!("an item is drawn"));
        assert!(matches!(map(&ctx, 2, items, double), Err(Error::Stopped(Stop::Cancelled(_)))));
    });
}

#[test]
fn maps_nest() {
    both(|ctx| {
        let sums = map(ctx, 2, 0..10_usize, |ctx, n| {
            Ok::<_, Error>(map(ctx, 2, 0..n, double)?.into_iter().sum::<usize>())
        });
        assert_eq!(sums, Ok((0..10).map(|n: usize| n * n.saturating_sub(1)).collect()));
    });
}

#[test]
fn items_and_results_are_dropped_once() {
    both(|ctx| {
        let things = Counted::new();
        for fails in [false, true] {
            let items = (0..50).map(|i| (i, things.make()));
            let result = map(ctx, 3, items, |_, (i, _thing)| {
                if fails && i == 25 { Err(Error::Own(i)) } else { Ok(things.make()) }
            });
            assert_eq!(result.is_err(), fails);
            drop(result);
            things.all_gone();
        }
    });
}
