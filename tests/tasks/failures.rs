//! Scopes: whose failure is returned, whose panic resumes, and that everything is dropped once.

use crate::{Bomb, Counted, Error, both, ends, reason, root, throw, thrown, until, wait};
use ironsys::threads::ThreadCache;
use ironsys::{Stop, channel, scope};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

// ===== failures =====

#[test]
fn the_first_error_wins_over_the_cancelled_of_its_siblings() {
    both(|ctx| {
        for i in 0..500 {
            let result: Result<(), Error> = scope(ctx, |s| {
                for _ in 0..3 {
                    let _ = s.spawn(wait);
                }
                let _ = s.spawn(move |_| Err::<(), _>(Error::Own(i)));
                s.ctx().wait_stopped();
                s.ctx().check()?;
                Ok(())
            });
            assert_eq!(result, Err(Error::Own(i)));
        }
    });
}

#[test]
fn the_first_failure_stops_the_siblings_and_says_who_failed() {
    both(|ctx| {
        let heard = Mutex::new(None);
        let (begun, has_begun) = channel::bounded(1);
        let result: Result<(), _> = scope(ctx, |s| {
            let _ = s.spawn(|ctx| {
                begun.try_send(()).unwrap();
                *heard.lock().unwrap() = Some(ctx.wait_stopped());
                Ok(())
            });
            let _ = s.named("bread").spawn(|ctx| {
                has_begun.recv(ctx).unwrap(); // Who has not begun hears nothing.
                Err::<(), _>(Error::Own(1))
            });
            Ok(())
        });
        assert_eq!(result, Err(Error::Own(1)));
        let heard = heard.into_inner().unwrap().unwrap();
        assert_eq!(reason(&heard), "task `bread` failed");
        assert!(ctx.check().is_ok()); // The scope's own context stopped, not the caller's.
    });
}

#[test]
fn the_error_of_the_body_stops_the_tasks() {
    both(|ctx| {
        let ended = AtomicUsize::new(0);
        let result: Result<(), _> = scope(ctx, |s| {
            for _ in 0..3 {
                let _ = s.spawn(|ctx| {
                    ctx.wait_stopped();
                    ended.fetch_add(1, SeqCst);
                    Ok(())
                });
            }
            until(|| ctx.linked().0 == 1);
            Err(Error::Own(2))
        });
        assert_eq!(result, Err(Error::Own(2)));
        assert!(ended.into_inner() <= 3); // Those that had begun; the rest were dropped.
    });
}

#[test]
fn joining_a_task_that_failed_is_a_stop_and_the_scope_returns_the_error() {
    both(|ctx| {
        let result: Result<(), Error> = scope(ctx, |s| {
            let task = s.named("a").spawn(|_| Err::<(), _>(Error::Own(3)));
            let stop = task.join(ctx).unwrap_err();
            assert_eq!(reason(&stop), "task `a` failed");
            Err(stop.into()) // What `?` does; it does not hide the reason.
        });
        assert_eq!(result, Err(Error::Own(3)));
    });
}

#[test]
fn joining_a_task_that_panicked_is_a_stop() {
    both(|ctx| {
        let text: &str = thrown(|| {
            scope::<(), Error>(ctx, |s| {
                let stop = s.spawn::<(), _>(|_| throw("burnt")).join(ctx).unwrap_err();
                assert!(reason(&stop).ends_with("panicked"));
                Ok(())
            })
        });
        assert_eq!(text, "burnt");
    });
}

#[test]
fn a_panic_in_a_task_resumes_with_its_own_payload_when_all_have_ended() {
    #[derive(Debug, PartialEq)]
    struct Payload(Vec<u8>);
    both(|ctx| {
        let ended = AtomicUsize::new(0);
        let payload: Payload = thrown(|| {
            scope::<(), Error>(ctx, |s| {
                for _ in 0..3 {
                    let _ = s.spawn(|ctx| {
                        ctx.wait_stopped();
                        ended.fetch_add(1, SeqCst);
                        Ok(())
                    });
                }
                until(|| s.ctx().linked().1 == 3);
                let _ = s.spawn::<(), _>(|_| throw(Payload(vec![1, 2])));
                Ok(())
            })
        });
        assert_eq!((payload, ended.into_inner()), (Payload(vec![1, 2]), 3));
    });
}

#[test]
fn a_panic_in_the_body_waits_for_everybody() {
    both(|ctx| {
        let ended = AtomicUsize::new(0);
        let payload: u64 = thrown(|| {
            scope::<(), Error>(ctx, |s| {
                for _ in 0..3 {
                    let _ = s.spawn(|ctx| {
                        let why = ctx.wait_stopped();
                        assert_eq!(reason(&why), "the body panicked");
                        ended.fetch_add(1, SeqCst);
                        Ok(())
                    });
                }
                until(|| s.ctx().linked().1 == 3);
                throw(42_u64)
            })
        });
        assert_eq!((payload, ended.into_inner()), (42, 3));
    });
}

#[test]
fn of_two_panics_the_first_is_resumed() {
    both(|ctx| {
        let first: u8 = thrown(|| {
            scope::<(), Error>(ctx, |s| {
                let _ = s.spawn::<(), _>(|_| throw(1_u8));
                s.ctx().wait_stopped();
                throw(2_u8)
            })
        });
        assert_eq!(first, 1);
        let first: u8 = thrown(|| {
            scope::<(), Error>(ctx, |s| {
                let _ = s.spawn::<(), _>(|ctx| {
                    ctx.wait_stopped();
                    throw(1_u8)
                });
                until(|| s.ctx().linked().1 == 1);
                throw(2_u8)
            })
        });
        assert_eq!(first, 2);
    });
}

