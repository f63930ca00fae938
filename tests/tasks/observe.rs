//! The task tree: who runs, under whom, and what each waits for.

use crate::{Error, until};
use ironsys::observe::{Registry, Task, TaskKind, Tasks, WaitKind};
use ironsys::pool::{JobOptions, Pool};
use ironsys::threads::ThreadCache;
use ironsys::{Context, channel, scope, select};
use std::time::Duration;

/// Runs `test` in a registry of its own, on fresh threads and on warm ones; nothing is left in it.
fn both(test: impl Fn(&Context, &Registry)) {
    for cache in [None, Some(ThreadCache::new(4))] {
        let registry = Registry::new();
        let builder = Context::builder().timeout(crate::PATIENCE).registry(registry.clone());
        let builder = match &cache {
            Some(cache) => builder.value(cache.clone()),
            None => builder,
        };
        let (ctx, _cancel) = builder.build();
        test(&ctx, &registry);
        until(|| registry.tasks().is_empty());
    }
}

/// The task of this name; waits until it waits.
#[track_caller]
fn waiting(registry: &Registry, name: &str) -> Task {
    let find = || {
        let tasks = registry.tasks();
        tasks.as_slice().iter().find(|t| t.name.as_deref() == Some(name)).cloned()
    };
    until(|| find().is_some_and(|t| t.waiting.is_some()));
    find().unwrap()
}

fn by_id(tasks: &Tasks, id: u64) -> &Task {
    tasks.as_slice().iter().find(|t| t.id == id).expect("a parent that is not listed")
}

#[test]
fn a_scope_shows_its_tasks_and_what_they_wait_for() {
    both(|ctx, registry| {
        let (tx, rx) = channel::builder::<u8>(1).name("pages").build().unwrap();
        let mut lines = (0, 0);
        scope::options()
            .name("fetch")
            .run(ctx, |s| {
                lines.0 = line!() + 1;
                let task = s.named("left").spawn(|ctx| {
                    let line = line!() + 1;
                    let _ = rx.recv(ctx);
                    Ok::<_, Error>(line)
                });
                let seen = waiting(registry, "left");
                let wait = seen.waiting.clone().unwrap();
                let tasks = registry.tasks();
                let parent = by_id(&tasks, seen.parent.unwrap());
                assert_eq!((seen.kind, parent.kind), (TaskKind::Task, TaskKind::Scope));
                assert_eq!(parent.name.as_deref(), Some("fetch"));
                assert_eq!((wait.on, wait.name.as_deref()), (WaitKind::Recv, Some("pages")));
                assert!(wait.at.file().ends_with("observe.rs") && wait.since.is_some());
                assert_eq!(seen.spawned_at.line(), lines.0);
                assert!(seen.started.is_some() && parent.waiting.is_none());
                drop(tx);
                assert_eq!(wait.at.line(), task.join(ctx)?);
                Ok(())
            })
            .unwrap();
    });
}

#[test]
fn every_kind_of_wait_is_shown() {
    both(|ctx, registry| {
        let (full, _keep) = channel::bounded::<u8>(1);
        full.try_send(1).unwrap();
        let (_tx, never) = channel::bounded::<u8>(1);
        let slots = ironsys::limit::Semaphore::new(2);
        let _held = slots.try_acquire(1);
        let result = scope(ctx, |s| {
            let _ = s.named("send").spawn(|ctx| Ok::<_, Error>(full.send(ctx, 1).is_ok()));
            let _ = s
                .named("select")
                .spawn(|ctx| Ok(select! { ctx; recv(never) -> m => m.is_ok() }.is_ok()));
            let _ = s.named("permit").spawn(|ctx| Ok(slots.acquire(ctx, 2).is_ok()));
            let _ = s.named("sleep").spawn(|ctx| Ok(ctx.sleep(Duration::MAX)?));
            let _ = s.named("stopped").spawn(|ctx| Ok(ctx.wait_stopped()));
            let inner = s.named("inner").spawn(|ctx| Ok(ctx.wait_stopped()));
            let _ = s.named("join").spawn(move |ctx| Ok(inner.join(ctx)?));
            for (name, on) in [
                ("send", WaitKind::Send),
                ("select", WaitKind::Select),
                ("permit", WaitKind::Permit),
                ("sleep", WaitKind::Sleep),
                ("stopped", WaitKind::Stopped),
                ("join", WaitKind::Join),
            ] {
                let wait = waiting(registry, name).waiting.unwrap();
                assert_eq!(wait.on, on, "{name}");
                assert!(wait.at.file().ends_with("observe.rs"), "{name} at {}", wait.at);
            }
            Err::<(), _>(Error::Own(1))
        });
        assert_eq!(result, Err(Error::Own(1)));
    });
}

