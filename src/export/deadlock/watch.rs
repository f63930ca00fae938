//! A look every so often.

use super::finder::DeadlockFinder;
use super::report::Deadlock;
use crate::context::Context;
use crate::error::BuildError;
use crate::export::periodic::Periodic;
use crate::observe::Registry;
use std::panic::Location;
use std::time::Duration;

/// Watches for threads that wait for each other, and tells you of each deadlock once. See the
/// [module](super) for what it can see.
///
/// It has one thread, which wakes up every so often and is listed as a worker; it ends with its context,
/// or when the watch is dropped, which joins it. Nothing else pays anything for it.
///
/// ```
/// use ironsys::{Context, export::DeadlockWatch};
/// use std::time::Duration;
/// # fn main() -> Result<(), ironsys::BuildError> {
/// let (ctx, _cancel) = Context::root();
/// let watch = DeadlockWatch::start(&ctx, Duration::from_secs(1), |deadlock| {
///     eprintln!("{deadlock}"); // and page somebody
/// })?;
/// # drop(watch);
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "the watch ends when this is dropped"]
pub struct DeadlockWatch {
    periodic: Periodic,
}

impl DeadlockWatch {
    /// Looks at what is listed in the registry of `ctx`, every `every` on its clock. A deadlock is
    /// told after two looks, so between one and two times `every` after it came about; a real
    /// deadlock lasts.
    ///
    /// `tell` runs on the thread of the watch; a panic of it is logged. It may cancel what is
    /// deadlocked: the waits then end with an error.
    ///
    /// # Errors
    /// `every` is 0, or the system has no thread left.
    ///
    /// ```
    /// # use ironsys::export::*;
    /// # let (ctx, _cancel) = ironsys::Context::root();
    /// assert!(DeadlockWatch::start(&ctx, std::time::Duration::ZERO, |_| {}).is_err());
    /// ```
    #[track_caller]
    pub fn start(
        ctx: &Context,
        every: Duration,
        mut tell: impl FnMut(&Deadlock) + Send + 'static,
    ) -> Result<DeadlockWatch, BuildError> {
        let registry = ctx.registry().cloned().unwrap_or_else(Registry::new);
        let mut finder = DeadlockFinder::new(registry);
        let look = move || finder.look().iter().for_each(&mut tell);
        let periodic = Periodic::start("deadlock-watch", ctx, every, Location::caller(), look)?;
        Ok(DeadlockWatch { periodic })
    }

    /// Ends the watch, as dropping does.
    ///
    /// ```
    /// # use ironsys::export::*;
    /// # let (ctx, _cancel) = ironsys::Context::root();
    /// let every = std::time::Duration::from_millis(500);
    /// let watch = DeadlockWatch::start(&ctx, every, |deadlock| eprintln!("{deadlock}"))?;
    /// watch.stop();
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn stop(self) {
        self.periodic.stop();
    }
}
