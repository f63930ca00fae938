//! What a service is made of.

use crate::context::Context;
use crate::pool::Pool;
use crate::schedule::Scheduler;
use crate::session::{Manager, Session};
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// Something that was started, and is to end in good order.
///
/// The handles of this crate that own threads are parts. A closure is one, too, for what needs more than
/// that: it gets the context of the drain.
///
/// ```
/// use ironsys::{Context, service::{Ended, Part}};
///
/// struct Cache(Vec<u8>);
/// impl Part for Cache {
///     fn drain(self: Box<Self>, _: &Context) -> Ended {
///         Ended::clean().left("dirty pages", self.0.len() as u64)
///     }
/// }
/// ```
pub trait Part: Send {
    /// Takes nothing new, finishes what it has, and says what is left.
    ///
    /// # Cancellation
    /// When `ctx` stops it gives up, as fast as it can without losing count.
    fn drain(self: Box<Self>, ctx: &Context) -> Ended;

    /// Gives the part a time limit of its own for its drain. The service's own limit holds as well.
    fn within(self, limit: Duration) -> Within<Self>
    where
        Self: Sized,
    {
        Within { part: self, limit }
    }
}

/// A part with a time limit for its drain. Made by [`Part::within`].
#[derive(Debug)]
pub struct Within<P> {
    part: P,
    limit: Duration,
}

/// How a part has ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ended {
    /// What is left, by name. Empty if everything was done.
    pub left: Vec<Left>,
    /// What went wrong.
    pub error: Option<String>,
}

/// So many of something that were not done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Left {
    /// What they are, in the plural.
    pub what: Cow<'static, str>,
    /// How many; not 0.
    pub count: u64,
}

impl Ended {
    /// Nothing is left, nothing went wrong.
    ///
    /// ```
    /// # use ironsys::service::Ended;
    /// assert!(Ended::clean().is_clean());
    /// ```
    #[must_use]
    pub fn clean() -> Ended {
        Ended::default()
    }

    /// Adds `count` of `what` to what is left; 0 adds nothing.
    ///
    /// ```
    /// # use ironsys::service::Ended;
    /// assert_eq!(Ended::clean().left("jobs", 3).left("files", 0).left.len(), 1);
    /// ```
    #[must_use]
    pub fn left(mut self, what: impl Into<Cow<'static, str>>, count: u64) -> Ended {
        if count > 0 {
            self.left.push(Left { what: what.into(), count });
        }
        self
    }

    /// Adds an error; an earlier one stays in front of it.
    ///
    /// ```
    /// # use ironsys::service::Ended;
    /// assert_eq!(Ended::clean().error("no disk").error.as_deref(), Some("no disk"));
    /// ```
    #[must_use]
    pub fn error(mut self, error: impl fmt::Display) -> Ended {
        self.error = Some(match self.error {
            Some(first) => format!("{first}; {error}"),
            None => error.to_string(),
        });
        self
    }

    /// Returns whether nothing is left and nothing went wrong.
    ///
    /// ```
    /// # use ironsys::service::Ended;
    /// assert!(!Ended::clean().left("jobs", 3).is_clean());
    /// ```
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.left.is_empty() && self.error.is_none()
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.count, self.what)
    }
}

impl<P: Part> Part for Within<P> {
    fn drain(self: Box<Self>, ctx: &Context) -> Ended {
        Box::new(self.part).drain(&ctx.with_timeout(self.limit))
    }
}

impl<F: FnOnce(&Context) -> Ended + Send> Part for F {
    fn drain(self: Box<Self>, ctx: &Context) -> Ended {
        self(ctx)
    }
}

/// Jobs that have not begun are left, and dropped: who wants them back makes a closure of
/// [`Pool::drain`] the part.
impl Part for Pool {
    fn drain(self: Box<Self>, ctx: &Context) -> Ended {
        let drained = Pool::drain(*self, ctx);
        Ended::clean().left("jobs not begun", drained.undelivered.len() as u64)
    }
}

/// Jobs that would come round again are not left; runs that were given up are.
impl Part for Scheduler {
    fn drain(self: Box<Self>, ctx: &Context) -> Ended {
        let before = self.stats().ledger.cancelled;
        let drained = Scheduler::drain(*self, ctx);
        Ended::clean().left("runs given up", drained.cancelled.saturating_sub(before))
    }
}

/// Messages that were accepted and not handled are left; they have gone to `on_undelivered`. So are last
/// states that could not be saved; the error names whose they were, and they have gone to `on_unsaved`.
impl<S: Session> Part for Manager<S> {
    fn drain(self: Box<Self>, ctx: &Context) -> Ended {
        let before = self.stats().ledger.dropped;
        let closed = self.close(ctx);
        let left = closed.ledger.dropped.saturating_sub(before);
        let ended = Ended::clean().left("messages not handled", left);
        if closed.unsaved == 0 {
            return ended;
        }
        let ids = closed.unsaved_ids.join(", ");
        ended.left("states not saved", closed.unsaved).error(format_args!("not saved: {ids}"))
    }
}
