//! The time limit of jobs: whoever is past it is reported once, and may be replaced.
//!
//! One alarm serves all workers. It is set when a job begins and none is set, for the end of that job's
//! limit; all limits are of one length, so it is never later than that of any job that runs. When it
//! rings, what is late is reported, and it is set again for the next. So a pool that idles has no alarm.

use crate::observe::{Registry, Tasks};
use crate::panics;
use crate::sync::{Arc, Mutex};
use crate::time::{Alarm, Clock};
use std::fmt;
use std::time::{Duration, Instant};

/// A job that has not ended within the limit of its pool; given to the callback of
/// [`Builder::on_stuck`](super::Builder::on_stuck).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Stuck {
    /// The name of the pool.
    pub pool: Arc<str>,
    /// The place of the worker, as in its thread's name.
    pub worker: usize,
    /// For how long the job has given no sign of life.
    pub silent: Duration,
    /// Whether another worker is being started in place of this one.
    pub replaced: bool,
    /// The worker, its job, and what that waits for.
    pub tasks: Tasks,
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (pool, worker, silent) = (&self.pool, self.worker, self.silent);
        write!(f, "worker {worker} of pool `{pool}` has given no sign of life for {silent:?}")?;
        f.write_str(if self.replaced { "; another takes its place\n" } else { "\n" })?;
        write!(f, "{}", self.tasks)
    }
}

pub(super) type OnStuck = Arc<dyn Fn(&Stuck) + Send + Sync>;

pub(super) struct Watch {
    limit: Duration,
    /// How many workers may be replaced at a time.
    replace: usize,
    tell: Option<OnStuck>,
    state: Mutex<State>,
}

/// Guarded by the one lock of [`Watch`].
struct State {
    /// What each worker is at.
    beats: Vec<Option<Beat>>,
    next: u64,
    armed: bool,
    alarm: Option<Alarm>,
    /// No alarm is set any more.
    over: bool,
    stuck: u64,
    /// Replacements that are at work, or on their way.
    replacing: usize,
    replaced: u64,
}

/// A job that runs.
struct Beat {
    number: u64,
    since: Instant,
    worker: Option<u64>,
    reported: bool,
    /// Another worker works in place of this one, which leaves when its job ends.
    replaced: bool,
}

/// A job that is late.
pub(super) struct Late {
    pub(super) worker: usize,
    /// To replace it: what the replacement asks for when it begins.
    pub(super) replace: Option<Duty>,
    silent: Duration,
    task: Option<u64>,
}

/// Whom a replacement replaces.
#[derive(Clone, Copy)]
pub(super) struct Duty {
    worker: usize,
    number: u64,
}

impl Watch {
    pub(super) fn new(
        limit: Duration,
        replace: usize,
        tell: Option<OnStuck>,
        places: usize,
    ) -> Self {
        let state = State {
            beats: (0..places).map(|_| None).collect(),
            next: 0,
            armed: false,
            alarm: None,
            over: false,
            stuck: 0,
            replacing: 0,
            replaced: 0,
        };
        Watch { limit, replace, tell, state: Mutex::new(state) }
    }

    /// A worker begins a job; returns for when to set the alarm.
    pub(super) fn begin(&self, me: usize, worker: Option<u64>, clock: &Clock) -> Option<Instant> {
        let mut state = self.state.lock();
        let now = clock.now();
        state.next += 1;
        let number = state.next;
        let beat = Beat { number, since: now, worker, reported: false, replaced: false };
        state.beats[me] = Some(beat);
        if state.armed || state.over {
            return None;
        }
        let due = now.checked_add(self.limit);
        state.armed = due.is_some();
        due
    }

    /// The job at work gives a sign of life: its limit counts anew.
    pub(super) fn beat(&self, me: usize, clock: &Clock) -> Option<Instant> {
        let mut state = self.state.lock();
        let now = clock.now(); // Not before an alarm that has rung.
        let beat = state.beats[me].as_mut()?;
        beat.since = now;
        beat.reported = false;
        if state.armed || state.over {
            return None;
        }
        let due = now.checked_add(self.limit);
        state.armed = due.is_some();
        due
    }

