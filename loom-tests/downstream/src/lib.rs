//! A memo: the first caller of a key computes, the others wait for its answer.
//!
//! Stands for any crate built on ironsys. Its lock is from [`ironsys::sync`], its waiting is a channel
//! under the caller's [`Context`]; so `RUSTFLAGS="--cfg loom" cargo test` explores its interleavings as
//! it does ironsys' own, with no other change to the crate. The models are in `tests/models.rs`.

use ironsys::channel::{self, Receiver, Sender};
use ironsys::sync::{Arc, Mutex, planted};
use ironsys::{Context, Stop};
use std::collections::BTreeMap;

/// Values by key, each computed once.
pub struct Memo<K, V> {
    /// Guards what is known, and what is being computed.
    entries: Mutex<BTreeMap<K, Entry<V>>>,
}

#[derive(Clone)]
enum Entry<V> {
    Ready(V),
    /// Somebody computes. Nothing is ever sent: the channel closes when that is over.
    Pending(Arc<Receiver<()>>),
}

/// What a caller finds.
enum Found<V> {
    Ready(V),
    Pending(Arc<Receiver<()>>),
    /// Nothing: this caller computes, and holds the sender for as long as it does.
    Mine(Sender<()>),
}

impl<K: Ord + Clone, V: Clone> Memo<K, V> {
    /// Makes an empty memo.
    #[must_use]
    pub fn new() -> Self {
        Memo { entries: Mutex::new(BTreeMap::new()) }
    }

    /// Returns the value of `key`, computed by this caller or by another.
    ///
    /// A caller whose computation fails leaves the key as it was: one of those that wait computes
    /// next. Nobody computes under a lock.
    ///
    /// # Cancellation
    /// A caller that waits stops with its own context. One that computes passes it to `compute`.
    ///
    /// # Errors
    /// Those of `compute`, and why the context stopped.
    pub fn get_or_compute<E: From<Stop>>(
        &self,
        ctx: &Context,
        key: &K,
        compute: impl FnOnce(&Context) -> Result<V, E>,
    ) -> Result<V, E> {
        loop {
            match self.look(key) {
                Found::Ready(value) => return Ok(value),
                Found::Pending(end) => {
                    let _ = end.recv(ctx); // Closed, or stopped.
                    ctx.check()?;
                }
                Found::Mine(turn) => {
                    // Also when `compute` panics: first the entry goes, then the waiting are told.
                    let _turn = Turn { memo: self, key, turn };
                    let value = compute(ctx)?;
                    self.entries.lock().insert(key.clone(), Entry::Ready(value.clone()));
                    return Ok(value);
                }
            }
        }
    }

    fn look(&self, key: &K) -> Found<V> {
        let mut entries = self.entries.lock();
        match entries.get(key) {
            Some(Entry::Ready(value)) => return Found::Ready(value.clone()),
            Some(Entry::Pending(end)) => return Found::Pending(end.clone()),
            None => {}
        }
        if planted("memo_looks_twice") {
            drop(entries);
            entries = self.entries.lock();
        }
        let (turn, end) = channel::bounded(0);
        entries.insert(key.clone(), Entry::Pending(Arc::new(end)));
        Found::Mine(turn)
    }
}

impl<K: Ord + Clone, V: Clone> Default for Memo<K, V> {
    fn default() -> Self {
        Memo::new()
    }
}

/// The turn of one caller to compute.
struct Turn<'a, K: Ord + Clone, V: Clone> {
    memo: &'a Memo<K, V>,
    key: &'a K,
    turn: Sender<()>,
}

impl<K: Ord + Clone, V: Clone> Drop for Turn<'_, K, V> {
    fn drop(&mut self) {
        let gone = {
            let mut entries = self.memo.entries.lock();
            match entries.get(self.key) {
                Some(Entry::Pending(_)) => entries.remove(self.key),
                _ => None,
            }
        };
        drop(gone);
        self.turn.close();
    }
}
