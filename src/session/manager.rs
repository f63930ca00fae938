//! The owner of the sessions and their threads.

use super::builder::Builder;
use super::cell::{Cell, Order};
use super::core::{AllLeft, Core, MOST_NAMED, Unsaved};
use super::handle::Sessions;
use super::model::{Reason, Session};
use super::worker;
use crate::context::{Canceller, Context, Stop};
use crate::observe::Ledger;
use crate::panics;
use crate::sync::Arc;
use crate::wait::Place;
use std::fmt;
use std::ops::Deref;

/// Owns sessions of one type and the threads that run them.
///
/// [`close`](Self::close) ends the sessions in good order; dropping the manager ends each after the
/// message in hand, and joins the threads. Either way every state is saved, once. To use it from
/// elsewhere clone the [`Sessions`]; a manager is one itself.
pub struct Manager<S: Session> {
    sessions: Sessions<S>,
    cancel: Canceller,
    closed: bool,
}

/// What became of the sessions of a manager.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Closed {
    /// What became of the messages. What was accepted and not handled is `dropped`; it has been given
    /// to [`on_undelivered`](Builder::on_undelivered).
    pub ledger: Ledger,
    /// Whether every session had the time to handle what it had accepted.
    pub in_time: bool,
    /// Those that had not: the ids, as their `Debug` shows them, of up to 100 sessions that had not ended,
    /// and been saved, when the context stopped. They have ended and been saved since.
    pub late: Vec<String>,
    /// Sessions that have ended with this call and whose last state could not be saved; it has been given to
    /// [`on_unsaved`](Builder::on_unsaved), or is lost, and the log says whose it was.
    pub unsaved: u64,
    /// The ids of up to 100 of them, as their `Debug` shows them.
    pub unsaved_ids: Vec<String>,
}

impl<S: Session> Manager<S> {
    /// Starts to build a manager; the name is for threads, waits and messages in logs.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// let all = Manager::<S>::builder("s").sharded(1).build()?;
    /// assert_eq!(all.ask(&ctx, &7, Some)?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder(name: impl Into<String>) -> Builder<S> {
        Builder::new(name.into())
    }

    pub(super) fn new(core: Arc<Core<S>>, cancel: Canceller) -> Self {
        Manager { sessions: Sessions::new(core), cancel, closed: false }
    }

    /// Returns a handle that does not own the threads.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # let all = Manager::<S>::builder("s").sharded(1).restart(Restart::Temporary).build()?;
    /// let others = all.sessions();
    /// all.close(&ctx);
    /// assert!(others.try_tell(&7, None).unwrap_err().is_closed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn sessions(&self) -> Sessions<S> {
        self.sessions.clone()
    }

    /// Takes no more messages, lets every session handle what it has accepted, stops and saves them
    /// all, and joins the threads.
    ///
    /// # Cancellation
    /// When `ctx` stops, the sessions' context is cancelled and every session ends after the message in
    /// hand; the call still waits for that, and for what a store has begun to save, however long it takes.
    /// Who was late is in the report. What was not handled is handed back; a state that cannot be saved goes to
    /// [`on_unsaved`](Builder::on_unsaved), or to the log, with its id.
    ///
    /// Called by one of its own sessions it cannot wait: it is as a drop, and not `in_time`; the
    /// ledger is that of the moment.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # let all = Manager::<S>::builder("s").sharded(1).restart(Restart::Temporary).build()?;
    /// let (reply, mut answer) = ironsys::channel::oneshot();
    /// all.tell(&ctx, &7, Some(reply))?;
    /// assert!(all.close(&ctx).in_time);
    /// assert_eq!(answer.recv(&ctx)?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn close(mut self, ctx: &Context) -> Closed {
        let (in_time, late) = self.end(Some(ctx));
        let Unsaved { count: unsaved, ids: unsaved_ids } = self.sessions.core.take_lost();
        Closed { ledger: self.stats().ledger, in_time, late, unsaved, unsaved_ids }
    }

    fn end(&mut self, ctx: Option<&Context>) -> (bool, Vec<String>) {
        self.closed = true;
        let core = self.sessions.core.clone();
        core.watch.stop();
        let inside = worker::works_for(&core) != 0;
        let mut in_time = !inside;
        core.take_lost(); // Of those that have ended before.
        let cells = core.directory.close();
        if let Some(ctx) = ctx.filter(|_| !inside) {
            for cell in &cells {
                core.order(cell, Order::Drain, Reason::Shutdown);
            }
            // From the end: when that is over, most of the others are, and it has slept once.
            in_time = cells.iter().rev().all(|cell| ended(core.wait_over(ctx, cell)));
        }
        let late = if in_time { Vec::new() } else { late(&cells) };
        let stop = core.dropped();
        if !in_time || ctx.is_none() || inside {
            // The orders first: a handler that the cancel wakes is to take no further message.
            core.abort(&stop);
            self.cancel.cancel_with("the manager is to end, and waits no longer");
        }
        // On a thread of its own it cannot wait for the session that has called it.
        if !inside {
            for cell in &cells {
                ended(core.wait_over(&core.after, cell));
            }
        }
        core.release_shards();
        if !inside {
            let mut left = AllLeft { alive: &core.alive, but: 0, place: Place::default() };
            core.after.block_to_the_end(core.site(), &mut left);
            let _ = core.threads.close(&core.after);
            core.drop_store();
        }
        core.idlers.clear();
        (in_time, late)
    }
}

/// Whether it has; why is the user's, and nobody here could take the panic of its drop.
pub(super) fn ended<R>(over: Result<R, Stop>) -> bool {
    let ended = over.is_ok();
    panics::discard(over);
    ended
}

/// Who has not ended yet, by name.
fn late<S: Session>(cells: &[Arc<Cell<S>>]) -> Vec<String> {
    let not_over = cells.iter().filter(|cell| cell.with(|mail, _| !mail.is_over()));
    not_over.take(MOST_NAMED).map(|cell| panics::name(&cell.id)).collect()
}

impl<S: Session> Deref for Manager<S> {
    type Target = Sessions<S>;

    fn deref(&self) -> &Sessions<S> {
        &self.sessions
    }
}

impl<S: Session> Drop for Manager<S> {
    fn drop(&mut self) {
        if !self.closed {
            self.end(None);
        }
    }
}

impl<S: Session> fmt::Debug for Manager<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manager").field("len", &self.len()).finish_non_exhaustive()
    }
}