#[test]
fn the_tree_prints_parents_before_children() {
    both(|ctx, registry| {
        let (go, gone) = channel::bounded::<()>(1);
        scope::options()
            .name("outer")
            .run(ctx, |s| {
                let _ = s.named("middle").spawn(|ctx| {
                    scope::options().name("inner").run(ctx, |s| {
                        let _ = s.named("leaf").spawn(|ctx| {
                            let _ = gone.recv(ctx);
                            Ok::<_, Error>(())
                        });
                        let _ = gone.recv(ctx);
                        Ok(())
                    })
                });
                until(|| gone.stats().blocked_receivers == 2);
                until(|| registry.tasks().to_string().matches("recv").count() == 2);
                let text = registry.tasks().to_string();
                let lines: Vec<&str> = text.lines().collect();
                let starts =
                    ["scope `outer`", "  task `middle`", "    scope `inner`", "      task `leaf`"];
                assert_eq!(lines.len(), starts.len(), "{text}");
                for (line, start) in lines.iter().zip(starts) {
                    assert!(line.starts_with(start), "{text}");
                }
                assert!(lines[3].contains(": recv since ") && lines[3].contains("observe.rs"));
                drop(go);
                Ok(())
            })
            .unwrap();
    });
}

#[test]
fn a_pool_shows_its_workers_and_their_jobs() {
    both(|ctx, registry| {
        let pool = Pool::builder("mail").workers(2).context(ctx).build().unwrap();
        let idle = waiting(registry, "mail-0");
        assert_eq!((idle.kind, idle.parent), (TaskKind::Worker, None));
        let wait = idle.waiting.unwrap();
        assert_eq!((wait.on, wait.name.as_deref()), (WaitKind::Recv, Some("mail")));
        let (go, gone) = channel::bounded::<()>(1);
        let options = JobOptions::new().name("send");
        let ticket = pool.submit_with(ctx, options, move |ctx| drop(gone.recv(ctx))).unwrap();
        let job = waiting(registry, "send");
        let tasks = registry.tasks();
        let worker = by_id(&tasks, job.parent.unwrap());
        assert_eq!((job.kind, worker.kind), (TaskKind::Job, TaskKind::Worker));
        assert_eq!(job.thread, worker.thread);
        drop(go);
        ticket.join(ctx).unwrap();
        drop(pool);
        assert!(registry.tasks().is_empty());
    });
}

#[test]
fn nothing_is_left_after_panics_errors_and_cancels() {
    both(|ctx, registry| {
        for i in 0..20 {
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                scope::<(), Error>(ctx, |s| {
                    for _ in 0..3 {
                        let _ = s.spawn(crate::wait);
                    }
                    if i % 2 == 0 { crate::throw(i) } else { Err(Error::Own(i)) }
                })
            }));
            assert!(registry.tasks().is_empty(), "{}", registry.tasks());
        }
    });
}

#[test]
fn a_snapshot_may_be_taken_at_any_time() {
    both(|ctx, registry| {
        scope(ctx, |s| {
            s.daemon(|ctx| {
                while ctx.check().is_ok() {
                    let tasks = registry.tasks();
                    let _ = (tasks.to_string(), tasks.len());
                }
                Ok(())
            });
            for round in 0..50 {
                scope(ctx, |s| {
                    for i in 0..4 {
                        let _ = s.named(format!("{round}-{i}")).spawn(|ctx| Ok(ctx.check()?));
                    }
                    Ok::<_, Error>(())
                })?;
            }
            Ok::<_, Error>(())
        })
        .unwrap();
    });
}
