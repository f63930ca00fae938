//! One of several queues that share the lock of whoever owns them: jobs in order, and who waits for
//! room.

use super::job::Run;
use super::queued::Queued;
use crate::sync::Arc;
use crate::wait::{Place, WaitQueue, Waiter, Wakes};
use std::collections::VecDeque;

/// Invariant, whenever the owner's lock is free: if there is room and somebody waits for it, one of
/// them is on its way.
pub(super) struct Lane {
    jobs: VecDeque<Queued>,
    capacity: usize,
    waiting: WaitQueue,
}

impl Lane {
    pub(super) fn new(capacity: usize) -> Self {
        Lane { jobs: VecDeque::new(), capacity, waiting: WaitQueue::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// How many wait for room.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether a call may push: one that has just come lets those go first that wait.
    pub(super) fn has_room(&self, place: &Place) -> bool {
        let before = if place.is_taken() { 0 } else { self.waiting.len() };
        self.jobs.len().saturating_add(before) < self.capacity
    }

    /// Queues a job of a call that may push.
    pub(super) fn push(&mut self, job: Queued, place: &mut Place, wakes: &mut Wakes) {
        self.jobs.push_back(job);
        self.leave(place, wakes);
    }

    pub(super) fn pop(&mut self, wakes: &mut Wakes) -> Option<Queued> {
        let job = self.jobs.pop_front();
        self.pass_on(wakes);
        job
    }

    pub(super) fn enter(&mut self, place: &mut Place, waiter: &Arc<Waiter>) {
        self.waiting.enter(place, waiter);
    }

    /// Takes a call out of the line, and passes the baton.
    pub(super) fn leave(&mut self, place: &mut Place, wakes: &mut Wakes) {
        self.waiting.leave(place);
        self.pass_on(wakes);
    }

    fn pass_on(&mut self, wakes: &mut Wakes) {
        if self.jobs.len() < self.capacity {
            self.waiting.notify_one(wakes);
        }
    }

    /// The owner is closed: all look again.
    pub(super) fn tell_everybody(&mut self, wakes: &mut Wakes) {
        self.waiting.notify_all(wakes);
    }

    /// The tickets of what waits.
    pub(super) fn tickets(&self) -> impl Iterator<Item = Arc<dyn Run>> + '_ {
        self.jobs.iter().filter_map(Queued::ticket)
    }

    pub(super) fn drain(&mut self) -> VecDeque<Queued> {
        std::mem::take(&mut self.jobs)
    }
}
