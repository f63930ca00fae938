//! A job in the scheduler's book.

use super::plan::Rules;
use super::timing::{Due, Now, Timing};
use super::view::{JobState, JobView, LastRun};
use crate::context::{Canceller, Context};
use crate::sync::Arc;
use std::panic::Location;

pub(super) type Many = Arc<dyn Fn(&Context) -> Result<(), String> + Send + Sync>;
pub(super) type Once = Box<dyn FnOnce(&Context) -> Result<(), String> + Send>;

/// What a job does.
pub(super) enum Work {
    Many(Many),
    /// Empty once its run has begun.
    Once(Option<Once>),
}

/// One run's share of it.
pub(super) enum Call {
    Many(Many),
    Once(Once),
}

impl Work {
    /// Whether there is something left to run.
    pub(super) fn is_left(&self) -> bool {
        !matches!(self, Work::Once(None))
    }

    pub(super) fn call(&mut self) -> Option<Call> {
        match self {
            Work::Many(work) => Some(Call::Many(work.clone())),
            Work::Once(work) => work.take().map(Call::Once),
        }
    }
}

pub(super) struct Job {
    pub(super) id: Arc<str>,
    pub(super) at: &'static Location<'static>,
    pub(super) work: Work,
    pub(super) rules: Rules,
    /// `None`: its last time has passed.
    pub(super) timing: Option<Timing>,
    /// Under which time it stands in the book, if it does.
    pub(super) due: Option<Due>,
    /// Why it does not stand there although it has a time.
    pub(super) held: Option<JobState>,
    /// Runs that a runner will take or has taken, and that have not begun.
    pub(super) waiting: Vec<u64>,
    pub(super) running: Vec<(u64, Canceller)>,
    /// Runs that wait for the end of an earlier one.
    pub(super) pending: u64,
    /// Panics in a row.
    pub(super) panics: u32,
    pub(super) runs: u64,
    pub(super) failed: u64,
    pub(super) skipped: u64,
    pub(super) missed: u64,
    pub(super) last: Option<LastRun>,
}

impl Job {
    pub(super) fn new(
        id: Arc<str>,
        at: &'static Location<'static>,
        work: Work,
        rules: Rules,
        timing: Timing,
    ) -> Self {
        Job {
            id,
            at,
            work,
            rules,
            timing: Some(timing),
            due: None,
            held: None,
            waiting: Vec::new(),
            running: Vec::new(),
            pending: 0,
            panics: 0,
            runs: 0,
            failed: 0,
            skipped: 0,
            missed: 0,
            last: None,
        }
    }

    /// Runs that are at work or will be without waiting for an earlier one.
    pub(super) fn active(&self) -> usize {
        self.waiting.len() + self.running.len()
    }

    /// Whether nothing of it is left to come.
    pub(super) fn is_over(&self) -> bool {
        self.timing.is_none() && self.active() == 0 && self.pending == 0
    }

    /// Runs that were accepted and have not begun.
    pub(super) fn not_begun(&self) -> u64 {
        self.waiting.len() as u64 + self.pending
    }

    pub(super) fn view(&self, now: Now) -> JobView {
        let at = self.due.and_then(|due| now.instant_of(due));
        let due_in = at.map(|at| at.saturating_duration_since(now.clock));
        let state = match self.held {
            Some(held) => held,
            None if self.timing.is_none() => JobState::Ending,
            None => JobState::Scheduled,
        };
        JobView {
            id: self.id.clone(),
            state,
            due_in,
            due_at: due_in.and_then(|left| now.wall.checked_add(left)),
            running: self.running.len(),
            waiting: self.not_begun(),
            runs: self.runs,
            failed: self.failed,
            skipped: self.skipped,
            missed: self.missed,
            last: self.last.clone(),
        }
    }
}
