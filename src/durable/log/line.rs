//! The calls that wait until an event is on disk.

use crate::durable::storage::StorageError;
use crate::sync::Arc;
use crate::wait::{Waiter, Wakes};
use std::collections::VecDeque;

/// What a call waits for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Want {
    /// The last event that has to be there.
    pub(super) id: u64,
    /// On disk, whatever the durability.
    pub(super) synced: bool,
}

/// The calls that wait for an event to be on disk, in order of arrival.
#[derive(Default)]
pub(super) struct Line {
    /// In the order of `number`.
    waiting: VecDeque<InLine>,
    next: u64,
}

struct InLine {
    number: u64,
    want: Want,
    waiter: Arc<Waiter>,
    told: Option<StorageError>,
}

impl Line {
    /// Registers a call; it keeps its place when it has to wait again. 0 is no place.
    pub(super) fn enter(&mut self, want: Want, place: &mut u64, waiter: &Arc<Waiter>) {
        if *place == 0 {
            self.next += 1;
            *place = self.next;
            let (number, waiter) = (self.next, waiter.clone());
            self.waiting.push_back(InLine { number, want, waiter, told: None });
        }
    }

    fn find(&self, place: u64) -> Option<usize> {
        self.waiting.binary_search_by_key(&place, |call| call.number).ok()
    }

    /// What the call at this place was told.
    pub(super) fn told(&self, place: u64) -> Option<StorageError> {
        self.find(place).and_then(|i| self.waiting[i].told.clone())
    }

    pub(super) fn leave(&mut self, place: &mut u64) {
        if let Some(i) = self.find(std::mem::take(place)) {
            drop(self.waiting.remove(i));
        }
    }

    /// Wakes those that have what they want, and takes them out.
    pub(super) fn let_go(mut self, is_met: impl Fn(Want) -> bool, wakes: &mut Wakes) -> Line {
        if self.waiting.is_empty() {
            return self;
        }
        let mut left = VecDeque::with_capacity(self.waiting.len());
        for call in self.waiting.drain(..) {
            if is_met(call.want) {
                wakes.add(call.waiter);
            } else {
                left.push_back(call);
            }
        }
        Line { waiting: left, next: self.next }
    }

    pub(super) fn tell_all(&mut self, error: &StorageError, wakes: &mut Wakes) {
        for call in &mut self.waiting {
            call.told = Some(error.clone());
            wakes.add(call.waiter.clone());
        }
    }

    pub(super) fn wake_first(&self, wakes: &mut Wakes) {
        if let Some(first) = self.waiting.front() {
            wakes.add(first.waiter.clone());
        }
    }

    pub(super) fn wake_all(&self, wakes: &mut Wakes) {
        self.waiting.iter().for_each(|call| wakes.add(call.waiter.clone()));
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}