#[test]
fn a_panic_takes_precedence_over_an_earlier_error() {
    both(|ctx| {
        let payload: u8 = thrown(|| {
            scope::<(), Error>(ctx, |s| {
                let _ = s.spawn::<(), _>(|ctx| {
                    ctx.wait_stopped();
                    throw(9_u8)
                });
                until(|| s.ctx().linked().1 == 1);
                Err(Error::Own(1))
            })
        });
        assert_eq!(payload, 9);
    });
}

#[test]
fn a_thousand_panics_are_one() {
    both(|ctx| {
        let _: usize = thrown(|| {
            scope::options().limit(4).run::<(), Error>(ctx, |s| {
                for i in 0..1000_usize {
                    let _ = s.spawn::<(), _>(move |_| throw(i));
                }
                Ok(())
            })
        });
    });
}

// ===== what is dropped =====

#[test]
fn every_value_error_and_closure_is_dropped_once() {
    #[allow(dead_code)]
    struct Failed(Option<crate::Thing>);
    impl From<Stop> for Failed {
        fn from(_: Stop) -> Self {
            Failed(None)
        }
    }
    both(|ctx| {
        let things = Counted::new();
        for round in 0..50 {
            let out = scope::options().limit(3).run(ctx, |s| {
                let mut kept = Vec::new();
                for i in 0..8 {
                    let (captured, made) = (things.make(), things.clone());
                    let task = s.spawn(move |_| {
                        let _captured = captured;
                        match (i, round % 2) {
                            (5..7, 1) => Err(Failed(Some(made.make()))),
                            (7, 1) => throw(made.make()),
                            _ => Ok(made.make()),
                        }
                    });
                    match i % 3 {
                        0 => drop(task),
                        1 => kept.push(task),
                        _ => drop(task.join(ctx)),
                    }
                }
                if round % 5 == 4 { Err(Failed(Some(things.make()))) } else { Ok(kept) }
            });
            drop(out);
            things.all_gone();
        }
        assert!(things.all_gone() > 400);
    });
}

/// A value whose `drop` panics is the task's panic.
#[test]
fn a_value_nobody_joins_whose_drop_panics_is_a_panic_of_its_task() {
    for cache in [false, true] {
        let text: &str = ends(move || {
            let ctx = root().0;
            let ctx = if cache { ctx.with_value(ThreadCache::new(2)) } else { ctx };
            thrown(|| {
                scope::<(), Error>(&ctx, |s| {
                    let (go, gone) = channel::bounded::<()>(1);
                    drop(s.spawn(move |ctx| {
                        let _ = gone.recv(ctx); // Until nobody holds the handle.
                        Ok(Bomb("in drop"))
                    }));
                    until(|| go.stats().blocked_receivers == 1); // On a thread of its own.
                    drop(go);
                    Ok(())
                })
            })
        });
        assert_eq!(text, "in drop");
    }
}

#[test]
fn a_closure_that_never_ran_whose_drop_panics_is_a_panic_of_the_scope() {
    for cache in [false, true] {
        let text: &str = ends(move || {
            let ctx = root().0;
            let ctx = if cache { ctx.with_value(ThreadCache::new(2)) } else { ctx };
            thrown(|| {
                scope::options().limit(1).run::<(), Error>(&ctx, |s| {
                    let (go, gone) = channel::bounded::<()>(1);
                    let _ = s.spawn(move |ctx| {
                        let _ = gone.recv(ctx);
                        Err::<(), _>(Error::Own(1))
                    });
                    until(|| go.stats().blocked_receivers == 1);
                    for text in ["first", "second"] {
                        let bomb = Bomb(text);
                        let _ = s.spawn(move |_| Ok(bomb));
                    }
                    drop(go);
                    s.ctx().wait_stopped();
                    Ok(())
                })
            })
        });
        assert_eq!(text, "first");
    }
}

#[test]
fn a_daemon_that_came_too_late_whose_drop_panics_is_a_panic_of_the_scope() {
    let rounds = || {
        let ctx = root().0;
        for _ in 0..50 {
            let text: &str = thrown(|| {
                scope::<(), Error>(&ctx, |s| {
                    for text in ["a", "a"] {
                        let bomb = Bomb(text);
                        s.daemon(move |ctx| {
                            let _bomb = bomb;
                            wait(ctx)
                        });
                    }
                    Ok(())
                })
            });
            assert_eq!(text, "a");
        }
    };
    ends(rounds);
}

#[test]
fn an_error_nobody_returns_and_a_payload_nobody_resumes_may_panic_when_dropped() {
    #[allow(dead_code)]
    struct Failed(Option<Bomb>);
    impl From<Stop> for Failed {
        fn from(_: Stop) -> Self {
            Failed(None)
        }
    }
    ends(|| {
        let ctx = root().0;
        let payload: u8 = thrown(|| {
            scope::<(), Failed>(&ctx, |s| {
                let waiting = || until(|| s.ctx().linked().1 == 2);
                let _ = s.spawn::<(), _>(|ctx| {
                    ctx.wait_stopped();
                    Err(Failed(Some(Bomb("error"))))
                });
                let _ = s.spawn::<(), _>(|ctx| {
                    ctx.wait_stopped();
                    throw(Bomb("payload"))
                });
                waiting();
                throw(1_u8)
            })
        });
        assert_eq!(payload, 1);
    });
}
