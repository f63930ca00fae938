//! Subpools: turns and shares.

use crate::{Count, SOON, join, small, spawn, timed};
use ironsys::Context;
use ironsys::pool::{Pool, Share, SubmitError, Subpools};

/// Two subpools that live of one spare thread.
fn two(ctx: &Context) -> Subpools {
    Subpools::over(Pool::builder("p").workers(1).context(ctx))
        .pool("a", Share::new(0..=1).queue(1))
        .pool("b", Share::new(0..=1).queue(1))
        .build()
        .expect("fine numbers")
}

/// The thread is set free while the other subpool asks for it.
#[test]
fn turn_ends_vs_submit() {
    small("pool_subpools::turn_ends_vs_submit", || {
        let (ctx, _cancel) = Context::root();
        let ran = Count::default();
        let pools = two(&ctx);
        let b = pools.get("b").expect("it is there").clone();
        let submitter = spawn({
            let (ctx, ran) = (ctx.clone(), ran.clone());
            move || b.execute(&ctx, move |_| ran.add(1)).is_ok()
        });
        let a = pools.get("a").expect("it is there");
        let ticket = a.submit(&ctx, |_| 7).expect("there is room");
        assert_eq!(ticket.join(&ctx).expect("it runs"), 7);
        assert!(join(submitter));
        let reports = pools.drain(&ctx);
        assert_eq!((reports["a"].done, reports["b"].done, ran.get()), (1, 1, 1));
    });
}

/// A submit that waits for room, and is cancelled.
#[test]
fn room_vs_cancel() {
    small("pool_subpools::room_vs_cancel", || {
        let (ctx, _cancel) = Context::root();
        let (child, cancel) = ctx.with_cancel();
        let ran = Count::default();
        let pools = two(&ctx);
        let a = pools.get("a").expect("it is there");
        drop(a.try_submit(|_| ()).expect("there is room"));
        let canceller = spawn(move || cancel.cancel());
        let submitted = a.submit(&child, {
            let ran = ran.clone();
            move |_| ran.add(1)
        });
        join(canceller);
        match submitted {
            Ok(ticket) => ticket.join(&ctx).expect("it was accepted"),
            Err(SubmitError::Stopped { job, .. }) => job(&ctx),
            Err(e) => panic!("{e:?}"),
        }
        assert_eq!(ran.get(), 1);
        drop(pools);
    });
}

/// A job that joins one of its own subpool runs it itself.
#[test]
fn joins_its_own() {
    small("pool_subpools::joins_its_own", || {
        let (ctx, _cancel) = Context::root();
        let pools = two(&ctx);
        let a = pools.get("a").expect("it is there");
        let inner = a.clone();
        let outer = a.submit(&ctx, move |job| {
            inner.submit(job, |_| 7).expect("open").join(job).expect("it runs")
        });
        assert_eq!(outer.expect("there is room").join(&ctx).expect("it runs"), 7);
        let submitter = a.clone();
        assert_eq!(pools.drain(&ctx)["a"].done, 2);
        assert!(submitter.stats().ledger.in_flight == 0);
    });
}

/// Draining that is out of time hands back what did not run.
#[test]
fn drain_vs_deadline() {
    timed("pool_subpools::drain_vs_deadline").bound(2).check(|| {
        let (ctx, _cancel) = Context::root();
        let ran = Count::default();
        let pools = two(&ctx);
        for name in ["a", "b"] {
            let ran = ran.clone();
            let pool = pools.get(name).expect("it is there");
            pool.execute(&ctx, move |_| ran.add(1)).expect("there is room");
        }
        let handles = ["a", "b"].map(|name| pools.get(name).expect("it is there").clone());
        let reports = pools.drain(&ctx.with_timeout(SOON));
        let done = reports.values().map(|report| report.done).sum::<u64>();
        let ended: u64 =
            reports.values().map(|r| r.done + r.cancelled + r.undelivered.len() as u64).sum();
        assert_eq!((ended, done), (2, ran.get() as u64));
        assert!(handles.iter().all(|pool| pool.stats().ledger.in_flight == 0));
    });
}

/// The context stops while a job is submitted: it is refused, or its ticket has an answer while the pool
/// still lives.
#[test]
fn stop_vs_submit() {
    small("pool_subpools::stop_vs_submit", || {
        let (ctx, _cancel) = Context::root();
        let (under, cancel) = ctx.with_cancel();
        let pool = two(&under);
        let canceller = spawn(move || cancel.cancel());
        let cancelled = match pool.get("a").expect("it is there").submit(&ctx, |_| ()) {
            Ok(ticket) => u64::from(ticket.join(&ctx).is_err()),
            Err(SubmitError::Closed(_)) => 0,
            Err(e) => panic!("{e:?}"),
        };
        join(canceller);
        let report = pool.drain(&ctx).remove("a").expect("it is there");
        assert_eq!(report.cancelled + report.undelivered.len() as u64, cancelled);
    });
}
