//! What follows from a change of the book, done when its lock is released.

use super::job::Job;
use crate::context::Canceller;
use crate::panics;
use crate::wait::Wakes;

/// What is left to do when the lock is released.
#[derive(Default)]
#[must_use]
pub(super) struct Effects {
    pub(super) wakes: Wakes,
    pub(super) cancel: Vec<(Canceller, &'static str)>,
    pub(super) dropped: Vec<Canceller>,
    pub(super) gone: Vec<Job>,
    pub(super) log: Vec<String>,
}

impl Effects {
    /// Does it. No lock may be held.
    pub(super) fn apply(self) {
        self.wakes.wake();
        for (canceller, why) in self.cancel {
            canceller.cancel_with(why);
        }
        for line in self.log {
            panics::contain(|| log::error!("ironsys: {line}"));
        }
        drop(self.dropped);
        for job in self.gone {
            panics::discard(job);
        }
    }
}
