//! What becomes of times that have passed: the clock moves on while the dispatch thread cannot.

use crate::{secs, until};
use ironsys::schedule::{Misfire, Overlap, Plan, Scheduler};
use ironsys::time::VirtualClock;
use ironsys::{Context, channel};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Lets a stop of so many seconds pass over a job due every 10 seconds. Returns how often it ran for
/// that, and how many times were missed.
fn after_a_stop(seconds: u64, rule: impl Fn(Plan) -> Plan) -> (u64, u64) {
    let time = VirtualClock::new();
    let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    let s = Scheduler::builder("stop").context(&ctx).build().unwrap();
    s.add("job", rule(Plan::every(secs(10))), |_| ()).unwrap();
    let release = hold_up(&s, &ctx, &time);
    time.advance(secs(seconds - 5));
    release.send(&ctx, ()).unwrap();
    let due = || s.job("job").unwrap().due_in.unwrap();
    until(|| due() > Duration::ZERO && s.stats().ledger.in_flight == 0);
    let job = s.job("job").unwrap();
    assert_eq!(due(), secs(10 - seconds % 10));
    (job.runs, job.missed)
}

/// Holds the dispatch thread up from second 5 on, as a machine does that is suspended: it cancels a
/// run there, and a hook of the run waits.
fn hold_up(s: &Scheduler, ctx: &Context, time: &VirtualClock) -> channel::Sender<()> {
    let (release, wait) = channel::bounded::<()>(1);
    let (tell, held) = channel::bounded(1);
    let (begun, has_begun) = channel::bounded(1);
    let (outside, once) = (ctx.clone(), Arc::new(AtomicBool::new(false)));
    let plan = Plan::every(secs(5)).overlap(Overlap::Replace);
    s.add("hold", plan, move |ctx: &Context| {
        let (wait, tell, outside, once) =
            (wait.clone(), tell.clone(), outside.clone(), once.clone());
        let _hook = ctx.on_stop(move |_| {
            if !once.swap(true, Ordering::SeqCst) {
                let _ = tell.try_send(());
                let _ = wait.recv(&outside);
            }
        });
        let _ = begun.try_send(());
        ctx.wait_stopped();
    })
    .unwrap();
    s.run_now("hold").unwrap();
    has_begun.recv(ctx).unwrap();
    until(|| time.pending() == 1);
    time.advance(secs(5));
    held.recv(ctx).unwrap();
    assert!(s.cancel("hold"));
    release
}

fn n(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

#[test]
fn one_run_for_all_is_the_default() {
    assert_eq!(after_a_stop(1004, |plan| plan), (1, 99));
}

#[test]
fn skip_leaves_out_what_is_too_late() {
    let skip = |plan: Plan| plan.misfire(Misfire::Skip);
    assert_eq!(after_a_stop(1004, |plan| skip(plan).grace(secs(3))), (0, 100));
    assert_eq!(after_a_stop(1004, |plan| skip(plan).grace(secs(4))), (1, 99)); // the last is in time
    assert_eq!(after_a_stop(14, |plan| skip(plan).grace(secs(3))), (0, 1));
    assert_eq!(after_a_stop(14, skip), (1, 0));
    assert_eq!(after_a_stop(1004, |plan| skip(plan).grace(Duration::MAX)), (1, 99));
}

#[test]
fn catch_up_runs_each_time_up_to_its_bound() {
    let catch_up = |most| move |plan: Plan| plan.misfire(Misfire::CatchUp(n(most)));
    assert_eq!(after_a_stop(1004, catch_up(7)), (7, 93));
    assert_eq!(after_a_stop(54, catch_up(7)), (5, 0));
    assert_eq!(after_a_stop(14, catch_up(7)), (1, 0));
    assert_eq!(after_a_stop(1004, catch_up(u32::MAX)), (100, 0));
}
