//! Scopes: everybody is joined, the first failure wins, and the borrow outlives its users.

use crate::{Count, Oops, SOON, join, model, spawn, timed};
use ironsys::sync::{InjectedPanic, Mutex, catch_unwind};
use ironsys::time::VirtualClock;
use ironsys::{Context, Stop, channel, scope};
use std::time::Duration;

/// Two tasks use what the frame owns.
#[test]
fn borrows() {
    model("scope::borrows", || {
        let (ctx, _cancel) = Context::root();
        let (data, sum) = ([1, 2], &Mutex::new(0));
        scope(&ctx, |s| {
            for n in &data {
                let _ = s.spawn(move |_| {
                    *sum.lock() += n;
                    Ok::<_, Oops>(())
                });
            }
            Ok(())
        })
        .expect("nobody fails");
        assert_eq!(*sum.lock(), 3);
        assert_eq!(ctx.linked(), (0, 0));
    });
}

/// A thread without work parks: it is called for the next task, or sent home at the end.
#[test]
fn parked_vs_end() {
    model("scope::parked_vs_end", || {
        let (ctx, _cancel) = Context::root();
        let ran = Count::default();
        scope::options()
            .limit(1)
            .run(&ctx, |s| {
                let task = || {
                    s.spawn(|_| {
                        ran.add(1);
                        Ok::<_, Oops>(())
                    })
                };
                task().join(&ctx)?;
                drop(task());
                Ok(())
            })
            .expect("nobody fails");
        assert_eq!(ran.get(), 2);
    });
}

/// A task fails and its sibling is told: the failure is what comes out, not the cancel it caused.
#[test]
fn first_error_vs_cancel() {
    model("scope::first_error_vs_cancel", || {
        let (ctx, _cancel) = Context::root();
        let out = scope(&ctx, |s| {
            let _ = s.spawn(|_| Err::<(), _>(Oops::Boom));
            let _ = s.spawn(|ctx| Err::<(), _>(Oops::from(ctx.wait_stopped())));
            Ok(())
        });
        assert_eq!(out, Err(Oops::Boom));
    });
}

/// A task fails while somebody cancels from outside: either reason, never none.
#[test]
fn error_vs_outer_cancel() {
    model("scope::error_vs_outer_cancel", || {
        let (ctx, cancel) = Context::root();
        let canceller = spawn(move || cancel.cancel());
        let out = scope(&ctx, |s| {
            let _ = s.spawn(|_| Err::<(), _>(Oops::Boom));
            Ok(())
        });
        assert!(matches!(out, Err(Oops::Boom | Oops::Stopped(_))), "{out:?}");
        join(canceller);
    });
}

/// A panic cancels the siblings; when all are joined it goes on with its own payload.
#[test]
fn panic_cancels_and_resumes() {
    model("scope::panic_cancels_and_resumes", || {
        let (ctx, _cancel) = Context::root();
        let ended = Count::default();
        let out = catch_unwind(|| {
            scope(&ctx, |s| {
                let _ = s.spawn(|_| -> Result<(), Oops> {
                    std::panic::resume_unwind(Box::new(InjectedPanic))
                });
                let _ = s.spawn(|ctx| {
                    ctx.wait_stopped();
                    ended.add(1);
                    Ok(())
                });
                Ok(())
            })
        });
        assert!(out.expect_err("the panic goes on").is::<InjectedPanic>());
        assert!(ended.get() <= 1); // It may not have begun.
    });
}

/// The body panics while a task runs: the task is joined first.
#[test]
fn body_panics() {
    model("scope::body_panics", || {
        let (ctx, _cancel) = Context::root();
        let ended = Count::default();
        let out = catch_unwind(|| {
            scope(&ctx, |s| -> Result<(), Oops> {
                let _ = s.spawn(|ctx| {
                    ctx.wait_stopped();
                    ended.add(1);
                    Ok(())
                });
                std::panic::resume_unwind(Box::new(InjectedPanic))
            })
        });
        assert!(out.expect_err("the panic goes on").is::<InjectedPanic>());
        assert!(ended.get() <= 1);
    });
}

/// Limit 1: two tasks are never at work at once.
#[test]
fn limit() {
    model("scope::limit", || {
        let (ctx, _cancel) = Context::root();
        let inside = Count::default();
        scope::options()
            .limit(1)
            .run(&ctx, |s| {
                for _ in 0..2 {
                    let _ = s.spawn(|_| {
                        assert_eq!(inside.enter(), 0, "two were at work");
                        inside.leave();
                        Ok::<_, Oops>(())
                    });
                }
                Ok(())
            })
            .expect("nobody fails");
    });
}

