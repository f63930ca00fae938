//! What the body of a scope, and its tasks, use.

use super::core::Core;
use super::state::{Failure, Job};
use super::task::{Slot, Task};
use crate::context::{Cause, Context, Stop};
use crate::observe::{DAEMON, Mark, TaskKind};
use crate::sync::{Arc, Start, catch_unwind};
use crate::wait::key;
use std::fmt;
use std::panic::Location;

/// An open scope: spawns tasks that end before it returns.
///
/// `'env` is what tasks may borrow: anything that lives longer than the call of
/// [`scope`](super::scope). `E` is the error of all its tasks.
pub struct Scope<'a, 'env, E> {
    core: &'a Core<'env, E>,
    start: &'a dyn Start,
}

impl<'a, 'env, E: Send + 'env> Scope<'a, 'env, E> {
    pub(super) fn new(core: &'a Core<'env, E>, start: &'a dyn Start) -> Self {
        Scope { core, start }
    }

    /// Returns the context of the scope's tasks: it stops when one of them fails, or with the
    /// context the scope was opened under.
    ///
    /// ```
    /// # use ironsys::{Context, Stop};
    /// # let (ctx, _cancel) = Context::root();
    /// let done = ironsys::scope(&ctx, |s| s.ctx().check());
    /// assert_eq!(done, Ok::<_, Stop>(()));
    /// ```
    #[must_use]
    pub fn ctx(&self) -> &Context {
        &self.core.ctx
    }

    /// Spawns a task. The call does not wait.
    ///
    /// The task runs on another thread as soon as the scope's limit allows, or on this one when the
    /// body has returned. If it fails or panics, the scope's context stops and
    /// [`scope`](super::scope) returns its error or resumes its panic.
    ///
    /// # Cancellation
    /// A task that has not begun when the scope stops is dropped, and its `join` says so.
    ///
    /// # Cost
    /// Two allocations. Threads are asked for one after the other, never more than there is work
    /// for.
    ///
    /// ```
    /// # use ironsys::{Context, Stop};
    /// # let (ctx, _cancel) = Context::root();
    /// let words = ["a", "bcd"];
    /// let len = ironsys::scope(&ctx, |s| {
    ///     s.spawn(|_| Ok::<_, Stop>(words[1].len())).join(&ctx)
    /// });
    /// assert_eq!(len, Ok(3));
    /// ```
    #[track_caller]
    pub fn spawn<T, F>(&self, f: F) -> Task<T>
    where
        F: FnOnce(&Context) -> Result<T, E> + Send + 'env,
        T: Send + 'env,
    {
        Named { scope: self, name: None }.spawn(f)
    }

    /// Runs a task of which nobody wants a value. Like [`spawn`](Self::spawn) without a handle, at
    /// half the price; it is waited for, and its failure is the scope's, all the same.
    ///
    /// # Cancellation
    /// As for [`spawn`](Self::spawn).
    ///
    /// ```
    /// use ironsys::{Context, Stop, sync::{AtomicUsize, Ordering}};
    /// # fn main() -> Result<(), Stop> {
    /// let (ctx, _cancel) = Context::root();
    /// let hits = AtomicUsize::new(0);
    /// ironsys::scope(&ctx, |s| {
    ///     for _ in 0..10 {
    ///         s.execute(|_| { hits.fetch_add(1, Ordering::Relaxed); Ok::<_, Stop>(()) });
    ///     }
    ///     Ok(())
    /// })?;
    /// assert_eq!(hits.into_inner(), 10);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn execute<F>(&self, f: F)
    where
        F: FnOnce(&Context) -> Result<(), E> + Send + 'env,
    {
        Named { scope: self, name: None }.execute(f);
    }

    /// Spawns a task that can itself spawn into the scope.
    ///
    /// ```
    /// use ironsys::{Context, Stop, sync::{AtomicUsize, Ordering}};
    /// # fn main() -> Result<(), Stop> {
    /// let (ctx, _cancel) = Context::root();
    /// let leaves = AtomicUsize::new(0);
    /// ironsys::scope(&ctx, |s| {
    ///     let _ = s.spawn_with(|s| {
    ///         for _ in 0..3 {
    ///             let _ = s.spawn(|_| { leaves.fetch_add(1, Ordering::Relaxed); Ok::<_, Stop>(()) });
    ///         }
    ///         Ok(())
    ///     });
    ///     Ok(())
    /// })?;
    /// assert_eq!(leaves.load(Ordering::Relaxed), 3);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn spawn_with<T, F>(&self, f: F) -> Task<T>
    where
        F: FnOnce(&Scope<'_, 'env, E>) -> Result<T, E> + Send + 'env,
        T: Send + 'env,
    {
        Named { scope: self, name: None }.spawn_with(f)
    }

    /// Spawns a daemon: it does not keep the scope open. Its context stops when the body and every
    /// task have ended, and the scope waits for it then; its error counts only before that. Daemons
    /// work on top of the scope's limit.
    ///
    /// ```
    /// # use ironsys::{Context, Stop};
    /// # let (ctx, _cancel) = Context::root();
    /// let out = ironsys::scope(&ctx, |s| {
    ///     s.daemon(|ctx| Err(ctx.wait_stopped())); // stopped when the body has ended
    ///     Ok::<_, Stop>(1)
    /// });
    /// assert_eq!(out, Ok(1));
    /// ```
    #[track_caller]
    pub fn daemon<F>(&self, f: F)
    where
        F: FnOnce(&Context) -> Result<(), E> + Send + 'env,
    {
        Named { scope: self, name: None }.daemon(f);
    }

    /// Names the task that is spawned next, for errors, logs and the task tree.
    ///
    /// ```
    /// # use ironsys::{Context, Stop};
    /// # fn main() -> Result<(), Stop> {
    /// # let (ctx, _cancel) = Context::root();
    /// ironsys::scope(&ctx, |s| {
    ///     let _ = s.named("left").spawn(|_| Ok::<_, Stop>(()));
    ///     Ok(())
    /// })
    /// # }
    /// ```
    pub fn named(&self, name: impl Into<String>) -> Named<'_, 'env, E> {
        Named { scope: self, name: Some(name.into().into()) }
    }
}

