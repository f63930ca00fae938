//! Every boundary between segments of a flow: how it ends, fails and is cancelled.
//!
//! One item or two are enough: a boundary has no more states than empty, held and full. What `flow` and
//! `flow_ways` have is not here again.

use crate::{join, spawn};
use ironsys::flow::{ErrorOf, Flow, FlowError, Par, Router, Rules, Stage};
use ironsys::sync::InjectedPanic;
use ironsys::testing::Model;
use ironsys::{Context, channel};

/// Models of many threads: one preemption.
fn crowd(name: &str, body: impl Fn() + Send + Sync + 'static) {
    Model::new(name).bound(1).check(body);
}

/// Models of two threads, which take milliseconds: two preemptions.
fn pair(name: &str, body: impl Fn() + Send + Sync + 'static) {
    Model::new(name).bound(2).check(body);
}

fn one() -> Par {
    Par::workers(1).window(1)
}

/// A run cancelled at any moment is done, with so many items, or says that it was stopped.
fn cancelled<S: Stage>(name: &str, items: u64, flow: impl Fn() -> Flow<S> + Send + Sync + 'static)
where
    ErrorOf<S>: std::fmt::Debug,
{
    crowd(name, move || {
        let (ctx, cancel) = Context::root();
        let canceller = spawn(move || cancel.cancel());
        match flow().count(&ctx) {
            Ok(count) => assert_eq!(count, items),
            Err(error) => assert!(error.is_cancelled(), "{error:?}"),
        }
        join(canceller);
        assert_eq!(ctx.linked(), (0, 0));
    });
}

/// A flow whose second item is an error.
fn bad() -> Flow<impl Stage<Item = u32, Fault = ironsys::flow::Fails<&'static str>>> {
    Flow::range(0..2u32).try_map(|n| if n == 0 { Ok(n) } else { Err("bad") })
}

