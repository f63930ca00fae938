//! Stages with several workers.

use crate::{root, throw};
use ironsys::flow::{Flow, FlowError, Monitor, Never, Par, on_error};
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

type Plain = Result<(), FlowError<Never>>;

fn spin(n: u64) -> u64 {
    (0..n % 64).fold(n, |a, b| std::hint::black_box(a ^ b) ^ b)
}

#[test]
fn par_map_keeps_the_order() -> Plain {
    let (ctx, _cancel) = root();
    let expected: Vec<u64> = (0..1000).map(spin).collect();
    for (workers, window) in [(1, 1), (2, 1), (2, 2), (3, 7), (4, 64), (2, usize::MAX)] {
        let par = Par::workers(workers).window(window);
        let out: Vec<u64> = Flow::range(0..1000).par_map(par, spin).collect(&ctx)?;
        assert_eq!(out, expected, "{par}");
        let out: Vec<u64> = Flow::of(0..1000).par_map(par, spin).buffer(3).collect(&ctx)?;
        assert_eq!(out, expected, "{par}");
    }
    Ok(())
}

#[test]
fn par_map_unordered_has_everything_once() -> Plain {
    let (ctx, _cancel) = root();
    for (workers, window) in [(1, 1), (2, 1), (3, 7), (4, 64), (2, usize::MAX)] {
        let par = Par::workers(workers).window(window);
        let out: BTreeSet<u64> =
            Flow::range(0..1000).par_map_unordered(par, |n: u64| n).collect(&ctx)?;
        assert!(out.into_iter().eq(0..1000));
        let out: Vec<u64> = Flow::range(0..300).par_flat_map(par, |n: u64| [n; 3]).collect(&ctx)?;
        assert_eq!(out.len(), 900);
    }
    Ok(())
}

#[test]
fn the_window_bounds_what_is_under_way() -> Plain {
    let (ctx, _cancel) = root();
    for window in [1u64, 2, 5, 40] {
        let (begun, used) = (AtomicU64::new(0), AtomicU64::new(0));
        let ahead = AtomicU64::new(0);
        let par = Par::workers(3).window(window as usize);
        Flow::range(0..2000u64)
            .par_map(par, |n| {
                let begun = begun.fetch_add(1, Ordering::SeqCst) + 1;
                let now = begun.saturating_sub(used.load(Ordering::SeqCst));
                ahead.fetch_max(now, Ordering::SeqCst);
                n
            })
            .for_each(&ctx, |_| {
                used.fetch_add(1, Ordering::SeqCst);
            })?;
        let ahead = ahead.into_inner();
        assert!(ahead <= window + 1, "{ahead} ahead with a window of {window}");
    }
    Ok(())
}

#[test]
fn reduce_combines_neighbours_in_order() -> Plain {
    let (ctx, _cancel) = root();
    let expected: String = (0..500).map(|n| n.to_string()).collect();
    for workers in 1..5 {
        let words = Flow::range(0..500u32).map(|n| n.to_string());
        let all = words.par_reduce(&ctx, workers, |a, b| a + &b)?;
        assert_eq!(all.as_ref(), Some(&expected));
    }
    assert_eq!(Flow::range(0..0u32).par_reduce(&ctx, 2, |a, _| a)?, None);
    Ok(())
}

#[test]
fn an_error_of_a_worker_has_the_index_of_its_item() {
    let (ctx, _cancel) = root();
    for workers in [1, 3] {
        let odd = |n: u32| if n == 100 { Err("a hundred") } else { Ok(n) };
        let error = Flow::range(0..100_000).par_try_map(workers, odd).count(&ctx).unwrap_err();
        assert_eq!((error.stage(), error.item()), ("par_try_map", Some(100)));
        let flow = Flow::range(0..100_000).par_try_map_unordered(workers, odd).named("odd");
        let error = flow.count(&ctx).unwrap_err();
        assert_eq!((error.stage(), error.item()), ("odd", Some(100)));
    }
}

#[test]
fn a_panic_of_a_worker_is_data() {
    let (ctx, _cancel) = root();
    let bad = |n: u64| if n == 77 { throw("77") } else { n };
    let error = Flow::of(0..).par_map(3, bad).count(&ctx).unwrap_err();
    assert_eq!((error.stage(), error.item()), ("par_map", Some(77)));
    let error = Flow::of(0..).par_map_unordered(3, bad).count(&ctx).unwrap_err();
    assert_eq!((error.stage(), error.item()), ("par_map_unordered", Some(77)));
    assert_eq!(error.panicked().map(|p| p.message()), Some("77"));
}

#[test]
fn skipped_items_leave_no_gap_and_are_counted() -> Result<(), FlowError<u64>> {
    let (ctx, _cancel) = root();
    let monitor = Monitor::new();
    let odd = |n: u64| if n % 2 == 1 { Err(n) } else { Ok(n) };
    let flow = Flow::range(0..1000).par_try_map(Par::workers(2).window(3), odd);
    let flow = flow.on_error(on_error::skip()).monitor(&monitor);
    let out: Vec<u64> = flow.collect(&ctx)?;
    assert_eq!(out, (0..1000).step_by(2).collect::<Vec<_>>());
    let report = monitor.report();
    assert_eq!(report.segments[1].skipped, 500, "{report}");
    assert!(report.is_balanced());
    Ok(())
}

#[test]
fn dead_letters_have_the_index() -> Result<(), FlowError<&'static str>> {
    let (ctx, _cancel) = root();
    let letters = Mutex::new(Vec::new());
    let flow = Flow::range(0..10u32).try_map(|n| if n % 4 == 0 { Err("four") } else { Ok(n) });
    let flow = flow.on_error(on_error::dead_letter(|i, e| letters.lock().unwrap().push((i, e))));
    assert_eq!(flow.count(&ctx)?, 7);
    assert_eq!(letters.into_inner().unwrap(), [(0, "four"), (4, "four"), (8, "four")]);
    Ok(())
}

#[test]
fn an_early_end_of_parallel_stages() -> Plain {
    let (ctx, _cancel) = root();
    let monitor = Monitor::new();
    for window in [1, 2, 100] {
        let par = Par::workers(2).window(window);
        let flow = Flow::of(0u64..).par_map(par, |n| n).monitor(&monitor);
        assert_eq!(flow.find_first(&ctx, |n| *n == 50)?, Some(50));
        let report = monitor.report();
        assert!(report.is_balanced(), "{report}");
        assert!(report.links.iter().all(|link| link.ledger.in_flight == 0), "{report}");
        let flow = Flow::of(0u64..).par_map_unordered(par, |n| n).take(50);
        assert_eq!(flow.count(&ctx)?, 50);
    }
    assert_eq!(ctx.linked(), (0, 0));
    Ok(())
}

#[test]
fn wrong_numbers_fail_before_anything_runs() {
    let (ctx, _cancel) = root();
    let ran = AtomicU64::new(0);
    for par in [Par::workers(0), Par::workers(usize::MAX), Par::workers(2).window(0)] {
        let flow = Flow::range(0..10).inspect(|_| {
            ran.fetch_add(1, Ordering::SeqCst);
        });
        let error = flow.par_map(par, |n: u32| n).count(&ctx).unwrap_err();
        let field = error.misbuilt().map(|e| e.field());
        assert!(matches!(field, Some("workers" | "window")), "{error:?}");
    }
    assert_eq!(ran.into_inner(), 0);
}
