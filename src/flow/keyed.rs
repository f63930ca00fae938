//! Items by key.

use super::aggregate::Aggregate;
use super::cx::{At, Cx};
use super::fused::{Fused, Operator};
use super::handle::Flow;
use super::stage::{Halt, Pull, Stage, Step};
use crate::error::BuildError;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;

/// A flow whose items have keys. Made by [`Flow::key_by`].
#[must_use = "a flow does nothing until a sink runs it"]
pub struct Keyed<S, K, F> {
    pub(super) up: S,
    pub(super) key: F,
    max_keys: usize,
    pub(super) of: PhantomData<fn() -> K>,
}

/// How many keys are live at once unless told otherwise.
const MAX_KEYS: usize = 1 << 16;

impl<S: Stage> Flow<S> {
    /// Gives every item a key. What is done by key comes after it: [`fold`](Keyed::fold)
    /// [`par_map`](Keyed::par_map).
    ///
    /// ```
    /// use ironsys::{Context, flow::{Count, Flow, FlowError, Never}};
    /// use std::collections::BTreeMap;
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let words = Flow::of(["ant", "bee", "asp"]);
    /// let counts: BTreeMap<u8, Count> =
    ///     words.key_by(|word| word.as_bytes()[0]).fold(Count::default).collect(&ctx)?;
    /// assert_eq!((counts[&b'a'].0, counts[&b'b'].0), (2, 1));
    /// # Ok(()) }
    /// ```
    pub fn key_by<K, F>(self, key: F) -> Keyed<S, K, F>
    where
        F: FnMut(&S::Item) -> K + Send,
    {
        Keyed { up: self.0, key, max_keys: MAX_KEYS, of: PhantomData }
    }
}

impl<S: Stage, K, F> Keyed<S, K, F>
where
    K: Hash + Eq + Clone + Send,
    F: FnMut(&S::Item) -> K + Send,
{
    /// Sets how many keys [`fold`](Self::fold) holds at once. The default is 65,536; `usize::MAX` is no
    /// bound at all.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Count, Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let keyed = Flow::of(["a", "b", "a"]).key_by(|word| *word).max_keys(1).fold(Count::default);
    /// let counts = keyed.map(|(word, count)| (word, count.0)).collect::<Vec<_>>(&ctx)?;
    /// assert_eq!(counts, [("a", 1), ("b", 1), ("a", 1)]); // to be merged further down
    /// # Ok(()) }
    /// ```
    pub fn max_keys(mut self, keys: usize) -> Self {
        self.max_keys = keys;
        self
    }

    /// Gathers the items of each key and passes on `(key, value)`, in the order in which the keys came,
    /// at the end of the flow.
    ///
    /// With more keys than [`max_keys`](Self::max_keys), the one that came first is passed on before
    /// the end; if it comes again, it begins anew, and its values can be merged further down. So no
    /// item is lost, and memory is bounded.
    ///
    /// # Errors
    /// With a maximum of 0 keys the run fails before it begins, as misbuilt.
    ///
    /// # Panics
    /// As for [`map`](Flow::map).
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never, Sum}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let even = Flow::of(0..10u32).key_by(|n| n % 2 == 0).fold(Sum::<u32>::default);
    /// assert_eq!(even.collect::<Vec<_>>(&ctx)?, [(true, Sum(20)), (false, Sum(25))]);
    /// # Ok(()) }
    /// ```
    pub fn fold<A, N>(self, new: N) -> Flow<impl Stage<Item = (K, A), Fault = S::Fault>>
    where
        A: Aggregate<S::Item>,
        N: FnMut() -> A + Send,
    {
        let op = Fold {
            key: self.key,
            new,
            max_keys: self.max_keys,
            live: HashMap::new(),
            order: VecDeque::new(),
            ended: false,
        };
        Flow(Fused { up: self.up, op, name: "fold_by_key" })
    }
}

impl<S: Stage, K, F> fmt::Debug for Keyed<S, K, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed").field("max_keys", &self.max_keys).finish_non_exhaustive()
    }
}

struct Fold<K, A, F, N> {
    key: F,
    new: N,
    max_keys: usize,
    live: HashMap<K, A>,
    /// The same keys, the first to come first.
    order: VecDeque<K>,
    ended: bool,
}

impl<K: Hash + Eq + Clone, A, F, N: FnMut() -> A> Fold<K, A, F, N> {
    /// Adds an item to its key; what had to make room for it.
    fn add<T>(&mut self, key: K, item: &T) -> Option<(K, A)>
    where
        A: Aggregate<T>,
    {
        if let Some(value) = self.live.get_mut(&key) {
            value.add(item);
            return None;
        }
        let evicted = if self.live.len() >= self.max_keys { self.pop() } else { None };
        let mut value = (self.new)();
        value.add(item);
        self.order.push_back(key.clone());
        self.live.insert(key, value);
        evicted
    }

    fn pop(&mut self) -> Option<(K, A)> {
        let oldest = self.order.pop_front()?;
        self.live.remove_entry(&oldest)
    }
}

impl<T, K, A, F, N> Operator<T> for Fold<K, A, F, N>
where
    T: Send,
    K: Hash + Eq + Clone + Send,
    A: Aggregate<T>,
    F: FnMut(&T) -> K + Send,
    N: FnMut() -> A + Send,
{
    type Out = (K, A);

    fn step<P: Pull<Item = T>>(
        &mut self,
        up: &mut P,
        at: &mut At,
        cx: &Cx,
    ) -> Result<Step<(K, A)>, Halt> {
        while !self.ended {
            match up.step(cx)? {
                Step::Item(item) => {
                    let evicted = at.item(cx, || {
                        let key = (self.key)(&item);
                        let evicted = self.add(key, &item);
                        drop(item);
                        evicted
                    });
                    if let Some(evicted) = evicted {
                        return Ok(Step::Item(evicted));
                    }
                }
                Step::Wait => return Ok(Step::Wait),
                Step::End => self.ended = true,
            }
        }
        Ok(at.call(cx, || self.pop()).map_or(Step::End, Step::Item))
    }

    fn check(&self) -> Result<(), BuildError> {
        match self.max_keys {
            0 => Err(BuildError::new("key_by", "max_keys", "0 keys hold nothing")),
            _ => Ok(()),
        }
    }
}
