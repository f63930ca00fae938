//! The threads that work for scopes and pools.

use super::thread::Thread;
use super::tree::Tasks;
use crate::sync::{Arc, LeakTrack, Mutex, process_wide};
use std::collections::BTreeMap;
use std::fmt;

/// A list of the threads at work under one or more trees of contexts. Cheap to clone.
///
/// The process has one, used by default. A test or a tenant may have its own:
///
/// ```
/// use ironsys::{Context, observe::Registry};
/// use std::convert::Infallible;
///
/// let registry = Registry::new();
/// let (ctx, _cancel) = Context::builder().registry(registry.clone()).build();
/// ironsys::scope(&ctx, |s| {
///     assert_eq!(registry.tasks().len(), 1); // this scope
///     Ok::<_, ironsys::ScopeError<Infallible>>(())
/// }).unwrap();
/// assert!(registry.tasks().is_empty());
/// ```
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    /// Guards the threads, by a number that each gets when it comes to work.
    threads: Mutex<(u64, BTreeMap<u64, Arc<Thread>>)>,
    _leak: LeakTrack,
}

impl Registry {
    /// Makes an empty registry.
    #[must_use]
    pub fn new() -> Self {
        let threads = Mutex::new((0, BTreeMap::new()));
        Registry(Arc::new(Inner { threads, _leak: LeakTrack::new() }))
    }

    /// Returns the tree of what runs now.
    ///
    /// # Cost
    /// Locks the registry for as long as it takes to copy the list, then each thread's own stack.
    #[must_use]
    pub fn tasks(&self) -> Tasks {
        let threads: Vec<_> = self.0.threads.lock().1.values().cloned().collect();
        Tasks::new(threads.iter().flat_map(|thread| thread.snapshot(self)).collect())
    }

    pub(crate) fn of_process() -> Option<&'static Registry> {
        process_wide!(Registry, Registry::new())
    }

    pub(super) fn add(&self, thread: Arc<Thread>) -> u64 {
        let mut threads = self.0.threads.lock();
        threads.0 += 1;
        let number = threads.0;
        threads.1.insert(number, thread);
        number
    }

    pub(super) fn remove(&self, number: u64) {
        let gone = self.0.threads.lock().1.remove(&number);
        drop(gone);
    }

    pub(super) fn is_same(&self, other: &Registry) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Default for Registry {
    fn default() -> Self {
        Registry::new()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Registry")
    }
}

/// Returns the tree of everything that runs in this process, under the default registry.
///
/// ```
/// println!("{}", ironsys::observe::tasks());
/// ```
#[must_use]
pub fn tasks() -> Tasks {
    Registry::of_process().map_or_else(Tasks::default, Registry::tasks)
}
