//! Budget, bulkhead, timeout, retry: small protocols of their own.

use crate::{Count, SOON, join, join_all, model, spawn, timed};
use ironsys::Context;
use ironsys::resilience::{Budget, Bulkhead, CallError, Hedge, Retry, Timeout};
use std::time::Duration;

/// The last token goes to one of two, and a deposit that finds the budget full loses nothing that
/// somebody could have counted on.
#[test]
fn budget() {
    model("guards::budget", || {
        let budget = Budget::builder().ratio(1.0).floor_per_second(0).burst(1).build();
        let budget = budget.expect("it makes sense");
        let taken = Count::default();
        let users = [(); 2].map(|()| {
            let (budget, taken) = (budget.clone(), taken.clone());
            spawn(move || {
                budget.deposit();
                taken.add(usize::from(budget.withdraw()));
            })
        });
        join_all(users);
        let stats = budget.stats();
        assert_eq!(stats.granted, taken.get() as u64);
        // Both deposits found it full, or one of them was made between the two withdrawals.
        assert!((1..=2).contains(&stats.granted));
        assert_eq!(stats.granted + stats.refused, 2);
        budget.deposit();
        assert_eq!(budget.stats().balance, 1.0, "a hint that it is full would be a lie");
    });
}

/// One runs, one waits, and a third is refused if it comes while the other does.
#[test]
fn bulkhead() {
    model("guards::bulkhead", || {
        let (ctx, _cancel) = Context::root();
        let bulkhead = Bulkhead::builder("model").concurrent(1).queue(1).build();
        let bulkhead = bulkhead.expect("it makes sense");
        let users = [(); 2].map(|()| {
            let (ctx, bulkhead) = (ctx.clone(), bulkhead.clone());
            spawn(move || bulkhead.call(&ctx, |_| Ok::<_, ()>(())).is_ok())
        });
        let mine = bulkhead.call(&ctx, |_| Ok::<_, ()>(())).is_ok();
        let admitted = join_all(users).into_iter().filter(|ok| *ok).count() + usize::from(mine);
        let stats = bulkhead.stats();
        assert!(admitted >= 2, "a place and a queue of one");
        assert_eq!((stats.admitted, stats.refused), (admitted as u64, 3 - admitted as u64));
        assert_eq!((stats.running, stats.waiting), (0, 0));
    });
}

/// A call ends at the time limit: result or timeout, decided once.
#[test]
fn timeout_vs_result() {
    timed("guards::timeout_vs_result").check(|| {
        let (ctx, _cancel) = Context::root();
        let timeout = Timeout::new(SOON).strict();
        let (reply, mut answer) = ironsys::channel::oneshot();
        let server = spawn(move || reply.send(1).is_ok());
        let out = timeout.call(&ctx, |ctx| answer.recv(ctx));
        join(server);
        let stats = timeout.stats();
        match out {
            Ok(1) => assert_eq!(stats.timed_out, 0),
            Err(CallError::TimedOut { failed, .. }) => {
                assert_eq!((stats.timed_out, stats.overran), (1, u64::from(failed.is_none())));
            }
            other => unreachable!("{other:?}"),
        }
    });
}

/// A retry waits; the context is cancelled.
#[test]
fn retry_vs_cancel() {
    model("guards::retry_vs_cancel", || {
        let (ctx, cancel) = Context::root();
        let retry = Retry::fixed(Duration::MAX);
        let canceller = spawn(move || cancel.cancel());
        match retry.call(&ctx, |_| Err::<(), _>("down")) {
            Err(CallError::Failed("down")) => assert_eq!(retry.stats().stopped, 1),
            Err(CallError::Stopped(_)) => assert_eq!(retry.stats().calls, 0),
            other => unreachable!("{other:?}"),
        }
        join(canceller);
    });
}

/// A hedge that learns does so from one call at a time.
#[test]
fn hedge_learns() {
    model("guards::hedge_learns", || {
        let (ctx, _cancel) = Context::root();
        let hedge = Hedge::at_quantile(0.9, 3);
        let other = spawn({
            let (ctx, hedge) = (ctx.clone(), hedge.clone());
            move || hedge.call(&ctx, |_| Ok::<_, ()>(1))
        });
        assert_eq!(hedge.call(&ctx, |_| Ok::<_, ()>(1)), Ok(1));
        assert_eq!(join(other), Ok(1));
        assert_eq!((hedge.stats().calls, hedge.stats().hedges), (2, 0));
    });
}
