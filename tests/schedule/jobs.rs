//! Jobs: when they run, what is refused, and what can be done by hand.

use crate::{World, secs, throw};
use ironsys::Context;
use ironsys::schedule::{JobState, Outcome, Overlap, Plan, Refused, RunNowError, Scheduler};
use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

#[test]
fn jobs_run_in_the_order_of_their_times() {
    let w = World::new();
    let s = w.scheduler();
    s.after("c", secs(30), w.says("c")).unwrap();
    s.after("a", secs(10), w.says("a")).unwrap();
    s.at("b", w.time.clock().wall() + secs(20), w.says("b")).unwrap();
    s.add("e", Plan::every(secs(12)), w.says("e")).unwrap();
    w.expect(&[("a", 10), ("e", 12), ("b", 20), ("e", 24), ("c", 30), ("e", 36)]);
}

#[test]
fn what_is_due_already_runs_at_once() {
    let w = World::new();
    let s = w.scheduler();
    s.after("zero", Duration::ZERO, w.says("zero")).unwrap();
    assert_eq!(w.next(), ("zero", 0));
    s.at("past", SystemTime::UNIX_EPOCH, w.says("past")).unwrap();
    assert_eq!(w.next(), ("past", 0));
    s.add("every", Plan::every(secs(5)).first_after(Duration::ZERO), w.says("every")).unwrap();
    w.expect(&[("every", 0), ("every", 5), ("every", 10)]);
}

#[test]
fn a_job_that_runs_once_leaves_the_list_and_its_id_is_free() {
    let w = World::new();
    let s = w.scheduler();
    s.after("once", secs(1), w.takes(5, "begin", "end", "stopped")).unwrap();
    assert_eq!(w.next(), ("begin", 1));
    assert_eq!(s.job("once").unwrap().state, JobState::Ending);
    let again = s.after("once", secs(1), |_| ()).unwrap_err();
    assert_eq!(again.why, Refused::Taken); // its run has not ended
    assert_eq!(w.next(), ("end", 6));
    w.live(1);
    assert!(s.job("once").is_none() && s.list().is_empty());
    s.after("once", secs(1), w.says("again")).unwrap();
    assert_eq!(w.next(), ("again", 8));
}

#[test]
fn what_cannot_be_is_refused_with_the_closure() {
    let w = World::new();
    let s = w.builder().max_jobs(2).build().unwrap();
    let every = || Plan::every(secs(1000));
    let refused = |id: &str, plan: Plan| {
        let word = String::from("mine");
        let e = s.add(id, plan, move |_: &Context| drop(word.clone())).unwrap_err();
        let why = e.why.clone();
        e.into_inner()(&w.ctx); // still mine
        why
    };
    s.add("a", every(), |_| ()).unwrap();
    assert_eq!(refused("", every()), Refused::EmptyId);
    assert_eq!(refused(&"x".repeat(256), every()), Refused::LongId(256));
    assert_eq!(refused("a", every()), Refused::Taken);
    assert_eq!(refused("z", Plan::every(Duration::ZERO)), Refused::ZeroInterval);
    assert_eq!(refused("m", Plan::every(Duration::MAX)), Refused::NeverDue);
    assert_eq!(s.after("m", Duration::MAX, |_| ()).unwrap_err().why, Refused::NeverDue);
    s.add(&"x".repeat(255), every(), |_| ()).unwrap();
    assert_eq!(refused("c", every()), Refused::Full(2));
    assert!(s.remove("a"));
    s.add("c", every(), |_| ()).unwrap();
    w.cancel.cancel();
    assert_eq!(refused("d", every()), Refused::Closed);
}

#[test]
fn an_interval_without_a_second_time_runs_once() {
    let w = World::new();
    let s = w.scheduler();
    let plan = Plan::every(Duration::MAX).first_after(secs(3));
    s.add("longest", plan, w.says("longest")).unwrap();
    assert_eq!(w.next(), ("longest", 3));
    w.live(1);
    assert!(s.list().is_empty());
}

