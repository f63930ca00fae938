//! One saga, to its end: forward, or back.

use super::definition::{Saga, Step, StepError, Transient, Turn};
use super::errors::SagaError;
use super::journal::Journal;
use super::record::{Phase, Snapshot};
use crate::context::Context;
use crate::durable::{AppendError, SubmitError};
use crate::panics;
use crate::resilience::CallError;
use crate::sync::catch_unwind;

/// A saga that the caller runs; nobody else does meanwhile.
pub(super) struct Run<'a> {
    pub(super) journal: &'a Journal,
    pub(super) saga: &'a Saga,
    pub(super) snapshot: Snapshot,
    /// What failed in this process.
    failure: Option<StepError>,
}

impl<'a> Run<'a> {
    pub(super) fn new(journal: &'a Journal, saga: &'a Saga, snapshot: Snapshot) -> Self {
        Run { journal, saga, snapshot, failure: None }
    }

    /// Whether the definition is the one that the saga was begun with, as far as it got.
    pub(super) fn fits(&self) -> bool {
        let (steps, done) = (&self.saga.inner.steps, &self.snapshot.done);
        let same = steps.iter().zip(done).all(|(step, done)| step.name == *done);
        let forward = self.snapshot.phase == Phase::Forward;
        same && if forward { done.len() < steps.len() } else { done.len() <= steps.len() }
    }

    /// Runs until it is over, or stuck, or cannot go on. Returns the state.
    pub(super) fn finish(mut self, ctx: &Context) -> Result<Vec<u8>, SagaError> {
        let id = self.snapshot.id.clone();
        loop {
            if let Err(stop) = ctx.check() {
                return Err(SagaError::Interrupted { id, stop });
            }
            match self.snapshot.phase {
                Phase::Forward => self.forward(ctx)?,
                Phase::Back => self.back(ctx)?,
                Phase::Stuck => {
                    let Snapshot { done, trouble, .. } = self.snapshot;
                    let step = done.last().cloned().unwrap_or_default();
                    return Err(SagaError::Stuck { id, step, trouble });
                }
                Phase::Closed if self.snapshot.failed.is_empty() => return Ok(self.snapshot.state),
                Phase::Closed => {
                    let Snapshot { failed: step, why, .. } = self.snapshot;
                    let why = self.failure.unwrap_or(StepError::Noted(why));
                    return Err(SagaError::Undone { id, step, why });
                }
            }
        }
    }

    fn forward(&mut self, ctx: &Context) -> Result<(), SagaError> {
        let inner = &self.saga.inner;
        let step = &inner.steps[self.snapshot.done.len()];
        let key = format!("{}/{}", self.snapshot.id, step.name);
        let outcome =
            self.attempt(ctx, &inner.retry, step, &key, |ctx, turn| (step.action)(ctx, turn));
        match outcome {
            Ok(state) => {
                let before = self.snapshot.clone();
                self.snapshot.state = state;
                self.snapshot.done.push(step.name.clone());
                if self.snapshot.done.len() == inner.steps.len() {
                    self.snapshot.phase = Phase::Closed;
                }
                match self.record(ctx) {
                    Err(AppendError::Refused(e @ SubmitError::TooLarge { .. })) => {
                        self.snapshot = before;
                        self.turn_round(StepError::permanent(e));
                        self.record(ctx).map_err(|e| self.unwritten(e))
                    }
                    written => written.map_err(|e| self.unwritten(e)),
                }
            }
            Err(why) => {
                self.unless_stopped(ctx)?;
                self.turn_round(why);
                self.record(ctx).map_err(|e| self.unwritten(e))
            }
        }
    }

    /// The next step failed, or is not to be: it is the first to be undone.
    pub(super) fn turn_round(&mut self, why: StepError) {
        let next = self.saga.inner.steps.get(self.snapshot.done.len());
        let name = next.map(|step| step.name.clone()).unwrap_or_default();
        self.snapshot.failed = name.clone();
        self.snapshot.why = cut(why.to_string(), self.journal.reason());
        self.snapshot.done.push(name);
        self.snapshot.phase = Phase::Back;
        self.failure = Some(why);
    }

    fn back(&mut self, ctx: &Context) -> Result<(), SagaError> {
        let inner = &self.saga.inner;
        let last = self.snapshot.done.len().saturating_sub(1);
        let step = &inner.steps[last];
        let key = format!("{}/{}/undo", self.snapshot.id, step.name);
        let outcome =
            self.attempt(ctx, &inner.undo_retry, step, &key, |ctx, turn| (step.undo)(ctx, turn));
        match outcome {
            Ok(()) => {
                self.snapshot.done.pop();
                if self.snapshot.done.is_empty() {
                    self.snapshot.phase = Phase::Closed;
                }
            }
            Err(why) => {
                self.unless_stopped(ctx)?;
                self.snapshot.trouble = cut(why.to_string(), self.journal.reason());
                self.snapshot.phase = Phase::Stuck;
                log::error!(
                    "ironsys: saga `{}` is stuck: `{}` cannot be undone: {why}",
                    self.snapshot.id,
                    step.name
                );
            }
        }
        self.record(ctx).map_err(|e| self.unwritten(e))
    }

    fn attempt<T>(
        &self,
        ctx: &Context,
        retry: &Transient,
        step: &Step,
        key: &str,
        f: impl Fn(&Context, &Turn<'_>) -> Result<T, StepError>,
    ) -> Result<T, StepError> {
        let Snapshot { saga, id, state, .. } = &self.snapshot;
        let turn = Turn { saga, id, step: &step.name, key, state };
        let outcome = retry.call(ctx, |ctx| match catch_unwind(|| f(ctx, &turn)) {
            Ok(outcome) => outcome,
            Err(payload) => {
                let why = panics::message(&*payload).to_owned();
                panics::discard(payload);
                Err(StepError::Panicked(why))
            }
        });
        outcome.map_err(|e| match e {
            CallError::Failed(why) => why,
            CallError::Stopped(stop) => StepError::Stopped(stop),
            other => StepError::Noted(other.to_string()),
        })
    }

    /// A failure under a stopped context is the stop's.
    fn unless_stopped(&self, ctx: &Context) -> Result<(), SagaError> {
        let id = || self.snapshot.id.clone();
        ctx.check().map_err(|stop| SagaError::Interrupted { id: id(), stop })
    }

    fn unwritten(&self, e: AppendError) -> SagaError {
        SagaError::of_a_record(&self.snapshot.id, e)
    }

    pub(super) fn record(&mut self, ctx: &Context) -> Result<(), AppendError> {
        self.snapshot.version += 1;
        let forward = self.snapshot.phase == Phase::Forward;
        let next = self.saga.inner.steps.get(self.snapshot.done.len()).filter(|_| forward);
        self.journal.record(ctx, &self.snapshot, next.map(|step| &*step.name))
    }
}

/// The beginning of a text that is too long.
fn cut(mut text: String, most: usize) -> String {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}
