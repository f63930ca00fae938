//! What the lock of a resource pool guards: the idle resources and the counts.
//!
//! Nothing of the user's runs under it: what is to be dropped is put aside into a list.

use crate::limit::Semaphore;
use crate::panics;
use crate::sync::{Arc, LeakTrack, Mutex};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What a pool and the guards of its resources share.
pub(super) struct Core<R> {
    pub(super) name: Arc<str>,
    pub(super) limits: Limits,
    /// A permit for each resource that is taken or being made: in order of arrival.
    pub(super) places: Semaphore,
    /// Guards the rest.
    state: Mutex<State<R>>,
    _leak: LeakTrack,
}

#[derive(Debug, Clone)]
pub(super) struct Limits {
    pub(super) max: usize,
    pub(super) min_idle: usize,
    pub(super) max_idle: usize,
    pub(super) idle_timeout: Duration,
    pub(super) max_lifetime: Duration,
    pub(super) check_after: Duration,
    pub(super) keep_on_panic: bool,
}

/// A resource and its history.
pub(super) struct Item<R> {
    pub(super) resource: R,
    pub(super) born: Instant,
    /// Since when it is idle, or when it was made.
    pub(super) since: Instant,
    /// How often it was taken.
    pub(super) uses: u64,
}

pub(super) struct State<R> {
    /// The one returned last is at the back, and taken first.
    pub(super) idle: VecDeque<Item<R>>,
    pub(super) closed: bool,
    pub(super) counts: Counts,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) created: u64,
    /// Dropped though sound, or given away for good.
    pub(super) retired: u64,
    pub(super) broken: u64,
    pub(super) creating: usize,
    pub(super) taken: usize,
    pub(super) takes: u64,
    pub(super) create_failed: u64,
}

impl<R> Core<R> {
    pub(super) fn new(name: Arc<str>, limits: Limits) -> Self {
        let state = State { idle: VecDeque::new(), closed: false, counts: Counts::default() };
        let places = Semaphore::named(&*name, limits.max);
        Core { name, limits, places, state: Mutex::new(state), _leak: LeakTrack::new() }
    }

    /// Runs one critical section; then drops what that put aside.
    pub(super) fn with<T>(&self, f: impl FnOnce(&mut State<R>, &mut Vec<R>) -> T) -> T {
        let mut aside = Vec::new();
        let out = f(&mut self.state.lock(), &mut aside);
        for resource in aside {
            panics::discard(resource);
        }
        out
    }
}

impl<R> State<R> {
    /// Puts aside what has been idle for too long or is too old. Those idle longest are in front.
    pub(super) fn expire(&mut self, limits: &Limits, now: Instant, aside: &mut Vec<R>) {
        let before = self.idle.len();
        while self.idle.len() > limits.min_idle
            && self.idle.front().is_some_and(|item| elapsed(item.since, now) >= limits.idle_timeout)
            && let Some(item) = self.idle.pop_front()
        {
            aside.push(item.resource);
        }
        if limits.max_lifetime != Duration::MAX {
            for _ in 0..self.idle.len() {
                let Some(item) = self.idle.pop_front() else { break };
                if elapsed(item.born, now) >= limits.max_lifetime {
                    aside.push(item.resource);
                } else {
                    self.idle.push_back(item);
                }
            }
        }
        self.counts.retired += (before - self.idle.len()) as u64;
    }

    /// Keeps a sound resource that nobody has taken any more, or puts it aside.
    pub(super) fn keep(
        &mut self,
        mut item: Item<R>,
        limits: &Limits,
        now: Instant,
        aside: &mut Vec<R>,
    ) {
        if self.closed || self.idle.len() >= limits.max_idle {
            self.counts.retired += 1;
            aside.push(item.resource);
            return;
        }
        item.since = now;
        self.idle.push_back(item);
        self.expire(limits, now, aside);
    }

    pub(super) fn close(&mut self) -> Vec<R> {
        self.closed = true;
        self.counts.retired += self.idle.len() as u64;
        self.idle.drain(..).map(|item| item.resource).collect()
    }
}

fn elapsed(since: Instant, now: Instant) -> Duration {
    now.saturating_duration_since(since)
}

impl<R> Drop for Core<R> {
    fn drop(&mut self) {
        let left = self.with(|state, _| state.close());
        left.into_iter().for_each(panics::discard);
    }
}
