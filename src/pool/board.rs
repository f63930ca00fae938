//! The queue of a pool that adapts or has an order of its own: one lock over the jobs, the idle
//! workers and the size, so that what a worker finds and what the pool decides agree.
//!
//! Invariants, whenever the lock is free:
//! 1. If a job waits and workers are idle, one of them is on its way.
//! 2. If a job waits, nobody is idle, and the pool may grow, an alarm is set for when it is to.
//! 3. Every job that waits holds a permit of `room`.

use super::options::Rank;
use super::order::{Backlog, Entry, Order};
use super::queued::Queued;
use super::size::{Resize, Sizer};
use crate::channel::{self, SendError, Stopwatch, TrySendError};
use crate::context::{Context, Op};
use crate::limit::{AcquireError, Permit, Semaphore, TryAcquireError};
use crate::observe::Ledger;
use crate::sync::{Arc, Mutex};
use crate::time::{Alarm, Clock};
use crate::wait::{Place, Site, WaitKind, WaitQueue, Waiter, Wakes};
use std::time::Instant;

pub(super) struct Board {
    name: Arc<str>,
    clock: Clock,
    /// The places of the queue: who waits for one waits here, in the order they came.
    room: Semaphore,
    /// Guards what waits, who is idle and how many there are.
    state: Mutex<State>,
}

struct State {
    jobs: Backlog,
    idle: WaitQueue,
    sizer: Sizer,
    closed: bool,
    /// An alarm is set, or about to be.
    armed: bool,
    alarm: Option<Alarm>,
    /// No alarm is set any more.
    over: bool,
    accepted: u64,
    taken: u64,
    rejected: u64,
    peak: usize,
    starving: Stopwatch,
    full: Stopwatch,
}

/// What follows from a critical section, once the lock is released.
#[derive(Default)]
#[must_use = "the pool has decided something"]
pub(super) struct Step {
    pub(super) grow: Option<Resize>,
    pub(super) alarm: Option<Instant>,
}

/// What a worker has got.
pub(super) enum Taken {
    Job(Queued, Instant),
    /// The pool is closed and the queue empty, or it stops.
    Over,
    /// It was idle for long enough.
    Retire(Resize),
}

impl Board {
    pub(super) fn new(
        name: Arc<str>,
        clock: Clock,
        queue: usize,
        order: Order,
        sizer: Sizer,
    ) -> Self {
        let state = State {
            jobs: Backlog::new(order, clock.now()),
            idle: WaitQueue::default(),
            sizer,
            closed: false,
            armed: false,
            alarm: None,
            over: false,
            accepted: 0,
            taken: 0,
            rejected: 0,
            peak: 0,
            starving: Stopwatch::default(),
            full: Stopwatch::default(),
        };
        let room = Semaphore::named(&*name, queue);
        Board { name, clock, room, state: Mutex::new(state) }
    }

    /// Somebody waits for room, or nobody does any more.
    fn note_full(&self, full: bool) {
        let mut state = self.state.lock();
        if full { state.full.start() } else { state.full.stop() }
    }

    /// Queues a job, waiting for room.
    #[track_caller]
    pub(super) fn send(
        &self,
        ctx: &Context,
        job: Queued,
        rank: Rank,
    ) -> Result<Step, SendError<Queued>> {
        if let Err(stop) = ctx.check() {
            return Err(SendError::Stopped { value: job, stop });
        }
        let room = match self.room.try_acquire(1) {
            Ok(room) => room,
            Err(TryAcquireError::Closed) => return Err(SendError::Closed(job)),
            Err(_) => {
                self.note_full(true);
                let room = self.room.acquire(ctx, 1);
                if self.room.waiting() == 0 {
                    self.note_full(false);
                }
                match room {
                    Ok(room) => room,
                    Err(AcquireError::Stopped(stop)) => {
                        return Err(SendError::Stopped { value: job, stop });
                    }
                    Err(_) => return Err(SendError::Closed(job)),
                }
            }
        };
        self.push(job, rank, room).map_err(SendError::Closed)
    }

    /// Queues a job if there is room.
    pub(super) fn try_send(&self, job: Queued, rank: Rank) -> Result<Step, TrySendError<Queued>> {
        match self.room.try_acquire(1) {
            Ok(room) => self.push(job, rank, room).map_err(TrySendError::Closed),
            Err(TryAcquireError::Closed) => Err(TrySendError::Closed(job)),
            Err(_) => {
                self.state.lock().rejected += 1;
                Err(TrySendError::Full(job))
            }
        }
    }

    fn push(&self, job: Queued, rank: Rank, room: Permit) -> Result<Step, Queued> {
        let mut wakes = Wakes::default();
        let mut state = self.state.lock();
        if state.closed {
            drop(state);
            return Err(job);
        }
        // Under the lock, so that the queue is in the order of its times.
        let now = self.clock.now();
        state.jobs.push(Entry { job, since: now, _room: room }, rank);
        state.accepted += 1;
        state.peak = state.peak.max(state.jobs.len());
        state.starving.stop();
        state.idle.notify_last(&mut wakes);
        let step = state.decide(now);
        drop(state);
        wakes.wake();
        Ok(step)
    }

    /// Takes a job if one waits; else tells until when to wait for one. `began` is when the job before
    /// it began.
    pub(super) fn try_take(
        &self,
        began: Option<Instant>,
    ) -> (Result<(Queued, Instant), Option<Instant>>, Step) {
        let now = self.clock.now();
        let mut state = self.state.lock();
        if let Some(began) = began {
            state.sizer.served(now.saturating_duration_since(began));
        }
        let Some(entry) = state.jobs.pop() else {
            return (Err(state.sizer.idle_until(now)), Step::default());
        };
        let step = state.took(now);
        drop(state);
        (Ok((entry.job, now)), step)
    }

