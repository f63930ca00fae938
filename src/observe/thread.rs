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

impl TaskId {
    /// As it stands in a [`Task`].
    pub(crate) fn number(self) -> u64 {
        self.0
    }
}

pub(super) struct Thread {
    name: String,
    waiter: Arc<Waiter>,
    /// Guards the stack, and the numbers of the registries that list this thread; the thread itself
    /// pushes and pops, an observer copies.
    state: Mutex<(Vec<Entry>, Vec<u64>)>,
}

struct Entry {
    id: TaskId,
    parent: Option<TaskId>,
    kind: TaskKind,
    name: Option<Arc<str>>,
    at: &'static Location<'static>,
    /// Not recorded inside a model.
    started: Option<Instant>,
    /// The number of the registry that lists it.
    registry: u64,
}

crate::sync::thread_local_in_build! {
    static ME: Arc<Thread> = Arc::new(Thread::new());
    static LAST: Cell<u64> = Cell::new(0);
    static TOP: Cell<Option<TaskId>> = Cell::new(None);
}

impl Thread {
    fn new() -> Self {
        let name = if MODEL { String::new() } else { sync::thread_name() };
        Thread { name, waiter: Waiter::current(), state: Mutex::new((Vec::new(), Vec::new())) }
    }

    pub(super) fn snapshot(&self, registry: u64) -> Vec<Task> {
        let waiting = self.waiter.site().map(|site| Waiting {
            on: site.kind,
            name: site.name,
            at: site.at,
            since: site.since,
        });
        let (stack, _) = &*self.state.lock();
        let top = stack.len().saturating_sub(1);
        let tasks = stack.iter().enumerate().filter(|(_, e)| e.registry == registry);
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
    let Some(registry) = registry else { return Running::unlisted() };
    ME.try_with(|me| {
        let id = next_id();
        let started = if MODEL { None } else { Some(sync::time::now()) };
        let entry = Entry { id, parent, kind, name, at, started, registry: registry.id() };
        let known = {
            let (stack, listed) = &mut *me.state.lock();
            stack.push(entry);
            let known = listed.contains(&registry.id());
            if !known {
                listed.push(registry.id());
            }
            known
        };
        if !known {
            registry.add(me);
        }
        let outer = TOP.with(|top| top.replace(Some(id)));
        Running { id: Some(id), outer }
    })
    .unwrap_or_else(|_| Running::unlisted())
}

fn next_id() -> TaskId {
    LAST.with(|last| {
        if last.get() == 0 {
            last.set(sync::next_number() << 32);
        }
        last.set(last.get() + 1);
        TaskId(last.get())
    })
}

/// A listed piece of work. It leaves the list when dropped, on the thread that made it.
pub(crate) struct Running {
    id: Option<TaskId>,
    outer: Option<TaskId>,
}

impl Running {
    fn unlisted() -> Running {
        Running { id: None, outer: None }
    }

    /// The parent for whatever this starts on other threads.
    pub(crate) fn id(&self) -> Option<TaskId> {
        self.id
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.id.is_none() {
            return;
        }
        let _ = TOP.try_with(|top| top.set(self.outer));
        let entry = ME.try_with(|me| me.state.lock().0.pop());
        drop(entry);
    }
}

/// What a thread does one after the other: a single entry, rewritten for each piece of work. Half the
/// price of [`begin`]; between two pieces the last one is still listed.
#[derive(Default)]
pub(crate) struct Mark {
    running: Option<Running>,
    /// The last anonymous piece of work: the next one from the same line needs no new entry.
    anonymous: Option<(&'static Location<'static>, Option<TaskId>)>,
}

impl Mark {
    /// Lists a piece of work with its start.
    pub(crate) fn set(
        &mut self,
        registry: Option<&Registry>,
        kind: TaskKind,
        name: Option<Arc<str>>,
        at: &'static Location<'static>,
        parent: Option<TaskId>,
    ) {
        self.anonymous = None;
        let started = if MODEL { None } else { Some(sync::time::now()) };
        self.write(registry, kind, name, at, parent, started);
    }

    /// Lists a piece of work that nobody waits for: without its start, and pieces from one line under
    /// one number.
    pub(crate) fn set_anonymous(
        &mut self,
        registry: Option<&Registry>,
        kind: TaskKind,
        at: &'static Location<'static>,
        parent: Option<TaskId>,
    ) {
        let same =
            |last: (&'static Location<'static>, _)| std::ptr::eq(last.0, at) && last.1 == parent;
        if self.anonymous.is_some_and(same) {
            return;
        }
        self.write(registry, kind, None, at, parent, None);
        self.anonymous = Some((at, parent));
    }

    fn write(
        &mut self,
        registry: Option<&Registry>,
        kind: TaskKind,
        name: Option<Arc<str>>,
        at: &'static Location<'static>,
        parent: Option<TaskId>,
        started: Option<Instant>,
    ) {
        let Some(registry) = registry else { return self.clear() };
        let Some(running) = self.running.as_mut().filter(|running| running.id.is_some()) else {
            self.running = Some(begin(Some(registry), kind, name, at, parent));
            return;
        };
        let id = next_id();
        let entry = Entry { id, parent, kind, name, at, started, registry: registry.id() };
        running.id = Some(id);
        let _ = TOP.try_with(|top| top.set(Some(id)));
        let old = ME
            .try_with(|me| me.state.lock().0.last_mut().map(|last| std::mem::replace(last, entry)));
        drop(old);
    }

    /// The thread has nothing to do, and may be about to park.
    pub(crate) fn clear(&mut self) {
        *self = Mark::default();
    }
}
