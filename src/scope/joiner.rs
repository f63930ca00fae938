//! Several tasks, and when enough of them have answered.
//!
//! All of these take a list of closures, run each as a task of one scope, and return when every
//! task has ended: those that are no longer needed are stopped, not abandoned.

use super::options::options;
use crate::context::{Context, Stop};
use crate::panics::Panicked;
use crate::sync::{Mutex, catch_unwind};
use std::fmt;
use std::panic::Location;

/// How one task ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome<T, E> {
    /// It returned a value.
    Ok(T),
    /// It returned an error.
    Err(E),
    /// It panicked.
    Panicked(Panicked),
    /// It never ran, since the rest had decided or the context had stopped.
    Skipped(Stop),
}

impl<T, E> Outcome<T, E> {
    /// Returns the value, if there is one.
    ///
    /// ```
    /// # use ironsys::scope::Outcome;
    /// assert_eq!(Outcome::<_, ()>::Ok(1).ok(), Some(1));
    /// ```
    #[must_use]
    pub fn ok(self) -> Option<T> {
        match self {
            Outcome::Ok(value) => Some(value),
            _ => None,
        }
    }

    /// Returns whether there is a value.
    ///
    /// ```
    /// # use ironsys::scope::Outcome;
    /// assert!(!Outcome::<(), _>::Err("down").is_ok());
    /// ```
    #[must_use]
    pub fn is_ok(&self) -> bool {
        matches!(self, Outcome::Ok(_))
    }
}

/// When a group of tasks is done: a value, to be passed to whatever runs the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Joiner {
    /// Every task must succeed; the first failure stops the rest.
    All,
    /// Every task ends on its own, however it ends.
    Collect,
    /// The first success is enough and stops the rest.
    FirstOk,
    /// The first to end decides, success or failure, and stops the rest.
    Race,
    /// So many successes are enough and stop the rest; so does the failure that makes them
    /// impossible.
    Quorum(usize),
    /// Every task ends on its own, and at least so many must succeed.
    BestEffort(usize),
}

/// A group that is done: how each task ended, by its index.
#[derive(Debug)]
pub struct Joined<T, E> {
    /// One for each task, in the order they were given.
    pub outcomes: Vec<Outcome<T, E>>,
    /// The indices of the tasks in the order they ended; those that never ran are not in it.
    pub order: Vec<usize>,
}

impl<T, E> Joined<T, E> {
    /// Returns the values of the successes with their indices, in the order of the tasks.
    ///
    /// ```
    /// # use ironsys::scope::{Joined, Outcome};
    /// let joined = Joined { outcomes: vec![Outcome::Err("down"), Outcome::Ok(7)], order: vec![0, 1] };
    /// assert!(joined.into_values().eq([(1, 7)]));
    /// ```
    pub fn into_values(self) -> impl Iterator<Item = (usize, T)> {
        self.outcomes.into_iter().enumerate().filter_map(|(i, o)| o.ok().map(|v| (i, v)))
    }

    /// Returns the values of the successes and the outcomes of the rest, each with its index.
    ///
    /// ```
    /// # use ironsys::scope::{Joined, Outcome};
    /// let joined = Joined { outcomes: vec![Outcome::Err("down"), Outcome::Ok(7)], order: vec![0, 1] };
    /// let (values, rest) = joined.split();
    /// assert_eq!((values, rest[0].0), (vec![(1, 7)], 0));
    /// ```
    #[must_use]
    #[expect(clippy::type_complexity, reason = "two lists with indices; names would say less")]
    pub fn split(self) -> (Vec<(usize, T)>, Vec<(usize, Outcome<T, E>)>) {
        let (mut values, mut rest) = (Vec::new(), Vec::new());
        for (i, outcome) in self.outcomes.into_iter().enumerate() {
            match outcome {
                Outcome::Ok(value) => values.push((i, value)),
                other => rest.push((i, other)),
            }
        }
        (values, rest)
    }

    fn successes(&self) -> usize {
        self.outcomes.iter().filter(|o| o.is_ok()).count()
    }
}

/// Too few tasks succeeded. What did come of them is inside.
#[derive(thiserror::Error)]
#[error("{succeeded} of {total} tasks succeeded, {needed} were needed{}", why(.stop))]
pub struct NotEnough<T, E> {
    /// How each task ended.
    pub joined: Joined<T, E>,
    /// How many successes were needed.
    pub needed: usize,
    succeeded: usize,
    total: usize,
    /// Why the context stopped, if it did.
    pub stop: Option<Stop>,
}

