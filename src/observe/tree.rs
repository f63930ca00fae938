//! The snapshot of what runs, and how it prints.

use crate::sync::{self, Arc};
use crate::wait::WaitKind;
use std::collections::HashMap;
use std::fmt;
use std::panic::Location;
use std::time::Instant;

/// What a line of the tree stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskKind {
    /// A scope, on the thread that opened it.
    Scope,
    /// A task of a scope.
    Task,
    /// A worker of a pool.
    Worker,
    /// A job of a pool.
    Job,
}

impl fmt::Display for TaskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TaskKind::Scope => "scope",
            TaskKind::Task => "task",
            TaskKind::Worker => "worker",
            TaskKind::Job => "job",
        })
    }
}

/// Something that runs, as it was when the snapshot was taken.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Task {
    /// Identifies it within the process.
    pub id: u64,
    /// What started it.
    pub parent: Option<u64>,
    /// Scope, task, worker or job.
    pub kind: TaskKind,
    /// Its name, if it was given one.
    pub name: Option<Arc<str>>,
    /// The line that started it.
    pub spawned_at: &'static Location<'static>,
    /// When it began to run; real time, whatever the context's clock. Not recorded for tasks and
    /// jobs that are run without a name and a handle.
    pub started: Option<Instant>,
    /// The name of the thread that runs it.
    pub thread: String,
    /// What its thread is parked for.
    pub waiting: Option<Waiting>,
}

/// What a thread is parked for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Waiting {
    /// The kind of wait.
    pub on: WaitKind,
    /// The name of the channel, semaphore or task waited for, if it has one.
    pub name: Option<Arc<str>>,
    /// The call that blocks.
    pub at: &'static Location<'static>,
    /// Since when; real time.
    pub since: Option<Instant>,
}

/// What runs, as a tree. `Display` prints it like a thread dump:
///
/// ```text
/// scope `fetch` at src/main.rs:10:5, 1.2 s, on main: join since 1.2 s at src/main.rs:14:20
///   task `left` at src/main.rs:11:9, 1.2 s, on fetch-1: recv `pages` since 0.9 s at src/net.rs:7:12
/// ```
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tasks: Vec<Task>,
}

impl Tasks {
    pub(super) fn new(tasks: Vec<Task>) -> Self {
        Tasks { tasks }
    }

    /// Returns all of them, in no order that means anything.
    ///
    /// ```
    /// # use ironsys::{Context, Stop, observe::{Registry, TaskKind}};
    /// # let registry = Registry::new();
    /// # let (ctx, _cancel) = Context::builder().registry(registry.clone()).build();
    /// let seen = ironsys::scope(&ctx, |_| Ok::<_, Stop>(registry.tasks())).unwrap();
    /// assert_eq!(seen.as_slice()[0].kind, TaskKind::Scope);
    /// ```
    #[must_use]
    pub fn as_slice(&self) -> &[Task] {
        &self.tasks
    }

    /// Returns how many there are.
    ///
    /// ```
    /// # use ironsys::observe::Registry;
    /// assert_eq!(Registry::new().tasks().len(), 0);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Returns whether nothing runs.
    ///
    /// ```
    /// # use ironsys::observe::Registry;
    /// assert!(Registry::new().tasks().is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// What runs below one of them, and itself.
    pub(crate) fn below(&self, root: u64) -> Tasks {
        let children = self.children();
        let (mut found, mut tasks) = (vec![root], Vec::new());
        tasks.extend(self.tasks.iter().find(|task| task.id == root).cloned());
        while let Some(id) = found.pop() {
            for task in children.get(&Some(id)).into_iter().flatten() {
                found.push(task.id);
                tasks.push((*task).clone());
            }
        }
        Tasks { tasks }
    }

    fn children(&self) -> HashMap<Option<u64>, Vec<&Task>> {
        let known: std::collections::HashSet<u64> = self.tasks.iter().map(|t| t.id).collect();
        let mut children: HashMap<Option<u64>, Vec<&Task>> = HashMap::new();
        for task in &self.tasks {
            let parent = task.parent.filter(|p| known.contains(p) && *p != task.id);
            children.entry(parent).or_default().push(task);
        }
        for list in children.values_mut() {
            list.sort_by_key(|t| t.id);
        }
        children
    }
}

impl fmt::Display for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let children = self.children();
        let now = sync::time::now();
        let mut stack: Vec<(usize, &Task)> = Vec::new();
        let push = |stack: &mut Vec<_>, depth, of| {
            stack.extend(children.get(&of).into_iter().flatten().rev().map(|t| (depth, *t)));
        };
        push(&mut stack, 0, None);
        while let Some((depth, task)) = stack.pop() {
            let indent = depth * 2;
            write!(f, "{:indent$}{}", "", task.kind)?;
            name(f, task.name.as_deref())?;
            write!(f, " at {}", task.spawned_at)?;
            since(f, ", ", task.started, now)?;
            write!(f, ", on {}", task.thread)?;
            if let Some(wait) = &task.waiting {
                write!(f, ": {}", wait.on)?;
                name(f, wait.name.as_deref())?;
                since(f, " since ", wait.since, now)?;
                write!(f, " at {}", wait.at)?;
            }
            writeln!(f)?;
            push(&mut stack, depth + 1, Some(task.id));
        }
        Ok(())
    }
}

fn name(f: &mut fmt::Formatter<'_>, name: Option<&str>) -> fmt::Result {
    name.map_or(Ok(()), |name| write!(f, " `{name}`"))
}

fn since(
    f: &mut fmt::Formatter<'_>,
    before: &str,
    at: Option<Instant>,
    now: Instant,
) -> fmt::Result {
    let Some(at) = at else { return Ok(()) };
    let seconds = now.saturating_duration_since(at).as_secs_f64();
    write!(f, "{before}{seconds:.1} s")
}
