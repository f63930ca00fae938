//! Ways through a flow with state of their own: rules that change, a value that is taken back.

use crate::{join, model, spawn};
use ironsys::channel::Receiver;
use ironsys::flow::{Count, Flow, Monitor, Router, Rules, Window, on_error};
use ironsys::testing::Model;
use ironsys::time::VirtualClock;
use ironsys::{Context, channel};
use std::time::Duration;

/// Rules are replaced while an item is routed: it goes by the old or the new ones, and once.
#[test]
fn route_vs_replace() {
    model("flow_ways::route_vs_replace", || {
        let (ctx, _cancel) = Context::root();
        let ((old, old_out), (new, new_out)) = (channel::bounded(2), channel::bounded(2));
        let router = Router::new(Rules::new().when("old", |_: &u8| true, &old)).expect("one name");
        let replacing = spawn({
            let router = router.clone();
            move || router.replace(Rules::new().when("new", |n| *n == 1, &new)).expect("one name")
        });
        let routed = Flow::range(0..2).route_to(&ctx, &router).expect("nobody fails");
        join(replacing);
        assert_eq!(routed.count, 2);
        let (old, new) = (old_out.drain(), new_out.drain());
        // 0 matches no new rule: then it is dropped, and 1 meets the new rules, too.
        let unmatched =
            router.stats().iter().any(|rule| &*rule.name == "(unmatched)" && rule.routed == 1);
        assert_eq!(old.len() + new.len() + usize::from(unmatched), 2, "{old:?} {new:?}");
        assert!(new.is_empty() || new == [1]);
    });
}

/// What is merged is taken back, or taken by the other side; nothing is lost between.
#[test]
fn merge_vs_take() {
    model("flow_ways::merge_vs_take", || {
        let (ctx, _cancel) = Context::root();
        let sums = Flow::range(1..3u8).conflate(|n| n, |sum, n| sum + n);
        assert_eq!(sums.fold(&ctx, 0, |all, sum| all + sum).expect("nobody fails"), 3);
    });
}

/// The consumer has enough while the other side may be merging.
#[test]
fn merge_vs_enough() {
    model("flow_ways::merge_vs_enough", || {
        let (ctx, _cancel) = Context::root();
        let sums = Flow::range(1..3u8).conflate(|n| n, |sum, n| sum + n);
        let first = sums.take(1).fold(&ctx, 0, |all, sum| all + sum).expect("nobody fails");
        assert!(first == 1 || first == 3);
        assert_eq!(ctx.linked(), (0, 0));
    });
}

/// Items of one key, one after the other, on the worker of that key.
#[test]
fn key_by_in_order() {
    Model::new("flow_ways::key_by_in_order").bound(1).check(|| {
        let (ctx, _cancel) = Context::root();
        let flow = Flow::range(0..2u8).key_by(|_| 0u8).par_map(1, |n| n);
        assert_eq!(flow.collect::<Vec<_>>(&ctx).expect("nobody fails"), [0, 1]);
    });
}

/// Items that are passed over are counted: an error that is skipped, an item that comes late.
#[test]
fn skipped_items_are_counted() {
    Model::new("flow_ways::skipped_items_are_counted").bound(1).check(|| {
        let (ctx, _cancel) = Context::root();
        let monitor = Monitor::new();
        let odd = |n: u64| if n == 1 { Err(()) } else { Ok(n) };
        let flow = Flow::range(0..3).try_map(odd).on_error(on_error::skip()).buffer(1);
        let second = Window::tumbling(Duration::from_secs(1)).expect("longer than zero");
        let panes = flow
            .map(|n| 2 - n) // 2, 0: the second is late.
            .window_by(second, |n| Duration::from_secs(*n), Count::default)
            .monitor(&monitor);
        assert_eq!(panes.count(&ctx).map_err(|_| ()), Ok(1));
        let skipped: u64 = monitor.report().segments.iter().map(|s| s.skipped).sum();
        assert_eq!(skipped, 2);
    });
}

const SECOND: Duration = Duration::from_secs(1);

/// Two items and the end of a second, each at any moment, while `run` takes them.
fn timed(name: &str, run: impl Fn(&Context, Receiver<u8>) + Send + Sync + 'static) {
    Model::new(name).bound(2).check(move || {
        let time = VirtualClock::new();
        let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
        let (tx, rx) = channel::bounded(2);
        let others = spawn(move || {
            tx.try_send(1).expect("room for two");
            time.advance(SECOND);
            tx.try_send(2).expect("room for two");
        });
        run(&ctx, rx);
        join(others);
        assert_eq!(ctx.linked(), (0, 0));
    });
}

/// The time of a batch is over while its items come: each item is in one batch, in order.
#[test]
fn batch_by_clock() {
    timed("flow_ways::batch_by_clock", |ctx, rx| {
        let batches = Flow::receiver(rx).batch(2, SECOND).collect::<Vec<_>>(ctx);
        let batches = batches.expect("nobody fails");
        assert!(batches == [vec![1], vec![2]] || batches == [vec![1, 2]], "{batches:?}");
    });
}

/// The same with windows: an item belongs to the window in which it is taken, and each to one.
#[test]
fn window_by_clock() {
    timed("flow_ways::window_by_clock", |ctx, rx| {
        let second = Window::tumbling(SECOND).expect("longer than zero");
        let panes = Flow::receiver(rx).window(second, Count::default);
        let counts = panes.map(|pane| pane.value.0).collect::<Vec<_>>(ctx);
        let counts = counts.expect("nobody fails");
        assert!(counts == [1, 1] || counts == [2], "{counts:?}");
    });
}
