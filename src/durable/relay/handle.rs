//! The handle of a relay that runs.

use super::publisher::Publisher;
use super::run::{RelayError, RelayStats, Run};
use crate::channel::Watcher;
use crate::context::{Canceller, Context};
use crate::durable::job;
use crate::error::BuildError;
use crate::pool::{Pool, Ticket};
use crate::service::{Ended, Part};
use std::fmt;

/// A thread that sends the events of an outbox to a broker.
///
/// At least once: an event is acked when the broker has it; after a crash, or when the broker went
/// away, what was not answered is sent again. While the broker is down nothing is held in memory but
/// the window; the outbox takes what comes.
///
/// Dropping it stops the thread, wherever it is, and joins it; what is unanswered is sent again by the
/// next relay of the same name.
///
/// ```
/// use ironsys::{Context, durable::{Event, Outbox}};
/// use std::sync::mpsc;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let (ctx, _cancel) = Context::root();
/// let outbox = Outbox::open(dir.path())?;
/// let (tx, broker) = mpsc::channel();
/// let publish = move |_: &Context, event: &Event| {
///     tx.send(event.body.clone()).unwrap();
///     Ok(())
/// };
/// let relay = outbox.relay(publish).start(&ctx)?;
/// outbox.append(&ctx, b"paid")?;
/// assert_eq!(broker.recv()?, b"paid");
/// let report = relay.drain(&ctx);
/// assert_eq!((report.stats.ledger.done, outbox.len()), (1, 0));
/// # Ok(()) }
/// ```
pub struct Relay {
    pool: Option<Pool>,
    intake: Canceller,
    job: Option<Ticket<Result<(), RelayError>>>,
    stats: Watcher<RelayStats>,
}

/// How a relay ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct RelayReport {
    /// What it did. What is in flight stays in the outbox.
    pub stats: RelayStats,
    /// Why it ended before everything was sent.
    pub error: Option<RelayError>,
}

impl Relay {
    pub(super) fn start<P: Publisher>(
        ctx: &Context,
        name: String,
        mut run: Run<P>,
        stats: Watcher<RelayStats>,
    ) -> Result<Self, BuildError> {
        let pool = Pool::builder(name).workers(1).queue(1).context(ctx).build()?;
        let (intake_ctx, intake) = ctx.with_cancel();
        let job = pool.try_submit(move |ctx| {
            let intake = Context::merge(ctx, &intake_ctx);
            run.run(ctx, &intake)
        });
        Ok(Relay { pool: Some(pool), intake, job: job.ok(), stats })
    }

    /// Sends everything that is in the outbox, and ends. What is appended meanwhile may be sent or
    /// stay.
    ///
    /// # Cancellation
    /// The relay stops where it is, and is joined; what is left stays in the outbox.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// let relay = outbox.relay(|_: &Context, _: &Event| Ok(())).start(&ctx)?;
    /// outbox.append_many(&ctx, ["paid", "sent"])?;
    /// let report = relay.drain(&ctx); // all of it
    /// assert_eq!((report.stats.ledger.done, outbox.len()), (2, 0));
    /// assert!(report.error.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn drain(mut self, ctx: &Context) -> RelayReport {
        self.intake.cancel_with("the relay drains");
        self.end(ctx)
    }

    fn end(&mut self, ctx: &Context) -> RelayReport {
        let error =
            job::end(ctx, &mut self.pool, &mut self.job, RelayError::Panicked, RelayError::Stopped);
        RelayReport { stats: self.stats(), error }
    }

    /// Returns whether it has ended: an error stopped it.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// let publish = |_: &Context, _: &Event| Err(PublishError::Rejected("too large".into()));
    /// let relay = outbox.relay(publish).start(&ctx)?;
    /// assert!(!relay.is_finished());
    /// outbox.append(&ctx, b"a book")?; // and no place for a dead letter
    /// while !relay.is_finished() {
    ///     std::thread::yield_now();
    /// }
    /// assert!(matches!(relay.drain(&ctx).error, Some(RelayError::DeadLetter { id: 1, .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.job.as_ref().is_none_or(Ticket::is_finished)
    }

    /// Returns its counts.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// let relay = outbox.relay(|_: &Context, _: &Event| Ok(())).start(&ctx)?;
    /// outbox.append(&ctx, b"paid")?;
    /// relay.watcher().wait_until(&ctx, |stats| stats.sent == 1)?;
    /// let stats = relay.stats();
    /// assert_eq!((stats.sent, stats.outages, stats.is_down), (1, 0, false));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> RelayStats {
        *self.stats.get()
    }

    /// Returns a handle on its counts that does not keep it at work.
    ///
    /// ```
    /// # use ironsys::{Context, durable::*};
    /// # let dir = tempfile::tempdir()?;
    /// # let (ctx, _cancel) = Context::root();
    /// # let outbox = Outbox::open(dir.path())?;
    /// let relay = outbox.relay(|_: &Context, _: &Event| Ok(())).start(&ctx)?;
    /// let mut counts = relay.watcher();
    /// outbox.append(&ctx, b"paid")?;
    /// counts.wait_until(&ctx, |stats| stats.ledger.done == 1)?; // it is with the broker
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn watcher(&self) -> Watcher<RelayStats> {
        self.stats.clone()
    }
}

/// An error that ended the relay is one of the part; events that were not sent are in the outbox.
impl Part for Relay {
    fn drain(self: Box<Self>, ctx: &Context) -> Ended {
        match Relay::drain(*self, ctx).error {
            None => Ended::clean(),
            Some(error) => Ended::clean().error(error),
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.pool.take()); // Cancels and joins.
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
