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
    ///
    /// ```
    /// # use ironsys::{Context, service::*};
    /// # let (ctx, _cancel) = Context::root();
    /// # let mut service = Service::builder("shop").build()?;
    /// let stopper = service.stopper();
    /// assert!(stopper.request("enough"));
    /// assert!(!stopper.request("again"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn request(&self, why: impl Into<Cow<'static, str>>) -> bool {
        self.asked.1.cancel_with(why)
    }

    /// Asks the service to end without waiting for what it has begun: the drain of each part runs out of
    /// time now. Returns whether this call was the first to do so.
    ///
    /// ```
    /// # use ironsys::{Context, service::*};
    /// # let (ctx, _cancel) = Context::root();
    /// # let mut service = Service::builder("shop").build()?;
    /// let stopper = service.stopper();
    /// assert!(stopper.force("at once"));
    /// assert!(stopper.is_forced() && stopper.is_requested());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn force(&self, why: impl Into<Cow<'static, str>>) -> bool {
        let why = why.into();
        let first = self.forced.1.cancel_with(why.clone());
        self.asked.1.cancel_with(why);
        first
    }

    /// Returns whether the service has been asked to end.
    ///
    /// ```
    /// # use ironsys::{Context, service::*};
    /// # let (ctx, _cancel) = Context::root();
    /// # let mut service = Service::builder("shop").build()?;
    /// let stopper = service.stopper();
    /// assert!(!stopper.is_requested());
    /// stopper.request("enough");
    /// assert!(stopper.is_requested());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.asked.0.is_stopped()
    }

    /// Returns whether it has been asked to end at once.
    ///
    /// ```
    /// # use ironsys::{Context, service::*};
    /// # let (ctx, _cancel) = Context::root();
    /// # let mut service = Service::builder("shop").build()?;
    /// let stopper = service.stopper();
    /// stopper.request("enough");
    /// assert!(!stopper.is_forced());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_forced(&self) -> bool {
        self.forced.0.is_stopped()
    }

    /// Waits until the service is asked to end, and returns why.
    ///
    /// # Cancellation
    /// # Errors
    /// `ctx` stopped before.
    ///
    /// ```
    /// # use ironsys::{Context, service::*};
    /// # let (ctx, _cancel) = Context::root();
    /// # let mut service = Service::builder("shop").build()?;
    /// let stopper = service.stopper();
    /// stopper.request("enough");
    /// assert_eq!(stopper.wait_requested(&ctx)?.cause().map(|c| c.reason()), Some("enough"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
