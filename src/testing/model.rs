//! What to check, and how hard.

use super::run;
use std::sync::Arc;

/// A body, of one type whatever the closure: the checkers are compiled once.
pub(super) type Body = Arc<dyn Fn() + Send + Sync>;

/// Checks `body` in the way the build says, with the default limits: see [`Model`].
///
/// # Panics
/// If an execution panics, blocks for ever, or leaks an object of the crate (loom). Under loom the
/// process may abort, since destructors run while the failed model unwinds; the number of the failing
/// execution is printed first.
///
/// ```
/// # use ironsys::{Context, testing};
/// testing::model("a cancel is seen", || {
///     let (ctx, cancel) = Context::root();
///     cancel.cancel();
///     assert!(ctx.is_stopped());
/// });
/// ```
pub fn model(name: impl Into<String>, body: impl Fn() + Send + Sync + 'static) {
    Model::new(name).check(body);
}

/// A body to check, and the limits of the search.
///
/// ```
/// use ironsys::testing::Model;
/// use ironsys::{Context, Stop};
/// use std::time::Duration;
///
/// Model::new("a wait ends at its deadline").bound(3).choices(1).runs(10).check(|| {
///     let (ctx, _cancel) = Context::root();
///     let short = ctx.with_timeout(Duration::from_millis(1));
///     assert_eq!(short.wait_stopped(), Stop::DeadlineExceeded);
/// });
/// ```
#[derive(Debug, Clone)]
#[must_use = "a model does nothing until `check`"]
#[allow(dead_code, reason = "each build reads the limits that it has")]
pub struct Model {
    pub(super) name: String,
    pub(super) bound: Option<usize>,
    pub(super) choices: u32,
    pub(super) branches: usize,
    pub(super) runs: Option<u64>,
}

impl Model {
    /// Names a model. Bound 2, no choices, 10,000 branches.
    ///
    /// ```
    /// # use ironsys::{Context, testing::Model};
    /// # let body = || { let (ctx, cancel) = Context::root(); cancel.cancel(); assert!(ctx.is_stopped()); };
    /// Model::new("a cancel is seen").check(body);
    /// ```
    pub fn new(name: impl Into<String>) -> Self {
        Model { name: name.into(), bound: Some(2), choices: 0, branches: 10_000, runs: None }
    }

    /// Sets how many times loom takes the processor from a thread that could go on. Each one more
    /// costs about ten times the executions; most bugs need one or two.
    ///
    /// ```
    /// # use ironsys::{Context, testing::Model};
    /// # let body = || { let (ctx, cancel) = Context::root(); cancel.cancel(); assert!(ctx.is_stopped()); };
    /// Model::new("a cancel is seen").bound(3).check(body);
    /// ```
    pub fn bound(mut self, preemptions: usize) -> Self {
        self.bound = Some(preemptions);
        self
    }

    /// Lets loom search without a bound: complete, and for tiny models no dearer than a bound.
    ///
    /// ```
    /// # use ironsys::{Context, testing::Model};
    /// # let body = || { let (ctx, cancel) = Context::root(); cancel.cancel(); assert!(ctx.is_stopped()); };
    /// Model::new("a cancel is seen").unbounded().check(body);
    /// ```
    pub fn unbounded(mut self) -> Self {
        self.bound = None;
        self
    }

    /// Sets how many timed waits of an execution may fire late as well as early. Loom searches once
    /// for each of the `2^waits` patterns; 1 or 2 is plenty.
    ///
    /// ```
    /// # use ironsys::{Context, testing::Model};
    /// # let body = || { let (ctx, cancel) = Context::root(); cancel.cancel(); assert!(ctx.is_stopped()); };
    /// Model::new("a cancel is seen").choices(1).check(body); // if it has timed waits
    /// ```
    pub fn choices(mut self, waits: u32) -> Self {
        self.choices = waits;
        self
    }

    /// Sets how many operations an execution may have before loom calls it endless.
    ///
    /// ```
    /// # use ironsys::{Context, testing::Model};
    /// # let body = || { let (ctx, cancel) = Context::root(); cancel.cancel(); assert!(ctx.is_stopped()); };
    /// Model::new("a cancel is seen").branches(1_000).check(body);
    /// ```
    pub fn branches(mut self, operations: usize) -> Self {
        self.branches = operations;
        self
    }

    /// Sets how many times the body runs on real threads, or under each of shuttle's schedulers.
    /// `IRONSYS_RUNS` overrides it.
    ///
    /// ```
    /// # use ironsys::testing::Model;
    /// # use std::sync::{Arc, atomic::{AtomicU32, Ordering}};
    /// let ran = Arc::new(AtomicU32::new(0));
    /// let count = { let ran = ran.clone(); move || drop(ran.fetch_add(1, Ordering::Relaxed)) };
    /// Model::new("it counts").runs(3).check(count);
    /// # if std::env::var_os("IRONSYS_RUNS").is_none() {
    /// assert_eq!(ran.load(Ordering::Relaxed), 3);
    /// # }
    /// ```
    pub fn runs(mut self, runs: u64) -> Self {
        self.runs = Some(runs);
        self
    }

    /// Checks the body.
    ///
    /// # Panics
    /// As [`model`] does.
    ///
    /// ```
    /// # use ironsys::testing::Model;
    /// let failed = std::panic::catch_unwind(|| Model::new("wrong").check(|| assert_eq!(1 + 1, 3)));
    /// assert!(failed.is_err());
    /// ```
    pub fn check(self, body: impl Fn() + Send + Sync + 'static) {
        run::check(&self, Arc::new(body));
    }
}
