//! The runs of the book: accepted, begun, ended.

use super::book::Book;
use super::effects::Effects;
use super::job::{Call, Job};
use super::plan::Overlap;
use super::view::{JobState, LastRun, Outcome};
use crate::context::Canceller;
use crate::sync::Arc;
use std::panic::Location;
use std::time::Duration;

/// A run that begins.
pub(super) struct Begun {
    pub(super) call: Call,
    pub(super) id: Arc<str>,
    pub(super) at: &'static Location<'static>,
    pub(super) timeout: Option<Duration>,
}

impl Book {
    // ----- the runs -----

    /// Accepts a run, as far as the overlap rule has a place for it.
    pub(super) fn start(&mut self, key: u64, fx: &mut Effects) -> bool {
        let Some(job) = self.jobs.get_mut(&key) else { return false };
        let active = job.active();
        let wait = match job.rules.overlap {
            _ if active == 0 && job.pending == 0 => false,
            Overlap::Allow(most) if active < most.get() as usize => false,
            Overlap::Queue(most) if job.pending < most.get().into() => true,
            Overlap::Replace if job.waiting.is_empty() && job.pending == 0 => {
                let why = "the next run of the job is due";
                fx.cancel.extend(job.running.iter().map(|(_, running)| (running.clone(), why)));
                true
            }
            _ => return false,
        };
        self.accepted += 1;
        self.waiting += 1;
        if wait {
            job.pending += 1;
        } else {
            self.make_ready(key, fx);
        }
        true
    }

    /// Hands a run that was accepted to the runners.
    fn make_ready(&mut self, key: u64, fx: &mut Effects) {
        let Some(job) = self.jobs.get_mut(&key) else { return };
        self.next += 1;
        job.waiting.push(self.next);
        self.ready.push_back((key, self.next));
        self.runners.notify_one(&mut fx.wakes);
    }

    pub(super) fn start_pending(&mut self, key: u64, fx: &mut Effects) {
        if let Some(job) = self.jobs.get_mut(&key)
            && job.pending > 0
            && job.active() == 0
        {
            job.pending -= 1;
            self.make_ready(key, fx);
        }
    }

    /// A run begins. `None`: it was withdrawn.
    pub(super) fn begin(&mut self, key: u64, run: u64, cancel: &Canceller) -> Option<Begun> {
        let job = self.jobs.get_mut(&key)?;
        let place = job.waiting.iter().position(|waiting| *waiting == run)?;
        let call = job.work.call()?;
        job.waiting.remove(place);
        job.running.push((run, cancel.clone()));
        self.waiting -= 1;
        self.running += 1;
        Some(Begun { call, id: job.id.clone(), at: job.at, timeout: job.rules.timeout })
    }

    /// A run has ended.
    pub(super) fn end(&mut self, key: u64, run: u64, last: LastRun, fx: &mut Effects) {
        self.running -= 1;
        *match last.outcome {
            Outcome::Done => &mut self.done,
            Outcome::Failed(_) | Outcome::Panicked(_) => &mut self.failed,
            Outcome::Cancelled => &mut self.cancelled,
        } += 1;
        if let Some(job) = self.jobs.get_mut(&key) {
            if let Some(place) = job.running.iter().position(|(running, _)| *running == run) {
                fx.dropped.push(job.running.remove(place).1);
            }
            job.runs += 1;
            let panicked = matches!(last.outcome, Outcome::Panicked(_));
            job.failed += u64::from(panicked || matches!(last.outcome, Outcome::Failed(_)));
            job.panics = if panicked { job.panics.saturating_add(1) } else { 0 };
            job.last = Some(last);
            let stop = job.rules.stop_after_panics.is_some_and(|most| job.panics >= most);
            if stop && job.held.is_none() && job.timing.is_some() {
                job.held = Some(JobState::Stopped);
                let panics = job.panics;
                fx.log.push(format!("the job {} is stopped after {panics} panics", job.id));
                self.leave(key);
            }
        }
        self.start_pending(key, fx);
        self.forget_if_over(key, fx);
        self.tell_of_ends(fx);
    }

    /// A run will not begin: the pool that was to run it is closed.
    pub(super) fn give_up(&mut self, key: u64, run: u64, fx: &mut Effects) {
        let Some(job) = self.jobs.get_mut(&key) else { return };
        let Some(place) = job.waiting.iter().position(|waiting| *waiting == run) else { return };
        job.waiting.remove(place);
        self.waiting -= 1;
        self.cancelled += 1;
        self.start_pending(key, fx);
        self.forget_if_over(key, fx);
        self.tell_of_ends(fx);
    }

    /// A run that may begin now, whoever has it in hand: whoever is first begins it.
    pub(super) fn next_waiting(&mut self) -> Option<(u64, u64)> {
        self.ready.pop_front().or_else(|| {
            let found = |(key, job): (&u64, &Job)| job.waiting.first().map(|run| (*key, *run));
            self.jobs.iter().find_map(found)
        })
    }

    /// What waits for the end of a run of this job will not begin.
    pub(super) fn give_up_pending(&mut self, key: u64, fx: &mut Effects) {
        let Some(job) = self.jobs.get_mut(&key) else { return };
        let given_up = std::mem::take(&mut job.pending);
        self.waiting -= given_up;
        self.cancelled += given_up;
        self.tell_of_ends(fx);
    }

    pub(super) fn forget_if_over(&mut self, key: u64, fx: &mut Effects) {
        if self.jobs.get(&key).is_some_and(Job::is_over) {
            self.take_out(key, None, fx);
        }
    }

    /// Wakes whoever waits for the end of runs.
    pub(super) fn tell_of_ends(&mut self, fx: &mut Effects) {
        if self.closed {
            self.ends.notify_all(&mut fx.wakes);
            if self.in_flight() == 0 {
                self.runners.notify_all(&mut fx.wakes);
            }
        }
    }
}
