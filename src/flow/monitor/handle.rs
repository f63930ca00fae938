//! The handle through which a run is watched.

use super::meter::Records;
use super::report::Report;
use crate::sync::{Arc, Mutex};
use std::fmt;

/// Watches a run, live from any thread, and after it.
///
/// ```
/// use ironsys::{Context, flow::{Flow, FlowError, Monitor, Never}};
/// # fn main() -> Result<(), FlowError<Never>> {
/// let (ctx, _cancel) = Context::root();
/// let monitor = Monitor::new();
/// let n = Flow::of(0..1000).map(|n| n * 2).buffer(16).monitor(&monitor).count(&ctx)?;
/// let report = monitor.report();
/// assert_eq!((n, report.segments[0].taken), (1000, 1000));
/// assert!(report.is_balanced());
/// println!("{report}"); // A table, and the bottleneck.
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct Monitor {
    /// Guards which run is watched: the last that began.
    run: Arc<Mutex<Option<Arc<Records>>>>,
}

impl Monitor {
    /// Makes a monitor that watches nothing yet; give it to [`Flow::monitor`](crate::flow::Flow).
    ///
    /// ```
    /// # use ironsys::{Context, flow::{Flow, FlowError, Monitor, Never}};
    /// # let (ctx, _cancel) = Context::root();
    /// let monitor = Monitor::new();
    /// assert!(monitor.report().segments.is_empty());
    /// Flow::of(0..9).monitor(&monitor).count(&ctx)?;
    /// assert_eq!(monitor.report().segments.len(), 1);
    /// # Ok::<(), FlowError<Never>>(())
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Monitor::default()
    }

    pub(crate) fn watch(&self, records: Arc<Records>) {
        let before = self.run.lock().replace(records);
        drop(before);
    }

    /// Returns how the run is doing, or did; empty before it begins. Takes each link's lock once.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Monitor, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let monitor = Monitor::new();
    /// Flow::of(0..100).map(|n| n + 1).named("plus").buffer(8).monitor(&monitor).count(&ctx)?;
    /// assert_eq!(monitor.report().links[0].ledger.done, 100);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn report(&self) -> Report {
        let run = self.run.lock().clone();
        run.map(|records| Report::of(&records)).unwrap_or_default()
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").finish_non_exhaustive()
    }
}
