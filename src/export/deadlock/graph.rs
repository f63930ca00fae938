//! The waits of one moment as a graph, and the knots in it.
//!
//! A node is a thread: whatever it does further out waits for what it does innermost. A thread is stuck
//! if it waits for the end of what only stuck threads could end: for one of several (permits: whoever
//! gives some back first), all of them must be stuck; for all of several (the tasks of a scope), one is
//! enough. What waits for nothing, or for something unknown, is not stuck.

use crate::observe::{DAEMON, TaskKind, ThreadView};
use crate::wait::On;
use std::collections::{HashMap, HashSet};

/// What a thread needs to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Needs {
    /// Nothing, or nobody knows what.
    Nobody,
    One(Vec<usize>),
    All(Vec<usize>),
}

impl Needs {
    fn of(&self) -> &[usize] {
        match self {
            Needs::Nobody => &[],
            Needs::One(of) | Needs::All(of) => of,
        }
    }
}

/// What each thread needs, by their places in the list.
pub(super) fn needs(threads: &[ThreadView]) -> Vec<Needs> {
    let places = Places::of(threads);
    threads.iter().map(|thread| places.needs(thread)).collect()
}

/// Where what is waited for is being worked at.
#[derive(Default)]
struct Places {
    /// Who is at work for the thing with a key.
    serving: HashMap<usize, Vec<usize>>,
    /// Who runs tasks, or (`true`) daemons, of a scope.
    below: HashMap<(u64, bool), Vec<usize>>,
    /// Who has how much of what was lent.
    holders: HashMap<usize, Vec<(usize, usize)>>,
}

impl Places {
    fn of(threads: &[ThreadView]) -> Places {
        let mut places = Places::default();
        for (i, thread) in threads.iter().enumerate() {
            let mut running = HashSet::new();
            for (task, serves) in &thread.tasks {
                running.insert(task.id);
                places.serving.entry(*serves).or_default().push(i);
                if let (TaskKind::Task, Some(parent)) = (task.kind, task.parent) {
                    places.below.entry((parent, *serves == DAEMON)).or_default().push(i);
                }
            }
            if let Some((_, serving)) = &thread.parked {
                for key in serving.keys() {
                    places.serving.entry(*key).or_default().push(i);
                }
            }
            for holding in thread.held.iter().filter(|h| running.contains(&h.task.number())) {
                places.holders.entry(holding.key).or_default().push((i, holding.amount));
            }
        }
        places
    }

    fn needs(&self, thread: &ThreadView) -> Needs {
        let Some((site, _)) = &thread.parked else { return Needs::Nobody };
        let one = |of: Vec<usize>| if of.is_empty() { Needs::Nobody } else { Needs::One(of) };
        match &site.on {
            On::Unknown => Needs::Nobody,
            On::Thing(key) => one(self.serving.get(key).cloned().unwrap_or_default()),
            On::Tasks { daemons } => {
                let scope = thread.tasks.last().map(|(task, _)| task.id);
                let below = scope.and_then(|scope| self.below.get(&(scope, *daemons)));
                Needs::All(below.cloned().unwrap_or_default())
            }
            On::Lent(lends) => {
                let holders = self.holders.get(&lends.key()).map(Vec::as_slice).unwrap_or_default();
                let known: usize = holders.iter().map(|(_, amount)| amount).sum();
                // If somebody has some who is not on record, that one may give them back.
                let all_known = lends.out() <= known;
                one(if all_known { holders.iter().map(|(i, _)| *i).collect() } else { Vec::new() })
            }
        }
    }
}

/// Which threads are stuck.
pub(super) fn stuck(needs: &[Needs]) -> Vec<bool> {
    let mut stuck: Vec<bool> = needs.iter().map(|need| !need.of().is_empty()).collect();
    loop {
        let frees = |stuck: &[bool], i: usize| match &needs[i] {
            Needs::Nobody => true,
            Needs::One(of) => of.iter().any(|j| !stuck[*j]),
            Needs::All(of) => of.iter().all(|j| !stuck[*j]),
        };
        let free: Vec<usize> = (0..needs.len()).filter(|&i| stuck[i] && frees(&stuck, i)).collect();
        if free.is_empty() {
            return stuck;
        }
        free.into_iter().for_each(|i| stuck[i] = false);
    }
}