impl<E> fmt::Debug for Scope<'_, '_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("name", &self.core.name).finish_non_exhaustive()
    }
}

/// Spawns a task under a name. Made by [`Scope::named`].
#[must_use = "a name does nothing until something is spawned"]
pub struct Named<'s, 'env, E> {
    scope: &'s Scope<'s, 'env, E>,
    name: Option<Arc<str>>,
}

impl<'env, E: Send + 'env> Named<'_, 'env, E> {
    /// Spawns a task, see [`Scope::spawn`].
    ///
    /// ```
    /// # use ironsys::{Context, Stop};
    /// # let (ctx, _cancel) = Context::root();
    /// let two = ironsys::scope(&ctx, |s| {
    ///     s.named("two").spawn(|_| Ok::<_, Stop>(2)).join(&ctx)
    /// });
    /// assert_eq!(two, Ok(2));
    /// ```
    #[track_caller]
    pub fn spawn<T, F>(self, f: F) -> Task<T>
    where
        F: FnOnce(&Context) -> Result<T, E> + Send + 'env,
        T: Send + 'env,
    {
        self.add(move |scope: &Scope<'_, 'env, E>| f(&scope.core.ctx))
    }

    /// Spawns a task that can spawn, see [`Scope::spawn_with`].
    ///
    /// ```
    /// # use ironsys::{Context, Stop};
    /// # let (ctx, _cancel) = Context::root();
    /// let out = ironsys::scope(&ctx, |s| {
    ///     s.named("outer").spawn_with(|s| s.spawn(|_| Ok::<_, Stop>(2)).join(s.ctx())).join(&ctx)
    /// });
    /// assert_eq!(out, Ok(2));
    /// ```
    #[track_caller]
    pub fn spawn_with<T, F>(self, f: F) -> Task<T>
    where
        F: FnOnce(&Scope<'_, 'env, E>) -> Result<T, E> + Send + 'env,
        T: Send + 'env,
    {
        self.add(f)
    }

