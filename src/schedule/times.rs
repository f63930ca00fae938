//! The times of the book: who is due when, and what is due now.

use super::book::Book;
use super::effects::Effects;
use super::grid;
use super::plan::Misfire;
use super::timing::{Due, Now};
use std::time::{Duration, Instant};

/// What the dispatch thread has found.
pub(super) struct Look {
    pub(super) until: Option<Instant>,
    pub(super) version: u64,
    pub(super) closed: bool,
}

impl Book {
    // ----- the times -----

    /// Puts a job into the book under its next time.
    pub(super) fn enter(&mut self, key: u64, now: Now, fx: &mut Effects) {
        let Some(job) = self.jobs.get_mut(&key) else { return };
        let Some(timing) = job.timing.as_ref().filter(|_| job.held.is_none()) else { return };
        let jitter = match job.rules.jitter {
            Duration::ZERO => Duration::ZERO,
            most => grid::nanos(self.random.up_to(most.as_nanos())),
        };
        let due = timing.due(jitter);
        job.due = Some(due);
        match due {
            Due::Clock(at) => self.by_clock.insert((at, key)),
            Due::Wall(at) => {
                self.seen.get_or_insert(now);
                self.by_wall.insert((at, key))
            }
        };
        let look = [now.instant_of(due), self.next_check(now)].into_iter().flatten().min();
        if look.is_some_and(|at| self.wake_at.is_none_or(|planned| at < planned)) {
            self.wake_at = look;
            self.version += 1;
            self.dispatcher.notify_all(&mut fx.wakes);
        }
    }

    /// Takes a job out of the book.
    pub(super) fn leave(&mut self, key: u64) {
        match self.jobs.get_mut(&key).and_then(|job| job.due.take()) {
            Some(Due::Clock(at)) => self.by_clock.remove(&(at, key)),
            Some(Due::Wall(at)) => self.by_wall.remove(&(at, key)),
            None => false,
        };
    }

    /// When to look at the wall clock again, in case that it is set.
    fn next_check(&self, now: Now) -> Option<Instant> {
        if self.by_wall.is_empty() { None } else { now.clock.checked_add(self.wall_check) }
    }

    /// Starts what is due, and says when to look again.
    pub(super) fn look(&mut self, now: Now, fx: &mut Effects) -> Look {
        self.looks += 1;
        self.notice_step(now, fx);
        while let Some(key) = self.first_past(now) {
            self.leave(key);
            self.come_due(key, now, fx);
        }
        if self.by_wall.is_empty() {
            self.seen = None;
        }
        let clock = self.by_clock.first().map(|(at, _)| *at);
        let wall = self.by_wall.first().and_then(|(at, _)| now.instant_of(Due::Wall(*at)));
        let until = [clock, wall, self.next_check(now)].into_iter().flatten().min();
        self.wake_at = until;
        Look { until, version: self.version, closed: self.closed }
    }

    fn first_past(&self, now: Now) -> Option<u64> {
        let clock = self.by_clock.first().filter(|(at, _)| now.is_past(Due::Clock(*at)));
        let wall = self.by_wall.first().filter(|(at, _)| now.is_past(Due::Wall(*at)));
        clock.map(|(_, key)| *key).or(wall.map(|(_, key)| *key))
    }

    /// A wall clock that was set far back means that it had been wrong: the times are counted anew.
    fn notice_step(&mut self, now: Now, fx: &mut Effects) {
        let Some(seen) = self.seen else { return };
        self.seen = Some(now);
        let gone = now.clock.saturating_duration_since(seen.clock);
        let expected = seen.wall.checked_add(gone).unwrap_or(seen.wall);
        if expected.duration_since(now.wall).unwrap_or_default() <= CORRECTION {
            return;
        }
        let keys: Vec<u64> = self.by_wall.iter().map(|(_, key)| *key).collect();
        for key in keys {
            self.leave(key);
            self.restart(key, now, fx);
        }
    }

    /// Counts a job's times from now on.
    pub(super) fn restart(&mut self, key: u64, now: Now, fx: &mut Effects) {
        let Some(job) = self.jobs.get_mut(&key) else { return };
        job.timing = job.timing.take().and_then(|timing| timing.restarted(now));
        self.enter(key, now, fx);
        self.forget_if_over(key, fx);
    }

    fn come_due(&mut self, key: u64, now: Now, fx: &mut Effects) {
        let Some(job) = self.jobs.get_mut(&key) else { return };
        let Some(timing) = job.timing.take() else { return };
        let (mut passed, next) = timing.pass(now, &job.rules);
        job.timing = next;
        if let Misfire::CatchUp(most) = job.rules.misfire
            && passed.runs > 1
        {
            let room = u64::from(most.get()).saturating_sub(job.pending);
            let runs = passed.runs.min(room);
            passed.missed += passed.runs - runs;
            job.pending += runs;
            self.waiting += runs;
            self.accepted += runs;
            passed.runs = 0;
        }
        job.missed += passed.missed;
        self.missed += passed.missed;
        if passed.runs > 0 && !self.start(key, fx) {
            self.skipped += 1;
            if let Some(job) = self.jobs.get_mut(&key) {
                job.skipped += 1;
            }
        }
        self.start_pending(key, fx);
        self.enter(key, now, fx);
        self.forget_if_over(key, fx);
    }
}

/// A wall clock that goes back by more has been corrected; by less, it has just been a little ahead,
/// and what has run does not run again (the rule of Vixie cron).
const CORRECTION: Duration = Duration::from_secs(3 * 3600);