/// Threads that wait for each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Knot {
    /// Each waits for the next, and the last for the first.
    pub(super) cycle: Vec<usize>,
    /// Everybody on whom it depends that this one is stuck, the cycle among them; in order.
    pub(super) involved: Vec<usize>,
}

/// A shortest cycle of each group of stuck threads that wait for each other.
pub(super) fn knots(needs: &[Needs]) -> Vec<Knot> {
    let stuck = stuck(needs);
    let next = |i: usize| needs[i].of().iter().copied().filter(|j| stuck[*j]);
    let mut done: HashSet<usize> = HashSet::new();
    let mut knots = Vec::new();
    for start in (0..needs.len()).filter(|i| stuck[*i]) {
        if done.contains(&start) {
            continue;
        }
        let (mut from, mut queue) = (HashMap::new(), vec![start]);
        let mut cycle = None;
        let mut at = 0;
        while let Some(&i) = queue.get(at) {
            at += 1;
            for j in next(i) {
                if j == start && cycle.is_none() {
                    cycle = Some(path(&from, start, i));
                }
                if j != start && !from.contains_key(&j) {
                    from.insert(j, i);
                    queue.push(j);
                }
            }
        }
        let Some(cycle) = cycle else { continue };
        queue.sort_unstable();
        // The rest of the group is in knots that hang together with this one.
        done.extend(queue.iter().filter(|j| reaches(needs, &stuck, **j, start)));
        knots.push(Knot { cycle, involved: queue });
    }
    knots
}

/// From `start` to `end`.
fn path(from: &HashMap<usize, usize>, start: usize, end: usize) -> Vec<usize> {
    let mut path = vec![end];
    while let Some(before) = path.last().filter(|i| **i != start).and_then(|i| from.get(i)) {
        path.push(*before);
    }
    path.reverse();
    path
}

fn reaches(needs: &[Needs], stuck: &[bool], from: usize, to: usize) -> bool {
    let (mut seen, mut stack) = (HashSet::from([from]), vec![from]);
    while let Some(i) = stack.pop() {
        if i == to {
            return true;
        }
        stack.extend(needs[i].of().iter().copied().filter(|j| stuck[*j] && seen.insert(*j)));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cycles(needs: &[Needs]) -> Vec<Vec<usize>> {
        knots(needs).into_iter().map(|knot| knot.cycle).collect()
    }

    #[test]
    fn a_ring_is_a_knot_and_who_waits_behind_it_is_not_in_it() {
        let one = |i| Needs::One(vec![i]);
        assert_eq!(cycles(&[one(1), one(2), one(0), one(0)]), [vec![0, 1, 2]]);
        assert_eq!(stuck(&[one(1), one(2), one(0), one(0)]), [true; 4]);
        assert_eq!(cycles(&[one(0)]), [vec![0]]);
        assert_eq!(cycles(&[one(1), one(0), one(3), one(2)]), [vec![0, 1], vec![2, 3]]);
    }

    #[test]
    fn one_way_out_is_enough_unless_all_are_needed() {
        let either = [Needs::One(vec![1, 2]), Needs::One(vec![0]), Needs::Nobody];
        assert_eq!(cycles(&either), Vec::<Vec<usize>>::new());
        let both = [Needs::All(vec![1, 2]), Needs::One(vec![0]), Needs::Nobody];
        assert_eq!(cycles(&both), [vec![0, 1]]);
    }

    #[test]
    fn a_knot_depends_on_all_whom_a_way_out_might_come_from() {
        let one = |i| Needs::One(vec![i]);
        let needs = [Needs::One(vec![1, 2]), one(0), one(3), one(3)];
        let knots = knots(&needs);
        assert_eq!(knots[0], Knot { cycle: vec![0, 1], involved: vec![0, 1, 2, 3] });
        assert_eq!(knots[1], Knot { cycle: vec![3], involved: vec![3] });
    }
}
