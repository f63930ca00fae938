//! The threads that work for scopes and pools.

use super::thread::{Thread, ThreadView};
use super::tree::Tasks;
use crate::sync::{Arc, LeakTrack, Mutex, Weak, next_number, process_wide};
use std::fmt;

/// A list of the threads at work under one or more trees of contexts. Cheap to clone.
///
/// The process has one, used by default. A test or a tenant may have its own:
///
/// ```
/// use ironsys::{Context, Stop, observe::Registry};
///
/// let registry = Registry::new();
/// let (ctx, _cancel) = Context::builder().registry(registry.clone()).build();
/// ironsys::scope(&ctx, |s| {
///     assert_eq!(registry.tasks().len(), 1); // this scope
///     Ok::<_, Stop>(())
/// }).unwrap();
/// assert!(registry.tasks().is_empty());
/// ```
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    id: u64,
    /// Guards the threads that have worked under this registry. A thread that has ended is dropped
    /// from the list when the list would have to grow.
    threads: Mutex<Vec<Weak<Thread>>>,
    _leak: LeakTrack,
}

impl Registry {
    /// Makes an empty registry.
    ///
    /// ```
    /// # use ironsys::observe::Registry;
    /// assert!(Registry::new().tasks().is_empty());
    /// ```
    #[must_use]
    pub fn new() -> Self {
        let threads = Mutex::new(Vec::new());
        Registry(Arc::new(Inner { id: next_number(), threads, _leak: LeakTrack::new() }))
    }

    /// Returns the tree of what runs now.
    ///
    /// # Cost
    /// Locks the registry for as long as it takes to copy the list, then each thread's own stack.
    ///
    /// ```
    /// # use ironsys::{Context, Stop, observe::Registry};
    /// # let registry = Registry::new();
    /// # let (ctx, _cancel) = Context::builder().registry(registry.clone()).build();
    /// let seen = ironsys::scope(&ctx, |_| Ok::<_, Stop>(registry.tasks().len()));
    /// assert_eq!(seen.unwrap(), 1); // the scope
    /// ```
    #[must_use]
    pub fn tasks(&self) -> Tasks {
        let threads: Vec<_> = self.0.threads.lock().iter().filter_map(Weak::upgrade).collect();
        Tasks::new(threads.iter().flat_map(|thread| thread.snapshot(self.id())).collect())
    }

    /// The threads that work under it, with what each waits for and has.
    pub(crate) fn threads(&self) -> Vec<ThreadView> {
        let threads: Vec<_> = self.0.threads.lock().iter().filter_map(Weak::upgrade).collect();
        let views = threads.iter().map(|thread| thread.view(self.id()));
        views.filter(|view| !view.tasks.is_empty()).collect()
    }

    pub(crate) fn of_process() -> Option<&'static Registry> {
        process_wide!(Registry, Registry::new())
    }

    pub(super) fn add(&self, thread: &Arc<Thread>) {
        let mut threads = self.0.threads.lock();
        if threads.len() == threads.capacity() {
            threads.retain(|thread| thread.strong_count() != 0);
        }
        threads.push(Arc::downgrade(thread));
    }

    pub(super) fn id(&self) -> u64 {
        self.0.id
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