#[test]
fn builders_name_the_wrong_field() {
    let wrong = |b: ironsys::schedule::Builder| b.build().unwrap_err().field();
    let b = || Scheduler::builder("b");
    assert_eq!(wrong(b().workers(0)), "workers");
    assert_eq!(wrong(b().workers(usize::MAX)), "workers");
    assert_eq!(wrong(b().max_jobs(0)), "max_jobs");
    assert_eq!(wrong(b().wall_check(Duration::ZERO)), "wall_check");
    assert_eq!(wrong(Scheduler::builder("a\0b")), "name");
    assert!(b().wall_check(Duration::MAX).max_jobs(usize::MAX).build().is_ok());
}

#[test]
fn the_list_is_sorted_by_the_next_time_and_knows_how_the_last_run_ended() {
    let w = World::new();
    let s = w.scheduler();
    s.add("late", Plan::every(secs(500)), |_| ()).unwrap();
    s.add("bad", Plan::every(secs(100)), |_: &Context| Err::<(), _>("no luck")).unwrap();
    s.add("good", Plan::every(secs(90)), |ctx| ctx.sleep(secs(2))).unwrap();
    s.add("mad", Plan::every(secs(80)), |_: &Context| throw("boom")).unwrap();
    s.add("rests", Plan::every(secs(10)), |_| ()).unwrap();
    assert!(s.pause("rests"));
    w.live(105);
    let list = s.list();
    let ids: Vec<_> = list.iter().map(|job| &*job.id).collect();
    assert_eq!(ids, ["mad", "good", "bad", "late", "rests"]);
    let due: Vec<_> = list.iter().map(|job| job.due_in.map(|left| left.as_secs())).collect();
    assert_eq!(due, [Some(55), Some(75), Some(95), Some(395), None]);
    assert_eq!(list[0].due_at, Some(w.time.clock().wall() + secs(55)));
    let last = |i: usize| list[i].last.as_ref().map(|last| last.outcome.clone());
    assert_eq!(last(0), Some(Outcome::Panicked("boom".into())));
    assert_eq!(last(1), Some(Outcome::Done));
    assert_eq!(last(2), Some(Outcome::Failed("no luck".into())));
    assert_eq!(last(3), None);
    let good = list[1].last.as_ref().unwrap();
    assert_eq!((good.began - w.start, good.took), (secs(90), secs(2)));
    assert_eq!((list[2].runs, list[2].failed), (1, 1));
    assert_eq!(list[4].state, JobState::Paused);
    let ledger = s.stats().ledger;
    assert_eq!((ledger.accepted, ledger.done, ledger.failed), (3, 1, 2));
    assert!(ledger.is_balanced());
}

#[test]
fn run_now_runs_besides_the_schedule() {
    let w = World::new();
    let s = w.scheduler();
    assert_eq!(s.run_now("job"), Err(RunNowError::NotFound));
    s.add("job", Plan::every(secs(60)), w.takes(5, "begin", "end", "stopped")).unwrap();
    w.live(10);
    s.run_now("job").unwrap();
    assert_eq!(w.next(), ("begin", 10));
    assert_eq!(s.run_now("job"), Err(RunNowError::Overlaps));
    w.expect(&[("end", 15), ("begin", 60), ("end", 65)]); // its own times do not move
    w.live(1); // it has said so, and then it ends
    s.pause("job");
    s.run_now("job").unwrap();
    w.expect(&[("begin", 66), ("end", 71)]);
    assert_eq!(w.live(200), []);
}

#[test]
fn run_now_is_the_run_of_a_job_that_runs_once() {
    let w = World::new();
    let s = w.scheduler();
    s.after("once", secs(60), w.says("once")).unwrap();
    s.run_now("once").unwrap();
    assert_eq!(w.next(), ("once", 0));
    assert_eq!(w.live(100), []);
    assert!(s.list().is_empty());
}

#[test]
fn a_removed_job_begins_no_more_and_what_runs_goes_on() {
    let w = World::new();
    let s = w.scheduler();
    let queue = Overlap::Queue(NonZeroU32::MIN);
    let plan = Plan::every(secs(10)).overlap(queue);
    s.add("job", plan, w.takes(15, "begin", "end", "stopped")).unwrap();
    w.live(22); // one runs, one waits
    assert_eq!((s.stats().running, s.stats().waiting), (1, 1));
    assert!(s.remove("job") && !s.remove("job") && !s.cancel("job"));
    assert_eq!(w.live(100), [("end", 25)]);
    let ledger = s.stats().ledger;
    assert_eq!((ledger.accepted, ledger.done, ledger.cancelled), (2, 1, 1));
    assert!(ledger.is_balanced());
}

