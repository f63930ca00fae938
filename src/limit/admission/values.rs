//! What a context says of a request.

use crate::context::Context;
use crate::sync::Arc;
use std::hash::{Hash, Hasher};

/// How important a request is: a value of its context. Without one it is [`Normal`](Self::Normal).
///
/// ```
/// use ironsys::{Context, limit::Priority};
/// let (ctx, _cancel) = Context::root();
/// let ctx = ctx.with_value(Priority::High);
/// assert_eq!(Priority::of(&ctx), Priority::High);
/// assert!(Priority::Critical < Priority::Sheddable); // in the order in which they are served
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// Served first: health checks, the control plane.
    Critical,
    /// A user waits.
    High,
    /// As most are.
    #[default]
    Normal,
    /// Nobody waits.
    Low,
    /// May as well be left undone.
    Sheddable,
}

impl Priority {
    /// All of them, in the order in which they are served.
    pub const ALL: [Priority; 5] =
        [Priority::Critical, Priority::High, Priority::Normal, Priority::Low, Priority::Sheddable];

    /// Returns what the context says.
    ///
    /// ```
    /// # use ironsys::{Context, limit::Priority};
    /// # let (ctx, _cancel) = Context::root();
    /// assert_eq!(Priority::of(&ctx), Priority::Normal);
    /// assert_eq!(Priority::of(&ctx.with_value(Priority::Low)), Priority::Low);
    /// ```
    #[must_use]
    pub fn of(ctx: &Context) -> Priority {
        ctx.value::<Priority>().copied().unwrap_or_default()
    }
}

/// On whose behalf a request is made: a value of its context. All without one are one tenant.
///
/// ```
/// use ironsys::{Context, limit::Tenant};
/// let (ctx, _cancel) = Context::root();
/// let ctx = ctx.with_value(Tenant::new("acme"));
/// assert_eq!(ctx.value::<Tenant>().map(Tenant::name), Some("acme"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tenant(Arc<str>);

impl Tenant {
    /// Names a tenant.
    ///
    /// ```
    /// # use ironsys::limit::Tenant;
    /// assert_eq!(Tenant::new("acme"), Tenant::new(String::from("acme")));
    /// ```
    #[must_use]
    pub fn new(name: impl Into<String>) -> Tenant {
        Tenant(name.into().into())
    }

    /// Returns its name.
    ///
    /// ```
    /// # use ironsys::limit::Tenant;
    /// assert_eq!(Tenant::new("acme").name(), "acme");
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Which of `lanes` lanes it queues in; 0 if there is no tenant.
    pub(super) fn lane(ctx: &Context, lanes: usize) -> usize {
        let Some(tenant) = ctx.value::<Tenant>() else { return 0 };
        // The same for all processes: nothing secret hangs on it.
        let mut hasher = std::hash::DefaultHasher::new();
        tenant.0.hash(&mut hasher);
        (hasher.finish() % lanes as u64) as usize
    }
}
