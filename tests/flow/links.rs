//! What lies between two threads.

use crate::root;
use ironsys::channel;
use ironsys::flow::{Flow, FlowError, Monitor, Never};
use std::sync::atomic::{AtomicU64, Ordering};

type Plain = Result<(), FlowError<Never>>;

/// Back-pressure: the source is never further ahead than the capacity and what is in the two hands.
#[test]
fn a_link_never_holds_more_than_its_capacity() -> Plain {
    let (ctx, _cancel) = root();
    for capacity in [0u64, 1, 2, 8, 100, 1000] {
        let (made, used) = (AtomicU64::new(0), AtomicU64::new(0));
        let mut ahead = 0;
        Flow::range(0..2_000u64)
            .inspect(|_| {
                let made = made.fetch_add(1, Ordering::SeqCst) + 1;
                ahead = ahead.max(made - used.load(Ordering::SeqCst));
            })
            .buffer(capacity as usize)
            .for_each(&ctx, |_| {
                used.fetch_add(1, Ordering::SeqCst);
            })?;
        assert!(ahead <= capacity + 2, "{ahead} ahead with a capacity of {capacity}");
    }
    Ok(())
}

/// An item gets through although the source then blocks for ever.
#[test]
fn no_item_is_stranded_behind_a_source_that_blocks() -> Plain {
    let (ctx, _cancel) = root();
    let (tx, rx) = channel::bounded::<u64>(1);
    let ask = || rx.recv(&ctx).ok();
    let mut n = 0;
    let source = std::iter::from_fn(|| {
        n += 1;
        if n == 1 { Some(1) } else { ask() }
    });
    // The source yields its second item only when the first has come out at the other end.
    let out: Vec<u64> = Flow::of(source)
        .buffer(64)
        .map(|n| n)
        .buffer(64)
        .inspect(|n| {
            if *n < 10 {
                tx.try_send(n + 1).unwrap();
            } else {
                tx.close();
            }
        })
        .collect(&ctx)?;
    assert_eq!(out, (1..=10).collect::<Vec<_>>());
    Ok(())
}

#[test]
fn the_report_counts_what_went_through() -> Plain {
    let (ctx, _cancel) = root();
    let monitor = Monitor::new();
    assert!(monitor.report().segments.is_empty());
    Flow::range(0..1000u64)
        .map(|n| n)
        .buffer(16)
        .filter(|n| n % 2 == 0)
        .named("evens")
        .buffer(16)
        .monitor(&monitor)
        .for_each(&ctx, drop)?;
    let report = monitor.report();
    let counts: Vec<_> =
        report.segments.iter().map(|s| (s.name.as_str(), s.taken, s.delivered)).collect();
    let expected = [("range+map", 1000, 1000), ("evens", 1000, 500), ("for_each", 500, 500)];
    assert_eq!(counts, expected, "{report}");
    assert!(report.is_balanced());
    assert!(report.to_string().contains("bottleneck: "), "{report}");
    Ok(())
}

/// The two lanes of a merge are one link: it holds what both hold.
#[test]
fn the_report_of_a_merge_has_the_room_of_both_lanes() -> Plain {
    let (ctx, _cancel) = root();
    let monitor = Monitor::new();
    let flow = Flow::range(0..500).merge(Flow::range(0..500)).monitor(&monitor);
    flow.for_each(&ctx, |_| {
        // More than one lane holds.
        while monitor.report().links[0].ledger.accepted < 100 && ctx.check().is_ok() {
            std::thread::yield_now();
        }
    })?;
    let report = monitor.report();
    assert!(report.links[0].peak > 64, "{report}");
    assert!(report.links[0].peak <= report.links[0].capacity, "{report}");
    Ok(())
}
