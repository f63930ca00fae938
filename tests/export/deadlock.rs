//! Deadlocks that are planted are found, and nothing else is.

use crate::{ms, until};
use ironsys::channel::Reply;
use ironsys::export::{Deadlock, DeadlockFinder, DeadlockWatch};
use ironsys::limit::Semaphore;
use ironsys::observe::Registry;
use ironsys::owner::Owner;
use ironsys::pool::Pool;
use ironsys::session::{Cx, Manager, Session, Sessions};
use ironsys::{Canceller, Context, Stop, scope};
use std::sync::{Barrier, Mutex, OnceLock, mpsc};
use std::time::{Duration, Instant};

/// A root with a registry of its own.
fn alone() -> (Registry, Context, Canceller) {
    let registry = Registry::new();
    let builder = Context::builder().registry(registry.clone()).timeout(Duration::from_secs(20));
    let (ctx, cancel) = builder.build();
    (registry, ctx, cancel)
}

/// Runs what deadlocks under a watch on a real clock, which ends it by a cancel; returns what it told.
fn watched(run: impl FnOnce(&Context)) -> Deadlock {
    let (_, ctx, _cancel) = alone();
    let (inner, cancel) = ctx.with_cancel();
    let (tx, rx) = mpsc::channel();
    let tell = move |deadlock: &Deadlock| {
        let _ = tx.send(deadlock.clone());
        cancel.cancel_with("deadlock");
    };
    let watch = DeadlockWatch::start(&ctx, ms(20), tell).unwrap();
    run(&inner);
    let found = rx.recv_timeout(Duration::from_secs(20)).expect("it is found");
    watch.stop();
    assert!(rx.recv().is_err(), "a deadlock is told once");
    found
}