fn why(stop: &Option<Stop>) -> String {
    stop.as_ref().map_or_else(String::new, |stop| format!(" ({stop})"))
}

impl<T, E> NotEnough<T, E> {
    /// Returns the error of the task that failed first, if one returned an error.
    ///
    /// ```
    /// # let (ctx, _cancel) = ironsys::Context::root();
    /// let few = ironsys::scope::first_ok(&ctx, [|_: &_| Err::<(), _>("down")]).unwrap_err();
    /// assert_eq!(few.into_first_error(), Some("down"));
    /// ```
    #[must_use]
    pub fn into_first_error(self) -> Option<E> {
        let Joined { outcomes, order } = self.joined;
        let mut outcomes: Vec<_> = outcomes.into_iter().map(Some).collect();
        order.into_iter().find_map(|i| match outcomes[i].take() {
            Some(Outcome::Err(e)) => Some(e),
            _ => None,
        })
    }
}

impl<T, E> fmt::Debug for NotEnough<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotEnough")
            .field("succeeded", &self.succeeded)
            .field("needed", &self.needed)
            .field("total", &self.total)
            .field("stop", &self.stop)
            .finish_non_exhaustive()
    }
}

impl Joiner {
    /// Runs `tasks`, each on a thread of its own, until the group is done.
    ///
    /// # Cancellation
    /// Stops the tasks with `ctx` and waits for them.
    ///
    /// # Errors
    /// Fewer successes than the joiner needs: all of them for `All`, none for `Collect`, one for
    /// `FirstOk` and `Race`.
    ///
    /// ```
    /// # use ironsys::{Context, scope::Joiner};
    /// # let (ctx, _cancel) = Context::root();
    /// let joined = Joiner::Quorum(1).run(&ctx, [|_: &Context| Ok::<_, ()>(7)]).unwrap();
    /// assert!(joined.into_values().eq([(0, 7)]));
    /// ```
    #[track_caller]
    pub fn run<T, E, F>(
        self,
        ctx: &Context,
        tasks: impl IntoIterator<Item = F>,
    ) -> Result<Joined<T, E>, NotEnough<T, E>>
    where
        T: Send,
        E: Send,
        F: FnOnce(&Context) -> Result<T, E> + Send,
    {
        let at = Location::caller();
        let tasks: Vec<F> = tasks.into_iter().collect();
        let total = tasks.len();
        let (group, stop_rest) = ctx.with_cancel();
        let ended = Mutex::new(Ended {
            outcomes: (0..total).map(|_| None).collect(),
            order: Vec::with_capacity(total),
            ok: 0,
        });
        let one = |group: &Context, i: usize, task: F| {
            let outcome = match catch_unwind(|| task(group)) {
                Ok(Ok(value)) => Outcome::Ok(value),
                Ok(Err(error)) => Outcome::Err(error),
                Err(payload) => Outcome::Panicked(Panicked::new(format!("task {i}"), at, payload)),
            };
            let decided = {
                let mut ended = ended.lock();
                ended.order.push(i);
                ended.ok += usize::from(outcome.is_ok());
                ended.outcomes[i] = Some(outcome);
                self.decides(&ended, total)
            };
            if decided {
                stop_rest.cancel_with("enough of the group has answered");
            }
        };
        let one = &one;
        let run = options().name("join").run(&group, |s| {
            for (i, task) in tasks.into_iter().enumerate() {
                let _ = s.spawn(move |group| {
                    one(group, i, task);
                    Ok::<_, Stop>(())
                });
            }
            Ok(())
        });
        let stop = ctx.check().err();
        let skipped = run.err().or(stop.clone()).unwrap_or(Stop::DeadlineExceeded);
        let Ended { outcomes, order, .. } = ended.into_inner();
        let outcomes =
            outcomes.into_iter().map(|o| o.unwrap_or_else(|| Outcome::Skipped(skipped.clone())));
        let joined = Joined { outcomes: outcomes.collect(), order };
        let (succeeded, needed) = (joined.successes(), self.needs(total));
        let first_lost = joined.order.first().is_some_and(|i| !joined.outcomes[*i].is_ok());
        if succeeded < needed || (self == Joiner::Race && first_lost) {
            return Err(NotEnough { joined, needed, succeeded, total, stop });
        }
        Ok(joined)
    }

