//! One session, as others see it.

use super::cell::{Cell, Phase};
use super::core::Core;
use super::errors::{AskError, TellError};
use super::model::{Reason, Session};
use super::worker;
use crate::channel::Reply;
use crate::context::{Context, Stop};
use crate::sync::Arc;
use std::fmt;

/// The address of one session: cheaper than its id, which has to be looked up, and it means this very
/// session. When that has ended, the address says so; a session that has only left memory is brought
/// back. Cheap to clone; keeps no session alive.
pub struct Address<S: Session> {
    core: Arc<Core<S>>,
    cell: Arc<Cell<S>>,
}

impl<S: Session> Address<S> {
    pub(super) fn new(core: Arc<Core<S>>, cell: Arc<Cell<S>>) -> Self {
        Address { core, cell }
    }

    pub(super) fn core(&self) -> &Arc<Core<S>> {
        &self.core
    }

    pub(super) fn cell(&self) -> &Arc<Cell<S>> {
        &self.cell
    }

    /// Returns the id of the session.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # let all = Manager::<S>::builder("s").sharded(1).restart(Restart::Temporary).build()?;
    /// let seven = all.get_or_start(&ctx, &7)?;
    /// assert_eq!(seven.id(), &7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn id(&self) -> &S::Id {
        &self.cell.id
    }

    /// Returns whether the session has ended for good.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # let all = Manager::<S>::builder("s").sharded(1).restart(Restart::Temporary).build()?;
    /// let seven = all.get_or_start(&ctx, &7)?;
    /// all.stop(&ctx, &7)?;
    /// assert!(seven.is_ended());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.cell.with(|mail, _| mail.phase == Phase::Gone)
    }

    /// Puts a message into the session's mailbox, waiting for room.
    ///
    /// # Cancellation
    /// The message is in the error, and nobody has seen it.
    ///
    /// # Errors
    /// [`TellError`], with the message.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # let all = Manager::<S>::builder("s").sharded(1).restart(Restart::Temporary).build()?;
    /// let seven = all.get_or_start(&ctx, &7)?;
    /// all.stop(&ctx, &7)?;
    /// assert!(seven.tell(&ctx, None).unwrap_err().is_ended());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn tell(&self, ctx: &Context, msg: S::Msg) -> Result<(), TellError<S::Msg>> {
        if let Err(stop) = ctx.check() {
            return Err(TellError::Stopped { msg, stop });
        }
        self.deliver(Some(ctx), msg)
    }

    /// Puts a message into the session's mailbox if there is room.
    ///
    /// # Errors
    /// [`TellError`], with the message.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # let all = Manager::<S>::builder("s").sharded(1).restart(Restart::Temporary).build()?;
    /// let (reply, mut answer) = ironsys::channel::oneshot();
    /// all.get_or_start(&ctx, &7)?.try_tell(Some(reply))?;
    /// assert_eq!(answer.recv(&ctx)?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_tell(&self, msg: S::Msg) -> Result<(), TellError<S::Msg>> {
        self.deliver(None, msg)
    }

    fn deliver(&self, ctx: Option<&Context>, msg: S::Msg) -> Result<(), TellError<S::Msg>> {
        let sent = self.core.send(ctx, &self.cell, msg, false)?;
        self.core.after(sent);
        Ok(())
    }

    /// Asks the session and waits for the answer. See [`Sessions::ask`](super::Sessions::ask).
    ///
    /// # Cancellation
    /// Before the question was taken it comes back; after that it may be handled all the same.
    ///
    /// # Errors
    /// [`AskError`].
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # let all = Manager::<S>::builder("s").sharded(1).restart(Restart::Temporary).build()?;
    /// let seven = all.get_or_start(&ctx, &7)?;
    /// assert_eq!(seven.ask(&ctx, Some)?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn ask<T>(
        &self,
        ctx: &Context,
        make: impl FnOnce(Reply<T>) -> S::Msg,
    ) -> Result<T, AskError<S::Msg>> {
        let send = |msg| match ctx.check() {
            Ok(()) => self.core.send(Some(ctx), &self.cell, msg, false),
            Err(stop) => Err(TellError::Stopped { msg, stop }),
        };
        self.core.ask(ctx, make, send)
    }

    /// Calls `f` once, when the session ends; now, if it has. It runs on the thread that ends the
    /// session, outside of all locks, so it must be short. The session is out of memory by then, and
    /// whoever waits for its end goes on when `f` has returned: `f` must not wait for it.
    ///
    /// Restarts are no ends. A session that is watched is not passivated; one that has left memory
    /// before is brought back.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # let all = Manager::<S>::builder("s").sharded(1).restart(Restart::Temporary).build()?;
    /// let (tx, rx) = ironsys::channel::bounded(1);
    /// let seven = all.get_or_start(&ctx, &7)?;
    /// seven.on_end(move |id, reason| drop(tx.try_send((*id, reason.is_normal()))));
    /// all.stop(&ctx, &7)?;
    /// assert_eq!(rx.recv(&ctx)?, (7, true));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_end(&self, f: impl FnOnce(&S::Id, &Reason<S::Error>) + Send + 'static) {
        let _ = self.watched_by(f);
    }

    /// The same; returns the address of the one whose end is watched.
    pub(super) fn watched_by(
        &self,
        f: impl FnOnce(&S::Id, &Reason<S::Error>) + Send + 'static,
    ) -> Self {
        let mut f = Some(f);
        // A session that has left memory comes back as another cell: follow it.
        let mut cell = self.cell.clone();
        loop {
            let ended = cell.with(|mail, _| match mail.phase {
                Phase::Gone => Some(mail.reason.clone()),
                Phase::Passivated => Some(None),
                _ => {
                    if let Some(f) = f.take() {
                        mail.more().watchers.push(Box::new(f));
                    }
                    None
                }
            });
            match (ended, f.take()) {
                (Some(Some(reason)), Some(watcher)) => {
                    watcher(&cell.id, &reason);
                    break;
                }
                (Some(None), Some(watcher)) => {
                    self.core.directory.retire(&cell);
                    match self.core.open(&cell.id) {
                        Some(next) => cell = next,
                        None => {
                            watcher(&cell.id, &Reason::Shutdown);
                            break;
                        }
                    }
                    f = Some(watcher);
                }
                _ => break,
            }
        }
        Address::new(self.core.clone(), cell)
    }

    /// Waits until the session has ended, and returns why; `None` if it has left memory instead.
    ///
    /// # Cancellation
    /// Stops waiting.
    ///
    /// # Errors
    /// Why the context stopped.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # let all = Manager::<S>::builder("s").sharded(1).restart(Restart::Temporary).build()?;
    /// let seven = all.get_or_start(&ctx, &7)?;
    /// all.try_stop(&7);
    /// assert!(matches!(seven.wait_ended(&ctx)?, Some(Reason::Asked)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn wait_ended(&self, ctx: &Context) -> Result<Option<Reason<S::Error>>, Stop> {
        ctx.check()?;
        worker::step_aside();
        self.core.wait_over(ctx, &self.cell)
    }
}

impl<S: Session> Clone for Address<S> {
    fn clone(&self) -> Self {
        Address { core: self.core.clone(), cell: self.cell.clone() }
    }
}

impl<S: Session> fmt::Debug for Address<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address").field("id", self.id()).finish_non_exhaustive()
    }
}