    /// A worker has ended its job. `true`: another has taken its place, so it leaves.
    pub(super) fn end(&self, me: usize) -> bool {
        let mut state = self.state.lock();
        let leaves = state.beats[me].take().is_some_and(|beat| beat.replaced);
        if leaves {
            state.replacing -= 1;
        }
        leaves
    }

    /// The alarm has rung: who is late, and for when to set it again.
    pub(super) fn rung(&self, clock: &Clock) -> (Vec<Late>, Option<Instant>) {
        let mut late = Vec::new();
        let mut next: Option<Instant> = None;
        let mut state = self.state.lock();
        let now = clock.now();
        let State { beats, stuck, replacing, armed, over, .. } = &mut *state;
        for (worker, beat) in beats.iter_mut().enumerate() {
            let Some(beat) = beat.as_mut().filter(|beat| !beat.reported) else { continue };
            let Some(due) = beat.since.checked_add(self.limit) else { continue };
            if now < due {
                next = Some(next.map_or(due, |next| next.min(due)));
                continue;
            }
            beat.reported = true;
            *stuck += 1;
            let replace = *replacing < self.replace && !beat.replaced && !*over;
            *replacing += usize::from(replace);
            let duty = Duty { worker, number: beat.number };
            late.push(Late {
                worker,
                replace: replace.then_some(duty),
                silent: now.saturating_duration_since(beat.since),
                task: beat.worker,
            });
        }
        *armed = next.is_some() && !*over;
        (late, next.filter(|_| !*over))
    }

    /// A replacement begins. `false`: the worker that it was for has come back, so it leaves. Decided
    /// in one critical section with the end of that worker's job: exactly one of the two leaves.
    pub(super) fn takes_over(&self, duty: Duty) -> bool {
        let mut state = self.state.lock();
        let beat = state.beats[duty.worker].as_mut().filter(|beat| beat.number == duty.number);
        let needed = match beat {
            Some(beat) => {
                beat.replaced = true;
                true
            }
            None => false,
        };
        if needed {
            state.replaced += 1;
        } else {
            state.replacing -= 1;
        }
        needed
    }

    /// A replacement could not be started.
    pub(super) fn not_replaced(&self) {
        // loom: unreached: a model always has a thread to give.
        self.state.lock().replacing -= 1;
    }

    /// Tells of a job that is late. No lock is held.
    pub(super) fn report(&self, pool: &Arc<str>, late: &Late, registry: Option<&Registry>) {
        let tasks = match (registry, late.task) {
            (Some(registry), Some(task)) => registry.tasks().below(task),
            _ => Tasks::default(),
        };
        let (worker, silent, replaced) = (late.worker, late.silent, late.replace.is_some());
        let stuck = Stuck { pool: pool.clone(), worker, silent, replaced, tasks };
        panics::contain(|| log::warn!("ironsys: {stuck}"));
        if let Some(tell) = &self.tell {
            panics::contain(|| tell(&stuck));
        }
    }

    /// Keeps an alarm, so that it can be taken back.
    pub(super) fn keep(&self, alarm: Alarm) {
        let mut state = self.state.lock();
        let old = if state.over { Some(alarm) } else { state.alarm.replace(alarm) };
        drop(state);
        drop(old); // Locks the clock.
    }

    /// Sets no alarm any more.
    pub(super) fn stop(&self) {
        let mut state = self.state.lock();
        state.over = true;
        let alarm = state.alarm.take();
        drop(state);
        drop(alarm);
    }

    /// How many jobs were reported, and how many workers replaced.
    pub(super) fn counts(&self) -> (u64, u64) {
        let state = self.state.lock();
        (state.stuck, state.replaced)
    }
}
