//! In which order jobs leave the queue.

use super::options::Rank;
use super::queued::Queued;
use crate::limit::Permit;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// In which order a pool takes jobs from its queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Order {
    /// As they came.
    #[default]
    Fifo,
    /// The most urgent first, and the longer a job waits, the more urgent it becomes.
    ///
    /// The clock is cut into periods of length `aging`. A job counts as one priority higher for every
    /// border of a period that passed since it was accepted. Of all that wait, the highest goes first;
    /// among equals the one with the earliest deadline, those without a deadline last; among those the
    /// one that was accepted first.
    ///
    /// So nobody starves: a job of priority `p` is overtaken by none of priority `q >= p` that is
    /// accepted `(q - p + 1) * aging` or more after it. What waits in the order keeps its place: it
    /// never has to be sorted again.
    ///
    /// `Duration::MAX` means no aging: strict priorities, under which low ones can starve. Zero is
    /// refused.
    Priority {
        /// How long a job waits until it counts as one priority higher.
        aging: Duration,
    },
}

/// A job in the queue.
pub(super) struct Entry {
    pub(super) job: Queued,
    pub(super) since: Instant,
    /// Its place in the queue. Given back outside of the lock.
    pub(super) _room: Permit,
}

/// The jobs that wait, in their order.
pub(super) enum Backlog {
    Fifo(VecDeque<Entry>),
    Ranked(Ranked),
}

/// Jobs by urgency.
pub(super) struct Ranked {
    start: Instant,
    aging: Duration,
    next: u64,
    jobs: BTreeMap<Key, Entry>,
    /// When each was accepted, by number: the first is the oldest.
    ages: BTreeMap<u64, Instant>,
}

/// What sorts jobs; the least goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    /// The period in which it was accepted, less its priority: time passes for all alike, so the
    /// difference of two priorities with age never changes.
    turn: i128,
    without_deadline: bool,
    deadline: Option<Instant>,
    number: u64,
}

impl Backlog {
    pub(super) fn new(order: Order, start: Instant) -> Self {
        match order {
            Order::Fifo => Backlog::Fifo(VecDeque::new()),
            Order::Priority { aging } => Backlog::Ranked(Ranked {
                start,
                aging,
                next: 0,
                jobs: BTreeMap::new(),
                ages: BTreeMap::new(),
            }),
        }
    }

    pub(super) fn push(&mut self, entry: Entry, rank: Rank) {
        match self {
            Backlog::Fifo(jobs) => jobs.push_back(entry),
            Backlog::Ranked(ranked) => ranked.push(entry, rank),
        }
    }

    pub(super) fn pop(&mut self) -> Option<Entry> {
        match self {
            Backlog::Fifo(jobs) => jobs.pop_front(),
            Backlog::Ranked(ranked) => {
                let (key, entry) = ranked.jobs.pop_first()?;
                ranked.ages.remove(&key.number);
                Some(entry)
            }
        }
    }

    pub(super) fn jobs(&self) -> Box<dyn Iterator<Item = &Queued> + '_> {
        match self {
            Backlog::Fifo(jobs) => Box::new(jobs.iter().map(|entry| &entry.job)),
            Backlog::Ranked(ranked) => Box::new(ranked.jobs.values().map(|entry| &entry.job)),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Backlog::Fifo(jobs) => jobs.len(),
            Backlog::Ranked(ranked) => ranked.jobs.len(),
        }
    }

    /// Since when the oldest waits.
    pub(super) fn oldest(&self) -> Option<Instant> {
        match self {
            Backlog::Fifo(jobs) => jobs.front().map(|entry| entry.since),
            Backlog::Ranked(ranked) => ranked.ages.first_key_value().map(|(_, since)| *since),
        }
    }
}

impl Ranked {
    fn push(&mut self, entry: Entry, rank: Rank) {
        let age = entry.since.saturating_duration_since(self.start);
        let period = age.as_nanos() / self.aging.as_nanos().max(1);
        self.next += 1;
        let key = Key {
            turn: i128::try_from(period).unwrap_or(i128::MAX) - i128::from(rank.priority),
            without_deadline: rank.deadline.is_none(),
            deadline: rank.deadline,
            number: self.next,
        };
        self.ages.insert(self.next, entry.since);
        self.jobs.insert(key, entry);
    }
}
