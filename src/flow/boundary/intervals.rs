//! Partial results of a reduction that find their neighbours.
//!
//! A partial result stands for items in a row. Only neighbours are combined, the left one first, so
//! the function need not commute. Whoever adds a partial result takes the neighbours out, combines
//! outside of the lock, and tries again: so at most one result lies here for each gap between the
//! runs at work, and one more.

use crate::sync::{LeakTrack, Mutex};
use std::collections::BTreeMap;

pub(super) struct Intervals<T> {
    /// Guards the results that have no neighbour here, by the number of their first item, and how
    /// many workers there are.
    state: Mutex<State<T>>,
    _leak: LeakTrack,
}

struct State<T> {
    parts: BTreeMap<u64, Part<T>>,
    workers: usize,
}

/// The result of some items in a row.
pub(super) struct Part<T> {
    pub(super) first: u64,
    pub(super) items: u64,
    pub(super) value: T,
}

impl<T> Intervals<T> {
    pub(super) fn new(workers: usize) -> Self {
        let state = Mutex::new(State { parts: BTreeMap::new(), workers });
        Intervals { state, _leak: LeakTrack::new() }
    }

    /// Adds a partial result, combined with all that can be.
    pub(super) fn add(&self, mut part: Part<T>, combine: impl Fn(T, T) -> T) {
        loop {
            let (left, right) = {
                let mut state = self.state.lock();
                let parts = &mut state.parts;
                let before = parts.range(..part.first).next_back();
                let meets = before.filter(|(_, p)| p.first + p.items == part.first);
                let left = meets.map(|(first, _)| *first).and_then(|first| parts.remove(&first));
                let right = parts.remove(&(part.first + part.items));
                if left.is_none() && right.is_none() {
                    parts.insert(part.first, part);
                    return;
                }
                (left, right)
            };
            if let Some(left) = left {
                let items = left.items + part.items;
                part = Part { first: left.first, items, value: combine(left.value, part.value) };
            }
            if let Some(right) = right {
                part.items += right.items;
                part.value = combine(part.value, right.value);
            }
        }
    }

    /// A worker has added all it will. The last one gets the whole.
    pub(super) fn leave(&self) -> Option<T> {
        let mut state = self.state.lock();
        state.workers -= 1;
        if state.workers > 0 {
            return None;
        }
        state.parts.pop_first().map(|(_, part)| part.value)
    }
}
