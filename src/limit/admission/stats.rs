//! An admission in numbers.

use super::super::adaptive::Lessons;
use super::hall::{Counts, Hall};
use crate::observe::Ledger;
use std::time::Instant;

/// An admission at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdmissionStats {
    /// Requests: `done` were admitted, `failed` shed after a wait, `dropped` displaced or refused since
    /// too many waited, `cancelled` gave up, `in_flight` wait.
    pub ledger: Ledger,
    /// The limit.
    pub limit: usize,
    /// How many are at work.
    pub in_flight: usize,
    /// How many wait.
    pub waiting: usize,
    /// Whether somebody has been waiting for an interval without a break.
    pub is_overloaded: bool,
    /// How many ended well, were refused or timed out, or said nothing.
    pub successes: u64,
    /// How many were refused or timed out.
    pub drops: u64,
    /// How many said nothing.
    pub ignored: u64,
}

impl AdmissionStats {
    pub(super) fn of(hall: &Hall, now: Instant, lessons: Lessons) -> AdmissionStats {
        let Counts { admitted, shed, displaced, refused, cancelled } = hall.counts;
        let waiting = hall.waiting();
        let dropped = displaced + refused;
        let accepted = admitted + shed + dropped + cancelled + waiting as u64;
        let in_flight = waiting as u64;
        AdmissionStats {
            ledger: Ledger {
                accepted,
                done: admitted,
                failed: shed,
                cancelled,
                dropped,
                in_flight,
            },
            limit: hall.limit,
            in_flight: hall.in_flight,
            waiting,
            is_overloaded: hall.is_overloaded(now),
            successes: lessons.successes,
            drops: lessons.drops,
            ignored: lessons.ignored,
        }
    }
}
