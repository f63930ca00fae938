//! One thread's stack of what it is doing.

use super::registry::Registry;
use super::tree::{Task, TaskKind, Waiting};
use crate::sync::{self, Arc, MODEL, Mutex};
use crate::wait::{Serving, Site, Waiter};
use std::cell::Cell;
use std::marker::PhantomData;
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
    /// Guards what the thread does; the thread itself writes, an observer copies.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    stack: Vec<Entry>,
    /// The numbers of the registries that list this thread.
    listed: Vec<u64>,
    /// What its tasks have taken on record.
    held: Vec<Holding>,
}

/// Something lent that a task of the thread has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holding {
    pub(crate) task: TaskId,
    /// Of what was lent.
    pub(crate) key: usize,
    pub(crate) amount: usize,
}

/// A thread with something to do under a registry, as it was when the snapshot was taken.
pub(crate) struct ThreadView {
    /// What it does, the innermost last, with the [`key`](crate::wait::key) that each is at work for.
    pub(crate) tasks: Vec<(Task, usize)>,
    pub(crate) parked: Option<(Site, Serving)>,
    pub(crate) held: Vec<Holding>,
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
    /// The key of what waits for its end; 0 if nothing does; see [`DAEMON`].
    serves: usize,
}

/// In the place of a key: a daemon of a scope, which the scope does not wait for like a task.
pub(crate) const DAEMON: usize = 1;

crate::sync::thread_local_in_build! {
    static ME: Arc<Thread> = Arc::new(Thread::new());
    static LAST: Cell<u64> = Cell::new(0);
    static TOP: Cell<Option<TaskId>> = Cell::new(None);
}

impl Thread {
    fn new() -> Self {
        let name = if MODEL { String::new() } else { sync::thread_name() };
        Thread { name, waiter: Waiter::current(), state: Mutex::new(State::default()) }
    }

    pub(super) fn snapshot(&self, registry: u64) -> Vec<Task> {
        self.view(registry).tasks.into_iter().map(|(task, _)| task).collect()
    }

    pub(super) fn view(&self, registry: u64) -> ThreadView {
        let parked = self.waiter.site();
        let waiting = parked.as_ref().map(|(site, _)| Waiting {
            on: site.kind,
            name: site.name.clone(),
            at: site.at,
            since: site.since,
        });
        let state = self.state.lock();
        let top = state.stack.len().saturating_sub(1);
        let tasks = state.stack.iter().enumerate().filter(|(_, e)| e.registry == registry);
        let copy = |(i, e): (usize, &Entry)| {
            let task = Task {
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
            (task, e.serves)
        };
        ThreadView { tasks: tasks.map(copy).collect(), parked, held: state.held.clone() }
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
    begin_for(registry, kind, name, at, parent, 0)
}

/// The same, for what is at work for the thing with the key `serves`.
pub(crate) fn begin_for(
    registry: Option<&Registry>,
    kind: TaskKind,
    name: Option<Arc<str>>,
    at: &'static Location<'static>,
    parent: Option<TaskId>,
    serves: usize,
) -> Running {
    let Some(registry) = registry else { return Running::unlisted() };
    ME.try_with(|me| {
        let id = next_id();
        let started = if MODEL { None } else { Some(sync::time::now()) };
        let entry = Entry { id, parent, kind, name, at, started, registry: registry.id(), serves };
        let known = {
            let mut state = me.state.lock();
            state.stack.push(entry);
            let known = state.listed.contains(&registry.id());
            if !known {
                state.listed.push(registry.id());
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

/// The number of the calling thread: the upper half of the numbers of its tasks. 0 if it ends already.
pub(crate) fn thread_number() -> u64 {
    LAST.try_with(|last| {
        first_id(last);
        last.get() >> 32
    })
    .unwrap_or(0)
}

fn first_id(last: &Cell<u64>) {
    if last.get() == 0 {
        last.set(sync::next_number() << 32);
    }
}

fn next_id() -> TaskId {
    LAST.with(|last| {
        first_id(last);
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
        let entry = ME.try_with(|me| me.state.lock().stack.pop());
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
    /// Lists a piece of work with its start, and what it is at work for.
    pub(crate) fn set(
        &mut self,
        registry: Option<&Registry>,
        kind: TaskKind,
        name: Option<Arc<str>>,
        at: &'static Location<'static>,
        parent: Option<TaskId>,
        serves: usize,
    ) {
        self.anonymous = None;
        let started = if MODEL { None } else { Some(sync::time::now()) };
        self.write(registry, kind, name, at, parent, started, serves);
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
        self.write(registry, kind, None, at, parent, None, 0);
        self.anonymous = Some((at, parent));
    }

    #[allow(clippy::too_many_arguments)] // The fields of an entry.
    fn write(
        &mut self,
        registry: Option<&Registry>,
        kind: TaskKind,
        name: Option<Arc<str>>,
        at: &'static Location<'static>,
        parent: Option<TaskId>,
        started: Option<Instant>,
        serves: usize,
    ) {
        let Some(registry) = registry else { return self.clear() };
        let Some(running) = self.running.as_mut().filter(|running| running.id.is_some()) else {
            self.running = Some(begin_for(Some(registry), kind, name, at, parent, serves));
            return;
        };
        let id = next_id();
        let entry = Entry { id, parent, kind, name, at, started, registry: registry.id(), serves };
        running.id = Some(id);
        let _ = TOP.try_with(|top| top.set(Some(id)));
        let old = ME.try_with(|me| {
            me.state.lock().stack.last_mut().map(|last| std::mem::replace(last, entry))
        });
        drop(old);
    }

    /// The thread has nothing to do, and may be about to park.
    pub(crate) fn clear(&mut self) {
        *self = Mark::default();
    }
}

/// Puts on record that the task at work on this thread has taken `amount` of what has this key, until
/// the guard is dropped, on the same thread.
pub(crate) fn hold(key: usize, amount: usize) -> Recorded {
    let holding = current().map(|task| Holding { task, key, amount });
    if let Some(holding) = holding {
        let _ = ME.try_with(|me| me.state.lock().held.push(holding));
    }
    Recorded { holding, here: PhantomData }
}

/// Ends [`hold`]. It stays on its thread.
pub(crate) struct Recorded {
    holding: Option<Holding>,
    here: PhantomData<*const ()>,
}

impl Drop for Recorded {
    fn drop(&mut self) {
        let Some(holding) = self.holding else { return };
        let _ = ME.try_with(|me| {
            let held = &mut me.state.lock().held;
            if let Some(i) = held.iter().rposition(|h| *h == holding) {
                held.swap_remove(i);
            }
        });
    }
}
