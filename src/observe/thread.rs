//! One thread's stack of what it is doing.

use super::registry::Registry;
use super::tree::{Task, TaskKind, Waiting};
use crate::sync::{self, Arc, MODEL, Mutex};
use crate::wait::Waiter;
use std::cell::Cell;
use std::panic::Location;
use std::time::Instant;

/// Identifies a running task within the process: the thread's number and a count on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TaskId(pub(super) u64);

pub(super) struct Thread {
    name: String,
    waiter: Arc<Waiter>,
    /// Guards the stack; the owner pushes and pops, an observer copies.
    stack: Mutex<Vec<Entry>>,
}

struct Entry {
    id: TaskId,
    parent: Option<TaskId>,
    kind: TaskKind,
    name: Option<Arc<str>>,
    at: &'static Location<'static>,
    /// Not recorded inside a model.
    started: Option<Instant>,
    registry: Registry,
}

crate::sync::thread_local_in_build! {
    static ME: Arc<Thread> = Arc::new(Thread::new());
    static LAST: Cell<u64> = Cell::new(0);
    static TOP: Cell<Option<TaskId>> = Cell::new(None);
}

impl Thread {
    fn new() -> Self {
        let name = if MODEL { String::new() } else { sync::thread_name() };
        Thread { name, waiter: Waiter::current(), stack: Mutex::new(Vec::new()) }
    }

    pub(super) fn snapshot(&self, registry: &Registry) -> Vec<Task> {
        let waiting = self.waiter.site().map(|site| Waiting {
            on: site.kind,
            name: site.name,
            at: site.at,
            since: site.since,
        });
        let stack = self.stack.lock();
        let top = stack.len().saturating_sub(1);
        let tasks = stack.iter().enumerate().filter(|(_, e)| e.registry.is_same(registry));
        let copy = |(i, e): (usize, &Entry)| Task {
            id: e.id.0,
            parent: e.parent.map(|p| p.0),
            kind: e.kind,
            name: e.name.clone(),
            spawned_at: e.at,
            started: e.started,
            thread: self.name.clone(),
            // A thread waits on behalf of what it does last.
            waiting: if i == top { waiting.clone() } else { None },
        };
        tasks.map(copy).collect()
    }
}

/// The task at work on this thread, as the parent of what it starts.
pub(crate) fn current() -> Option<TaskId> {
    TOP.try_with(Cell::get).ok().flatten()
}

/// Lists something as running on the calling thread until the guard is dropped.
pub(crate) fn begin(
    registry: Option<&Registry>,
    kind: TaskKind,
    name: Option<Arc<str>>,
    at: &'static Location<'static>,
    parent: Option<TaskId>,
) -> Running {
    let Some(registry) = registry else { return Running { entered: None, id: None } };
    let Ok(me) = ME.try_with(Arc::clone) else { return Running { entered: None, id: None } };
    let id = LAST.with(|last| {
        if last.get() == 0 {
            last.set(sync::next_number() << 32);
        }
        last.set(last.get() + 1);
        TaskId(last.get())
    });
    let started = if MODEL { None } else { Some(sync::time::now()) };
    let entry = Entry { id, parent, kind, name, at, started, registry: registry.clone() };
    let known = {
        let mut stack = me.stack.lock();
        let known = stack.iter().any(|e| e.registry.is_same(registry));
        stack.push(entry);
        known
    };
    let number = if known { None } else { Some(registry.add(me.clone())) };
    let outer = TOP.with(|top| top.replace(Some(id)));
    Running {
        entered: Some(Entered { me, registry: registry.clone(), number, outer }),
        id: Some(id),
    }
}

/// A listed piece of work. It leaves the list when dropped, on the thread that made it.
pub(crate) struct Running {
    entered: Option<Entered>,
    id: Option<TaskId>,
}

struct Entered {
    me: Arc<Thread>,
    registry: Registry,
    number: Option<u64>,
    outer: Option<TaskId>,
}

impl Running {
    /// The parent for whatever this starts on other threads.
    pub(crate) fn id(&self) -> Option<TaskId> {
        self.id
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(Entered { me, registry, number, outer }) = self.entered.take() else { return };
        let _ = TOP.try_with(|top| top.set(outer));
        let entry = me.stack.lock().pop();
        drop(entry);
        if let Some(number) = number {
            registry.remove(number);
        }
    }
}
