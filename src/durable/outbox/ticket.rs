//! The ticket of an event that was submitted.

use super::errors::WaitError;
use crate::context::Context;
use crate::durable::log::Log;
use crate::sync::Arc;
use std::fmt;

/// An event on its way to the disk. Made by [`Outbox::submit`](super::Outbox::submit).
///
/// Dropping it changes nothing: the event is on its way.
#[derive(Clone)]
#[must_use = "the event is not on disk until `wait` says so"]
pub struct Ticket {
    log: Arc<Log>,
    id: u64,
}

impl Ticket {
    pub(super) fn new(log: &Arc<Log>, id: u64) -> Self {
        Ticket { log: log.clone(), id }
    }

    /// Returns the number of the event: larger than those submitted before.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// let first = outbox.submit(&ctx, b"order 7")?;
    /// let second = outbox.submit(&ctx, b"order 8")?;
    /// assert!(first.id() < second.id());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Returns whether the event is safe already.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// let ticket = outbox.submit(&ctx, b"order 7")?;
    /// assert!(!ticket.is_safe()); // in memory only
    /// ticket.wait(&ctx)?;
    /// assert!(ticket.is_safe());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_safe(&self) -> bool {
        self.log.is_safe(self.id)
    }

    /// Waits until the event is safe, as the outbox's durability has it; and with it every event
    /// submitted before. If nobody is writing, this call writes everything that has been submitted.
    ///
    /// # Cancellation
    /// Between two writes, not in the middle of one. The event stays on its way, and the ticket can
    /// be waited for again.
    ///
    /// # Errors
    /// See [`WaitError`].
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// let first = outbox.submit(&ctx, b"order 7")?;
    /// let last = outbox.submit(&ctx, b"order 8")?;
    /// last.wait(&ctx)?;
    /// assert!(first.is_safe() && outbox.stats().syncs == 1); // one sync for both
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn wait(&self, ctx: &Context) -> Result<(), WaitError> {
        Ok(self.log.wait(ctx, self.id, false)?)
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("id", &self.id).finish_non_exhaustive()
    }
}
