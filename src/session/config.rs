//! What a manager was built with.

use super::model::{Failure, Reason, Session};
use super::policy::{Intensity, Restart};
use super::store::{Corrupt, Snapshot, Store, StoreError};
use crate::channel::Overflow;
use crate::panics::{self, Panicked};
use crate::schedule::Backoff;
use crate::sync::{Arc, catch_unwind};
use std::time::Duration;

pub(super) struct Config<S: Session> {
    pub(super) name: Arc<str>,
    /// 0: a thread for each session.
    pub(super) shards: usize,
    pub(super) mailbox: usize,
    pub(super) overflow: Overflow<S::Msg>,
    /// Messages of one session before the next has its turn.
    pub(super) turn: usize,
    pub(super) max_threads: usize,
    pub(super) restart: Restart,
    pub(super) intensity: Intensity,
    pub(super) backoff: Backoff,
    pub(super) poison_after: u32,
    pub(super) idle_after: Option<Duration>,
    pub(super) live_limit: Option<usize>,
    pub(super) store: Option<Arc<dyn Store<S::Id>>>,
    pub(super) corrupt: Corrupt,
    pub(super) stuck_after: Option<Duration>,
    pub(super) hung_after: Option<Duration>,
    pub(super) caller_runs: bool,
    /// Turns are listed while they run, and of so many sessions the longest is kept.
    pub(super) observed: Option<usize>,
    pub(super) hooks: Hooks<S>,
}

impl<S: Session> Config<S> {
    /// The numbers a manager has if it is told nothing else.
    pub(super) fn new(name: Arc<str>, shards: usize) -> Self {
        Config {
            name,
            shards,
            mailbox: 64,
            overflow: Overflow::Block,
            turn: 32,
            max_threads: 1024,
            restart: Restart::default(),
            intensity: Intensity::default(),
            backoff: Backoff::exponential(Duration::from_millis(10))
                .max_delay(Duration::from_secs(5))
                .jitter(crate::schedule::Jitter::Equal),
            poison_after: 1,
            idle_after: None,
            live_limit: None,
            store: None,
            corrupt: Corrupt::default(),
            stuck_after: Some(Duration::from_millis(3)),
            hung_after: None,
            caller_runs: false,
            observed: None,
            hooks: Hooks::default(),
        }
    }

    pub(super) fn passivates(&self) -> bool {
        self.idle_after.is_some() || self.live_limit.is_some()
    }
}

type Hook<A> = Option<Arc<dyn Fn(A) + Send + Sync>>;
type OnFailure<S> = Arc<
    dyn Fn(&<S as Session>::Id, &Failure<<S as Session>::Error>, Option<Panicked>) + Send + Sync,
>;
type OnUndelivered<S> = Arc<
    dyn Fn(&<S as Session>::Id, Vec<<S as Session>::Msg>, &Reason<<S as Session>::Error>)
        + Send
        + Sync,
>;
type OnUnsaved<S> = Arc<dyn Fn(&<S as Session>::Id, Option<Snapshot>, StoreError) + Send + Sync>;

/// A message that will not be handled, and why.
#[derive(Debug)]
#[non_exhaustive]
pub struct DeadLetter<Id, Msg> {
    /// Whom it was for.
    pub id: Id,
    /// The message; `None` if the crash consumed it.
    pub msg: Option<Msg>,
    /// What became of it.
    pub why: Died,
}

/// Why a message became a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Died {
    /// The overflow policy dropped it.
    Overflow,
    /// It crashed its session, as often as it was tried.
    Poison,
}

/// What is called outside of all locks; a panic in one is logged and goes no further.
pub(super) struct Hooks<S: Session> {
    pub(super) failure: Option<OnFailure<S>>,
    pub(super) undelivered: Option<OnUndelivered<S>>,
    pub(super) dead_letter: Hook<DeadLetter<S::Id, S::Msg>>,
    pub(super) unsaved: Option<OnUnsaved<S>>,
}

impl<S: Session> Default for Hooks<S> {
    fn default() -> Self {
        Hooks { failure: None, undelivered: None, dead_letter: None, unsaved: None }
    }
}

impl<S: Session> Hooks<S> {
    pub(super) fn failed(
        &self,
        id: &S::Id,
        failure: &Failure<S::Error>,
        panicked: Option<Panicked>,
    ) {
        match &self.failure {
            Some(hook) => guard(|| hook(id, failure, panicked)),
            None => {
                let (id, failure) = (panics::name(id), panics::text(failure));
                panics::contain(|| log::warn!("ironsys: session {id} failed: {failure}"));
                panics::discard(panicked);
            }
        }
    }

    pub(super) fn undelivered(&self, id: &S::Id, left: Vec<S::Msg>, why: &Reason<S::Error>) {
        match &self.undelivered {
            _ if left.is_empty() => {}
            Some(hook) => guard(|| hook(id, left, why)),
            None => left.into_iter().for_each(panics::discard),
        }
    }

    pub(super) fn dead(&self, id: &S::Id, msg: Option<S::Msg>, why: Died) {
        match &self.dead_letter {
            Some(hook) => guard(|| hook(DeadLetter { id: id.clone(), msg, why })),
            None => panics::discard(msg),
        }
    }

    pub(super) fn unsaved(&self, id: &S::Id, snapshot: Option<Snapshot>, e: StoreError) {
        match &self.unsaved {
            Some(hook) => guard(|| hook(id, snapshot, e)),
            None => panics::contain(|| log::error!("ironsys: {e}")),
        }
    }
}

/// Runs code of the user's where nobody could take its panic.
pub(super) fn guard(f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(f) {
        panics::contain(|| {
            log::error!("ironsys: a session's callback panicked: {}", panics::message(&*payload));
        });
        panics::discard(payload);
    }
}
