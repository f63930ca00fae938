//! The time limit of jobs: a worker comes back while another takes its place.

use crate::{SOON, small};
use ironsys::pool::{self, Pool};
use ironsys::time::VirtualClock;
use ironsys::{Context, channel};

fn watched(ctx: &Context, replace: usize) -> Pool {
    let pool = Pool::builder("p").workers(1).queue(1).context(ctx);
    pool.heartbeat(SOON).replace_stuck(replace).build().expect("fine numbers")
}

fn clock() -> (VirtualClock, Context) {
    let time = VirtualClock::new();
    let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    (time, ctx)
}

/// The limit is over while the job begins or ends: of two workers exactly one leaves.
#[test]
fn replacement_vs_end() {
    small("pool_watch::replacement_vs_end", || {
        let (time, ctx) = clock();
        let pool = watched(&ctx, 1);
        let ticket = pool.submit(&ctx, |_| 7).expect("there is room");
        time.advance(SOON);
        assert_eq!(ticket.join(&ctx).expect("it runs"), 7);
        let stats = pool.stats();
        assert!(stats.replaced <= stats.stuck && stats.stuck <= 1, "{stats:?}");
        // Whoever is left works on.
        assert_eq!(pool.submit(&ctx, |_| 8).expect("open").join(&ctx).expect("it runs"), 8);
        let submitter = pool.submitter();
        assert_eq!(pool.drain(&ctx).done, 2);
        assert_eq!((submitter.stats().workers, time.pending()), (0, 0));
    });
}

/// A pool whose only worker is stuck goes on with another, and ends when both have ended.
#[test]
fn replacement_works() {
    small("pool_watch::replacement_works", || {
        let (time, ctx) = clock();
        let pool = watched(&ctx, 1);
        let (begun, has_begun) = channel::bounded(1);
        let (go, gone) = channel::bounded::<()>(1);
        let stuck = pool.submit(&ctx, move |job| {
            begun.try_send(()).expect("there is room");
            let _ = gone.recv(job);
        });
        has_begun.recv(&ctx).expect("it begins");
        time.advance(SOON);
        assert_eq!(pool.submit(&ctx, |_| 8).expect("open").join(&ctx).expect("it runs"), 8);
        drop(go);
        stuck.expect("there was room").join(&ctx).expect("it ran");
        drop(pool);
        assert_eq!(time.pending(), 0);
    });
}

/// A sign of life while the alarm rings.
#[test]
fn beat_vs_alarm() {
    small("pool_watch::beat_vs_alarm", || {
        let (time, ctx) = clock();
        let pool = watched(&ctx, 0);
        let ticket = pool.submit(&ctx, |_| pool::beat()).expect("there is room");
        time.advance(SOON);
        ticket.join(&ctx).expect("it runs");
        assert!(pool.stats().stuck <= 1);
        assert_eq!(pool.drain(&ctx).done, 1);
        assert_eq!(time.pending(), 0);
    });
}
