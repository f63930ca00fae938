//! The conservation law of every queue.

use std::fmt;

/// What became of everything a queue, pool or channel accepted.
///
/// `accepted = done + failed + cancelled + dropped + in_flight`, at every moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Taken in: sent messages, submitted jobs.
    pub accepted: u64,
    /// Ended well: received messages, finished jobs.
    pub done: u64,
    /// Ended in an error or a panic.
    pub failed: u64,
    /// Given up because of a cancel or deadline, before or while it ran.
    pub cancelled: u64,
    /// Dropped by an overflow policy or with the last receiver, or handed back undelivered.
    pub dropped: u64,
    /// Still queued or at work.
    pub in_flight: u64,
}

impl Ledger {
    /// Returns whether the law holds.
    ///
    /// ```
    /// # let (ctx, _cancel) = ironsys::Context::root();
    /// let (tx, rx) = ironsys::channel::bounded(4);
    /// tx.send(&ctx, "hello")?;
    /// assert!(rx.stats().ledger.is_balanced());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        let ended = self.done + self.failed + self.cancelled + self.dropped;
        self.accepted == ended + self.in_flight
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} accepted = {} done + {} failed + {} cancelled + {} dropped + {} in flight",
            self.accepted, self.done, self.failed, self.cancelled, self.dropped, self.in_flight
        )
    }
}
