//! How a job is to be run.

use crate::context::Context;
use crate::sync::Arc;
use std::time::{Duration, Instant};

/// How a job is run. The default has no name, no deadline, priority 0, and runs under the pool's own context.
#[derive(Debug, Clone, Default)]
#[must_use = "options do nothing until a job is submitted with them"]
pub struct JobOptions {
    pub(super) name: Option<Arc<str>>,
    pub(super) timeout: Option<Duration>,
    pub(super) under: Option<Context>,
    pub(super) priority: u8,
}

/// Where a job stands in a queue with an order.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rank {
    pub(super) priority: u8,
    pub(super) deadline: Option<Instant>,
}

impl JobOptions {
    /// Makes the default options.
    ///
    /// ```
    /// # use ironsys::{Context, pool::{JobOptions, Pool}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let pool = Pool::builder("jobs").workers(1).build()?;
    /// let ticket = pool.submit_with(&ctx, JobOptions::new(), |_| 7)?;
    /// assert_eq!(ticket.join(&ctx)?, 7);
    /// # Ok(()) }
    /// ```
    pub fn new() -> Self {
        JobOptions::default()
    }

    /// Names the job, for panics and the task tree.
    ///
    /// ```
    /// # use ironsys::{Context, pool::{JobOptions, Pool}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let pool = Pool::builder("jobs").workers(1).build()?;
    /// let ticket = pool.submit_with(&ctx, JobOptions::new().name("report"), |_| ())?;
    /// assert!(format!("{ticket:?}").contains("report"));
    /// # Ok(()) }
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into().into());
        self
    }

    /// Gives the job a deadline, counted from its submission: a job that has not begun by then is
    /// cancelled, one that runs finds its context stopped.
    ///
    /// ```
    /// # use ironsys::{Context, pool::{JobOptions, Pool}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let pool = Pool::builder("jobs").workers(1).build()?;
    /// let hour = JobOptions::new().timeout(std::time::Duration::from_secs(3600));
    /// let ticket = pool.submit_with(&ctx, hour, |job| job.deadline().is_some())?;
    /// assert!(ticket.join(&ctx)?);
    /// # Ok(()) }
    /// ```
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Runs the job under `ctx` as well as under the pool: it carries `ctx`'s values and stops with
    /// either.
    ///
    /// ```
    /// # use ironsys::{Context, pool::{JobOptions, Pool}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let pool = Pool::builder("jobs").workers(1).build()?;
    /// let options = JobOptions::new().under(&ctx.with_value(7_u32));
    /// let ticket = pool.submit_with(&ctx, options, |job| job.value::<u32>().copied())?;
    /// assert_eq!(ticket.join(&ctx)?, Some(7));
    /// # Ok(()) }
    /// ```
    pub fn under(mut self, ctx: &Context) -> Self {
        self.under = Some(ctx.clone());
        self
    }

    /// Sets how urgent the job is; higher goes first. The default is 0. Only a pool with
    /// [`Order::Priority`](super::Order::Priority) looks at it.
    ///
    /// ```
    /// # use ironsys::{Context, pool::{JobOptions, Pool}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let pool = Pool::builder("jobs").workers(1).build()?;
    /// let ticket = pool.submit_with(&ctx, JobOptions::new().priority(9), |_| "soon")?;
    /// assert_eq!(ticket.join(&ctx)?, "soon");
    /// # Ok(()) }
    /// ```
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    /// The context that goes with the job, whoever runs it in the end: its deadline counts from now.
    pub(super) fn context(&self, pool: &Context) -> Option<Context> {
        match (&self.under, self.timeout) {
            (None, None) => None,
            (Some(under), None) => Some(under.clone()),
            (Some(under), Some(timeout)) => Some(under.with_timeout(timeout)),
            // Not below the pool's: the job may be handed back when that has stopped.
            (None, Some(timeout)) => Some(pool.shielded(timeout)),
        }
    }
}
