//! Daemons: they end with the tasks, and work on top of the limit.

use crate::{Counted, Error, both, reason, throw, thrown, wait};
use ironsys::{channel, scope};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

// ===== daemons =====

#[test]
fn daemons_are_stopped_when_the_tasks_have_ended() {
    both(|ctx| {
        let (ended, seen) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (begun, has_begun) = channel::bounded(1);
        let result: Result<_, Error> = scope(ctx, |s| {
            s.daemon(|ctx| {
                begun.send(ctx, ()).map_err(|_| Error::Own(0))?;
                let why = ctx.wait_stopped();
                assert_eq!(reason(&why), "the tasks of the scope have ended");
                seen.store(ended.load(SeqCst), SeqCst);
                Err(why.into()) // Told to end, it says so: no failure.
            });
            has_begun.recv(ctx).map_err(|_| Error::Own(1))?;
            for _ in 0..10 {
                let _ = s.spawn(|_| {
                    ended.fetch_add(1, SeqCst);
                    Ok(())
                });
            }
            Ok("done")
        });
        assert_eq!((result, seen.into_inner()), (Ok("done"), 10));
    });
}

#[test]
fn the_error_of_a_daemon_counts_while_tasks_run() {
    both(|ctx| {
        let result: Result<(), Error> = scope(ctx, |s| {
            s.daemon(|_| Err(Error::Own(8)));
            let _ = s.spawn(wait);
            s.ctx().wait_stopped();
            Ok(())
        });
        assert_eq!(result, Err(Error::Own(8)));
    });
}

#[test]
fn the_error_of_a_daemon_does_not_count_once_it_was_told_to_end() {
    both(|ctx| {
        let result = scope(ctx, |s| {
            let (begun, has_begun) = channel::bounded(1);
            s.daemon(move |ctx| {
                let _ = begun.try_send(());
                ctx.wait_stopped();
                Err(Error::Own(8))
            });
            let _ = has_begun.recv(ctx);
            Ok(1)
        });
        assert_eq!(result, Ok(1));
    });
}

#[test]
fn the_panic_of_a_daemon_always_counts() {
    both(|ctx| {
        let payload: u8 = thrown(|| {
            scope::<(), Error>(ctx, |s| {
                let (begun, has_begun) = channel::bounded(1);
                s.daemon(move |ctx| {
                    let _ = begun.try_send(());
                    ctx.wait_stopped();
                    throw(4_u8)
                });
                let _ = has_begun.recv(ctx);
                Ok(())
            })
        });
        assert_eq!(payload, 4);
    });
}

#[test]
fn a_daemon_that_does_not_listen_holds_the_scope_up() {
    both(|ctx| {
        let (told, is_told) = channel::bounded(1);
        let (go, gone) = channel::bounded::<()>(1);
        let ended = AtomicBool::new(false);
        std::thread::scope(|outside| {
            let ended = &ended;
            outside.spawn(move || {
                is_told.recv(ctx).unwrap();
                assert!(!ended.load(SeqCst));
                drop(go);
            });
            scope(ctx, |s| {
                let (begun, has_begun) = channel::bounded(1);
                s.daemon(move |daemon| {
                    let _ = begun.try_send(());
                    daemon.wait_stopped();
                    told.try_send(()).unwrap();
                    let _ = gone.recv(ctx); // Under another context: it does not listen.
                    ended.store(true, SeqCst);
                    Ok::<_, Error>(())
                });
                let _ = has_begun.recv(ctx);
                Ok(())
            })
            .unwrap();
            assert!(ended.load(SeqCst));
        });
    });
}

#[test]
fn daemons_do_not_keep_tasks_out_at_limit_one() {
    both(|ctx| {
        let ran = AtomicUsize::new(0);
        scope::options()
            .limit(1)
            .run(ctx, |s| {
                for _ in 0..3 {
                    s.daemon(wait);
                }
                for _ in 0..5 {
                    let task = s.spawn(|_| {
                        ran.fetch_add(1, SeqCst);
                        Ok::<_, Error>(())
                    });
                    task.join(ctx)?;
                }
                Ok(())
            })
            .unwrap();
        assert_eq!(ran.into_inner(), 5);
    });
}

#[test]
fn tasks_do_not_keep_daemons_out_at_limit_one() {
    both(|ctx| {
        let (tx, rx) = channel::bounded(1);
        let result = scope::options().limit(1).run(ctx, |s| {
            let task = s.spawn(|ctx| rx.recv(ctx).map_err(|_| Error::Own(0)));
            s.daemon(|ctx| tx.send(ctx, 5).map_err(|_| Error::Own(1)));
            Ok(task.join(ctx)?)
        });
        assert_eq!(result, Ok(5));
    });
}

#[test]
fn a_daemon_that_comes_too_late_is_dropped() {
    both(|ctx| {
        let things = Counted::new();
        for _ in 0..200 {
            let result = scope(ctx, |s| {
                let thing = things.make();
                s.daemon(move |ctx| {
                    let _thing = thing;
                    wait(ctx)
                });
                Ok(())
            });
            assert_eq!(result, Ok(()));
        }
        assert_eq!(things.all_gone(), 200);
    });
}
