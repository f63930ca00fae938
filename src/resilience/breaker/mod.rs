//! The circuit breaker.
//!
//! * `trip`: when it opens, as a value; `window`: what such a rule remembers;
//! * `core`: the state machine; `README.md` has its protocol;
//! * `handle`: what users hold: [`Breaker`]; `admission`: the answer owed; `stats`: its numbers;
//! * `builder`: how it is set up; `news`: telling listeners.

mod admission;
mod builder;
mod core;
mod handle;
mod news;
mod stats;
mod trip;
mod window;

pub use admission::Admission;
pub use builder::BreakerBuilder;
pub use handle::Breaker;
pub use stats::{BreakerStats, WindowStats};
pub use trip::Trip;

pub(super) use handle::of_an_error;

use crate::sync::Arc;
use std::fmt;
use std::time::{Duration, Instant};

/// What a breaker does with calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BreakerState {
    /// Lets all through, and counts how they end.
    Closed,
    /// Turns all away, for some time.
    Open,
    /// Lets a few through, to find out.
    HalfOpen,
    /// Turns all away, until somebody says otherwise.
    ForcedOpen,
    /// Lets all through, and does not look.
    Disabled,
    /// Lets all through, and counts, but never opens.
    MetricsOnly,
}

impl fmt::Display for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BreakerState::Closed => "closed",
            BreakerState::Open => "open",
            BreakerState::HalfOpen => "half-open",
            BreakerState::ForcedOpen => "forced open",
            BreakerState::Disabled => "disabled",
            BreakerState::MetricsOnly => "metrics only",
        })
    }
}

/// How a call ended, for whoever counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Answer {
    /// It did what it should.
    Success,
    /// It failed, in a way that says something about what was called.
    Failure,
    /// It says nothing about what was called: the caller gave up, the request was wrong.
    Ignore,
}

/// A change of a breaker's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transition {
    /// The state before.
    pub from: BreakerState,
    /// The state since.
    pub to: BreakerState,
    /// When, on the breaker's clock.
    pub at: Instant,
    /// The number of the new state; each transition adds one.
    pub generation: u64,
}

/// A breaker did not admit the call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the breaker `{name}` is open{}", after(.retry_after))]
#[non_exhaustive]
pub struct Open {
    /// The name of the breaker.
    pub name: Arc<str>,
    /// How long until it is worth another try at the earliest: until the breaker lets probes through,
    /// or gives up on those that are out. `None`: nobody can say.
    pub retry_after: Option<Duration>,
}

fn after(retry_after: &Option<Duration>) -> String {
    retry_after.map_or_else(String::new, |after| format!(", for another {after:?} at least"))
}
