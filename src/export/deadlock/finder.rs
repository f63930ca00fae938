//! Two looks, and what has not moved in between.

use super::graph::{knots, needs, stuck};
use super::report::{Blocked, Deadlock};
use crate::observe::{Registry, ThreadView};
use std::collections::HashSet;
use std::time::Instant;

/// Finds threads that wait for each other. Call [`look`](Self::look) now and then, or have a
/// [`DeadlockWatch`](super::DeadlockWatch) do it.
///
/// ```
/// use ironsys::{Context, Stop, export::DeadlockFinder, observe::Registry};
///
/// let registry = Registry::new();
/// let (ctx, _cancel) = Context::builder().registry(registry.clone()).build();
/// let mut finder = DeadlockFinder::new(registry);
/// ironsys::scope(&ctx, |_| {
///     assert!(finder.look().is_empty());
///     assert!(finder.look().is_empty());
///     Ok::<_, Stop>(())
/// }).unwrap();
/// ```
#[derive(Debug)]
pub struct DeadlockFinder {
    registry: Registry,
    /// What the last look has found.
    last: HashSet<Mark>,
    /// Of these, what has been told.
    told: HashSet<Mark>,
}

/// Tells a knot from every other: the threads it depends on, by their innermost tasks, and since when
/// each waits. Whoever moves meanwhile has another time.
type Mark = Vec<(u64, Option<Instant>)>;

impl DeadlockFinder {
    /// Watches over what is listed in `registry`. What waits for threads that are listed elsewhere is
    /// never accused.
    ///
    /// ```
    /// # use ironsys::export::*;
    /// # use ironsys::observe::Registry;
    /// assert!(DeadlockFinder::new(Registry::new()).look().is_empty());
    /// ```
    #[must_use]
    pub fn new(registry: Registry) -> Self {
        DeadlockFinder { registry, last: HashSet::new(), told: HashSet::new() }
    }

    /// Looks once, and returns the deadlocks that the look before has found as well; each is returned
    /// once.
    ///
    /// # Cost
    /// As [`Registry::tasks`], and each semaphore that somebody waits for is asked how many permits
    /// are out.
    ///
    /// ```
    /// # use ironsys::export::*;
    /// # use ironsys::observe::Registry;
    /// let mut finder = DeadlockFinder::new(Registry::new());
    /// finder.look(); // the first has nothing to compare with
    /// assert!(finder.look().is_empty());
    /// ```
    #[must_use]
    pub fn look(&mut self) -> Vec<Deadlock> {
        let threads = self.registry.threads();
        let needs = needs(&threads);
        let all_stuck = stuck(&needs).into_iter().filter(|is| *is).count();
        let (mut now, mut found) = (HashSet::new(), Vec::new());
        for knot in knots(&needs) {
            let mark = knot.involved.iter().filter_map(|i| mark(&threads[*i])).collect::<Mark>();
            if self.last.contains(&mark) && self.told.insert(mark.clone()) {
                let cycle = knot.cycle.iter().filter_map(|i| Blocked::of(&threads[*i])).collect();
                found.push(Deadlock::new(cycle, all_stuck - knot.cycle.len()));
            }
            now.insert(mark);
        }
        self.told.retain(|mark| now.contains(mark));
        self.last = now;
        found
    }
}

fn mark(thread: &ThreadView) -> Option<(u64, Option<Instant>)> {
    let (site, _) = thread.parked.as_ref()?;
    thread.tasks.last().map(|(task, _)| (task.id, site.since))
}