    /// Waits for a job, until the worker is to retire.
    pub(super) fn take(&self, ctx: &Context, mut until: Option<Instant>) -> (Taken, Step) {
        let site = Site::new(WaitKind::Work, Some(self.name.clone()));
        loop {
            let mut take = Take { board: self, place: Place::default(), step: Step::default() };
            match ctx.block_until(until, site.clone(), &mut take) {
                Ok(Some(Some((job, now)))) => return (Taken::Job(job, now), take.step),
                Ok(Some(None)) | Err(_) => return (Taken::Over, take.step),
                Ok(None) => {
                    if let Some(resize) = self.retire() {
                        return (Taken::Retire(resize), Step::default());
                    }
                    until = None; // It belongs to those that stay.
                }
            }
        }
    }

    fn retire(&self) -> Option<Resize> {
        let now = self.clock.now();
        let mut state = self.state.lock();
        if state.jobs.len() != 0 || state.closed {
            return None; // Something came just now.
        }
        state.sizer.shrink(now)
    }

    /// The alarm has rung.
    pub(super) fn rung(&self) -> Step {
        let now = self.clock.now();
        let mut state = self.state.lock();
        state.armed = false;
        state.decide(now)
    }

    /// Keeps an alarm, so that it can be taken back.
    pub(super) fn keep(&self, alarm: Alarm) {
        let mut state = self.state.lock();
        let old = if state.over { Some(alarm) } else { state.alarm.replace(alarm) };
        drop(state);
        drop(old); // Locks the clock.
    }

    /// Of the workers that were to come, `missed` could not be started.
    pub(super) fn came(&self, asked: usize, missed: usize) -> Option<Resize> {
        let now = self.clock.now();
        self.state.lock().sizer.came(now, asked, missed)
    }

    /// Takes no more jobs; what waits is still taken. `false` if it was closed before.
    pub(super) fn close(&self) -> bool {
        let mut wakes = Wakes::default();
        let mut state = self.state.lock();
        let first = !std::mem::replace(&mut state.closed, true);
        state.idle.notify_all(&mut wakes);
        drop(state);
        wakes.wake();
        self.room.close();
        first
    }

    /// Shows what waits. `f` runs under the lock: nothing of the user's.
    pub(super) fn look(&self, f: impl FnMut(&Queued)) {
        self.state.lock().jobs.jobs().for_each(f);
    }

    /// Takes all that waits, in order, and sets no alarm any more.
    pub(super) fn drain(&self) -> Vec<Queued> {
        let mut left = Vec::new();
        let mut state = self.state.lock();
        state.over = true;
        let alarm = state.alarm.take();
        while let Some(entry) = state.jobs.pop() {
            state.taken += 1;
            left.push(entry);
        }
        drop(state);
        drop(alarm);
        left.into_iter().map(|entry| entry.job).collect()
    }

    pub(super) fn resizes(&self) -> Vec<Resize> {
        self.state.lock().sizer.last()
    }

    /// The same numbers as those of a channel.
    pub(super) fn stats(&self) -> channel::Stats {
        let blocked_senders = self.room.waiting();
        let state = self.state.lock();
        let depth = state.jobs.len();
        channel::Stats {
            ledger: Ledger {
                accepted: state.accepted,
                done: state.taken,
                in_flight: depth as u64,
                ..Ledger::default()
            },
            capacity: self.room.capacity(),
            depth,
            peak: state.peak,
            rejected: state.rejected,
            blocked_senders,
            blocked_receivers: state.idle.len(),
            time_full: state.full.total(),
            time_empty: state.starving.total(),
            senders: usize::from(!state.closed),
            receivers: 1,
        }
    }
}

impl State {
    /// A job has been taken out: the baton, and what follows.
    fn took(&mut self, now: Instant) -> Step {
        self.taken += 1;
        self.decide(now)
    }

    /// Whether the pool grows now, or is to look again later.
    fn decide(&mut self, now: Instant) -> Step {
        let mut step = Step::default();
        let Some(oldest) = self.jobs.oldest() else { return step };
        if self.idle.len() != 0 || self.over {
            return step; // Somebody comes for it.
        }
        step.grow = self.sizer.grow(now, oldest, self.jobs.len());
        if !self.armed
            && let Some(due) = self.sizer.due(oldest)
        {
            self.armed = true;
            step.alarm = Some(due);
        }
        step
    }
}

/// The wait for a job.
struct Take<'a> {
    board: &'a Board,
    place: Place,
    step: Step,
}

impl Op for Take<'_> {
    /// `None`: no job will come any more.
    type Out = Option<(Queued, Instant)>;

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<Self::Out> {
        let now = self.board.clock.now();
        let mut wakes = Wakes::default();
        let mut state = self.board.state.lock();
        let Some(entry) = state.jobs.pop() else {
            if state.closed {
                state.idle.leave(&mut self.place);
                return Some(None);
            }
            state.starving.start();
            state.idle.enter(&mut self.place, waiter);
            return None;
        };
        state.idle.leave(&mut self.place);
        if state.jobs.len() != 0 {
            state.idle.notify_last(&mut wakes);
        }
        self.step = state.took(now);
        drop(state);
        wakes.wake();
        Some(Some((entry.job, now)))
    }

    fn withdraw(&mut self) -> Option<Self::Out> {
        let mut wakes = Wakes::default();
        let mut state = self.board.state.lock();
        state.idle.leave(&mut self.place);
        if state.jobs.len() != 0 {
            state.idle.notify_last(&mut wakes);
        }
        drop(state);
        wakes.wake();
        None
    }
}
