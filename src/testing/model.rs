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
    pub fn new(name: impl Into<String>) -> Self {
        Model { name: name.into(), bound: Some(2), choices: 0, branches: 10_000, runs: None }
    }

    /// Sets how many times loom takes the processor from a thread that could go on. Each one more
    /// costs about ten times the executions; most bugs need one or two.
    pub fn bound(mut self, preemptions: usize) -> Self {
        self.bound = Some(preemptions);
        self
    }

    /// Lets loom search without a bound: complete, and for tiny models no dearer than a bound.
    pub fn unbounded(mut self) -> Self {
        self.bound = None;
        self
    }

    /// Sets how many timed waits of an execution may fire late as well as early. Loom searches once
    /// for each of the `2^waits` patterns; 1 or 2 is plenty.
    pub fn choices(mut self, waits: u32) -> Self {
        self.choices = waits;
        self
    }

    /// Sets how many operations an execution may have before loom calls it endless.
    pub fn branches(mut self, operations: usize) -> Self {
        self.branches = operations;
        self
    }

    /// Sets how many times the body runs on real threads, or under each of shuttle's schedulers.
    /// `IRONSYS_RUNS` overrides it.
    pub fn runs(mut self, runs: u64) -> Self {
        self.runs = Some(runs);
        self
    }

    /// Checks the body.
    ///
    /// # Panics
    /// As [`model`] does.
    pub fn check(self, body: impl Fn() + Send + Sync + 'static) {
        run::check(&self, Arc::new(body));
    }
}
