//! Hedges: one answer, no attempt after it, the loser cancelled.

use crate::{Count, model};
use ironsys::pool::Pool;
use ironsys::resilience::{CallError, Hedge};
use ironsys::{Context, Stop};
use std::time::Duration;

/// Two attempts, made together: the first value counts and stops the other.
#[test]
fn first_answer() {
    model("hedge::first_answer", || {
        let (ctx, _cancel) = Context::root();
        let hedge = Hedge::after(Duration::ZERO);
        let attempts = Count::default();
        let seen = attempts.clone();
        let out = hedge.call(&ctx, move |_| Ok::<_, Stop>(seen.enter()));
        let stats = hedge.stats();
        assert_eq!(attempts.get() as u64, 1 + stats.hedges);
        assert!(out.is_ok_and(|n| n <= stats.hedges as usize));
    });
}

/// The first attempt hangs until it has lost.
#[test]
fn loser_is_stopped() {
    model("hedge::loser_is_stopped", || {
        let (ctx, _cancel) = Context::root();
        let hedge = Hedge::after(Duration::ZERO);
        let attempts = Count::default();
        let out = hedge.call(&ctx, |ctx| match attempts.enter() {
            0 => Err(ctx.wait_stopped()),
            n => Ok(n),
        });
        assert_eq!(out, Ok(1));
    });
}

/// The first attempt fails while the second is about to begin: it begins and is waited for, or it does
/// not begin, and the failure is the answer.
#[test]
fn failure_vs_hedge() {
    model("hedge::failure_vs_hedge", || {
        let (ctx, _cancel) = Context::root();
        let hedge = Hedge::after(Duration::ZERO);
        let attempts = Count::default();
        let out = hedge.call(&ctx, |_| match attempts.enter() {
            0 => Err("first"),
            _ => Ok(()),
        });
        match attempts.get() {
            1 => assert_eq!(out, Err(CallError::Failed("first"))),
            _ => assert_eq!(out, Ok(())),
        }
        assert_eq!(hedge.stats().hedges, attempts.get() as u64 - 1);
    });
}

/// On a pool: the answer, and a caller that is cancelled meanwhile.
#[test]
fn on_a_pool_vs_cancel() {
    model("hedge::on_a_pool_vs_cancel", || {
        let (ctx, cancel) = Context::root();
        let pool = Pool::builder("model").workers(1).queue(1).build().expect("it makes sense");
        let hedge = Hedge::after(Duration::MAX);
        let out = hedge.call_on(&ctx, &pool, move |_| {
            cancel.cancel();
            Ok::<_, ()>(1)
        });
        match out {
            Ok(1) | Err(CallError::Stopped(_)) => {}
            other => unreachable!("{other:?}"),
        }
        drop(pool);
    });
}
