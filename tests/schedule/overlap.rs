//! What happens when a job is due and its last run has not ended.

use crate::{World, secs};
use ironsys::schedule::{Overlap, Plan, Scheduler};
use std::num::NonZeroU32;

fn two() -> NonZeroU32 {
    NonZeroU32::new(2).unwrap()
}

/// A job due every 10 seconds that takes 25 or what is given, on enough threads.
fn scheduled(w: &World, overlap: Overlap, seconds: u64) -> Scheduler {
    let s = w.builder().workers(4).build().unwrap();
    let plan = Plan::every(secs(10)).overlap(overlap);
    s.add("job", plan, w.takes(seconds, "begin", "end", "stopped")).unwrap();
    s
}

#[test]
fn skip_leaves_the_times_out() {
    let w = World::new();
    let s = scheduled(&w, Overlap::Skip, 25);
    w.expect(&[("begin", 10), ("end", 35), ("begin", 40), ("end", 65), ("begin", 70)]);
    assert_eq!((s.job("job").unwrap().skipped, s.stats().skipped), (4, 4));
}

#[test]
fn queue_runs_one_after_the_other_up_to_its_bound() {
    let w = World::new();
    let s = scheduled(&w, Overlap::Queue(two()), 25);
    assert_eq!(w.live(58), [("begin", 10), ("end", 35), ("begin", 35)]);
    // Due at 20 and 30: both wait; one begins at 35. Due at 40: waits, too. Due at 50: one too many.
    let job = s.job("job").unwrap();
    assert_eq!((job.running, job.waiting, job.skipped), (1, 2, 1));
    assert!(s.stats().ledger.is_balanced());
}

#[test]
fn allow_runs_side_by_side_up_to_its_bound() {
    let w = World::new();
    let s = scheduled(&w, Overlap::Allow(two()), 25);
    w.expect(&[("begin", 10), ("begin", 20), ("end", 35), ("begin", 40), ("end", 45)]);
    assert_eq!(s.job("job").unwrap().skipped, 1);
}

#[test]
fn replace_cancels_and_waits_for_the_end() {
    let w = World::new();
    let s = scheduled(&w, Overlap::Replace, 25);
    w.expect(&[("begin", 10), ("stopped", 20), ("begin", 20), ("stopped", 30), ("begin", 30)]);
    assert!(s.cancel("job"));
    assert_eq!(w.next(), ("stopped", 30));
    // A run that does not look at its context holds up the next: never two at once.
    let says = (w.says("deaf"), w.says("ends"));
    let plan = Plan::every(secs(10)).overlap(Overlap::Replace);
    s.add("deaf", plan, move |ctx: &ironsys::Context| {
        says.0(ctx);
        let _ = ctx.shielded(secs(1000)).sleep(secs(25));
        says.1(ctx);
    })
    .unwrap();
    w.expect(&[("deaf", 40), ("ends", 65), ("deaf", 65), ("ends", 90), ("deaf", 90)]);
    assert_eq!(s.job("deaf").unwrap().running, 1);
}

#[test]
fn run_now_obeys_the_rule() {
    let w = World::new();
    let s = scheduled(&w, Overlap::Allow(two()), 5);
    s.run_now("job").unwrap();
    s.run_now("job").unwrap();
    s.run_now("job").unwrap_err();
    w.expect(&[("begin", 0), ("begin", 0), ("end", 5), ("end", 5), ("begin", 10)]);
}
