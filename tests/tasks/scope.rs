//! Scopes: who is waited for, how they nest, limits and stops.

use crate::{Counted, Crowd, Error, both, reason, root, throw, thrown, until, wait};
use ironsys::threads::ThreadCache;
use ironsys::time::VirtualClock;
use ironsys::{Canceller, Context, Stop, channel, scope};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

// ===== results =====

#[test]
fn tasks_borrow_from_the_stack() {
    both(|ctx| {
        let numbers: Vec<usize> = (0..100).collect();
        let (left, right) = numbers.split_at(50);
        let mut last = 0;
        let sum = scope(ctx, |s| {
            let a = s.spawn(|_| Ok::<_, Error>(left.iter().sum::<usize>()));
            let b = s.spawn(|_| Ok(right.iter().sum::<usize>()));
            let c = s.spawn(|_| {
                last = numbers[99];
                Ok(())
            });
            c.join(ctx)?;
            Ok(a.join(ctx)? + b.join(s.ctx())?)
        });
        assert_eq!((sum, last), (Ok(4950), 99));
    });
}

#[test]
fn a_scope_without_tasks_returns_what_its_body_returns() {
    both(|ctx| {
        assert_eq!(scope(ctx, |_| Ok::<_, Error>(7)), Ok(7));
        assert_eq!(scope(ctx, |_| Err::<(), _>(Error::Own(7))), Err(Error::Own(7)));
    });
}

#[test]
fn dropping_the_handle_leaves_the_task_to_the_scope() {
    both(|ctx| {
        let ran = AtomicBool::new(false);
        let (go, gone) = channel::bounded::<()>(1);
        let result = scope(ctx, |s| {
            drop(s.spawn(|ctx| {
                let _ = gone.recv(ctx);
                ran.store(true, SeqCst);
                Ok::<_, Error>(())
            }));
            drop(go);
            Ok(())
        });
        assert_eq!((result, ran.into_inner()), (Ok(()), true));
    });
}

#[test]
fn a_scope_that_stays_open_does_not_pile_up_threads() {
    let (ctx, _cancel) = root();
    let threads = Mutex::new(std::collections::HashSet::new());
    scope::options()
        .limit(4)
        .run(&ctx, |s| {
            for _ in 0..500 {
                let some: Vec<_> = (0..3)
                    .map(|_| {
                        s.spawn(|_| {
                            threads.lock().unwrap().insert(std::thread::current().id());
                            Ok::<_, Error>(())
                        })
                    })
                    .collect();
                some.into_iter().try_for_each(|task| task.join(&ctx))?;
            }
            Ok(())
        })
        .unwrap();
    // 32 that may have ended, 4 at work.
    let threads = threads.into_inner().unwrap().len();
    assert!(threads <= 36, "{threads} threads for 1,500 tasks");
}

