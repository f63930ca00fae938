//! Bars of tasks and waits, from looks at what runs.

use super::tracer::{Bar, What};
use crate::observe::{Task, Tasks};
use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Instant;

/// What the last look has met.
#[derive(Debug, Default)]
pub(super) struct Looks {
    open: HashMap<Key, Bar>,
}

/// A task, or a wait of it by when it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Task(u64),
    Wait(u64, Instant),
}

impl Looks {
    /// Takes in what a look between `before` and `after` has met; returns what has ended since the last.
    pub(super) fn take(
        &mut self,
        tasks: &Tasks,
        began: Instant,
        before: Instant,
        after: Instant,
    ) -> Vec<Bar> {
        let mut open = HashMap::new();
        for task in tasks.as_slice() {
            if let Some(started) = task.started {
                let (name, from) = (task_name(task), started.max(began));
                let bar = bar(task, What::Task, name, from, before, task.spawned_at);
                open.insert(Key::Task(task.id), bar);
            }
            if let Some(waiting) = &task.waiting
                && let Some(since) = waiting.since
            {
                let name = match &waiting.name {
                    Some(name) => format!("{} {name}", waiting.on),
                    None => waiting.on.to_string(),
                };
                let from = since.max(began);
                let bar = bar(task, What::Wait, name, from, before, waiting.at);
                open.insert(Key::Wait(task.id, since), bar);
            }
        }
        let last = std::mem::replace(&mut self.open, open);
        let mut ended: Vec<Bar> = Vec::new();
        for (key, mut bar) in last {
            if self.open.contains_key(&key) {
                continue;
            }
            // It ended before anything that has begun later on its thread, and is here: if that were
            // inside of it, it would be here still. That may have been before the last look, as the
            // next task reads the clock before it takes the place of this one.
            let later = self.open.values();
            let later = later.filter(|other| other.thread == bar.thread && other.from > bar.from);
            bar.to = later.map(|other| other.from).min().unwrap_or(after);
            bar.sure = bar.sure.min(bar.to);
            ended.push(bar);
        }
        ended.sort_by_key(|bar| bar.from);
        ended
    }

    /// What goes on, until the last look.
    pub(super) fn open(&self) -> impl Iterator<Item = Bar> {
        self.open.values().cloned()
    }
}

fn task_name(task: &Task) -> String {
    match &task.name {
        Some(name) => format!("{} {name}", task.kind),
        None => task.kind.to_string(),
    }
}

fn bar(
    task: &Task,
    what: What,
    name: String,
    from: Instant,
    to: Instant,
    at: &'static std::panic::Location<'static>,
) -> Bar {
    Bar {
        thread: task.id >> 32,
        name: Cow::Owned(name),
        what,
        from,
        sure: to.max(from),
        to: to.max(from),
        at,
    }
}
