//! Flows: nothing is lost between two threads, and whatever ends a run ends all of it.

use crate::{Count, SOON, join, small, spawn, timed};
use ironsys::flow::{Flow, FlowError, Monitor, Never, Par};
use ironsys::sync::InjectedPanic;
use ironsys::testing::Model;
use ironsys::{Context, channel};

/// An item and the end, through a link of one place.
#[test]
fn link() {
    small("flow::link", || {
        let (ctx, _cancel) = Context::root();
        let out: Result<Vec<u32>, FlowError<Never>> = Flow::range(0..2).buffer(1).collect(&ctx);
        assert_eq!(out.expect("nobody stops it"), [0, 1]);
    });
}

/// A writer that keeps items back gives them before the reader starves.
#[test]
fn chunks() {
    small("flow::chunks", || {
        let (ctx, _cancel) = Context::root();
        let monitor = Monitor::new();
        let flow = Flow::range(0..3u32).buffer(16).monitor(&monitor);
        assert_eq!(flow.collect::<Vec<_>>(&ctx).expect("nobody stops it"), [0, 1, 2]);
        let report = monitor.report();
        assert!(report.is_balanced() && report.links[0].ledger.done == 3, "{report}");
    });
}

/// The only reader of a long run gives room back half way: the writer, who waits for it, goes on.
#[test]
fn half_way() {
    small("flow::half_way", || {
        let (ctx, _cancel) = Context::root();
        let monitor = Monitor::new();
        let flow = Flow::range(0..6u32).buffer(4).monitor(&monitor);
        assert_eq!(flow.count(&ctx).expect("nobody stops it"), 6);
        let report = monitor.report();
        assert!(report.is_balanced() && report.links[0].ledger.in_flight == 0, "{report}");
    });
}

/// A segment gives what it keeps back before it waits itself: here that is what ends the wait.
#[test]
fn flush_before_wait() {
    small("flow::flush_before_wait", || {
        let (ctx, _cancel) = Context::root();
        let (tx, rx) = channel::bounded(1);
        tx.try_send(1).expect("there is room");
        let out = Flow::receiver(&rx).buffer(16).for_each(&ctx, |_| {
            tx.close();
        });
        out.expect("nobody stops it");
    });
}

/// A hand-over without a place.
#[test]
fn rendezvous() {
    small("flow::rendezvous", || {
        let (ctx, _cancel) = Context::root();
        let out = Flow::range(0..2u32).buffer(0).count(&ctx);
        assert_eq!(out.expect("nobody stops it"), 2);
    });
}

/// The reader goes while the writer waits for room.
#[test]
fn reader_gone_vs_writer_blocked() {
    small("flow::reader_gone_vs_writer_blocked", || {
        let (ctx, _cancel) = Context::root();
        let monitor = Monitor::new();
        let flow = Flow::range(0..3u32).buffer(1).monitor(&monitor);
        assert_eq!(flow.find_first(&ctx, |_| true).expect("nobody stops it"), Some(0));
        let report = monitor.report();
        assert!(report.is_balanced() && report.links[0].ledger.in_flight == 0, "{report}");
        assert_eq!(ctx.linked(), (0, 0));
    });
}

/// A source that waits for a message is stopped by the end of the flow, and has taken nothing more.
#[test]
fn early_end_vs_blocked_source() {
    small("flow::early_end_vs_blocked_source", || {
        let (ctx, _cancel) = Context::root();
        let (tx, rx) = channel::bounded(2);
        tx.try_send(1).expect("there is room");
        let found = Flow::receiver(&rx).buffer(1).find_first(&ctx, |_| true);
        assert_eq!(found.expect("nobody stops it"), Some(1));
        tx.try_send(2).expect("the receiver is there");
        assert_eq!(rx.try_recv(), Ok(2));
    });
}

/// A message on its way to a source that waits.
#[test]
fn receiver_vs_send() {
    small("flow::receiver_vs_send", || {
        let (ctx, _cancel) = Context::root();
        let (tx, rx) = channel::bounded(1);
        let sender = spawn({
            let ctx = ctx.clone();
            move || tx.send(&ctx, 7)
        });
        let out = Flow::receiver(rx).collect::<Vec<_>>(&ctx);
        assert_eq!(out.expect("nobody stops it"), [7]);
        assert!(join(sender).is_ok());
    });
}

/// An error, and a sibling that ends because of it.
#[test]
fn error_vs_cancel() {
    small("flow::error_vs_cancel", || {
        let (ctx, _cancel) = Context::root();
        let error = Flow::range(0..2u32)
            .try_map(|n| if n == 0 { Ok(n) } else { Err("first") })
            .buffer(1)
            .count(&ctx)
            .expect_err("it fails");
        assert_eq!((error.error(), error.item()), (Some(&"first"), Some(1)));
    });
}

/// The sink fails while its source, a generator, waits to be stopped and panics then: whose failure counts?
#[test]
fn first_error_wins() {
    small("flow::first_error_wins", || {
        let (ctx, _cancel) = Context::root();
        let mut first = true;
        let source = Flow::generate(|ctx: &Context| {
            if std::mem::take(&mut first) {
                return Ok::<_, &str>(Some(1));
            }
            ctx.wait_stopped();
            std::panic::resume_unwind(Box::new(InjectedPanic))
        });
        let error = source.buffer(1).try_for_each(&ctx, |_| Err("first")).expect_err("it fails");
        assert_eq!((error.error(), error.stage()), (Some(&"first"), "try_for_each"));
    });
}

