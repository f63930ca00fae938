//! The scheduler's book: which job is due when (`times`), and what becomes of its runs (`runs`).
//! Everything here is done under one lock, and runs no code of the user's: what follows from it is put
//! into [`Effects`], for after the lock.
//!
//! Invariants:
//! 1. A job stands in exactly one of `by_clock` and `by_wall`, under `job.due`, or in neither if that
//!    is `None`.
//! 2. `waiting` is the sum of `job.waiting` and `job.pending` over all jobs: a run is withdrawn with
//!    its job. `running` also counts runs of jobs that are gone.
//! 3. `accepted = done + failed + cancelled + running + waiting`.
//! 4. A run begins only if it stands in `job.waiting`.

use super::delays::SplitMix;
use super::effects::Effects;
use super::errors::{Refused, RunNowError};
use super::job::{Job, Work};
use super::timing::{Now, Timing};
use super::view::{JobState, JobView, Stats};
use crate::observe::Ledger;
use crate::sync::Arc;
use crate::wait::WaitQueue;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant, SystemTime};

pub(super) struct Book {
    pub(super) jobs: BTreeMap<u64, Job>,
    pub(super) ids: BTreeMap<Arc<str>, u64>,
    pub(super) by_clock: BTreeSet<(Instant, u64)>,
    pub(super) by_wall: BTreeSet<(SystemTime, u64)>,
    /// Runs for a runner to take: the job and the run.
    pub(super) ready: VecDeque<(u64, u64)>,
    pub(super) next: u64,
    /// Both clocks at the last look, while a job goes by the wall clock.
    pub(super) seen: Option<Now>,
    /// When the dispatch thread will look again by itself.
    pub(super) wake_at: Option<Instant>,
    /// Counts what makes it look earlier.
    pub(super) version: u64,
    pub(super) closed: bool,
    pub(super) max_jobs: usize,
    pub(super) wall_check: Duration,
    pub(super) running: usize,
    pub(super) waiting: u64,
    pub(super) accepted: u64,
    pub(super) done: u64,
    pub(super) failed: u64,
    pub(super) cancelled: u64,
    pub(super) skipped: u64,
    pub(super) missed: u64,
    pub(super) looks: u64,
    pub(super) random: SplitMix,
    /// The dispatch thread; the runners; whoever waits for runs to end.
    pub(super) dispatcher: WaitQueue,
    pub(super) runners: WaitQueue,
    pub(super) ends: WaitQueue,
}

impl Book {
    pub(super) fn new(max_jobs: usize, wall_check: Duration, seed: u64) -> Self {
        Book {
            jobs: BTreeMap::new(),
            ids: BTreeMap::new(),
            by_clock: BTreeSet::new(),
            by_wall: BTreeSet::new(),
            ready: VecDeque::new(),
            next: 0,
            seen: None,
            wake_at: None,
            version: 0,
            closed: false,
            max_jobs,
            wall_check,
            running: 0,
            waiting: 0,
            accepted: 0,
            done: 0,
            failed: 0,
            cancelled: 0,
            skipped: 0,
            missed: 0,
            looks: 0,
            random: SplitMix(seed),
            dispatcher: WaitQueue::default(),
            runners: WaitQueue::default(),
            ends: WaitQueue::default(),
        }
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.waiting + self.running as u64
    }

    pub(super) fn admits(&self, id: &str) -> Result<(), Refused> {
        match id.len() {
            _ if self.closed => Err(Refused::Closed),
            0 => Err(Refused::EmptyId),
            long if long > MAX_ID => Err(Refused::LongId(long)),
            _ if self.ids.contains_key(id) => Err(Refused::Taken),
            _ if self.jobs.len() >= self.max_jobs => Err(Refused::Full(self.max_jobs)),
            _ => Ok(()),
        }
    }

    /// Adds a job that [`admits`](Self::admits) has let in.
    pub(super) fn add(&mut self, job: Job, now: Now, fx: &mut Effects) {
        self.next += 1;
        let key = self.next;
        self.ids.insert(job.id.clone(), key);
        self.jobs.insert(key, job);
        self.enter(key, now, fx);
    }

    /// Takes a job out with what of it has not begun, and stops its runs if `cancel` says why.
    pub(super) fn remove(
        &mut self,
        id: &str,
        cancel: Option<&'static str>,
        fx: &mut Effects,
    ) -> bool {
        let Some(key) = self.ids.get(id).copied() else { return false };
        self.take_out(key, cancel, fx);
        true
    }

    pub(super) fn remove_all(&mut self, cancel: Option<&'static str>, fx: &mut Effects) -> usize {
        let keys: Vec<u64> = self.jobs.keys().copied().collect();
        for key in &keys {
            self.take_out(*key, cancel, fx);
        }
        keys.len()
    }

