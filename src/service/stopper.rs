//! What asks a service to end.

use crate::context::{Canceller, Context, Stop};
use std::borrow::Cow;
use std::fmt;

/// Asks a service to end: first in good order, then at once. Cheap to clone.
#[derive(Clone)]
pub struct Stopper {
    asked: (Context, Canceller),
    forced: (Context, Canceller),
}

impl Stopper {
    /// The service is asked to end when `ctx` stops, too.
    pub(super) fn new(ctx: &Context) -> Stopper {
        Stopper { asked: ctx.with_cancel(), forced: ctx.detached() }
    }

    /// Asks the service to drain; returns whether this call was the first to do so. The reason is in the
    /// [`Report`](super::Report).
    #[track_caller]
    pub fn request(&self, why: impl Into<Cow<'static, str>>) -> bool {
        self.asked.1.cancel_with(why)
    }

    /// Asks the service to end without waiting for what it has begun: the drain of each part runs out of
    /// time now. Returns whether this call was the first to do so.
    #[track_caller]
    pub fn force(&self, why: impl Into<Cow<'static, str>>) -> bool {
        let why = why.into();
        let first = self.forced.1.cancel_with(why.clone());
        self.asked.1.cancel_with(why);
        first
    }

    /// Returns whether the service has been asked to end.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.asked.0.is_stopped()
    }

    /// Returns whether it has been asked to end at once.
    #[must_use]
    pub fn is_forced(&self) -> bool {
        self.forced.0.is_stopped()
    }

    /// Waits until the service is asked to end, and returns why.
    ///
    /// # Cancellation
    /// # Errors
    /// `ctx` stopped before.
    #[track_caller]
    pub fn wait_requested(&self, ctx: &Context) -> Result<Stop, Stop> {
        let stop = Context::merge(&self.asked.0, ctx).wait_stopped();
        self.asked.0.check().err().ok_or(stop)
    }

    /// Stops when the service is asked to end.
    pub(super) fn asked(&self) -> &Context {
        &self.asked.0
    }

    /// Stops when the service is forced to.
    pub(super) fn forced(&self) -> &Context {
        &self.forced.0
    }
}

impl fmt::Debug for Stopper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stopper")
            .field("requested", &self.is_requested())
            .field("forced", &self.is_forced())
            .finish()
    }
}
