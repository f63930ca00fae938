//! The windows that are open, and those that are complete.
//!
//! The *watermark* is the time up to which everything has come: windows that end by then are complete.
//! It never goes back.

use super::super::aggregate::Aggregate;
use super::shape::{Shape, Window};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// What was gathered in one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pane<A> {
    /// When the window begins, from the origin of time.
    pub start: Duration,
    /// When it ends; that moment does not belong to it.
    pub end: Duration,
    /// What was gathered from its items.
    pub value: A,
}

pub(super) struct Panes<A, N> {
    shape: Shape,
    /// Makes an empty value.
    new: N,
    /// By end, then start, in nanoseconds.
    open: BTreeMap<(u128, u128), A>,
    complete: VecDeque<Pane<A>>,
    watermark: u128,
}

impl<A, N: FnMut() -> A> Panes<A, N> {
    pub(super) fn new(window: Window, new: N) -> Self {
        let Window { shape, .. } = window;
        Panes { shape, new, open: BTreeMap::new(), complete: VecDeque::new(), watermark: 0 }
    }

    /// Adds an item to its windows, as far as they are not complete yet; `false` if all of them are.
    pub(super) fn add<T>(&mut self, time: Duration, item: &T) -> bool
    where
        A: Aggregate<T>,
    {
        match self.shape {
            Shape::Sliding { size, every } => self.add_to_fixed(time.as_nanos(), size, every, item),
            Shape::Session { gap } => self.add_to_session(time.as_nanos(), gap, item),
        }
    }

    fn add_to_fixed<T>(&mut self, time: u128, size: u128, every: u128, item: &T) -> bool
    where
        A: Aggregate<T>,
    {
        let last = time / every * every;
        let mut start = Some(last);
        let mut late = false;
        while let Some(from) = start.filter(|from| from + size > time) {
            if from + size > self.watermark {
                self.open.entry((from + size, from)).or_insert_with(&mut self.new).add(item);
            } else {
                late = true;
            }
            start = from.checked_sub(every);
        }
        !late
    }

    fn add_to_session<T>(&mut self, time: u128, gap: u128, item: &T) -> bool
    where
        A: Aggregate<T>,
    {
        // The sessions it touches become one; they are few, since they are at least a gap apart.
        let touched: Vec<_> = self
            .open
            .range((time, 0)..)
            .map(|(key, _)| *key)
            .filter(|(_, start)| *start <= time + gap)
            .collect();
        // By itself it would be complete; in the middle of an open one it is not late.
        if time + gap <= self.watermark && touched.iter().all(|(_, start)| *start > time) {
            return false;
        }
        let (mut start, mut end) = (time, time + gap);
        let mut parts = touched.into_iter().filter_map(|key| {
            (start, end) = (start.min(key.1), end.max(key.0));
            self.open.remove(&key)
        });
        let mut whole = parts.next();
        for part in parts {
            match &mut whole {
                Some(whole) => whole.merge(part),
                None => whole = Some(part),
            }
        }
        let mut whole = whole.unwrap_or_else(&mut self.new);
        whole.add(item);
        self.open.insert((end, start), whole);
        true
    }

    /// Everything before `time` has come.
    pub(super) fn advance(&mut self, time: Duration) {
        self.watermark = self.watermark.max(time.as_nanos());
        while let Some(first) = self.open.first_entry()
            && first.key().0 <= self.watermark
        {
            let ((end, start), value) = first.remove_entry();
            self.complete.push_back(pane(start, end, value));
        }
    }

    /// When the next window ends.
    pub(super) fn next_end(&self) -> Option<Duration> {
        self.open.first_key_value().map(|((end, _), _)| duration(*end))
    }

    /// The next complete window, in the order of their ends.
    pub(super) fn pop(&mut self) -> Option<Pane<A>> {
        self.complete.pop_front()
    }

    /// The next window, complete or not: nothing more will come.
    pub(super) fn pop_last(&mut self) -> Option<Pane<A>> {
        self.complete
            .pop_front()
            .or_else(|| self.open.pop_first().map(|((end, start), value)| pane(start, end, value)))
    }
}

fn pane<A>(start: u128, end: u128, value: A) -> Pane<A> {
    Pane { start: duration(start), end: duration(end), value }
}

/// The longest there is, for what is beyond it.
fn duration(nanos: u128) -> Duration {
    const SECOND: u128 = 1_000_000_000;
    match u64::try_from(nanos / SECOND) {
        Ok(seconds) => Duration::new(seconds, (nanos % SECOND) as u32),
        Err(_) => Duration::MAX,
    }
}