    fn needs(self, total: usize) -> usize {
        match self {
            Joiner::All => total,
            Joiner::Collect => 0,
            Joiner::FirstOk | Joiner::Race => 1,
            Joiner::Quorum(k) | Joiner::BestEffort(k) => k,
        }
    }

    /// Whether the rest need not go on.
    fn decides<T, E>(self, ended: &Ended<T, E>, total: usize) -> bool {
        let ok = ended.ok;
        let bad = ended.order.len() - ok;
        match self {
            Joiner::All => bad > 0,
            Joiner::Collect | Joiner::BestEffort(_) => false,
            Joiner::FirstOk => ok > 0,
            Joiner::Race => true,
            Joiner::Quorum(k) => ok >= k || total - bad < k,
        }
    }
}

struct Ended<T, E> {
    outcomes: Vec<Option<Outcome<T, E>>>,
    order: Vec<usize>,
    ok: usize,
}

/// Runs all tasks; every one must succeed. Returns their values in the order of the tasks.
///
/// # Cancellation
/// Stops the tasks with `ctx` and waits for them.
///
/// # Errors
/// The first error; the rest are stopped.
///
/// # Panics
/// With the payload of the first panic in a task.
///
/// ```
/// use ironsys::{Context, Stop, scope};
/// # fn main() -> Result<(), Stop> {
/// let (ctx, _cancel) = Context::root();
/// let lengths = scope::all(&ctx, ["a", "bcd"].map(|w| move |_: &Context| Ok::<_, Stop>(w.len())))?;
/// assert_eq!(lengths, [1, 3]);
/// # Ok(()) }
/// ```
#[track_caller]
pub fn all<T, E, F>(ctx: &Context, tasks: impl IntoIterator<Item = F>) -> Result<Vec<T>, E>
where
    T: Send,
    E: From<Stop> + Send,
    F: FnOnce(&Context) -> Result<T, E> + Send,
{
    match Joiner::All.run(ctx, tasks) {
        Ok(joined) => Ok(joined.into_values().map(|(_, value)| value).collect()),
        Err(few) => Err(first_failure(few)),
    }
}

/// Runs all tasks to their end and returns how each ended, by index.
///
/// # Cancellation
/// Stops the tasks with `ctx` and waits for them; those that never ran are `Skipped`.
///
/// ```
/// use ironsys::{Context, scope::{self, Outcome}};
/// let (ctx, _cancel) = Context::root();
/// let outcomes = scope::collect(&ctx, [1, 0].map(|d| move |_: &Context| {
///     10_i32.checked_div(d).ok_or("division by zero")
/// }));
/// assert!(matches!(outcomes[..], [Outcome::Ok(10), Outcome::Err("division by zero")]));
/// ```
#[track_caller]
pub fn collect<T, E, F>(ctx: &Context, tasks: impl IntoIterator<Item = F>) -> Vec<Outcome<T, E>>
where
    T: Send,
    E: Send,
    F: FnOnce(&Context) -> Result<T, E> + Send,
{
    match Joiner::Collect.run(ctx, tasks) {
        Ok(joined) => joined.outcomes,
        Err(few) => few.joined.outcomes,
    }
}

/// Runs all tasks until one succeeds, and stops the rest. Returns its index and value.
///
/// # Cancellation
/// Stops the tasks with `ctx` and waits for them.
///
/// # Errors
/// All failed, or there was none; the reasons are inside.
///
/// ```
/// use ironsys::{Context, scope};
/// let (ctx, _cancel) = Context::root();
/// let replica = |up: bool| move |_: &Context| if up { Ok("pong") } else { Err("down") };
/// let (i, answer) = scope::first_ok(&ctx, [replica(false), replica(true)]).unwrap();
/// assert_eq!((i, answer), (1, "pong"));
/// ```
#[track_caller]
pub fn first_ok<T, E, F>(
    ctx: &Context,
    tasks: impl IntoIterator<Item = F>,
) -> Result<(usize, T), NotEnough<T, E>>
where
    T: Send,
    E: Send,
    F: FnOnce(&Context) -> Result<T, E> + Send,
{
    Joiner::FirstOk.run(ctx, tasks).map(first_success)
}

