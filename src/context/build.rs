//! Roots that differ from the default.

use super::handle::{Canceller, Context};
use super::node::{Node, Root};
use super::values::Values;
use crate::observe::Registry;
use crate::sync::Arc;
use crate::time::Clock;
use std::fmt;
use std::time::Duration;

/// Makes a root context. Made by [`Context::builder`].
#[must_use = "a builder does nothing until `build`"]
pub struct ContextBuilder {
    clock: Clock,
    registry: Option<Registry>,
    timeout: Option<Duration>,
    values: Option<Arc<Values>>,
}

impl ContextBuilder {
    pub(super) fn new() -> Self {
        ContextBuilder {
            clock: Clock::system(),
            registry: Registry::of_process().cloned(),
            timeout: None,
            values: None,
        }
    }

    /// Sets the clock of the whole tree. The default is a system clock of its own.
    ///
    /// ```
    /// # use ironsys::{Context, time::VirtualClock};
    /// let time = VirtualClock::auto();
    /// let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// assert!(ctx.clock().is_same(&time.clock()));
    /// ```
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Sets where the tasks of the whole tree are listed. The default is the registry of the
    /// process, which [`observe::tasks`](crate::observe::tasks) shows.
    ///
    /// ```
    /// # use ironsys::{Context, observe::Registry};
    /// let (ctx, _cancel) = Context::builder().registry(Registry::new()).build();
    /// assert!(!ctx.is_stopped());
    /// ```
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = Some(registry);
        self
    }

    /// Stops the root after `timeout` on its clock. A timeout too long to represent is none.
    ///
    /// ```
    /// # use ironsys::{Context, Stop};
    /// # use std::time::Duration;
    /// let (ctx, _cancel) = Context::builder().timeout(Duration::ZERO).build();
    /// assert_eq!(ctx.check(), Err(Stop::DeadlineExceeded));
    /// ```
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Puts a value into the root, found by its type in the whole tree. A
    /// [`ThreadCache`](crate::threads::ThreadCache) put here gives scopes and pools warm threads.
    ///
    /// ```
    /// # use ironsys::Context;
    /// let (ctx, _cancel) = Context::builder().value(7_u32).build();
    /// assert_eq!(ctx.value::<u32>(), Some(&7));
    /// ```
    pub fn value<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.values = Values::push(self.values, value);
        self
    }

    /// Makes the root and the handle that cancels it.
    ///
    /// ```
    /// # use ironsys::Context;
    /// let (ctx, cancel) = Context::builder().build();
    /// assert!(cancel.cancel());
    /// assert!(ctx.is_stopped());
    /// ```
    #[must_use]
    pub fn build(self) -> (Context, Canceller) {
        let deadline = self.timeout.and_then(|t| self.clock.now().checked_add(t));
        let root = Root { clock: self.clock, registry: self.registry };
        let node = Node::root(Arc::new(root), deadline);
        (Context::over(node.clone(), self.values), Canceller::over(node))
    }
}

impl fmt::Debug for ContextBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContextBuilder").field("clock", &self.clock).finish_non_exhaustive()
    }
}
