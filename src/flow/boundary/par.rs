//! How many workers, and how far they may be ahead.

use super::super::cx::At;
use super::super::error::FlowCause;
use super::super::raise::Raise;
use crate::error::BuildError;
use std::fmt;

/// How a parallel stage is laid out: the number of its workers, and its window. A number of workers
/// will do where one of these is asked for.
///
/// ```
/// use ironsys::{Context, flow::{Flow, FlowError, Never, Par}};
/// # fn main() -> Result<(), FlowError<Never>> {
/// let (ctx, _cancel) = Context::root();
/// let lengths = Flow::of(["a", "bb"]).par_map(Par::workers(2).window(8), |s| s.len());
/// assert_eq!(lengths.collect::<Vec<_>>(&ctx)?, [1, 2]);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "give it to a parallel stage"]
pub struct Par {
    workers: usize,
    window: usize,
}

/// The most workers of one stage: each is a thread.
pub(super) const MAX_WORKERS: usize = 1024;
/// Items under way for each worker, unless told otherwise; less for many workers. With 2 µs of work an
/// item, what stands before and behind the workers is woken every half a millisecond or so: where all
/// processors are busy each time takes one of them away from a worker, and with a quarter of this that
/// was a twentieth of the whole.
const WINDOW: usize = 1024;
const MAX_WINDOW: usize = 4096;

impl Par {
    /// Sets the number of workers, each a thread: from 1 to 1,024, else the run fails before it
    /// begins. The window is 1,024 items for each, and 4,096 in all at most.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never, Par}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let squares = Flow::of(1..=4).par_map(Par::workers(2), |n| n * n);
    /// assert_eq!(squares.collect::<Vec<_>>(&ctx)?, [1, 4, 9, 16]);
    /// # Ok(()) }
    /// ```
    pub fn workers(workers: usize) -> Par {
        let window = workers.saturating_mul(WINDOW).min(MAX_WINDOW.max(workers));
        Par { workers, window }
    }

    /// Sets how many items may be under way: waiting for a worker, at work, or done and waiting for
    /// their turn. Where the order is not kept, and after `key_by`, results that wait do not count: there
    /// may be as many again. With less than the number of workers some have nothing to do; with 0 the run fails
    /// before it begins.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never, Par}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let squares = Flow::of(1..=4).par_map(Par::workers(2).window(16), |n| n * n);
    /// assert_eq!(squares.collect::<Vec<_>>(&ctx)?, [1, 4, 9, 16]);
    /// # Ok(()) }
    /// ```
    pub fn window(mut self, items: usize) -> Par {
        self.window = items;
        self
    }

    /// The numbers, or a run that has failed.
    pub(super) fn check<E: Send + 'static>(self, at: &At, raise: &Raise<E>) -> Checked {
        let problem = match self {
            Par { workers: 0, .. } => ("workers", "is 0: nothing could ever run".to_owned()),
            Par { workers: MAX_WORKERS.., .. } if self.workers > MAX_WORKERS => {
                ("workers", format!("is {}, more than {MAX_WORKERS}", self.workers))
            }
            Par { window: 0, .. } => ("window", "is 0: no item could be under way".to_owned()),
            Par { workers, window } => return Checked { workers, window },
        };
        let error = BuildError::new("flow", problem.0, problem.1);
        let _ = raise.raise(at, None, FlowCause::Misbuilt(error));
        Checked { workers: 1, window: 1 }
    }
}

impl fmt::Display for Par {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} workers, {} items", self.workers, self.window)
    }
}

impl From<usize> for Par {
    fn from(workers: usize) -> Par {
        Par::workers(workers)
    }
}

/// A [`Par`] that can be worked with.
#[derive(Clone, Copy)]
pub(super) struct Checked {
    pub(super) workers: usize,
    pub(super) window: usize,
}
