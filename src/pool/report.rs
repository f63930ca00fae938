//! What became of a pool's jobs, and how it is.

use super::queued::Job;
use super::size::Resize;
use crate::channel;
use crate::observe::Ledger;

/// What became of a pool's jobs.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Drained {
    /// Jobs that ran to their end.
    pub done: u64,
    /// Of these, jobs that ended after their deadline: they did not look at their context.
    pub overran: u64,
    /// Jobs that panicked.
    pub failed: u64,
    /// Jobs whose deadline or context stopped them before they began.
    pub cancelled: u64,
    /// Jobs that were accepted and not begun. Run them, hand them to another pool, or drop them.
    pub undelivered: Vec<Job>,
}

/// A pool at one moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Stats {
    /// What became of the jobs; exact when nothing is under way.
    pub ledger: Ledger,
    /// Workers there are now, or were when the pool ended.
    pub workers: usize,
    /// Jobs running now.
    pub running: u64,
    /// Jobs that ended after their deadline: they did not look at their context.
    pub overran: u64,
    /// Jobs that were reported since they did not end within the limit of
    /// [`heartbeat`](super::Builder::heartbeat).
    pub stuck: u64,
    /// Workers that were replaced since their job was stuck.
    pub replaced: u64,
    /// Workers that unwound, for a panic outside of a job, and were started again.
    pub revived: u64,
    /// The last changes of the number of workers, the latest at the end; at most 16.
    pub resizes: Vec<Resize>,
    /// The queue: depth, peak, and how long submitters waited for room or workers for jobs.
    pub queue: channel::Stats,
}