/// Runs all tasks until one ends, and stops the rest. Returns its index and value.
///
/// # Cancellation
/// Stops the tasks with `ctx` and waits for them.
///
/// # Errors
/// The first to end failed, or there was none; how it ended is inside.
///
/// ```
/// use ironsys::{Context, Stop, scope};
/// let (ctx, _cancel) = Context::root();
/// let slow: fn(&Context) -> Result<&'static str, Stop> = |ctx| Err(ctx.wait_stopped());
/// let fast: fn(&Context) -> Result<&'static str, Stop> = |_| Ok("cached");
/// assert_eq!(scope::race(&ctx, [slow, fast]).unwrap(), (1, "cached"));
/// ```
#[track_caller]
pub fn race<T, E, F>(
    ctx: &Context,
    tasks: impl IntoIterator<Item = F>,
) -> Result<(usize, T), NotEnough<T, E>>
where
    T: Send,
    E: Send,
    F: FnOnce(&Context) -> Result<T, E> + Send,
{
    Joiner::Race.run(ctx, tasks).map(first_success)
}

/// Runs all tasks until `k` succeed, and stops the rest. With `k` 0 nothing needs to succeed.
///
/// # Cancellation
/// Stops the tasks with `ctx` and waits for them.
///
/// # Errors
/// So many failed that `k` cannot be reached; what did succeed is inside.
///
/// ```
/// use ironsys::{Context, scope};
/// let (ctx, _cancel) = Context::root();
/// let node = |up: bool| move |_: &Context| if up { Ok(()) } else { Err("down") };
/// assert!(scope::quorum(&ctx, 2, [node(true), node(false), node(true)]).is_ok());
/// let few = scope::quorum(&ctx, 2, [node(true), node(false), node(false)]).unwrap_err();
/// assert_eq!(few.to_string(), "1 of 3 tasks succeeded, 2 were needed");
/// ```
#[track_caller]
pub fn quorum<T, E, F>(
    ctx: &Context,
    k: usize,
    tasks: impl IntoIterator<Item = F>,
) -> Result<Joined<T, E>, NotEnough<T, E>>
where
    T: Send,
    E: Send,
    F: FnOnce(&Context) -> Result<T, E> + Send,
{
    Joiner::Quorum(k).run(ctx, tasks)
}

/// Runs all tasks to their end; at least `min` must succeed.
///
/// # Cancellation
/// Stops the tasks with `ctx` and waits for them; those that had succeeded count.
///
/// # Errors
/// Fewer than `min` succeeded; what did is inside.
///
/// ```
/// use ironsys::{Context, scope};
/// let (ctx, _cancel) = Context::root();
/// let part = |n: i32| move |_: &Context| if n > 0 { Ok(n) } else { Err("empty") };
/// let joined = scope::best_effort(&ctx, 1, [part(1), part(0), part(3)]).unwrap();
/// let (values, failed) = joined.split();
/// assert_eq!((values, failed.len()), (vec![(0, 1), (2, 3)], 1));
/// ```
#[track_caller]
pub fn best_effort<T, E, F>(
    ctx: &Context,
    min: usize,
    tasks: impl IntoIterator<Item = F>,
) -> Result<Joined<T, E>, NotEnough<T, E>>
where
    T: Send,
    E: Send,
    F: FnOnce(&Context) -> Result<T, E> + Send,
{
    Joiner::BestEffort(min).run(ctx, tasks)
}

/// The value of the success that came first. The group has one.
fn first_success<T, E>(joined: Joined<T, E>) -> (usize, T) {
    let first = joined.order.iter().copied().find(|i| joined.outcomes[*i].is_ok());
    joined
        .into_values()
        .find(|(i, _)| Some(*i) == first)
        .unwrap_or_else(|| unreachable!("a joiner that needs a success has one"))
}

/// The first failure of a group in which all had to succeed.
fn first_failure<T, E: From<Stop>>(few: NotEnough<T, E>) -> E {
    let stop = few.stop.clone();
    let Joined { outcomes, order } = few.joined;
    let mut outcomes: Vec<_> = outcomes.into_iter().map(Some).collect();
    let mut error = None;
    for i in order {
        match outcomes[i].take() {
            Some(Outcome::Panicked(panicked)) => panicked.resume(),
            Some(Outcome::Err(e)) => error = error.or(Some(e)),
            _ => {}
        }
    }
    let skipped = outcomes.into_iter().flatten().find_map(|o| match o {
        Outcome::Skipped(stop) => Some(stop),
        _ => None,
    });
    error.unwrap_or_else(|| E::from(stop.or(skipped).unwrap_or(Stop::DeadlineExceeded)))
}
