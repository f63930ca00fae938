//! Tasks that become more and more: a leak.

use super::periodic::Periodic;
use crate::context::Context;
use crate::error::BuildError;
use crate::observe::Tasks;
use std::collections::HashMap;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

/// Notices lines of the program whose tasks become more and more. Call [`look`](Self::look) now and
/// then, or have a [`GrowthWatch`] do it.
///
/// ```
/// use ironsys::{Context, Stop, export::TaskGrowth, observe::Registry};
/// let registry = Registry::new();
/// let (ctx, _cancel) = Context::builder().registry(registry.clone()).build();
/// let mut growth = TaskGrowth::new(10);
/// ironsys::scope(&ctx, |_| {
///     assert!(growth.look(&registry.tasks()).is_empty()); // one scope, as before
///     Ok::<_, Stop>(())
/// }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct TaskGrowth {
    times: usize,
    lines: HashMap<&'static Location<'static>, Line>,
}

/// A line since it last had fewer tasks than before.
#[derive(Debug, Clone, Copy)]
struct Line {
    from: usize,
    last: usize,
    /// In how many looks it had grown.
    grew: usize,
    /// Told at this count; again when it has doubled.
    told: Option<usize>,
}

/// A line whose tasks become more and more.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Growth {
    /// The line that starts them.
    pub spawned_at: &'static Location<'static>,
    /// How many there were.
    pub from: usize,
    /// How many there are.
    pub to: usize,
    /// At how many looks there were more than before; at none were there fewer.
    pub times: usize,
}

impl TaskGrowth {
    /// A line is told if its tasks have become more `times` times, from one look to the next, and never
    /// fewer in between; again whenever they have doubled since. 0 counts as 1.
    ///
    /// ```
    /// # use ironsys::export::*;
    /// # use ironsys::observe::Registry;
    /// assert!(TaskGrowth::new(10).look(&Registry::new().tasks()).is_empty());
    /// ```
    #[must_use]
    pub fn new(times: usize) -> Self {
        TaskGrowth { times: times.max(1), lines: HashMap::new() }
    }

    /// Looks once; returns the lines that have grown, those with the most tasks first.
    ///
    /// ```
    /// # use ironsys::export::*;
    /// # use ironsys::observe::Registry;
    /// let (registry, mut growth) = (Registry::new(), TaskGrowth::new(10));
    /// assert!(growth.look(&registry.tasks()).is_empty());
    /// ```
    #[must_use]
    pub fn look(&mut self, tasks: &Tasks) -> Vec<Growth> {
        let mut counts: HashMap<&'static Location<'static>, usize> = HashMap::new();
        for task in tasks.as_slice() {
            *counts.entry(task.spawned_at).or_default() += 1;
        }
        self.lines.retain(|at, _| counts.contains_key(at));
        let mut found = Vec::new();
        for (at, count) in counts {
            let new = Line { from: count, last: count, grew: 0, told: None };
            let line = self.lines.entry(at).or_insert(new);
            if count < line.last {
                *line = new;
            }
            line.grew += usize::from(count > line.last);
            line.last = count;
            let more = line.told.is_none_or(|told| count >= told.saturating_mul(2));
            if line.grew >= self.times && more {
                line.told = Some(count);
                let (from, times) = (line.from, line.grew);
                found.push(Growth { spawned_at: at, from, to: count, times });
            }
        }
        found.sort_by_key(|growth| (std::cmp::Reverse(growth.to), growth.spawned_at));
        found
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Growth { spawned_at, from, to, times } = self;
        write!(f, "tasks from {spawned_at} became more {times} times, from {from} to {to}")
    }
}

/// Watches for tasks that become more and more, until it is dropped, which joins its thread.
#[derive(Debug)]
#[must_use = "the watch ends when this is dropped"]
pub struct GrowthWatch {
    _periodic: Periodic,
}

impl GrowthWatch {
    /// Looks at the registry of `ctx` every `every` on its clock, and tells of each line that grows. A
    /// panic of `tell` is logged.
    ///
    /// # Errors
    /// `every` is 0, or the system has no thread left.
    ///
    /// ```
    /// use ironsys::{Context, export::{GrowthWatch, TaskGrowth}};
    /// use std::time::Duration;
    /// # fn main() -> Result<(), ironsys::BuildError> {
    /// let (ctx, _cancel) = Context::root();
    /// // A line that adds tasks in ten minutes, not always one after the other, and never has fewer.
    /// let growth = TaskGrowth::new(10);
    /// let every = Duration::from_secs(60);
    /// let watch = GrowthWatch::start(&ctx, every, growth, |growth| eprintln!("{growth}"))?;
    /// # drop(watch);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn start(
        ctx: &Context,
        every: Duration,
        mut growth: TaskGrowth,
        mut tell: impl FnMut(&Growth) + Send + 'static,
    ) -> Result<GrowthWatch, BuildError> {
        let registry = ctx.registry().cloned().unwrap_or_default();
        let look = move || growth.look(&registry.tasks()).iter().for_each(&mut tell);
        let _periodic = Periodic::start("growth-watch", ctx, every, Location::caller(), look)?;
        Ok(GrowthWatch { _periodic })
    }
}