#[test]
fn a_cancelled_job_stops() {
    let w = World::new();
    let s = w.scheduler();
    s.add("job", Plan::every(secs(10)), w.takes(15, "begin", "end", "stopped")).unwrap();
    s.add("other", Plan::every(secs(100)), |_| ()).unwrap();
    w.live(12);
    assert!(s.cancel("job"));
    w.expect(&[("stopped", 12)]);
    assert_eq!(s.cancel_all(), 1);
    assert_eq!((s.cancel_all(), s.list().len()), (0, 0));
    assert_eq!(w.live(1000), []);
}

#[test]
fn a_paused_job_makes_nothing_up_and_keeps_its_grid() {
    let w = World::new();
    let s = w.scheduler();
    s.add("job", Plan::every(secs(10)), w.says("job")).unwrap();
    assert_eq!(w.live(15), [("job", 10)]);
    assert!(s.pause("job") && !s.pause("job") && !s.pause("nobody"));
    assert_eq!(w.live(30), []);
    assert!(s.resume("job") && !s.resume("job"));
    assert_eq!(w.live(20), [("job", 50), ("job", 60)]);
    assert_eq!(s.job("job").unwrap().missed, 0);
    s.after("once", secs(10), w.says("once")).unwrap();
    s.pause("once");
    s.remove("job");
    assert_eq!(w.live(20), []);
    s.resume("once");
    assert_eq!(w.next(), ("once", 85)); // overdue
}

#[test]
fn a_job_can_add_and_remove_jobs() {
    let w = World::new();
    let s = w.scheduler();
    let (handle, says) = (s.handle(), w.says("child"));
    let parent = move |_: &Context| {
        handle.remove("parent");
        handle.after("child", secs(5), says.clone()).map_err(|e| e.why)
    };
    s.add("parent", Plan::every(secs(10)), parent).unwrap();
    assert_eq!(w.next(), ("child", 15));
    assert_eq!(w.live(100), []);
}

#[test]
fn a_run_has_its_deadline() {
    let w = World::new();
    let s = w.scheduler();
    let plan = Plan::every(secs(10)).timeout(secs(3));
    s.add("job", plan, |ctx| ctx.sleep(secs(5))).unwrap();
    w.live(14);
    let last = s.job("job").unwrap().last.unwrap();
    assert_eq!((last.took, last.outcome), (secs(3), Outcome::Cancelled));
}

#[test]
fn a_job_keeps_its_schedule_when_it_panics_or_is_stopped_after_k() {
    let w = World::new();
    let s = w.scheduler();
    let (says, panics) = (w.says("run"), |_: &Context| throw("again"));
    s.add("for ever", Plan::every(secs(10)), panics).unwrap();
    let plan = Plan::every(secs(10)).stop_after_panics(3);
    s.add("three", plan, move |ctx: &Context| {
        says(ctx);
        // It recovers once, so the count begins anew.
        if ctx.clock().wall() != SystemTime::UNIX_EPOCH + secs(946_684_800 + 30) {
            throw("three")
        }
    })
    .unwrap();
    assert_eq!(w.live(205).last(), Some(&("run", 60)));
    let three = s.job("three").unwrap();
    assert_eq!((three.state, three.runs, three.failed), (JobState::Stopped, 6, 5));
    assert_eq!(s.job("for ever").unwrap().failed, 20);
    assert!(s.resume("three"));
    assert_eq!(w.live(100).len(), 3);
    assert_eq!(s.job("three").unwrap().state, JobState::Stopped);
}

#[test]
fn jitter_only_delays_and_does_not_move_the_times() {
    let w = World::new();
    let s = w.scheduler();
    let plan = Plan::every(secs(100)).jitter(secs(50));
    s.add("job", plan, w.says("job")).unwrap();
    let late: Vec<u64> = (1..=40).map(|n| w.next().1 - n * 100).collect();
    assert!(late.iter().all(|late| *late <= 50), "{late:?}");
    assert!(late.iter().any(|late| *late < 15) && late.iter().any(|late| *late > 35), "{late:?}");
    assert_eq!(s.job("job").unwrap().missed, 0);
}
