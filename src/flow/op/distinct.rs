//! Each value once, as far as a bounded memory goes.

use super::super::cx::{At, Cx};
use super::super::fused::{Fused, Operator, item};
use super::super::handle::Flow;
use super::super::stage::{Halt, Pull, Stage, Step};
use crate::error::BuildError;
use std::collections::{HashSet, VecDeque};
use std::hash::Hash;

struct Distinct<K, F> {
    key: F,
    memory: usize,
    seen: HashSet<K>,
    /// The same keys, the oldest first.
    order: VecDeque<K>,
}

impl<K: Hash + Eq + Clone, F> Distinct<K, F> {
    fn new(memory: usize, key: F) -> Self {
        Distinct { key, memory, seen: HashSet::new(), order: VecDeque::new() }
    }

    /// Whether the key is new; then it is remembered, and the oldest forgotten for it.
    fn is_new(&mut self, key: K) -> bool {
        if self.seen.contains(&key) {
            return false;
        }
        if self.order.len() == self.memory
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        self.order.push_back(key.clone());
        self.seen.insert(key)
    }
}

impl<T, K, F> Operator<T> for Distinct<K, F>
where
    T: Send,
    K: Hash + Eq + Clone + Send,
    F: FnMut(&T) -> K + Send,
{
    type Out = T;

    fn step<P: Pull<Item = T>>(
        &mut self,
        up: &mut P,
        at: &mut At,
        cx: &Cx,
    ) -> Result<Step<T>, Halt> {
        loop {
            let item = item!(up.step(cx));
            let new = at.item(cx, || {
                let key = (self.key)(&item);
                self.is_new(key)
            });
            if new {
                return Ok(Step::Item(item));
            }
        }
    }

    fn check(&self) -> Result<(), BuildError> {
        match self.memory {
            0 => Err(BuildError::new("distinct", "memory", "cannot remember 0 values")),
            _ => Ok(()),
        }
    }
}

impl<S: Stage> Flow<S> {
    /// Drops items that equal one of the last `memory` different items, see
    /// [`distinct_by`](Flow::distinct_by).
    ///
    /// # Panics
    /// A panic in `Hash`, `Eq` or `Clone` of the items fails the run, as for [`map`](Flow::map).
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let flow = Flow::of([3, 1, 3, 3, 2, 1]).distinct(100);
    /// assert_eq!(flow.collect::<Vec<_>>(&ctx)?, [3, 1, 2]);
    /// # Ok(()) }
    /// ```
    pub fn distinct(self, memory: usize) -> Flow<impl Stage<Item = S::Item, Fault = S::Fault>>
    where
        S::Item: Hash + Eq + Clone,
    {
        self.distinct_by(memory, S::Item::clone)
    }

    /// Drops items whose key is one of the last `memory` different keys; the first item of a key
    /// is passed on. When more than `memory` keys have been seen, the one seen first is forgotten, and
    /// an item with it passes again. A memory of 1 drops repetitions that follow each other.
    ///
    /// # Errors
    /// With a memory of 0 the run fails before it begins, as misbuilt.
    ///
    /// # Panics
    /// As for [`map`](Flow::map).
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let flow = Flow::of(["ant", "bee", "asp", "auk"]).distinct_by(1, |word| word.as_bytes()[0]);
    /// assert_eq!(flow.collect::<Vec<_>>(&ctx)?, ["ant", "bee", "asp"]);
    /// # Ok(()) }
    /// ```
    pub fn distinct_by<K, F>(
        self,
        memory: usize,
        key: F,
    ) -> Flow<impl Stage<Item = S::Item, Fault = S::Fault>>
    where
        K: Hash + Eq + Clone + Send,
        F: FnMut(&S::Item) -> K + Send,
    {
        Flow(Fused { up: self.0, op: Distinct::new(memory, key), name: "distinct" })
    }
}
