//! Opening a scope.

use super::core::Core;
use super::handle::Scope;
use super::state::Failure;
use crate::context::{Cause, Context, Stop};
use crate::observe::{self, TaskKind};
use crate::sync::{Arc, Start};
use crate::threads;
use std::panic::Location;

/// How many threads a scope starts at most unless told otherwise.
pub const DEFAULT_LIMIT: usize = 1024;

/// Runs `body`, which may spawn tasks that borrow from the stack, and returns when all have ended.
///
/// Ends in one of four ways:
/// * body and tasks succeed: the body's value;
/// * the body or a task returns an error: the first failure stops the scope's context, everybody is
///   waited for, and the error is returned as it was;
/// * the body or a task panics: the same, and then the first panic resumes here, with its payload. A
///   panic takes precedence over an error, since it is a bug;
/// * the context stops before every task has begun: the stop, as an `E`.
///
/// Tasks run on threads of the context's [`ThreadCache`](crate::threads::ThreadCache) if it has one,
/// else on scoped threads of their own. A thread that has finished its task takes the next; when the
/// body has returned, its thread helps. Without a cache the stack of a thread stays until the scope ends,
/// so from the 33rd on a thread without work does not end but parks: an accept loop may stay open for
/// ever, on as many threads as were ever busy at once. Threads of a cache end when they have been idle
/// for some time. At most [`DEFAULT_LIMIT`] threads work at once; more tasks
/// than that wait. See [`options`] for another limit.
///
/// # Cancellation
/// The scope stops with `ctx`, and then still waits for its tasks: a task that blocks outside of
/// this library, or computes without [`check`](Context::check), holds it up.
///
/// # Errors
/// The first failure.
///
/// # Panics
/// With the payload of the first panic in the body or a task.
///
/// ```
/// use ironsys::{Context, Stop};
///
/// #[derive(Debug, PartialEq)]
/// enum Error { NoBread, Stopped }
/// impl From<Stop> for Error {
///     fn from(_: Stop) -> Self { Error::Stopped }
/// }
///
/// let (ctx, _cancel) = Context::root();
/// let result = ironsys::scope(&ctx, |s| {
///     let butter = s.spawn(|ctx| Ok(ctx.wait_stopped())); // its sibling's failure stops it
///     let bread = s.spawn(|_| Err::<(), _>(Error::NoBread));
///     bread.join(&ctx)?;
///     butter.join(&ctx)?;
///     Ok(())
/// });
/// assert_eq!(result, Err(Error::NoBread));
/// ```
///
/// A task cannot borrow what dies before the scope returns:
///
/// ```compile_fail,E0597
/// # use ironsys::{Context, Stop};
/// # let (ctx, _cancel) = Context::root();
/// ironsys::scope(&ctx, |s| {
///     let local = 1;
///     let _ = s.spawn(|_| Ok::<_, Stop>(&local));
///     Ok(())
/// });
/// ```
#[track_caller]
pub fn scope<'env, R, E>(
    ctx: &Context,
    body: impl FnOnce(&Scope<'_, 'env, E>) -> Result<R, E>,
) -> Result<R, E>
where
    E: From<Stop> + Send + 'env,
{
    options().run(ctx, body)
}

/// Starts to set a scope up: a limit, a name.
///
/// ```
/// use ironsys::{Context, Stop, scope};
/// # fn main() -> Result<(), Stop> {
/// let (ctx, _cancel) = Context::root();
/// scope::options().limit(2).name("fetch").run(&ctx, |s| {
///     for _ in 0..8 {
///         let _ = s.spawn(|ctx| ctx.check()); // two at a time
///     }
///     Ok(())
/// })
/// # }
/// ```
pub fn options() -> Options {
    Options { limit: DEFAULT_LIMIT, name: None }
}

/// How a scope is opened. Made by [`options`].
#[derive(Debug, Clone)]
#[must_use = "options do nothing until `run`"]
pub struct Options {
    limit: usize,
    name: Option<Arc<str>>,
}

impl Options {
    /// Sets how many threads run the scope's tasks at most. Tasks beyond that wait their turn, so
    /// tasks that wait for each other must fit in. With 0 no task could ever run: the scope fails
    /// before its body, with a [`Stop`] that says so.
    ///
    /// ```
    /// # use ironsys::{Context, Stop, scope};
    /// # let (ctx, _cancel) = Context::root();
    /// let out = scope::options().limit(0).run(&ctx, |_| Ok::<_, Stop>(()));
    /// assert!(out.unwrap_err().to_string().contains("limit 0"));
    /// ```
    pub fn limit(mut self, threads: usize) -> Self {
        self.limit = threads;
        self
    }

    /// Sets the name of the scope and of the threads it starts. No thread can have a name with a
    /// zero byte: the scope then fails before its body, with a [`Stop`] that says so.
    ///
    /// ```
    /// # use ironsys::{Context, Stop, scope};
    /// # let (ctx, _cancel) = Context::root();
    /// let out = scope::options().name("a\0b").run(&ctx, |_| Ok::<_, Stop>(()));
    /// assert!(out.unwrap_err().to_string().contains("zero byte"));
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into().into());
        self
    }

    /// Opens the scope, see [`scope`].
    ///
    /// # Errors
    /// The first failure.
    ///
    /// # Panics
    /// With the payload of the first panic in the body or a task.
    ///
    /// ```
    /// # use ironsys::{Context, Stop, scope};
    /// # let (ctx, _cancel) = Context::root();
    /// let out = scope::options().limit(1).run(&ctx, |s| s.spawn(|_| Ok::<_, Stop>(7)).join(&ctx));
    /// assert_eq!(out, Ok(7));
    /// ```
    #[track_caller]
    pub fn run<'env, R, E>(
        self,
        ctx: &Context,
        body: impl FnOnce(&Scope<'_, 'env, E>) -> Result<R, E>,
    ) -> Result<R, E>
    where
        E: From<Stop> + Send + 'env,
    {
        let at = Location::caller();
        let wrong = match &self.name {
            _ if self.limit == 0 => Some("a scope with limit 0 can run no task"),
            Some(name) if name.contains('\0') => Some("the name of a scope holds a zero byte"),
            _ => None,
        };
        if let Some(wrong) = wrong {
            return Err(E::from(Stop::Cancelled(Cause::new(wrong.into(), at))));
        }
        let parent = observe::current();
        let registry = ctx.registry();
        let running = observe::begin(registry, TaskKind::Scope, self.name.clone(), at, parent);
        let core = Core::new(ctx, self.name, running.id(), self.limit);
        let work = |start: &dyn Start| core.serve(start);
        match threads::crew(ctx, &work, |start| core.run(start, body)) {
            Ok(out) => Ok(out),
            Err(Failure::Error(error)) => Err(error),
            Err(Failure::Stopped(stop)) => Err(E::from(stop)),
            // Everybody has been joined; now the first panic goes on where it can be seen.
            Err(Failure::Panic(payload)) => std::panic::resume_unwind(payload),
        }
    }
}
