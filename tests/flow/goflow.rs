//! What the pipelines and streams of goflow were found to do wrong, each with its number in the list.

use crate::{root, throw};
use ironsys::channel;
use ironsys::flow::{Flow, FlowError, Monitor, Never, Router, Rules, on_error};
use ironsys::pool::Pool;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

type Plain = Result<(), FlowError<Never>>;

/// It hung: the panic went to one place, and whoever waited listened at another.
#[test]
fn goflow_06_a_stage_that_panics_on_a_pool_hangs_nobody() {
    let (ctx, _cancel) = root();
    let pool = Pool::builder("p").workers(1).context(&ctx).build().unwrap();
    let ticket = pool.submit(&ctx, |ctx| {
        let flow = Flow::range(0..99u32).buffer(2).map(|n| if n == 9 { throw("nine") } else { n });
        flow.named("bad").buffer(2).count(ctx)
    });
    let error = ticket.unwrap().join(&ctx).unwrap().unwrap_err();
    assert_eq!((error.stage(), error.item()), ("bad", Some(9)));
    assert_eq!(error.panicked().unwrap().message(), "nine");
}

/// They counted as successes.
#[test]
fn goflow_07_items_that_fail_and_are_skipped_are_counted_as_skipped() {
    let (ctx, _cancel) = root();
    let monitor = Monitor::new();
    let fails = |n: u32| if n.is_multiple_of(3) { Err(n) } else { Ok(n) };
    let flow = Flow::range(0..9).try_map(fails).on_error(on_error::skip()).monitor(&monitor);
    assert_eq!(flow.count(&ctx).unwrap(), 6);
    let segment = &monitor.report().segments[0];
    assert_eq!((segment.taken, segment.delivered, segment.skipped), (9, 6, 3));
}

/// The process died.
#[test]
fn goflow_08_a_stage_that_panics_without_a_pool_fails_the_run() {
    let (ctx, _cancel) = root();
    let error = Flow::range(0..9).map(|_| -> u32 { throw("no pool") }).count(&ctx).unwrap_err();
    assert_eq!(error.panicked().unwrap().message(), "no pool");
}

/// The stages and the settings were read without the lock. A flow that runs is gone for its builder;
/// what can be changed meanwhile are the rules of a router.
#[test]
fn goflow_09_a_change_while_it_runs_loses_nothing() -> Plain {
    let (ctx, _cancel) = root();
    let (tx, rx) = channel::bounded(2000);
    let rules = |name: &str| {
        Rules::new().when(name, |n: &u32| n.is_multiple_of(2), &tx).otherwise("odd", &tx)
    };
    let router = Router::new(rules("a")).unwrap();
    std::thread::scope(|s| {
        s.spawn(|| (0..200).for_each(|n| router.replace(rules(&n.to_string())).unwrap()));
        Flow::range(0..2000).buffer(8).route_to(&ctx, &router)
    })?;
    assert_eq!(rx.drain(), (0..2000).collect::<Vec<_>>());
    Ok(())
}

/// It was ignored.
#[test]
fn goflow_10_no_more_run_at_a_time_than_the_limit_says() -> Plain {
    let (ctx, _cancel) = root();
    let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = |n: u32| {
        most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
        std::thread::yield_now();
        inside.fetch_sub(1, SeqCst);
        n
    };
    Flow::range(0..2000).par_map(3, work).count(&ctx)?;
    assert!(most.load(SeqCst) <= 3);
    Ok(())
}

/// Of two mappings in a row one was dropped, and of a filter and a mapping nothing was left.
#[test]
fn goflow_24_operators_in_a_row_are_all_applied() -> Plain {
    let (ctx, _cancel) = root();
    let texts = Flow::range(1..5u32).map(|n| n * 10).map(|n| n.to_string());
    assert_eq!(texts.collect::<Vec<_>>(&ctx)?, ["10", "20", "30", "40"]);
    let texts = Flow::range(1..5u32).filter(|n| n.is_multiple_of(2)).map(|n| n.to_string());
    assert_eq!(texts.collect::<Vec<_>>(&ctx)?, ["2", "4"]);
    Ok(())
}

/// It lost 158 messages that it had read ahead.
#[test]
fn goflow_25_find_first_leaves_what_it_did_not_take() -> Plain {
    let (ctx, _cancel) = root();
    let (tx, rx) = channel::bounded(200);
    (0..200).for_each(|n| tx.try_send(n).unwrap());
    let flow = Flow::receiver(&rx).map(|n: u32| n).filter(|_| true);
    assert_eq!(flow.find_first(&ctx, |n| *n == 41)?, Some(41));
    assert_eq!(rx.drain(), (42..200).collect::<Vec<_>>());
    // Behind a boundary what was read ahead is counted: nothing is lost silently.
    (0..200).for_each(|n| tx.try_send(n).unwrap());
    let monitor = Monitor::new();
    let flow = Flow::receiver(&rx).buffer(16).monitor(&monitor);
    assert_eq!(flow.find_first(&ctx, |n| *n == 41)?, Some(41));
    let report = monitor.report();
    assert!(report.is_balanced(), "{report}");
    assert_eq!(42 + report.links[0].ledger.dropped + rx.len() as u64, 200, "{report}");
    Ok(())
}

/// The process died of the panic of a mapping, and of a value that cannot be compared: here that is
/// an error, and does not compile.
#[test]
fn goflow_26_a_mapping_that_panics_is_an_error_and_distinct_takes_keys() -> Plain {
    let (ctx, _cancel) = root();
    for workers in [1, 3] {
        let flow =
            Flow::range(0..99u32).par_map(workers, |n| if n == 7 { throw("seven") } else { n });
        let error = flow.count(&ctx).unwrap_err();
        assert_eq!((error.item(), error.panicked().unwrap().message()), (Some(7), "seven"));
    }
    let floats = Flow::of([0.5, 1.5, 0.5f64]).distinct_by(9, |x| x.to_bits());
    assert_eq!(floats.collect::<Vec<_>>(&ctx)?, [0.5, 1.5]);
    Ok(())
}