/// A join that waits for its task.
#[test]
fn join_vs_end() {
    model("scope::join_vs_end", || {
        let (ctx, _cancel) = Context::root();
        let out = scope(&ctx, |s| {
            let task = s.spawn(|_| Ok::<_, Oops>(7));
            let _ = task.is_finished();
            Ok(task.join(s.ctx())?)
        });
        assert_eq!(out, Ok(7));
    });
}

/// A join with a deadline: the scope still waits for the task.
#[test]
fn join_vs_deadline() {
    timed("scope::join_vs_deadline").check(|| {
        let (ctx, _cancel) = Context::root();
        let ran = Count::default();
        scope(&ctx, |s| {
            let task = s.spawn(|_| {
                ran.add(1);
                Ok::<_, Oops>(7)
            });
            match task.join(&ctx.with_timeout(SOON)) {
                Ok(n) => assert_eq!(n, 7),
                Err(stop) => assert!(stop.is_timeout()),
            }
            Ok(())
        })
        .expect("the deadline is the join's alone");
        assert_eq!(ran.get(), 1);
    });
}

/// A cancel from outside while tasks are spawned: each has run, or its join says why not.
#[test]
fn spawn_vs_cancel() {
    model("scope::spawn_vs_cancel", || {
        let (ctx, cancel) = Context::root();
        let (outer, _c) = Context::root();
        let ran = Count::default();
        let canceller = spawn(move || cancel.cancel());
        let out = scope(&ctx, |s| {
            let task = s.spawn(|_| {
                ran.add(1);
                Ok::<_, Oops>(())
            });
            assert_eq!(task.join(&outer).is_ok(), ran.get() == 1);
            Ok(())
        });
        assert_eq!(out.is_ok(), ran.get() == 1, "what was not served is reported");
        join(canceller);
    });
}

/// A daemon ends with the last task, and is joined.
#[test]
fn daemon_ends() {
    model("scope::daemon_ends", || {
        let (ctx, _cancel) = Context::root();
        let ended = Count::default();
        scope(&ctx, |s| {
            s.daemon(|ctx| {
                let stop = ctx.wait_stopped();
                ended.add(1);
                Err(Oops::from(stop))
            });
            let _ = s.spawn(|_| Ok(()));
            Ok(())
        })
        .expect("a daemon that was told to end has not failed");
        assert!(ended.get() <= 1);
    });
}

/// A task spawns a task, while the body has ended already.
#[test]
fn spawn_from_a_task() {
    model("scope::spawn_from_a_task", || {
        let (ctx, _cancel) = Context::root();
        let ran = Count::default();
        scope(&ctx, |s| {
            let _ = s.spawn_with(|s| {
                let _ = s.spawn(|_| {
                    ran.add(1);
                    Ok::<_, Oops>(())
                });
                Ok(())
            });
            Ok(())
        })
        .expect("nobody fails");
        assert_eq!(ran.get(), 1);
    });
}

/// A message between siblings, over a rendezvous.
#[test]
fn siblings_talk() {
    model("scope::siblings_talk", || {
        let (ctx, _cancel) = Context::root();
        let (tx, rx) = channel::bounded(0);
        let got = scope(&ctx, |s| {
            let _ = s.spawn(|ctx| tx.send(ctx, 7).map_err(|_| Oops::Boom));
            rx.recv(s.ctx()).map_err(|_| Oops::Boom)
        });
        assert_eq!(got, Ok(7));
    });
}

/// `map` with two threads: results in order.
#[test]
fn map_in_order() {
    model("scope::map_in_order", || {
        let (ctx, _cancel) = Context::root();
        let out = scope::map(&ctx, 2, [1, 2], |_, n| Ok::<_, Oops>(n * 10));
        assert_eq!(out, Ok(vec![10, 20]));
    });
}

/// `map` with an item that fails: that error, and no other.
#[test]
fn map_fails() {
    model("scope::map_fails", || {
        let (ctx, _cancel) = Context::root();
        let fail = |_: &Context, n| if n == 1 { Err(Oops::Boom) } else { Ok(n) };
        assert_eq!(scope::map(&ctx, 2, [1, 2], fail), Err(Oops::Boom));
    });
}

/// Under an autojumping clock a message in time is in time: the clock does not run while a task is
/// still to begin.
#[test]
fn autojump() {
    model("scope::autojump", || {
        let time = VirtualClock::auto();
        let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
        let start = time.now();
        let (tx, rx) = channel::bounded(1);
        scope(&ctx, |s| {
            let _ = s.spawn(|_| tx.try_send(7).map_err(|_| Oops::Boom));
            let short = s.ctx().with_timeout(Duration::from_secs(1));
            assert_eq!(rx.recv(&short), Ok(7));
            assert_eq!(
                s.ctx().with_timeout(Duration::from_secs(1)).wait_stopped(),
                Stop::DeadlineExceeded
            );
            Ok::<_, Oops>(())
        })
        .expect("nobody fails");
        assert_eq!(time.now() - start, Duration::from_secs(1));
    });
}