    /// Runs a task without a handle, see [`Scope::execute`].
    ///
    /// ```
    /// # use ironsys::{Context, Stop};
    /// # let (ctx, _cancel) = Context::root();
    /// let out = ironsys::scope(&ctx, |s| {
    ///     s.named("late").execute(|_| Err(Stop::DeadlineExceeded));
    ///     Ok(())
    /// });
    /// assert_eq!(out, Err(Stop::DeadlineExceeded)); // its failure is the scope's
    /// ```
    #[track_caller]
    pub fn execute<F>(self, f: F)
    where
        F: FnOnce(&Context) -> Result<(), E> + Send + 'env,
    {
        let about = self.about();
        let Named { scope: Scope { core, start }, .. } = self;
        let job: Job<'env, E> = Box::new(move |scope, mark| {
            // Nobody waits for it by name: the cheaper entry will do.
            about.list_anonymously(scope.core, mark);
            let _ = about.run(scope.core, || f(&scope.core.ctx));
        });
        core.add(*start, job, false);
    }

    /// Spawns a daemon, see [`Scope::daemon`].
    ///
    /// ```
    /// # use ironsys::{Context, Stop};
    /// # let (ctx, _cancel) = Context::root();
    /// let out = ironsys::scope(&ctx, |s| {
    ///     s.named("watch").daemon(|ctx| Err(ctx.wait_stopped()));
    ///     Ok::<_, Stop>(1)
    /// });
    /// assert_eq!(out, Ok(1));
    /// ```
    #[track_caller]
    pub fn daemon<F>(self, f: F)
    where
        F: FnOnce(&Context) -> Result<(), E> + Send + 'env,
    {
        let about = self.about();
        let Named { scope: Scope { core, start }, .. } = self;
        let job: Job<'env, E> = Box::new(move |scope, mark| {
            let core = scope.core;
            about.list(core, mark, DAEMON);
            let _ = about.run(core, || match f(&core.daemon_ctx) {
                // It was told to end, and says so.
                Err(_) if core.daemon_ctx.is_stopped() => Ok(()),
                out => out,
            });
        });
        core.add(*start, job, true);
    }

    #[track_caller]
    fn add<T, F>(self, f: F) -> Task<T>
    where
        F: FnOnce(&Scope<'_, 'env, E>) -> Result<T, E> + Send + 'env,
        T: Send + 'env,
    {
        let about = self.about();
        let Named { scope: Scope { core, start }, name } = self;
        let slot = Arc::new(Slot::new(name));
        let serves = key(&*slot);
        let mut ticket = Ticket { slot: Some(slot.clone()), at: about.at };
        let job: Job<'env, E> = Box::new(move |scope, mark| {
            about.list(scope.core, mark, serves);
            let out = about.run(scope.core, || f(scope));
            if let Some(slot) = ticket.slot.take() {
                slot.set(out.ok_or_else(|| scope.core.stop()));
            }
        });
        core.add(*start, job, false);
        Task::new(slot)
    }

    #[track_caller]
    fn about(&self) -> About {
        About { name: self.name.clone(), at: Location::caller() }
    }
}

/// What a task is called, and where it came from.
struct About {
    name: Option<Arc<str>>,
    at: &'static Location<'static>,
}

impl About {
    fn list<E>(&self, core: &Core<'_, E>, mark: &mut Mark, serves: usize) {
        let name = self.name.clone();
        mark.set(core.ctx.registry(), TaskKind::Task, name, self.at, core.id, serves);
    }

    fn list_anonymously<E>(&self, core: &Core<'_, E>, mark: &mut Mark) {
        match self.name {
            None => mark.set_anonymous(core.ctx.registry(), TaskKind::Task, self.at, core.id),
            Some(_) => self.list(core, mark, 0),
        }
    }

    /// Runs a task; `None` if it failed, and the scope knows by then.
    fn run<'env, T, E: Send + 'env>(
        self,
        core: &Core<'env, E>,
        f: impl FnOnce() -> Result<T, E>,
    ) -> Option<T> {
        let About { name, at } = self;
        let failure = match catch_unwind(f) {
            Ok(Ok(value)) => return Some(value),
            Ok(Err(error)) => Failure::Error(error),
            Err(payload) => Failure::Panic(payload),
        };
        match &name {
            Some(name) => core.fail(failure, &format!("task `{name}`")),
            None => core.fail(failure, &format!("the task spawned at {at}")),
        }
        None
    }
}

impl<E> fmt::Debug for Named<'_, '_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Named").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Tells whoever waits for a task that it was dropped before it began.
struct Ticket<T> {
    slot: Option<Arc<Slot<T>>>,
    at: &'static Location<'static>,
}

impl<T> Drop for Ticket<T> {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            let cause = Cause::new("the scope stopped before the task began".into(), self.at);
            slot.set(Err(Stop::Cancelled(cause)));
        }
    }
}
