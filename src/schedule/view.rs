//! What can be seen of the jobs, and how a run ended.

use crate::observe::Ledger;
use crate::sync::Arc;
use std::fmt;
use std::time::{Duration, Instant, SystemTime};

/// A job at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobView {
    /// Its id.
    pub id: Arc<str>,
    /// Whether it will run by itself.
    pub state: JobState,
    /// How long until it is due: zero if it is overdue, `None` if it will not run by itself.
    pub due_in: Option<Duration>,
    /// The same as a date, as the clocks stand now.
    pub due_at: Option<SystemTime>,
    /// Runs at work now.
    pub running: usize,
    /// Runs that were accepted and have not begun.
    pub waiting: u64,
    /// Runs that have ended.
    pub runs: u64,
    /// Of these, runs that returned an error or panicked.
    pub failed: u64,
    /// Times at which an earlier run had not ended and the job did not run for that.
    pub skipped: u64,
    /// Times that passed without a run, by the misfire rule.
    pub missed: u64,
    /// How the last run ended.
    pub last: Option<LastRun>,
}

/// Whether a job will run by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JobState {
    /// It is due at a time.
    Scheduled,
    /// Somebody has paused it.
    Paused,
    /// It has panicked too often in a row.
    Stopped,
    /// Its last time has passed; it leaves the list when its last run has ended.
    Ending,
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastRun {
    /// When it began, on the context's clock.
    pub began: Instant,
    /// How long it took.
    pub took: Duration,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Well.
    Done,
    /// With an error: its text.
    Failed(String),
    /// With a panic: its message, if it has one.
    Panicked(String),
    /// With an error, after its context had stopped; or it was not begun for that.
    Cancelled,
}

/// The scheduler at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// What became of the runs.
    pub ledger: Ledger,
    /// Jobs in the list.
    pub jobs: usize,
    /// Runs at work now.
    pub running: usize,
    /// Runs that were accepted and have not begun.
    pub waiting: u64,
    /// Times at which an earlier run had not ended, of all jobs that have been.
    pub skipped: u64,
    /// Times that passed without a run, of all jobs that have been.
    pub missed: u64,
    /// How often the dispatch thread has looked at the clock: when something was due, when an earlier
    /// time was added, and at the wall clock.
    pub looks: u64,
}

/// What a job may return: nothing, or a `Result` whose error has a text.
pub trait JobResult: sealed::Sealed {
    #[doc(hidden)]
    fn into_result(self) -> Result<(), String>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for () {}
    impl<E> Sealed for Result<(), E> {}
}

impl JobResult for () {
    fn into_result(self) -> Result<(), String> {
        Ok(())
    }
}

impl<E: fmt::Display> JobResult for Result<(), E> {
    fn into_result(self) -> Result<(), String> {
        self.map_err(|e| e.to_string())
    }
}