    pub(super) fn take_out(&mut self, key: u64, cancel: Option<&'static str>, fx: &mut Effects) {
        self.leave(key);
        self.withdraw(key, fx);
        let Some(mut job) = self.jobs.remove(&key) else { return };
        self.ids.remove(&job.id);
        if let Some(why) = cancel {
            fx.cancel.extend(job.running.drain(..).map(|(_, canceller)| (canceller, why)));
        }
        fx.gone.push(job);
    }

    /// Gives up what of a job has not begun.
    pub(super) fn withdraw(&mut self, key: u64, fx: &mut Effects) {
        let Some(job) = self.jobs.get_mut(&key) else { return };
        let given_up = job.not_begun();
        if !job.waiting.is_empty() {
            self.ready.retain(|(of, _)| *of != key);
        }
        job.waiting.clear();
        job.pending = 0;
        self.waiting -= given_up;
        self.cancelled += given_up;
        self.tell_of_ends(fx);
    }

    // ----- by hand -----

    pub(super) fn run_now(&mut self, id: &str, fx: &mut Effects) -> Result<(), RunNowError> {
        if self.closed {
            return Err(RunNowError::Closed);
        }
        let Some(key) = self.ids.get(id).copied() else { return Err(RunNowError::NotFound) };
        if !self.start(key, fx) {
            return Err(RunNowError::Overlaps);
        }
        let once = |job: &&mut Job| matches!(job.timing, Some(Timing::Once(_)));
        if let Some(job) = self.jobs.get_mut(&key).filter(once) {
            job.timing = None;
            job.held = None;
            // The timing is gone, so it does not come back under its time.
            self.leave(key);
        }
        Ok(())
    }

    pub(super) fn pause(&mut self, id: &str) -> bool {
        let Some(key) = self.ids.get(id).copied() else { return false };
        let Some(job) = self.jobs.get_mut(&key) else { return false };
        if job.held.is_some() || job.timing.is_none() {
            return false;
        }
        job.held = Some(JobState::Paused);
        self.leave(key);
        true
    }

    pub(super) fn resume(&mut self, id: &str, now: Now, fx: &mut Effects) -> bool {
        let Some(key) = self.ids.get(id).copied() else { return false };
        let Some(job) = self.jobs.get_mut(&key) else { return false };
        if self.closed || job.held.take().is_none() {
            return false;
        }
        job.panics = 0;
        self.restart(key, now, fx);
        true
    }

    // ----- the end -----

    /// Takes no more jobs and starts no more runs but those that were accepted.
    pub(super) fn close(&mut self, fx: &mut Effects) {
        self.closed = true;
        self.by_clock.clear();
        self.by_wall.clear();
        self.version += 1;
        self.dispatcher.notify_all(&mut fx.wakes);
        self.tell_of_ends(fx);
    }

    /// Closes, and gives up what has not begun.
    pub(super) fn abandon(&mut self, fx: &mut Effects) {
        self.close(fx);
        let keys: Vec<u64> = self.jobs.keys().copied().collect();
        for key in keys {
            self.withdraw(key, fx);
        }
    }

    /// Takes the jobs out that are left, those that are due first in front.
    pub(super) fn left(&mut self, now: Now) -> Vec<(JobView, Work)> {
        self.ids.clear();
        let jobs = std::mem::take(&mut self.jobs).into_values().filter(|job| job.work.is_left());
        let mut left: Vec<_> = jobs.map(|job| (job.view(now), job.work)).collect();
        left.sort_by_key(|(view, _)| by_due(view));
        left
    }

    pub(super) fn view(&self, id: &str, now: Now) -> Option<JobView> {
        self.ids.get(id).and_then(|key| self.jobs.get(key)).map(|job| job.view(now))
    }

    pub(super) fn views(&self, now: Now) -> Vec<JobView> {
        let mut views: Vec<_> = self.jobs.values().map(|job| job.view(now)).collect();
        views.sort_by_key(by_due);
        views
    }

    pub(super) fn stats(&self) -> Stats {
        let ledger = Ledger {
            accepted: self.accepted,
            done: self.done,
            failed: self.failed,
            cancelled: self.cancelled,
            dropped: 0,
            in_flight: self.in_flight(),
        };
        Stats {
            ledger,
            jobs: self.jobs.len(),
            running: self.running,
            waiting: self.waiting,
            skipped: self.skipped,
            missed: self.missed,
            looks: self.looks,
        }
    }
}

/// What is due first in front, what is never due at the end.
fn by_due(view: &JobView) -> (bool, Option<Duration>, Arc<str>) {
    (view.due_in.is_none(), view.due_in, view.id.clone())
}

/// The longest id, in bytes.
const MAX_ID: usize = 255;
