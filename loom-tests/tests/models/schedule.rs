//! The scheduler: every run that was accepted ends once, and nothing begins after it was taken back.

use crate::{Count, SOON, join, spawn};
use ironsys::schedule::{Overlap, Plan, Scheduler, Stats};
use ironsys::sync::InjectedPanic;
use ironsys::testing::Model;
use ironsys::time::VirtualClock;
use ironsys::{Context, pool::Pool};
use std::time::{Duration, SystemTime};

/// The threads of a scheduler are a pool's, so an execution is long: a smaller bound than usual.
fn model(name: &str, body: impl Fn() + Send + Sync + 'static) {
    Model::new(name).bound(1).check(body);
}

fn timed(name: &str) -> Model {
    Model::new(name).bound(1).choices(1)
}

fn scheduler(ctx: &Context) -> Scheduler {
    Scheduler::builder("s").context(ctx).workers(1).seed(1).build().expect("fine numbers")
}

fn boom() {
    std::panic::resume_unwind(Box::new(InjectedPanic))
}

fn assert_all_ended(stats: &Stats) {
    assert!(stats.ledger.is_balanced() && stats.ledger.in_flight == 0, "{}", stats.ledger);
}

/// A job that is due at once is added while the dispatch thread, having started another, falls asleep.
/// Nothing but its own time starts it: a wake-up that is lost ends here.
#[test]
fn add_vs_sleep() {
    model("schedule::add_vs_sleep", || {
        let (ctx, _cancel) = Context::builder().clock(VirtualClock::new().clock()).build();
        let s = scheduler(&ctx);
        let (tell, told) = ironsys::channel::bounded(1);
        for id in ["first", "second"] {
            let tell = tell.clone();
            let job = move |_: &Context| {
                let _ = tell.try_send(());
            };
            s.after(id, Duration::ZERO, job).expect("there is room");
            told.recv(&ctx).expect("it runs");
        }
        let report = s.drain(&ctx);
        assert_eq!((report.done, report.left.len()), (2, 0));
    });
}

/// A job is cancelled while it comes due: it runs, or it does not, but not after the cancel.
#[test]
fn cancel_vs_fire() {
    model("schedule::cancel_vs_fire", || {
        let (ctx, _cancel) = Context::builder().clock(VirtualClock::new().clock()).build();
        let begun = Count::default();
        let s = scheduler(&ctx);
        let mine = begun.clone();
        s.after("job", Duration::ZERO, move |_| mine.add(1)).expect("there is room");
        s.cancel("job");
        let at_cancel = s.stats();
        let handle = s.handle();
        let report = s.drain(&ctx);
        assert_all_ended(&handle.stats());
        assert_eq!((report.done as usize, report.left.len()), (begun.get(), 0));
        // What had not begun by then never did.
        if at_cancel.running == 0 {
            assert_eq!(report.done, at_cancel.ledger.done);
        }
    });
}

/// A job is added while the scheduler ends: it is refused, handed back, or it has run.
#[test]
fn add_vs_drain() {
    model("schedule::add_vs_drain", || {
        let (ctx, _cancel) = Context::builder().clock(VirtualClock::new().clock()).build();
        let ran = Count::default();
        let s = scheduler(&ctx);
        let adder = spawn({
            let (handle, ran) = (s.handle(), ran.clone());
            move || handle.after("job", Duration::ZERO, move |_| ran.add(1)).is_ok()
        });
        let handle = s.handle();
        let report = s.drain(&ctx);
        let added = join(adder);
        assert_eq!(ran.get() + report.left.len(), usize::from(added));
        assert_eq!(report.done as usize, ran.get());
        assert_all_ended(&handle.stats());
    });
}

/// The scheduler is dropped with a run accepted: it ends, or never begins.
#[test]
fn drop_vs_run() {
    Model::new("schedule::drop_vs_run").bound(2).check(|| {
        let (ctx, _cancel) = Context::builder().clock(VirtualClock::new().clock()).build();
        let ran = Count::default();
        let s = scheduler(&ctx);
        let mine = ran.clone();
        s.add("job", Plan::every(Duration::MAX).first_after(SOON), move |ctx| {
            ctx.wait_stopped();
            mine.add(1);
        })
        .expect("there is room");
        s.run_now("job").expect("nothing runs");
        let handle = s.handle();
        drop(s);
        let stats = handle.stats();
        assert_all_ended(&stats);
        assert_eq!((stats.ledger.accepted, stats.ledger.done as usize), (1, ran.get()));
    });
}

