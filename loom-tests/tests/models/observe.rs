//! Looking at the task tree while it changes.

use crate::{Oops, model};
use ironsys::observe::Registry;
use ironsys::{Context, channel, scope};

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