/// A run is cancelled at any moment: either it is done, or it says that it was stopped. Never half.
#[test]
fn cancel() {
    crowd("flow::cancel").check(|| {
        let (ctx, cancel) = Context::root();
        let canceller = spawn(move || cancel.cancel());
        match Flow::range(0..2u32).buffer(1).count(&ctx) {
            Ok(count) => assert_eq!(count, 2),
            Err(error) => assert!(error.is_cancelled(), "{error}"),
        }
        join(canceller);
        assert_eq!(ctx.linked(), (0, 0));
    });
}

/// The same with a deadline.
#[test]
fn deadline() {
    timed("flow::deadline").bound(2).check(|| {
        let (ctx, _cancel) = Context::root();
        match Flow::range(0..2u32).buffer(1).count(&ctx.with_timeout(SOON)) {
            Ok(count) => assert_eq!(count, 2),
            Err(error) => assert!(error.is_timeout(), "{error}"),
        }
    });
}

/// A panic is known before anything that it makes others do.
#[test]
fn panic() {
    small("flow::panic", || {
        let (ctx, _cancel) = Context::root();
        let error = Flow::range(0..2u32)
            .map(|n| if n == 1 { std::panic::resume_unwind(Box::new(InjectedPanic)) } else { n })
            .buffer(1)
            .count(&ctx)
            .expect_err("it panics");
        assert_eq!((error.stage(), error.item()), ("map", Some(1)));
        assert!(error.panicked().is_some());
    });
}

/// Two flows into one.
#[test]
fn merge() {
    crowd("flow::merge").check(|| {
        let (ctx, _cancel) = Context::root();
        let sum = Flow::range(1..2u32).merge(Flow::range(2..3)).fold(&ctx, 0, |a, b| a + b);
        assert_eq!(sum.expect("nobody stops it"), 3);
    });
}

/// Two workers, and the order of the items.
#[test]
fn par_map_order() {
    crowd("flow::par_map_order").check(|| {
        let (ctx, _cancel) = Context::root();
        let flow = Flow::range(0..3u32).par_map(Par::workers(2).window(2), |n| n * 2);
        assert_eq!(flow.collect::<Vec<_>>(&ctx).expect("nobody stops it"), [0, 2, 4]);
    });
}

/// One worker and a window of one: every hand-over waits.
#[test]
fn par_map_window() {
    small("flow::par_map_window", || {
        let (ctx, _cancel) = Context::root();
        let flow = Flow::range(0..2u32).par_map(Par::workers(1).window(1), |n| n * 2);
        assert_eq!(flow.collect::<Vec<_>>(&ctx).expect("nobody stops it"), [0, 2]);
    });
}

/// The reader goes while workers are at work.
#[test]
fn par_map_early_end() {
    crowd("flow::par_map_early_end").check(|| {
        let (ctx, _cancel) = Context::root();
        let monitor = Monitor::new();
        let flow = Flow::range(0..3u32).par_map(Par::workers(1).window(2), |n| n).monitor(&monitor);
        assert_eq!(flow.find_first(&ctx, |_| true).expect("nobody stops it"), Some(0));
        let report = monitor.report();
        assert!(report.is_balanced(), "{report}");
        assert!(report.links.iter().all(|link| link.ledger.in_flight == 0), "{report}");
    });
}

/// A worker panics while the other and the reader wait for something.
#[test]
fn panic_in_a_worker() {
    crowd("flow::panic_in_a_worker").check(|| {
        let (ctx, _cancel) = Context::root();
        let bad = |n: u32| -> u32 {
            if n == 1 { std::panic::resume_unwind(Box::new(InjectedPanic)) } else { n }
        };
        let flow = Flow::range(0..2u32).par_map(Par::workers(2).window(2), bad);
        let error = flow.count(&ctx).expect_err("it panics");
        assert_eq!((error.stage(), error.item()), ("par_map", Some(1)));
    });
}

/// Two workers without an order.
#[test]
fn par_map_unordered() {
    crowd("flow::par_map_unordered").check(|| {
        let (ctx, _cancel) = Context::root();
        let ran = Count::default();
        let counting = ran.clone();
        let flow = Flow::range(0..2u32).par_map_unordered(Par::workers(2).window(2), move |n| {
            counting.add(1);
            n + 1
        });
        assert_eq!(flow.fold(&ctx, 0, |a, b| a + b).expect("nobody stops it"), 3);
        assert_eq!(ran.get(), 2);
    });
}

/// Two workers combine neighbours, the left one first.
#[test]
fn par_reduce() {
    crowd("flow::par_reduce").check(|| {
        let (ctx, _cancel) = Context::root();
        let digits = Flow::range(1..4u32);
        let number = digits.par_reduce(&ctx, Par::workers(2).window(3), |a, b| {
            let shift = if b > 9 { 100 } else { 10 };
            a * shift + b
        });
        assert_eq!(number.expect("nobody stops it"), Some(123));
    });
}

/// A model with more threads, or longer paths: fewer preemptions.
fn crowd(name: &str) -> Model {
    Model::new(name).bound(1)
}
