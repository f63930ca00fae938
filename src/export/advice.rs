//! What the times a channel was full and empty say about its capacity.

use crate::channel::Stats;
use std::fmt;
use std::time::Duration;

/// What the stats of a channel say about its capacity. Made by [`capacity_advice`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum CapacityAdvice {
    /// Nobody waits for long. Leave it.
    Fine,
    /// It is full at times and empty at others: senders and receivers are as fast as each other, but not
    /// at the same time. More capacity evens that out.
    Bursts {
        /// The share of the time in which a sender waited for room.
        full: f64,
        /// The share of the time in which a receiver waited for messages.
        empty: f64,
        /// What to try next.
        try_capacity: usize,
    },
    /// It is full and receivers never wait: they are too slow. More capacity only makes messages older.
    ReceiversTooSlow {
        /// The share of the time in which a sender waited for room.
        full: f64,
    },
    /// It is never near to full: a smaller one would do, and bounds memory better.
    TooLarge {
        /// The most messages that were ever in it.
        peak: usize,
    },
}

/// Says what to do about the capacity of a channel, from its stats at two moments that are `over`
/// apart. Shares below a twentieth do not count.
///
/// ```
/// use ironsys::{channel, export::{CapacityAdvice, capacity_advice}};
/// use std::time::Duration;
/// let (_tx, rx) = channel::bounded::<u32>(8);
/// let before = rx.stats();
/// let mut after = before;
/// after.time_full += Duration::from_secs(6);
/// let advice = capacity_advice(&before, &after, Duration::from_secs(10));
/// assert_eq!(advice, CapacityAdvice::ReceiversTooSlow { full: 0.6 });
/// after.time_empty += Duration::from_secs(2);
/// let advice = capacity_advice(&before, &after, Duration::from_secs(10));
/// assert!(advice.to_string().contains("try a capacity of 16"));
/// ```
#[must_use]
pub fn capacity_advice(before: &Stats, after: &Stats, over: Duration) -> CapacityAdvice {
    let share = |after: Duration, before: Duration| {
        let time = after.saturating_sub(before).as_secs_f64();
        if over.is_zero() { 0.0 } else { (time / over.as_secs_f64()).min(1.0) }
    };
    let full = share(after.time_full, before.time_full);
    let empty = share(after.time_empty, before.time_empty);
    match (full >= WORTH_IT, empty >= WORTH_IT) {
        (true, true) => {
            let try_capacity = after.capacity.max(1).saturating_mul(2);
            CapacityAdvice::Bursts { full, empty, try_capacity }
        }
        (true, false) => CapacityAdvice::ReceiversTooSlow { full },
        // What has seen no traffic says nothing about its size.
        (false, _) if after.peak > 0 && after.peak.saturating_mul(8) < after.capacity => {
            CapacityAdvice::TooLarge { peak: after.peak }
        }
        _ => CapacityAdvice::Fine,
    }
}

const WORTH_IT: f64 = 0.05;

impl fmt::Display for CapacityAdvice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CapacityAdvice::Fine => f.write_str("fine as it is"),
            CapacityAdvice::Bursts { full, empty, try_capacity } => write!(
                f,
                "full {:.0} % and empty {:.0} % of the time: bursts; try a capacity of {try_capacity}",
                full * 100.0,
                empty * 100.0
            ),
            CapacityAdvice::ReceiversTooSlow { full } => write!(
                f,
                "full {:.0} % of the time and never empty: the receivers are too slow; more \
                 capacity does not help, more or faster receivers do",
                full * 100.0
            ),
            CapacityAdvice::TooLarge { peak } => {
                write!(f, "never more than {peak} messages in it: a smaller one would do")
            }
        }
    }
}