/// A run replaces the one at work, and begins when that has ended.
#[test]
fn replace_vs_end() {
    model("schedule::replace_vs_end", || {
        let (ctx, _cancel) = Context::builder().clock(VirtualClock::new().clock()).build();
        let (inside, runs) = (Count::default(), Count::default());
        let s = scheduler(&ctx);
        let mine = (inside.clone(), runs.clone());
        let plan = Plan::every(Duration::MAX).first_after(SOON).overlap(Overlap::Replace);
        s.add("job", plan, move |_| {
            assert_eq!(mine.0.enter(), 0, "two at once");
            mine.1.add(1);
            mine.0.leave();
            boom();
        })
        .expect("there is room");
        s.run_now("job").expect("nothing runs");
        let second = s.run_now("job").is_ok();
        let report = s.drain(&ctx);
        assert_eq!((report.failed as usize, runs.get()), (1 + usize::from(second), runs.get()));
        assert_eq!(report.failed as usize, runs.get());
    });
}

/// The context stops while a run is accepted: the threads end, and so does the wait for them.
#[test]
fn stop_vs_run() {
    model("schedule::stop_vs_run", || {
        let (ctx, cancel) = Context::builder().clock(VirtualClock::new().clock()).build();
        let s = scheduler(&ctx);
        s.add("job", Plan::every(SOON), |_| ()).expect("there is room");
        s.run_now("job").expect("nothing runs");
        let stopper = spawn(move || cancel.cancel());
        let handle = s.handle();
        let (free, _cancel) = Context::builder().clock(VirtualClock::new().clock()).build();
        let report = s.drain(&free);
        assert_all_ended(&handle.stats());
        assert_eq!((report.done + report.cancelled, report.left.len()), (1, 1));
        join(stopper);
    });
}

/// A drain with a deadline: what it does not finish is given up.
#[test]
fn drain_vs_deadline() {
    timed("schedule::drain_vs_deadline").check(|| {
        let (ctx, _cancel) = Context::builder().clock(VirtualClock::new().clock()).build();
        let s = scheduler(&ctx);
        s.add("job", Plan::every(SOON), |ctx| drop(ctx.wait_stopped())).expect("there is room");
        s.run_now("job").expect("nothing runs");
        let handle = s.handle();
        let (free, _cancel) = Context::root();
        let report = s.drain(&free.with_timeout(SOON));
        assert_all_ended(&handle.stats());
        assert_eq!((report.done + report.cancelled, report.left.len()), (1, 1));
    });
}

/// On the system clock, by an interval and by the wall clock: both come due, early or late.
#[test]
fn due_on_the_system_clock() {
    timed("schedule::due_on_the_system_clock").check(|| {
        let (ctx, _cancel) = Context::root();
        let s = scheduler(&ctx);
        let (tell, told) = ironsys::channel::bounded(1);
        s.at("job", SystemTime::UNIX_EPOCH + SOON, move |_| {
            let _ = tell.try_send(());
        })
        .expect("there is room");
        told.recv(&ctx).expect("it runs");
        assert_eq!(s.drain(&ctx).done, 1);
    });
}

/// The pool that is to run a job is dropped: the run is counted, and the scheduler ends.
#[test]
fn given_pool_vs_drop() {
    model("schedule::given_pool_vs_drop", || {
        let (ctx, _cancel) = Context::builder().clock(VirtualClock::new().clock()).build();
        let pool = Pool::builder("p").workers(1).queue(1).build().expect("fine numbers");
        let s = Scheduler::builder("s").context(&ctx).pool(&pool).seed(1).build();
        let s = s.expect("fine numbers");
        s.add("job", Plan::every(SOON), |_| ()).expect("there is room");
        s.run_now("job").expect("nothing runs");
        drop(pool);
        let handle = s.handle();
        let report = s.drain(&ctx);
        assert_all_ended(&handle.stats());
        assert_eq!(report.done + report.cancelled, 1);
    });
}

/// The lists and the rules by hand, beside the dispatch thread.
#[test]
fn by_hand() {
    model("schedule::by_hand", || {
        let time = VirtualClock::new();
        let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
        let s = scheduler(&ctx);
        s.add("job", Plan::every(SOON), |_| ()).expect("there is room");
        let mover = spawn(move || time.advance(SOON));
        let paused = s.pause("job");
        let resumed = s.resume("job");
        assert!(paused && resumed && s.job("job").is_some() && s.list().len() == 1);
        join(mover);
        assert!(s.remove("job"));
        assert_eq!(s.cancel_all(), 0);
        let handle = s.handle();
        drop(s.drain(&ctx));
        assert_all_ended(&handle.stats());
    });
}
