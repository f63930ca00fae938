//! What is told of a deadlock.

use crate::observe::{Task, ThreadView, WaitKind, Waiting};
use crate::sync;
use crate::wait::On;
use std::fmt;
use std::time::Duration;

/// Threads that wait for each other: without help, none of them goes on. Found by a
/// [`DeadlockFinder`](super::DeadlockFinder).
///
/// `Display` names them all, with the lines where they wait:
///
/// ```text
/// deadlock of 2 threads, for 1.0 s:
///   task `a` from src/bank.rs:10:9, on bank-1, waits at src/bank.rs:14:30: permit `second`, which is held by
///   task `b` from src/bank.rs:20:9, on bank-2, waits at src/bank.rs:24:30: permit `first`, which is held by
///   task `a`
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Deadlock {
    /// Each waits for the next, and the last for the first. One alone waits for itself.
    pub cycle: Vec<Blocked>,
    /// For how long all of them have been waiting; real time.
    pub lasted: Duration,
    /// How many threads more wait for these, directly or not, and know it.
    pub behind: usize,
}

/// A thread in a deadlock.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Blocked {
    /// What it does, innermost: a task, a scope, a job, a worker.
    pub task: Task,
    /// What it waits for.
    pub waiting: Waiting,
    /// How the next one could end that.
    pub link: Link,
}

/// What one thread in a deadlock has to do with the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Link {
    /// It waits for the end of what the next one does.
    Ends,
    /// It waits for all tasks of a scope, and the next one runs one of them.
    RunsTaskOf,
    /// It waits for an answer that the next one is to give, or for room among its questions.
    Answers,
    /// It waits for permits that the next one has.
    Holds,
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Link::Ends => "for the end of",
            Link::RunsTaskOf => "for its tasks, among them",
            Link::Answers => "for an answer of",
            Link::Holds => "which is held by",
        })
    }
}

impl Blocked {
    /// What a thread does and waits for; `None` if it does not wait.
    pub(super) fn of(thread: &ThreadView) -> Option<Blocked> {
        let (site, _) = thread.parked.as_ref()?;
        let (task, _) = thread.tasks.last()?;
        let link = match &site.on {
            On::Lent(_) => Link::Holds,
            On::Tasks { .. } => Link::RunsTaskOf,
            _ if matches!(site.kind, WaitKind::Recv | WaitKind::Send) => Link::Answers,
            _ => Link::Ends,
        };
        let waiting =
            Waiting { on: site.kind, name: site.name.clone(), at: site.at, since: site.since };
        Some(Blocked { task: task.clone(), waiting, link })
    }

    /// Its kind and name, or where it comes from if it has none.
    fn who(&self) -> String {
        match &self.task.name {
            Some(name) => format!("{} `{name}`", self.task.kind),
            None => format!("{} from {}", self.task.kind, self.task.spawned_at),
        }
    }
}

impl Deadlock {
    pub(super) fn new(cycle: Vec<Blocked>, behind: usize) -> Deadlock {
        let now = sync::time::now();
        let last = cycle.iter().filter_map(|blocked| blocked.waiting.since).max();
        let lasted = last.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        Deadlock { cycle, lasted, behind }
    }
}

impl fmt::Display for Deadlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let threads = if self.cycle.len() == 1 { "thread" } else { "threads" };
        let (count, lasted) = (self.cycle.len(), self.lasted.as_secs_f64());
        writeln!(f, "deadlock of {count} {threads}, for {lasted:.1} s:")?;
        for blocked in &self.cycle {
            let Blocked { task, waiting, link } = blocked;
            write!(f, "  {}", blocked.who())?;
            if task.name.is_some() {
                write!(f, " from {}", task.spawned_at)?;
            }
            write!(f, ", on {}, waits at {}: {}", task.thread, waiting.at, waiting.on)?;
            if let Some(name) = &waiting.name {
                write!(f, " `{name}`")?;
            }
            writeln!(f, ", {link}")?;
        }
        if let Some(first) = self.cycle.first() {
            write!(f, "  {}", first.who())?;
        }
        if self.behind > 0 {
            write!(f, "\n  and {} more wait for these", self.behind)?;
        }
        Ok(())
    }
}
