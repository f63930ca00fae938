//! Telling listeners what happened: in order, one at a time, outside of the lock.
//!
//! Whoever changes the state adds to the queue under the lock. If nobody is telling, that thread does,
//! until the queue is empty; if somebody is, he will find it. So a listener may use the breaker: what
//! it causes is told after it has returned, and by the same thread.

use super::Transition;
use crate::panics;
use crate::sync::{Arc, catch_unwind};
use std::collections::VecDeque;

/// What has not been told yet. Lives under the breaker's lock.
#[derive(Default)]
pub(super) struct News {
    queue: VecDeque<Transition>,
    telling: bool,
    pub(super) untold: u64,
}

impl News {
    /// Adds news; the oldest is given up if a listener is so slow that too much is queued.
    pub(super) fn add(&mut self, transition: Transition) {
        if self.queue.len() == MAX_QUEUED {
            self.queue.pop_front();
            self.untold += 1;
        }
        self.queue.push_back(transition);
    }

    /// `true` if the caller is the one to tell it.
    pub(super) fn begin(&mut self) -> bool {
        !self.queue.is_empty() && !std::mem::replace(&mut self.telling, true)
    }

    /// The next piece for the one who tells; `None`: there is no more, and he is done.
    pub(super) fn next(&mut self) -> Option<Transition> {
        let next = self.queue.pop_front();
        self.telling = next.is_some();
        next
    }
}

/// A closure of the user's.
#[derive(Clone)]
pub(super) struct Listener(pub(super) Arc<dyn Fn(&Transition) + Send + Sync>);

impl Listener {
    /// A panic in it must not keep the others, or later news, from being told.
    pub(super) fn tell(&self, transition: &Transition) {
        if let Err(payload) = catch_unwind(|| (self.0)(transition)) {
            let text = panics::message(&*payload);
            log::error!("ironsys: a listener of a breaker panicked: {text}");
            panics::discard(payload);
        }
    }
}

const MAX_QUEUED: usize = 64;
