//! The answer that an admitted call owes.

use super::Answer;
use super::core::{Core, Pass};
use crate::sync::is_unwinding;
use std::fmt;

/// A call that a breaker admitted, and whose answer it awaits. Made by [`Breaker::try_admit`](super::Breaker::try_admit).
///
/// Dropped without an answer it is [`ignore`](Self::ignore), as for a caller that gave up; dropped by a
/// panic that began since, it is [`failure`](Self::failure).
#[must_use = "a breaker learns from answers: say how the call ended"]
pub struct Admission<'a> {
    pub(super) core: &'a Core,
    pub(super) pass: Pass,
    /// Whether the thread was unwinding already: then a drop says nothing.
    pub(super) unwinding: bool,
}

impl Admission<'_> {
    /// Answers that the call did what it should.
    ///
    /// ```
    /// # use ironsys::resilience::*;
    /// let breaker = Breaker::builder("stage").build()?;
    /// breaker.half_open();
    /// breaker.try_admit()?.success();
    /// assert_eq!(breaker.state(), BreakerState::Closed);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn success(self) {
        let (core, pass) = (self.core, self.pass);
        std::mem::forget(self); // Answered; it holds nothing else.
        core.succeeded(pass);
    }

    /// Answers that the call failed.
    ///
    /// ```
    /// # use ironsys::resilience::*;
    /// let breaker = Breaker::builder("stage").trip(Trip::consecutive(1)).build()?;
    /// breaker.try_admit()?.failure();
    /// assert_eq!(breaker.state(), BreakerState::Open);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn failure(self) {
        self.answer(Answer::Failure);
    }

    /// Answers that the call says nothing about what was called.
    ///
    /// ```
    /// # use ironsys::resilience::*;
    /// let breaker = Breaker::builder("stage").trip(Trip::consecutive(1)).build()?;
    /// breaker.try_admit()?.ignore();
    /// assert_eq!(breaker.state(), BreakerState::Closed);
    /// assert_eq!(breaker.stats().ignored, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ignore(self) {
        self.answer(Answer::Ignore);
    }

    /// Gives the answer.
    ///
    /// ```
    /// # use ironsys::resilience::*;
    /// let breaker = Breaker::builder("stage").build()?;
    /// breaker.try_admit()?.answer(Answer::Failure);
    /// assert_eq!(breaker.stats().failed, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn answer(self, answer: Answer) {
        let (core, pass) = (self.core, self.pass);
        std::mem::forget(self);
        core.answer(pass, answer);
    }

    /// Returns the number of the state that admitted the call.
    ///
    /// ```
    /// # use ironsys::resilience::*;
    /// let breaker = Breaker::builder("stage").build()?;
    /// let admission = breaker.try_admit()?;
    /// breaker.trip();
    /// assert_eq!(breaker.stats().generation, admission.generation() + 1);
    /// admission.failure(); // It says nothing about the state that is now.
    /// assert_eq!(breaker.stats().stale, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.pass.generation
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        let panicked = !self.unwinding && is_unwinding();
        let answer = if panicked { Answer::Failure } else { Answer::Ignore };
        self.core.answer(self.pass, answer);
    }
}

impl fmt::Debug for Admission<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission")
            .field("generation", &self.pass.generation)
            .finish_non_exhaustive()
    }
}