/// The text without what changes from run to run.
#[track_caller]
fn says(deadlock: &Deadlock, parts: &[&str]) {
    let text = deadlock.to_string();
    for part in parts {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
}

#[test]
fn two_tasks_with_a_permit_each_that_want_the_others() {
    let (first, second) = (Semaphore::named("first", 1), Semaphore::named("second", 1));
    let both = Barrier::new(2);
    let found = watched(|ctx| {
        let take = |ctx: &Context, mine: &Semaphore, other: &Semaphore| {
            let mine = mine.hold_watched(ctx, 1).map_err(|e| e.stop().cloned().unwrap())?;
            both.wait();
            let other = other.hold_watched(ctx, 1).map_err(|e| e.stop().cloned().unwrap())?;
            drop((mine, other));
            Ok::<_, Stop>(())
        };
        let out = scope(ctx, |s| {
            let _ = s.named("a").spawn(|ctx| take(ctx, &first, &second));
            let _ = s.named("b").spawn(|ctx| take(ctx, &second, &first));
            Ok(())
        });
        assert_eq!(out.unwrap_err().cause().unwrap().reason(), "deadlock");
    });
    assert_eq!(found.cycle.len(), 2, "{found}");
    let says_all = ["deadlock of 2 threads", "task `a` from", "task `b` from", "deadlock.rs:"];
    says(&found, &says_all);
    says(&found, &["permit `first`, which is held by", "permit `second`, which is held by"]);
}

#[test]
fn who_waits_behind_is_counted_and_a_deadlock_is_told_once() {
    let (registry, ctx, cancel) = alone();
    let (first, second) = (Semaphore::named("first", 1), Semaphore::named("second", 1));
    let mut finder = DeadlockFinder::new(registry);
    let held = Barrier::new(2);
    let stopped = |e: ironsys::limit::AcquireError| e.stop().cloned().unwrap();
    let _ = scope(&ctx, |s| {
        let _ = s.named("other").spawn(|ctx| {
            let _second = second.hold_watched(ctx, 1).map_err(stopped)?;
            held.wait();
            first.hold_watched(ctx, 1).map(drop).map_err(stopped)
        });
        let _ = s.named("mine").spawn(|ctx| {
            let _first = first.hold_watched(ctx, 1).map_err(stopped)?;
            held.wait();
            second.hold_watched(ctx, 1).map(drop).map_err(stopped)
        });
        until(|| (first.waiting(), second.waiting()) == (1, 1));
        let _ = s.named("behind").spawn(|ctx| first.hold(ctx, 1).map(drop).map_err(stopped));
        until(|| first.waiting() == 2);
        let mut found = Vec::new();
        until(|| {
            found.extend(finder.look()); // They may be on their way to their beds still.
            !found.is_empty()
        });
        assert_eq!((found.len(), found[0].cycle.len(), found[0].behind), (1, 2, 1), "{}", found[0]);
        assert!(found[0].to_string().ends_with("and 1 more wait for these"));
        assert!(finder.look().is_empty());
        cancel.cancel();
        Ok(())
    });
}

/// A session that asks another.
struct Asker;

enum Say {
    AskOther(u32, Reply<Result<u32, ()>>),
    Number(Reply<u32>),
}

/// What the sessions share: how they find each other, and whether both are asked.
struct Meet {
    sessions: OnceLock<Sessions<Asker>>,
    both: Barrier,
    ctx: OnceLock<Context>,
}

static MEET: Meet = Meet { sessions: OnceLock::new(), both: Barrier::new(2), ctx: OnceLock::new() };

impl Session for Asker {
    type Id = u32;
    type Msg = Say;
    type Error = Stop;

    fn start(_: &u32, _: &mut Cx<'_, Self>) -> Result<Self, Stop> {
        Ok(Asker)
    }

    fn handle(&mut self, msg: Say, _: &mut Cx<'_, Self>) -> Result<(), Stop> {
        match msg {
            Say::Number(reply) => drop(reply.send(1)),
            Say::AskOther(other, reply) => {
                MEET.both.wait();
                let sessions = MEET.sessions.get().unwrap();
                let out = sessions.ask(MEET.ctx.get().unwrap(), &other, Say::Number);
                let _ = reply.send(out.map_err(drop));
            }
        }
        Ok(())
    }
}

#[test]
fn two_sessions_that_ask_each_other() {
    let found = watched(|ctx| {
        let manager = Manager::<Asker>::builder("askers").sharded(2).context(ctx).build().unwrap();
        assert!(MEET.sessions.set(manager.sessions()).is_ok() && MEET.ctx.set(ctx.clone()).is_ok());
        let answers = scope(ctx, |s| {
            let ask = |ctx: &Context, who: u32| {
                manager
                    .sessions()
                    .ask(ctx, &who, |reply| Say::AskOther(3 - who, reply))
                    .map_err(drop)
            };
            let one = s.spawn(move |ctx| Ok::<_, Stop>(ask(ctx, 1)));
            let two = ask(ctx, 2);
            Ok((one.join(ctx), two))
        });
        let _ = answers; // Cut short one way or another.
    });
    assert_eq!(found.cycle.len(), 2, "{found}");
    says(&found, &["recv `askers`, for an answer of", "worker `askers-"]);
}

/// A session that fills the mailbox of another.
struct Filler;

struct Fill {
    sessions: Sessions<Filler>,
    ctx: Context,
    other: u32,
    both: std::sync::Arc<Barrier>,
}

impl Session for Filler {
    type Id = u32;
    type Msg = Option<Fill>;
    type Error = Stop;

    fn start(_: &u32, _: &mut Cx<'_, Self>) -> Result<Self, Stop> {
        Ok(Filler)
    }

    fn handle(&mut self, fill: Option<Fill>, _: &mut Cx<'_, Self>) -> Result<(), Stop> {
        if let Some(Fill { sessions, ctx, other, both }) = fill {
            both.wait();
            while sessions.tell(&ctx, &other, None).is_ok() {}
        }
        Ok(())
    }
}

#[test]
fn two_sessions_that_fill_each_others_mailboxes() {
    let found = watched(|ctx| {
        let builder = Manager::<Filler>::builder("fillers").sharded(2).mailbox(2).turn(1);
        let manager = builder.context(ctx).build().unwrap();
        let both = std::sync::Arc::new(Barrier::new(2));
        for (me, other) in [(1, 2), (2, 1)] {
            let sessions = manager.sessions();
            let fill = Fill { sessions, ctx: ctx.clone(), other, both: both.clone() };
            manager.sessions().tell(ctx, &me, Some(fill)).unwrap();
        }
        ctx.wait_stopped();
    });
    assert_eq!(found.cycle.len(), 2, "{found}");
    says(&found, &["send `fillers`, for an answer of"]);
}

#[test]
fn a_task_that_joins_what_waits_for_it() {
    let found = watched(|ctx| {
        let (tx, rx) = mpsc::channel();
        let rx = Mutex::new(rx);
        let out = scope(ctx, |s| {
            let parent = s.named("parent").spawn(|ctx| {
                scope(ctx, |inner| {
                    inner.named("child").execute(|ctx| {
                        let parent: scope::Task<()> = rx.lock().unwrap().recv().unwrap();
                        parent.join(ctx)
                    });
                    Ok(())
                })
            });
            tx.send(parent).unwrap();
            Ok::<_, Stop>(())
        });
        assert!(out.is_err());
    });
    says(&found, &["task `child`", "waits at", "join `parent`, for the end of"]);
}

#[test]
fn two_owners_that_call_each_other() {
    let found = watched(|ctx| {
        let both = std::sync::Arc::new(Barrier::new(2));
        let start = |name: &str| Owner::builder(name).context(ctx).start(|_| 0u32).unwrap();
        let (left, right) = (start("left"), start("right"));
        for (me, other) in [(&left, right.caller()), (&right, left.caller())] {
            let (both, ctx) = (both.clone(), ctx.clone());
            let call = move |_: &mut u32| {
                both.wait();
                let _ = other.call(&ctx, |n| *n);
            };
            assert!(me.tell(&me_ctx(), call).is_ok());
        }
        ctx.wait_stopped();
    });
    assert_eq!(found.cycle.len(), 2, "{found}");
    says(&found, &["worker `left`", "worker `right`", "recv `right`, for an answer of"]);
}

fn me_ctx() -> Context {
    Context::root().0
}

#[test]
fn a_job_that_waits_for_the_task_that_waits_for_the_job() {
    let found = watched(|ctx| {
        let pool = Pool::builder("jobs").workers(1).context(ctx).build().unwrap();
        let gate = Semaphore::named("gate", 1);
        let _ = scope(ctx, |s| {
            let _ = s.named("task").spawn(|ctx| {
                let held = gate.hold_watched(ctx, 1).unwrap();
                let its = gate.clone();
                let ticket = pool.submit(ctx, move |ctx| its.acquire(ctx, 1).is_ok()).unwrap();
                let out = ticket.join(ctx);
                drop(held);
                out.map(drop).map_err(|_| ctx.check().unwrap_err())
            });
            Ok(())
        });
    });
    assert_eq!(found.cycle.len(), 2, "{found}");
    says(&found, &["permit `gate`, which is held by", "join, for the end of", "job from"]);
}

#[test]
fn one_that_wants_more_than_it_leaves() {
    let memory = Semaphore::named("memory", 3);
    let found = watched(|ctx| {
        let _ = scope(ctx, |s| {
            let _held = memory.hold_watched(s.ctx(), 2).unwrap();
            memory.hold_watched(s.ctx(), 2).map(drop).map_err(|e| e.stop().cloned().unwrap())
        });
    });
    assert_eq!((found.cycle.len(), found.behind), (1, 0), "{found}");
    says(&found, &["deadlock of 1 thread,", "permit `memory`, which is held by", "scope from"]);
}

/// What could go on is not accused: permits of which somebody else has one, a wait for who knows whom.
#[test]
fn without_proof_nobody_is_accused() {
    let (registry, ctx, cancel) = alone();
    let permits = Semaphore::named("permits", 2);
    let outside = permits.try_acquire(1).unwrap(); // By nobody on record.
    let mut finder = DeadlockFinder::new(registry.clone());
    let _ = scope(&ctx, |s| {
        let _ = s.spawn(|ctx| {
            let _held = permits.hold_watched(ctx, 1).unwrap();
            permits.hold_watched(ctx, 2).map(drop).map_err(|e| e.stop().cloned().unwrap())
        });
        until(|| permits.waiting() == 1);
        until(|| registry.tasks().as_slice().iter().any(|t| t.waiting.is_some()));
        for _ in 0..3 {
            assert!(finder.look().is_empty());
        }
        cancel.cancel();
        Ok(())
    });
    drop(outside);
}

/// Everything at once, with looks as fast as they go: nothing is a deadlock but what lasts.
#[test]
fn a_busy_healthy_program_has_none() {
    let (registry, ctx, _cancel) = alone();
    let pool = Pool::builder("busy").workers(2).queue(16).context(&ctx).build().unwrap();
    let owner = Owner::builder("ledger").context(&ctx).start(|_| 0u64).unwrap();
    let manager = Manager::<Echo>::builder("echo").sharded(2).context(&ctx).build().unwrap();
    let locks: Vec<Semaphore> = (0..4).map(|i| Semaphore::named(format!("lock {i}"), 1)).collect();
    let mut finder = DeadlockFinder::new(registry);
    let watch = DeadlockWatch::start(&ctx, ms(1), |deadlock| panic!("{deadlock}")).unwrap();
    let mut looks = 0;
    scope(&ctx, |s| {
        for worker in 0..3usize {
            let (pool, owner, manager, locks) = (&pool, &owner, &manager, &locks);
            s.named(format!("worker {worker}")).daemon(move |ctx| {
                let mut i = worker;
                while !ctx.is_stopped() {
                    i += 1;
                    // In one order, as is right.
                    let (low, high) = (i % 3, 3);
                    let step = || -> Option<()> {
                        let low = locks[low].hold_watched(ctx, 1).ok()?;
                        let high = locks[high].hold_watched(ctx, 1).ok()?;
                        owner.call(ctx, |n| *n += 1).ok()?;
                        drop((low, high));
                        let caller = owner.caller();
                        let job = move |ctx: &Context| caller.call(ctx, |n| *n).is_ok();
                        pool.submit(ctx, job).ok()?.join(ctx).ok()?;
                        manager.sessions().ask(ctx, &(i as u32 % 5), |reply| reply).ok()?;
                        scope(ctx, |s| {
                            let a = s.spawn(|_| Ok::<_, Stop>(1));
                            s.execute(|_| Ok(()));
                            a.join(ctx)
                        })
                        .ok()?;
                        Some(())
                    };
                    if step().is_none() && !ctx.is_stopped() {
                        panic!("a step failed");
                    }
                }
                Ok::<_, Stop>(())
            });
        }
        let end = Instant::now() + Duration::from_secs(2);
        while Instant::now() < end {
            let found = finder.look();
            assert!(found.is_empty(), "{}", found[0]);
            looks += 1;
        }
        Ok::<_, Stop>(())
    })
    .unwrap();
    watch.stop();
    assert!(looks > 100 && owner.call(&ctx, |n| *n).unwrap() > 100, "{looks}");
}

/// A session that answers.
struct Echo;

impl Session for Echo {
    type Id = u32;
    type Msg = Reply<()>;
    type Error = Stop;

    fn start(_: &u32, _: &mut Cx<'_, Self>) -> Result<Self, Stop> {
        Ok(Echo)
    }

    fn handle(&mut self, reply: Reply<()>, _: &mut Cx<'_, Self>) -> Result<(), Stop> {
        let _ = reply.send(());
        Ok(())
    }
}

#[test]
fn a_watch_ends_with_its_context_and_looks_on_its_clock() {
    let time = ironsys::time::VirtualClock::new();
    let registry = Registry::new();
    let (ctx, cancel) = Context::builder().clock(time.clock()).registry(registry.clone()).build();
    let watch = DeadlockWatch::start(&ctx, ms(1000), |_| ()).unwrap();
    until(|| time.pending() == 1);
    time.advance(ms(1000));
    until(|| time.pending() == 1);
    cancel.cancel();
    until(|| registry.tasks().is_empty());
    watch.stop();
    assert_eq!(DeadlockWatch::start(&ctx, ms(0), |_| ()).unwrap_err().field(), "every");
}