#[test]
fn a_parked_thread_does_not_stop_an_autojumping_clock() {
    let time = VirtualClock::auto();
    let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    scope(&ctx, |s| {
        for _ in 0..40 {
            s.spawn(|ctx| Ok::<_, Error>(ctx.sleep(HOUR)?)).join(&ctx)?;
        }
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_finished_task_says_so() {
    both(|ctx| {
        let (go, gone) = channel::bounded::<()>(1);
        scope(ctx, |s| {
            let task = s.spawn(|ctx| Ok::<_, Error>(gone.recv(ctx).is_err()));
            assert!(!task.is_finished());
            drop(go);
            until(|| task.is_finished());
            assert!(task.join(ctx)?);
            Ok(())
        })
        .unwrap();
    });
}

#[test]
fn a_join_that_is_stopped_leaves_the_task_alone() {
    both(|ctx| {
        let (go, gone) = channel::bounded::<()>(1);
        let ended = AtomicBool::new(false);
        scope(ctx, |s| {
            let task = s.spawn(|ctx| {
                let _ = gone.recv(ctx);
                ended.store(true, SeqCst);
                Ok::<_, Error>(())
            });
            let stop = task.join(&ctx.with_timeout(Duration::ZERO)).unwrap_err();
            assert!(stop.is_timeout() && !ended.load(SeqCst));
            drop(go);
            Ok(())
        })
        .unwrap();
        assert!(ended.into_inner());
    });
}

// ===== nesting =====

#[test]
fn nested_scopes_fail_on_their_own() {
    both(|ctx| {
        let result: Result<_, Error> = scope(ctx, |s| {
            let outer = s.spawn(|ctx| {
                let inner: Result<(), _> = scope(ctx, |s| {
                    let _ = s.spawn(wait);
                    let _ = s.spawn(|_| Err::<(), _>(Error::Own(5)));
                    Ok(())
                });
                assert_eq!(inner, Err(Error::Own(5)));
                ctx.check()?; // The outer scope goes on.
                Ok::<_, Error>("fine")
            });
            Ok(outer.join(ctx)?)
        });
        assert_eq!(result, Ok("fine"));
    });
}

#[test]
fn a_failure_of_the_outer_scope_stops_the_inner_one() {
    both(|ctx| {
        let result: Result<(), Error> = scope(ctx, |s| {
            let _ = s.spawn(|ctx| {
                scope(ctx, |s| {
                    let _ = s.spawn(wait);
                    let _ = s.spawn(wait);
                    Ok(())
                })
            });
            let _ = s.spawn(|_| Err::<(), _>(Error::Own(6)));
            Ok(())
        });
        assert_eq!(result, Err(Error::Own(6)));
    });
}

#[test]
fn scopes_nest_deeply() {
    fn down(ctx: &Context, depth: usize) -> Result<usize, Error> {
        if depth == 0 {
            return Ok(0);
        }
        scope(ctx, |s| Ok(s.spawn(move |ctx| down(ctx, depth - 1)).join(ctx)? + 1))
    }
    both(|ctx| assert_eq!(down(ctx, 50), Ok(50)));
}

#[test]
fn a_panic_passes_through_nested_scopes() {
    both(|ctx| {
        let payload: u8 = thrown(|| {
            scope::<(), Error>(ctx, |s| {
                let _ = s.spawn(|ctx| {
                    scope::<(), Error>(ctx, |s| {
                        let _ = s.spawn::<(), _>(|_| throw(3_u8));
                        Ok(())
                    })
                });
                Ok(())
            })
        });
        assert_eq!(payload, 3);
    });
}

#[test]
fn tasks_spawn_tasks() {
    fn grow<'env>(s: &scope::Scope<'_, 'env, Error>, depth: usize, leaves: &'env AtomicUsize) {
        for _ in 0..2 {
            let _ = s.spawn_with(move |s| {
                match depth {
                    0 => drop(leaves.fetch_add(1, SeqCst)),
                    _ => grow(s, depth - 1, leaves),
                }
                Ok(())
            });
        }
    }
    both(|ctx| {
        for limit in [1, 2, 1024] {
            let leaves = AtomicUsize::new(0);
            let run = scope::options().limit(limit).run(ctx, |s| {
                grow(s, 5, &leaves);
                Ok(())
            });
            assert_eq!((run, leaves.into_inner()), (Ok(()), 64));
        }
    });
}

// ===== limits =====

#[test]
fn no_more_tasks_run_at_once_than_the_limit_allows() {
    both(|ctx| {
        for limit in [1, 2, 3, 8] {
            let (crowd, ran) = (Crowd::default(), AtomicUsize::new(0));
            scope::options()
                .limit(limit)
                .run(ctx, |s| {
                    for _ in 0..200 {
                        let _ = s.spawn(|_| {
                            crowd.visit();
                            ran.fetch_add(1, SeqCst);
                            Ok::<_, Error>(())
                        });
                    }
                    Ok(())
                })
                .unwrap();
            assert!(crowd.peak() <= limit, "{} at once, limit {limit}", crowd.peak());
            assert_eq!(ran.into_inner(), 200);
        }
    });
}

#[test]
fn ten_thousand_tasks_with_limit_two() {
    both(|ctx| {
        let (crowd, ran) = (Crowd::default(), AtomicUsize::new(0));
        scope::options()
            .limit(2)
            .run(ctx, |s| {
                for i in 0..10_000 {
                    let (crowd, ran) = (&crowd, &ran);
                    let _ = s.spawn(move |_| {
                        if i % 100 == 0 {
                            crowd.visit();
                        }
                        ran.fetch_add(1, SeqCst);
                        Ok::<_, Error>(())
                    });
                }
                Ok(())
            })
            .unwrap();
        assert!(crowd.peak() <= 2);
        assert_eq!(ran.into_inner(), 10_000);
    });
}

#[test]
fn daemons_that_have_ended_do_not_widen_the_limit() {
    both(|ctx| {
        let crowd = Crowd::default();
        scope::options()
            .limit(1)
            .run(ctx, |s| {
                let (go, gone) = channel::bounded::<()>(1);
                for _ in 0..3 {
                    let gone = gone.clone();
                    s.daemon(move |ctx| {
                        let _ = gone.recv(ctx);
                        Ok::<_, Error>(())
                    });
                }
                until(|| gone.stats().blocked_receivers == 3);
                for _ in 0..300 {
                    let _ = s.spawn(|_| {
                        crowd.visit();
                        Ok(())
                    });
                }
                drop(go); // The daemons end while there is a lot to do.
                Ok(())
            })
            .unwrap();
        assert_eq!(crowd.peak(), 1);
    });
}

#[test]
fn a_scope_with_limit_zero_says_so_and_runs_nothing() {
    both(|ctx| {
        let result =
            scope::options().limit(0).run::<(), Error>(ctx, |_| unreachable!("the body runs"));
        let Err(Error::Stopped(stop)) = result else { panic!("{result:?}") };
        assert_eq!(reason(&stop), "a scope with limit 0 can run no task");
    });
}

#[test]
fn a_scope_with_a_zero_byte_in_its_name_says_so_and_runs_nothing() {
    both(|ctx| {
        let result =
            scope::options().name("a\0b").run::<(), Error>(ctx, |_| unreachable!("the body runs"));
        let Err(Error::Stopped(stop)) = result else { panic!("{result:?}") };
        assert_eq!(reason(&stop), "the name of a scope holds a zero byte");
    });
}

#[test]
fn the_largest_limit_is_no_limit() {
    both(|ctx| {
        let run = scope::options().limit(usize::MAX).run(ctx, |s| {
            s.daemon(wait);
            Ok(s.spawn(|_| Ok::<_, Error>(1)).join(ctx)?)
        });
        assert_eq!(run, Ok(1));
    });
}

#[test]
fn tasks_that_wait_for_each_other_all_get_a_thread() {
    const N: usize = 32;
    both(|ctx| {
        let ring: Vec<_> = (0..N).map(|_| channel::bounded::<usize>(0)).collect();
        let sum = scope(ctx, |s| {
            for i in 1..N {
                let (from, to) = (&ring[i].1, &ring[(i + 1) % N].0);
                let _ = s.spawn(move |ctx| {
                    let n = from.recv(ctx).map_err(|_| Error::Own(i))?;
                    to.send(ctx, n + i).map_err(|_| Error::Own(i))
                });
            }
            ring[1].0.send(ctx, 0).map_err(|_| Error::Own(N))?;
            ring[0].1.recv(ctx).map_err(|_| Error::Own(N))
        });
        assert_eq!(sum, Ok((1..N).sum()));
    });
}

// ===== stops =====

#[test]
fn tasks_that_have_not_begun_when_the_scope_stops_are_dropped_and_say_so() {
    both(|ctx| {
        let things = Counted::new();
        let (go, gone) = channel::bounded::<()>(1);
        let ran = AtomicUsize::new(0);
        let result: Result<(), Error> = scope::options().limit(1).run(ctx, |s| {
            let _ = s.spawn(|_| {
                let _ = gone.recv(ctx);
                Err::<(), _>(Error::Own(1))
            });
            let rest: Vec<_> = (0..5)
                .map(|_| {
                    let (thing, ran) = (things.make(), &ran);
                    s.spawn(move |_| {
                        ran.fetch_add(1, SeqCst);
                        Ok(thing)
                    })
                })
                .collect();
            drop(go);
            for task in rest {
                let stop = task.join(ctx).err().expect("a task ran after the failure");
                assert_eq!(reason(&stop), "the scope stopped before the task began");
            }
            let refused = s.spawn(|_| Ok(())).join(ctx).unwrap_err();
            assert_eq!(reason(&refused), "the scope stopped before the task began");
            Ok(())
        });
        assert_eq!((result, ran.into_inner()), (Err(Error::Own(1)), 0));
        assert_eq!(things.all_gone(), 5);
    });
}

#[test]
fn a_scope_under_a_stopped_context_runs_no_task() {
    both(|ctx| {
        let (ctx, cancel) = ctx.with_cancel();
        cancel.cancel_with("too late");
        assert_eq!(scope(&ctx, |_| Ok::<_, Error>(1)), Ok(1)); // There was nothing to do.
        let result = scope(&ctx, |s| {
            let _ = s.spawn(|_| -> Result<(), Error> { unreachable!("it runs") });
            Ok(1)
        });
        let Err(Error::Stopped(stop)) = result else { panic!("{result:?}") };
        assert_eq!(reason(&stop), "too late");
    });
}

#[test]
fn a_stop_while_all_tasks_run_is_theirs_to_report() {
    both(|ctx| {
        let (ctx, cancel) = ctx.with_cancel();
        let result = scope(&ctx, |s| {
            let task = s.spawn(|ctx| Ok::<_, Error>(ctx.wait_stopped().is_cancelled()));
            until(|| s.ctx().linked().1 == 1);
            cancel.cancel();
            Ok(task)
        });
        // Everything begun has ended well, so the scope has.
        let task = result.unwrap();
        assert_eq!(task.join(&root().0), Ok(true));
    });
}

fn both_on(time: &VirtualClock, test: impl Fn(&Context, &Canceller)) {
    let (ctx, cancel) = Context::builder().clock(time.clock()).build();
    test(&ctx, &cancel);
    let cache = ThreadCache::new(4);
    let (ctx, cancel) = Context::builder().clock(time.clock()).value(cache).build();
    test(&ctx, &cancel);
}

#[test]
fn a_scope_ends_at_its_deadline() {
    let time = VirtualClock::auto();
    both_on(&time, |ctx, _| {
        let start = time.now();
        let result: Result<(), Error> = scope(&ctx.with_timeout(HOUR), |s| {
            for _ in 0..3 {
                let _ = s.spawn(wait);
            }
            Ok(())
        });
        assert_eq!(result, Err(Error::Stopped(Stop::DeadlineExceeded)));
        assert_eq!(time.now() - start, HOUR);
    });
}

#[test]
fn virtual_time_stands_still_while_a_task_works() {
    let time = VirtualClock::auto();
    both_on(&time, |ctx, _| {
        let start = time.now();
        let (tx, rx) = channel::bounded::<usize>(0);
        let sum: Result<_, Error> = scope(ctx, |s| {
            let _ = s.spawn(|ctx| {
                for i in 0..100 {
                    std::thread::yield_now(); // At work.
                    tx.send(ctx, i).map_err(|_| Error::Own(i))?;
                }
                Ok(())
            });
            let mut sum = 0;
            for _ in 0..100 {
                sum += rx.recv(&ctx.with_timeout(HOUR)).map_err(|_| Error::Own(0))?;
            }
            Ok(sum)
        });
        assert_eq!((sum, time.now()), (Ok(4950), start));
    });
}

#[test]
fn sleeping_tasks_end_in_order_of_time() {
    let time = VirtualClock::auto();
    both_on(&time, |ctx, _| {
        let order = Mutex::new(Vec::new());
        scope(ctx, |s| {
            for i in [3_u32, 1, 4, 2] {
                let order = &order;
                let _ = s.spawn(move |ctx| {
                    ctx.sleep(HOUR * i)?;
                    order.lock().unwrap().push(i);
                    Ok::<_, Error>(())
                });
            }
            Ok(())
        })
        .unwrap();
        assert_eq!(order.into_inner().unwrap(), [1, 2, 3, 4]);
    });
}

#[test]
fn virtual_time_goes_on_while_tasks_wait_for_a_thread() {
    let time = VirtualClock::auto();
    both_on(&time, |ctx, _| {
        let start = time.now();
        let run = scope::options().limit(2).run(ctx, |s| {
            for _ in 0..6 {
                let _ = s.spawn(|ctx| Ok::<_, Error>(ctx.sleep(HOUR)?));
            }
            Ok(())
        });
        assert_eq!((run, time.now() - start), (Ok(()), 3 * HOUR));
    });
}
