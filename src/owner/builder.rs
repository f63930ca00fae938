//! Starting an owner.

use super::handle::Owner;
use super::thread::{Counts, Thread};
use crate::channel;
use crate::context::Context;
use crate::error::BuildError;
use crate::sync::Arc;
use crate::threads::Owned;
use std::panic::Location;

/// What an owner does with its value when a call panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnPanic {
    /// Drops it and closes: nobody knows what state the call left it in. The default.
    #[default]
    Close,
    /// Keeps it and goes on with the next call: right for a value that is whole between any two of its
    /// operations.
    Keep,
}

/// Builds an [`Owner`]. Made by [`Owner::builder`](super::Owner::builder).
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `start`"]
pub struct Builder {
    name: String,
    queue: usize,
    on_panic: OnPanic,
    parent: Option<Context>,
}

impl Builder {
    pub(super) fn new(name: String) -> Self {
        Builder { name, queue: 64, on_panic: OnPanic::default(), parent: None }
    }

    /// Sets how many calls may wait. The default is 64. With 0 a call is accepted when the owner is
    /// there to take it.
    ///
    /// ```
    /// # use ironsys::owner::Owner;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let sum = Owner::builder("sum").queue(8).start(|_| 0)?;
    /// assert_eq!(sum.stats().queue.capacity, 8);
    /// # Ok(()) }
    /// ```
    pub fn queue(mut self, calls: usize) -> Self {
        self.queue = calls;
        self
    }

    /// Sets what becomes of the value when a call panics. The default is [`OnPanic::Close`].
    ///
    /// ```
    /// # use ironsys::{Context, owner::{OnPanic, Owner}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// let sum = Owner::builder("sum").on_panic(OnPanic::Keep).start(|_| 7)?;
    /// assert!(sum.call(&ctx, |_| panic!("no sum")).is_err_and(|e| e.panicked().is_some()));
    /// assert_eq!(sum.into_inner(&ctx)?, 7);
    /// # Ok(()) }
    /// ```
    pub fn on_panic(mut self, policy: OnPanic) -> Self {
        self.on_panic = policy;
        self
    }

    /// Makes the owner stop with `ctx`, on its clock, under its registry, and on a thread of its
    /// [`ThreadCache`](crate::threads::ThreadCache) if it has one. The default is a root of its own.
    ///
    /// ```
    /// # use ironsys::{Context, owner::Owner};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// let sum = Owner::builder("sum").context(&ctx.with_value(7)).start(|ctx| ctx.value().copied())?;
    /// assert_eq!(sum.into_inner(&ctx)?, Some(7));
    /// # Ok(()) }
    /// ```
    pub fn context(mut self, ctx: &Context) -> Self {
        self.parent = Some(ctx.clone());
        self
    }

    /// Starts the thread, which makes the value by `init`, under the owner's context.
    ///
    /// It does not wait for `init`; calls wait in the queue. If `init` panics, they are refused, and
    /// [`into_inner`](super::Owner::into_inner) says why. An `init` that can fail makes a `Result` the
    /// value.
    ///
    /// # Errors
    /// `name`: it holds a zero byte. `thread`: the system has none left.
    ///
    /// ```
    /// # use ironsys::{Context, owner::Owner};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// let sum = Owner::builder("sum").start(|_| 7)?;
    /// assert_eq!(sum.into_inner(&ctx)?, 7);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn start<T: 'static>(
        self,
        init: impl FnOnce(&Context) -> T + Send + 'static,
    ) -> Result<Owner<T>, BuildError> {
        let wrong = |field, problem: String| Err(BuildError::new("owner", field, problem));
        if self.name.contains('\0') {
            return wrong("name", "holds a zero byte".into());
        }
        let name: Arc<str> = self.name.into();
        let (tx, inbox) = channel::builder(self.queue).name(&*name).build()?;
        let counts = Arc::new(Counts::default());
        let (name_too, counts_too, on_panic) = (name.clone(), counts.clone(), self.on_panic);
        let run = move |ctx: &Context| {
            Thread { name: name_too, inbox, counts: counts_too, on_panic }.run(ctx, init);
        };
        let parent = self.parent.unwrap_or_else(|| Context::root().0);
        match Owned::start(&parent, name.clone(), Location::caller(), run) {
            Ok(thread) => Ok(Owner::new(name, tx, counts, thread)),
            Err(e) => wrong("thread", format!("could not be started: {e}")),
        }
    }
}
