//! Looking at the task tree while it changes.

use crate::{Oops, join, model, spawn};
use ironsys::export::trace::{Spans, Tracer};
use ironsys::export::{DeadlockFinder, WaitProfile};
use ironsys::limit::Semaphore;
use ironsys::observe::{Histogram, Registry};
use ironsys::pool::{JobOptions, Pool};
use ironsys::sync::Arc;
use ironsys::{Context, channel, scope};
use std::time::Duration;

/// A snapshot sees each task whole or not at all, and what it waits for.
#[test]
fn snapshot_vs_tasks() {
    model("observe::snapshot_vs_tasks", || {
        let registry = Registry::new();
        let (ctx, _cancel) = Context::builder().registry(registry.clone()).build();
        let (tx, rx) = channel::bounded::<u32>(1);
        scope(&ctx, |s| {
            let _ = s.named("reader").spawn(|ctx| rx.recv(ctx).map_err(|_| Oops::Boom));
            let tasks = registry.tasks();
            for task in tasks.as_slice() {
                assert!(task.name.as_deref() == Some("reader") || task.parent.is_none());
            }
            assert!((1..=2).contains(&tasks.len()), "{tasks}");
            tx.try_send(1).map_err(|_| Oops::Boom)
        })
        .expect("nobody fails");
        assert!(registry.tasks().is_empty());
    });
}

/// A worker goes from job to job while somebody looks: the entry of the one becomes that of the other.
#[test]
fn snapshot_vs_next_job() {
    model("observe::snapshot_vs_next_job", || {
        let registry = Registry::new();
        let (ctx, _cancel) = Context::builder().registry(registry.clone()).build();
        let pool = Pool::builder("p").workers(1).queue(2).context(&ctx).build().expect("fine");
        for name in ["one", "two"] {
            let options = JobOptions::new().name(name);
            drop(pool.submit_with(&ctx, options, |_| ()).expect("there is room"));
        }
        let tasks = registry.tasks();
        assert!(tasks.len() <= 2, "a worker and its job: {tasks}");
        assert_eq!(pool.drain(&ctx).done, 2);
        assert!(registry.tasks().is_empty());
    });
}

/// A record is in the next snapshot, whole; one under way may be missed.
#[test]
fn histogram() {
    model("observe::histogram", || {
        let latency = Arc::new(Histogram::new());
        let other = {
            let latency = latency.clone();
            spawn(move || latency.record(Duration::from_nanos(1)))
        };
        latency.record(Duration::from_nanos(2));
        assert!((1..=2).contains(&latency.snapshot().count()));
        join(other);
        let seen = latency.snapshot();
        assert_eq!((seen.count(), seen.sum()), (2, Duration::from_nanos(3)));
    });
}

/// Somebody looks for deadlocks while permits are taken, on record, and given back: there is none.
#[test]
fn look_vs_holder() {
    model("observe::look_vs_holder", || {
        let registry = Registry::new();
        let (ctx, _cancel) = Context::builder().registry(registry.clone()).build();
        let permits = Semaphore::new(1);
        let mut finder = DeadlockFinder::new(registry);
        scope(&ctx, |s| {
            s.execute(|ctx| permits.hold_watched(ctx, 1).map(drop).map_err(|_| Oops::Boom));
            let held = permits.hold_watched(s.ctx(), 1).map_err(|_| Oops::Boom)?;
            assert!(finder.look().is_empty());
            drop(held);
            Ok(())
        })
        .expect("nobody fails");
        assert!(finder.look().is_empty());
    });
}

/// Spans end on two threads while somebody writes the file: each is in it or in the next one.
#[test]
fn trace() {
    model("observe::trace", || {
        let tracer = Tracer::new(8);
        let (ctx, _cancel) = Context::builder().value(tracer.clone()).build();
        let other = {
            let ctx = ctx.clone();
            spawn(move || drop(ctx.span("other")))
        };
        drop(ctx.span("mine"));
        let written = tracer.write(&mut std::io::sink()).expect("a sink takes all");
        assert!((1..=2).contains(&written.bars));
        join(other);
        let written = tracer.write(&mut std::io::sink()).expect("a sink takes all");
        assert_eq!((written.bars, written.dropped), (2, 0));
    });
}

/// A profile and a trace look at a registry while a task begins and ends, and somebody asks for the sum.
#[test]
fn looks() {
    model("observe::looks", || {
        let registry = Registry::new();
        let (ctx, _cancel) = Context::builder().registry(registry.clone()).build();
        let (profile, tracer) = (WaitProfile::new(), Tracer::new(8));
        let other = {
            let (profile, tracer, registry) = (profile.clone(), tracer.clone(), registry.clone());
            spawn(move || {
                profile.look(&registry);
                tracer.look(&registry);
            })
        };
        scope(&ctx, |_| Ok::<_, Oops>(())).expect("nobody fails");
        assert!(profile.report().looks <= 1);
        join(other);
        assert_eq!(profile.report().looks, 1);
    });
}