/// That error comes through, whatever stands between.
fn fails<S: Stage>(name: &str, flow: impl Fn() -> Flow<S> + Send + Sync + 'static)
where
    S::Fault: ironsys::flow::Fault<Error = &'static str>,
{
    pair(name, move || {
        let (ctx, _cancel) = Context::root();
        let error: FlowError<&str> = flow().count(&ctx).expect_err("bad");
        assert_eq!((error.error(), error.item()), (Some(&"bad"), Some(1)));
        assert_eq!(ctx.linked(), (0, 0));
    });
}

// ===== cancel =====

#[test]
fn par_map_vs_cancel() {
    cancelled("flow_ends::par_map_vs_cancel", 1, || Flow::range(0..1u32).par_map(one(), |n| n));
}

#[test]
fn par_map_unordered_vs_cancel() {
    cancelled("flow_ends::par_map_unordered_vs_cancel", 1, || {
        Flow::range(0..1u32).par_map_unordered(one(), |n| n)
    });
}

#[test]
fn par_flat_map_vs_cancel() {
    cancelled("flow_ends::par_flat_map_vs_cancel", 1, || {
        Flow::range(0..1u32).par_flat_map(one(), |n| [n])
    });
}

#[test]
fn par_map_by_key_vs_cancel() {
    cancelled("flow_ends::par_map_by_key_vs_cancel", 1, || {
        Flow::range(0..1u32).key_by(|n| *n).par_map(one(), |n| n)
    });
}

#[test]
fn merge_vs_cancel() {
    cancelled("flow_ends::merge_vs_cancel", 1, || Flow::range(0..1u32).merge(Flow::range(0..0)));
}

#[test]
fn conflate_vs_cancel() {
    cancelled("flow_ends::conflate_vs_cancel", 1, || {
        Flow::range(0..1u32).conflate(|n| n, |_, n| n)
    });
}

#[test]
fn par_try_map_vs_cancel() {
    cancelled("flow_ends::par_try_map_vs_cancel", 1, || {
        Flow::range(0..1u32).par_try_map(one(), Ok::<_, &str>)
    });
}

#[test]
fn par_try_map_unordered_vs_cancel() {
    cancelled("flow_ends::par_try_map_unordered_vs_cancel", 1, || {
        Flow::range(0..1u32).par_try_map_unordered(one(), Ok::<_, &str>)
    });
}

#[test]
fn par_reduce_vs_cancel() {
    crowd("flow_ends::par_reduce_vs_cancel", || {
        let (ctx, cancel) = Context::root();
        let canceller = spawn(move || cancel.cancel());
        match Flow::range(1..3u32).par_reduce(&ctx, one(), |a, b| a + b) {
            Ok(sum) => assert_eq!(sum, Some(3)),
            Err(error) => assert!(error.is_cancelled(), "{error:?}"),
        }
        join(canceller);
        assert_eq!(ctx.linked(), (0, 0));
    });
}

// ===== errors =====

#[test]
fn par_try_map_after_an_error() {
    fails("flow_ends::par_try_map_after_an_error", || {
        Flow::range(0..2u32).par_try_map(one(), |n| if n == 0 { Ok(n) } else { Err("bad") })
    });
}

#[test]
fn par_try_map_unordered_after_an_error() {
    fails("flow_ends::par_try_map_unordered_after_an_error", || {
        let bad = |n| if n == 0 { Ok(n) } else { Err("bad") };
        Flow::range(0..2u32).par_try_map_unordered(one(), bad)
    });
}

#[test]
fn par_reduce_after_an_error() {
    pair("flow_ends::par_reduce_after_an_error", || {
        let (ctx, _cancel) = Context::root();
        let error = bad().par_reduce(&ctx, one(), |a, b| a + b).expect_err("bad");
        assert_eq!((error.error(), error.item()), (Some(&"bad"), Some(1)));
        assert_eq!(ctx.linked(), (0, 0));
    });
}

#[test]
fn par_map_after_an_error() {
    fails("flow_ends::par_map_after_an_error", || bad().par_map(one(), |n| n));
}

#[test]
fn par_map_unordered_after_an_error() {
    fails("flow_ends::par_map_unordered_after_an_error", || bad().par_map_unordered(one(), |n| n));
}

#[test]
fn par_flat_map_after_an_error() {
    fails("flow_ends::par_flat_map_after_an_error", || bad().par_flat_map(one(), |n| [n]));
}

#[test]
fn par_map_by_key_after_an_error() {
    fails("flow_ends::par_map_by_key_after_an_error", || {
        bad().key_by(|n| *n).par_map(one(), |n| n)
    });
}

#[test]
fn merge_after_an_error() {
    fails("flow_ends::merge_after_an_error", || bad().merge(Flow::range(0..0)));
}

#[test]
fn conflate_after_an_error() {
    fails("flow_ends::conflate_after_an_error", || bad().conflate(|n| n, |_, n| n));
}

/// A worker of a key fails the run while the reader waits for it.
#[test]
fn panic_at_a_key() {
    pair("flow_ends::panic_at_a_key", || {
        let (ctx, _cancel) = Context::root();
        let bad = |_| -> u32 { std::panic::resume_unwind(Box::new(InjectedPanic)) };
        let flow = Flow::range(0..1u32).key_by(|_| 0).par_map(one(), bad);
        let error = flow.count(&ctx).expect_err("it panics");
        assert!(error.panicked().is_some() && error.item() == Some(0), "{error}");
    });
}

// ===== ends =====

#[test]
fn par_flat_map_to_its_end() {
    crowd("flow_ends::par_flat_map_to_its_end", || {
        let (ctx, _cancel) = Context::root();
        let out = Flow::range(0..2u32).par_flat_map(one(), |n| [n, n]).count(&ctx);
        assert_eq!(out.expect("nobody stops it"), 4);
    });
}

/// The reader has enough while a flow that is merged still gives.
#[test]
fn merge_early_end() {
    crowd("flow_ends::merge_early_end", || {
        let (ctx, _cancel) = Context::root();
        let found = Flow::range(0..2u32).merge(Flow::range(0..1)).find_first(&ctx, |_| true);
        assert_eq!(found.expect("nobody stops it"), Some(0));
        assert_eq!(ctx.linked(), (0, 0));
    });
}

/// A copy waits for room, somebody makes it.
#[test]
fn tee_vs_take() {
    pair("flow_ends::tee_vs_take", || {
        let (ctx, _cancel) = Context::root();
        let (tx, rx) = channel::bounded(1);
        let taking = spawn({
            let ctx = ctx.clone();
            move || (rx.recv(&ctx), rx.recv(&ctx))
        });
        assert_eq!(Flow::range(0..2u32).tee(&tx).count(&ctx).expect("nobody stops it"), 2);
        assert_eq!(join(taking), (Ok(0), Ok(1)));
    });
}

/// A copy waits for room that nobody makes, and the run is cancelled.
#[test]
fn tee_vs_cancel() {
    pair("flow_ends::tee_vs_cancel", || {
        let (ctx, cancel) = Context::root();
        let (tx, rx) = channel::bounded(1);
        let canceller = spawn(move || cancel.cancel());
        let error = Flow::range(0..2u32).tee(&tx).count(&ctx).expect_err("there is no room");
        assert!(error.is_cancelled(), "{error}");
        join(canceller);
        assert!(rx.drain().len() <= 1 && ctx.linked() == (0, 0));
    });
}

/// Two ways out, one of them full: a cancel ends the wait for it.
#[test]
fn split_vs_cancel() {
    pair("flow_ends::split_vs_cancel", || {
        let (ctx, cancel) = Context::root();
        let ((a, a_out), (b, _b_out)) = (channel::bounded(1), channel::bounded(1));
        b.try_send(9).expect("there is room");
        let canceller = spawn(move || cancel.cancel());
        let error =
            Flow::range(0..2u32).split_to(&ctx, &[a, b], |n| *n as usize).expect_err("it is full");
        assert!(error.is_cancelled(), "{error}");
        join(canceller);
        assert!(a_out.drain().len() <= 1 && ctx.linked() == (0, 0));
    });
}

/// A rule's way out goes while an item waits for room in it.
#[test]
fn route_vs_gone() {
    pair("flow_ends::route_vs_gone", || {
        let (ctx, _cancel) = Context::root();
        let (tx, rx) = channel::bounded(1);
        let router = Router::new(Rules::new().otherwise("all", &tx)).expect("one name");
        let going = spawn(move || drop(rx));
        // Whatever it says, it comes back.
        let _ = Flow::range(0..2u32).route_to(&ctx, &router).expect("nobody fails");
        join(going);
        assert_eq!(ctx.linked(), (0, 0));
    });
}
