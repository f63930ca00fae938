//! Runs an algorithm, one sample after the other, outside of all locks.
//!
//! The algorithm is the user's, so it is taken out of the lock while it runs. Samples that come in
//! meanwhile queue up, and whoever has the algorithm takes them in before it is put back. So a sample is
//! used by somebody, once, and the limit is applied in the order in which it was found. The queue is
//! bounded: under a flood the oldest samples are lost, and counted.

use super::algorithm::{Algorithm, Outcome, Sample};
use crate::sync::Mutex;
use std::collections::VecDeque;
use std::time::Duration;

pub(in crate::limit) struct Brain {
    /// Guards the limit, and the algorithm while it does not run.
    state: Mutex<State>,
    bounds: Bounds,
}

/// Between what the limit stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::limit) struct Bounds {
    pub(in crate::limit) min: usize,
    pub(in crate::limit) max: usize,
}

struct State {
    /// `None` while somebody runs it.
    algorithm: Option<Box<dyn Algorithm>>,
    limit: f64,
    samples: VecDeque<Sample>,
    lessons: Lessons,
}

/// What has been learned from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::limit) struct Lessons {
    pub(in crate::limit) successes: u64,
    pub(in crate::limit) drops: u64,
    pub(in crate::limit) ignored: u64,
    pub(in crate::limit) app_limited: u64,
    pub(in crate::limit) lost: u64,
    /// Of the successes, in nanoseconds.
    pub(in crate::limit) time: u128,
}

/// Samples that wait for the algorithm.
const MOST_SAMPLES: usize = 256;

impl Brain {
    pub(in crate::limit) fn new(
        algorithm: Box<dyn Algorithm>,
        bounds: Bounds,
        initial: usize,
    ) -> Brain {
        let state = State {
            algorithm: Some(algorithm),
            limit: initial as f64,
            samples: VecDeque::new(),
            lessons: Lessons::default(),
        };
        Brain { state: Mutex::new(state), bounds }
    }

    pub(in crate::limit) fn bounds(&self) -> Bounds {
        self.bounds
    }

    pub(in crate::limit) fn limit(&self) -> usize {
        self.state.lock().limit as usize
    }

    pub(in crate::limit) fn lessons(&self) -> Lessons {
        self.state.lock().lessons
    }

    /// Learns from how something ended; `apply` is called with each new limit, in order, by one thread
    /// at a time, without a lock.
    pub(in crate::limit) fn learn(
        &self,
        outcome: Outcome,
        time: Duration,
        in_flight: usize,
        apply: impl Fn(usize),
    ) {
        let mut state = self.state.lock();
        let dropped = match outcome {
            Outcome::Ignore => {
                state.lessons.ignored += 1;
                return;
            }
            Outcome::Success => {
                state.lessons.successes += 1;
                state.lessons.time += time.as_nanos();
                false
            }
            Outcome::Dropped => {
                state.lessons.drops += 1;
                true
            }
        };
        if state.samples.len() == MOST_SAMPLES {
            state.samples.pop_front();
            state.lessons.lost += 1;
        }
        let time = time.max(Duration::from_nanos(1));
        state.samples.push_back(Sample { time, in_flight, dropped });
        let Some(algorithm) = state.algorithm.take() else { return };
        let mut run = Run { brain: self, algorithm: Some(algorithm) };
        loop {
            let Some(sample) = state.samples.pop_front() else {
                state.algorithm = run.algorithm.take();
                return;
            };
            let limit = state.limit;
            drop(state);
            let (new, app_limited) = run.step(limit, &sample);
            if new as usize != limit as usize {
                apply(new as usize);
            }
            state = self.state.lock();
            state.limit = new;
            state.lessons.app_limited += u64::from(app_limited);
        }
    }

    /// What the algorithm says of itself; `None` while it runs.
    pub(in crate::limit) fn explain(&self) -> Option<String> {
        let algorithm = self.state.lock().algorithm.take()?;
        let run = Run { brain: self, algorithm: Some(algorithm) };
        run.algorithm.as_ref().map(|algorithm| algorithm.explain())
    }
}

/// The algorithm at work. It is put back also if it panics.
struct Run<'a> {
    brain: &'a Brain,
    algorithm: Option<Box<dyn Algorithm>>,
}

impl Run<'_> {
    /// The limit after a sample, and whether it was kept from growing.
    fn step(&mut self, limit: f64, sample: &Sample) -> (f64, bool) {
        let Some(algorithm) = &mut self.algorithm else { return (limit, false) };
        let new = algorithm.update(limit, sample);
        let Bounds { min, max } = self.brain.bounds;
        let new = if new.is_nan() { limit } else { new.clamp(min as f64, max as f64) };
        // What is not used says nothing about what could be.
        let app_limited = new > limit && (sample.in_flight as f64) * 2.0 < limit;
        (if app_limited { limit } else { new }, app_limited)
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        if let Some(algorithm) = self.algorithm.take() {
            self.brain.state.lock().algorithm = Some(algorithm);
        }
    }
}
