//! Sorting within a bounded window.

use super::super::cx::{At, Cx};
use super::super::fused::{Fused, Operator};
use super::super::handle::Flow;
use super::super::stage::{Halt, Pull, Stage, Step};
use crate::error::BuildError;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

struct Sorted<K, T, F> {
    key: F,
    window: usize,
    heap: BinaryHeap<Reverse<Entry<K, T>>>,
    next: u64,
    ended: bool,
}

/// Ordered by key; of equal keys, the first to come is the first to go.
struct Entry<K, T> {
    key: K,
    number: u64,
    item: T,
}

impl<K: Ord, T> Ord for Entry<K, T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key).then(self.number.cmp(&other.number))
    }
}

impl<K: Ord, T> PartialOrd for Entry<K, T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<K: Ord, T> PartialEq for Entry<K, T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<K: Ord, T> Eq for Entry<K, T> {}

impl<T, K, F> Operator<T> for Sorted<K, T, F>
where
    T: Send,
    K: Ord + Send,
    F: FnMut(&T) -> K + Send,
{
    type Out = T;

    fn step<P: Pull<Item = T>>(
        &mut self,
        up: &mut P,
        at: &mut At,
        cx: &Cx,
    ) -> Result<Step<T>, Halt> {
        while !self.ended && self.heap.len() <= self.window {
            match up.step(cx)? {
                Step::Item(item) => {
                    let number = self.next;
                    self.next += 1;
                    at.item(cx, || {
                        let key = (self.key)(&item);
                        self.heap.push(Reverse(Entry { key, number, item }));
                    });
                }
                Step::Wait => return Ok(Step::Wait),
                Step::End => self.ended = true,
            }
        }
        let first = at.call(cx, || self.heap.pop());
        Ok(first.map_or(Step::End, |Reverse(entry)| Step::Item(entry.item)))
    }

    fn check(&self) -> Result<(), BuildError> {
        match self.window {
            0 => Err(BuildError::new("sorted", "window", "0 items cannot be sorted")),
            _ => Ok(()),
        }
    }
}

impl<S: Stage> Flow<S> {
    /// Sorts the items within a window, see [`sorted_by_key`](Flow::sorted_by_key).
    ///
    /// # Panics
    /// A panic in `Ord` or `Clone` of the items fails the run, as for [`map`](Flow::map).
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// assert_eq!(Flow::of([3, 1, 2]).sorted(100).collect::<Vec<_>>(&ctx)?, [1, 2, 3]);
    /// # Ok(()) }
    /// ```
    pub fn sorted(self, window: usize) -> Flow<impl Stage<Item = S::Item, Fault = S::Fault>>
    where
        S::Item: Ord + Clone,
    {
        self.sorted_by_key(window, S::Item::clone)
    }

    /// Sorts the items by a key, with at most `window` items held back. Items with equal keys keep
    /// their order.
    ///
    /// The result is sorted if no item has to move forward by more than `window` places; always, if
    /// there are no more than `window` items; `usize::MAX` sorts whatever there is, in as much memory
    /// as it takes. Nothing is passed on before the window is full or the flow has ended.
    ///
    /// # Errors
    /// With a window of 0 the run fails before it begins, as misbuilt.
    ///
    /// # Panics
    /// As for [`map`](Flow::map).
    ///
    /// # Cost
    /// A heap: O(log window) an item.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// // Logs of two machines, a little out of step: a small window is enough.
    /// let log = [(1, "a"), (3, "b"), (2, "c"), (4, "d")];
    /// let sorted = Flow::of(log).sorted_by_key(2, |entry| entry.0).collect::<Vec<_>>(&ctx)?;
    /// assert!(sorted.is_sorted());
    /// # Ok(()) }
    /// ```
    pub fn sorted_by_key<K, F>(
        self,
        window: usize,
        key: F,
    ) -> Flow<impl Stage<Item = S::Item, Fault = S::Fault>>
    where
        K: Ord + Send,
        F: FnMut(&S::Item) -> K + Send,
    {
        let op = Sorted { key, window, heap: BinaryHeap::new(), next: 0, ended: false };
        Flow(Fused { up: self.0, op, name: "sorted" })
    }
}
