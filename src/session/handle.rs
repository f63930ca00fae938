//! The handle to all sessions of a manager.

use super::address::Address;
use super::cell::{Cell, Order, Pushed};
use super::core::Core;
use super::errors::{AskError, StartError, TellError, Untold};
use super::model::{Reason, Session};
use super::worker;
use crate::channel::Reply;
use crate::context::{Context, Stop};
use crate::sync::Arc;
use std::fmt;

/// Finds, starts, tells and asks sessions by their ids. Cheap to clone; keeps no thread alive.
///
/// A session need not be started before it is told something: a message for an id that is not in
/// memory starts it, from the store if that knows it.
pub struct Sessions<S: Session> {
    pub(super) core: Arc<Core<S>>,
}

impl<S: Session> Sessions<S> {
    pub(super) fn new(core: Arc<Core<S>>) -> Self {
        Sessions { core }
    }

    fn address(&self, cell: Arc<Cell<S>>) -> Address<S> {
        Address::new(self.core.clone(), cell)
    }

    fn find(&self, id: &S::Id) -> Option<Arc<Cell<S>>> {
        let directory = &self.core.directory;
        directory.find(id, directory.hash(id)).filter(|cell| cell.with(|mail, _| !mail.is_over()))
    }

    /// Returns the session with this id if it is in memory.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # let all = Manager::<S>::builder("s").sharded(1).restart(Restart::Temporary).build()?;
    /// assert!(all.get(&7).is_none());
    /// all.get_or_start(&ctx, &7)?;
    /// assert!(all.get(&7).is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn get(&self, id: &S::Id) -> Option<Address<S>> {
        self.find(id).map(|cell| self.address(cell))
    }

    /// Returns the session with this id, started if there is none, and waits until it has started. One
    /// session for each id, however many threads ask.
    ///
    /// # Cancellation
    /// Stops waiting; the session goes on starting.
    ///
    /// # Errors
    /// [`StartError`]; a failed start is an error to everybody who waits for it, and not tried again.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # let all = Manager::<S>::builder("s").sharded(1).restart(Restart::Temporary).build()?;
    /// let seven = all.get_or_start(&ctx, &7)?;
    /// assert_eq!((seven.id(), all.len()), (&7, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn get_or_start(
        &self,
        ctx: &Context,
        id: &S::Id,
    ) -> Result<Address<S>, StartError<S::Error>> {
        ctx.check().map_err(StartError::Stopped)?;
        let address = self.try_get_or_start(id)?;
        worker::step_aside_if(|| !address.cell().with(|mail, _| mail.started));
        match self.core.wait_started(ctx, address.cell()) {
            Ok(None) => Ok(address),
            Ok(Some(Some(Reason::Failed(failure)))) => Err(StartError::Failed(failure)),
            Ok(Some(_)) => Err(StartError::Ended),
            Err(stop) => Err(StartError::Stopped(stop)),
        }
    }

    /// Returns the session with this id, and has it started if there is none, without waiting for that.
    ///
    /// # Errors
    /// [`StartError::Closed`].
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # let all = Manager::<S>::builder("s").sharded(1).restart(Restart::Temporary).build()?;
    /// let seven = all.try_get_or_start(&7)?; // It may be starting yet.
    /// assert_eq!(seven.ask(&ctx, Some)?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_get_or_start(&self, id: &S::Id) -> Result<Address<S>, StartError<S::Error>> {
        let hash = self.core.directory.hash(id);
        if let Some(cell) = self.core.directory.find(id, hash) {
            if !cell.with(|mail, _| mail.is_over()) {
                return Ok(self.address(cell));
            }
            self.core.directory.retire(&cell);
        }
        // One that is made now may have failed already: whoever waits for its start is told.
        let cell = self.core.make(id, hash).ok_or(StartError::Closed)?;
        Ok(self.address(cell))
    }

    /// Tells a session something, waiting for room in its mailbox; it is started if it is not in
    /// memory. Messages of one sender to one session are handled in the order in which they were sent.
    ///
    /// # Cancellation
    /// The message is in the error, and nobody has seen it.
    ///
    /// # Errors
    /// [`TellError`], with the message. [`Ended`](TellError::Ended) only while a session is ending:
    /// after that, a new one is started.
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
    /// assert_eq!(answer.recv(&ctx)?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn tell(&self, ctx: &Context, id: &S::Id, msg: S::Msg) -> Result<(), TellError<S::Msg>> {
        let sent = self.core.tell(Some(ctx), id, msg)?;
        self.core.after(sent);
        Ok(())
    }

    /// Tells a session something if there is room in its mailbox.
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
    /// all.try_tell(&7, Some(reply))?;
    /// assert_eq!(answer.recv(&ctx)?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_tell(&self, id: &S::Id, msg: S::Msg) -> Result<(), TellError<S::Msg>> {
        let sent = self.core.tell(None, id, msg)?;
        self.core.after(sent);
        Ok(())
    }

    /// Tells many sessions something, each as [`tell`](Self::tell) does, in the order given. With hundreds
    /// of thousands of sessions in memory this is a good deal faster than one call for each message:
    /// looking up one session does not wait for the other.
    ///
    /// # Cancellation
    /// What has not been taken is in the error, and nobody has seen it.
    ///
    /// # Errors
    /// [`Untold`]: the first message that is not taken ends the call.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # let all = Manager::<S>::builder("s").sharded(1).restart(Restart::Temporary).build()?;
    /// let (reply, mut answer) = ironsys::channel::oneshot();
    /// all.tell_all(&ctx, vec![(7, Some(reply))])?;
    /// assert_eq!(answer.recv(&ctx)?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn tell_all(
        &self,
        ctx: &Context,
        messages: Vec<(S::Id, S::Msg)>,
    ) -> Result<(), Untold<S::Id, S::Msg>> {
        self.core.tell_all(ctx, messages)
    }

    /// Asks a session and waits for the answer. A session that drops the reply answers, too: with
    /// [`AskError::Dropped`], at once, so one that crashes leaves nobody waiting.
    ///
    /// Called from within a session it lets another thread serve the shard meanwhile, if
    /// [`max_threads`](super::Builder::max_threads) allows for one more.
    ///
    /// # Deadlock
    /// A session that asks itself is told so: [`AskError::Itself`]. Sessions that ask each other in a
    /// ring wait for ever, or until `ctx` stops; `export::DeadlockFinder` finds such a ring, and names who is in it.
    ///
    /// Each session that waits inside a message holds a thread. When `max_threads` of them wait, and all
    /// for sessions that have no thread yet, nobody can go on: they, too, wait until their contexts stop,
    /// and the log says `gets no other thread`. So allow for as many threads as there may be questions
    /// inside of questions at once, or give those that are asked threads of their own before
    /// ([`dedicate`](super::Cx::dedicate), another manager), or let the asker run the asked one
    /// ([`caller_runs`](super::Builder::caller_runs)), or send the question and take the answer as a message.
    /// [`block_in_place`](super::Cx::block_in_place) needs a thread of the same number, and is no way out.
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
    /// assert_eq!(all.ask(&ctx, &7, Some)?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn ask<T>(
        &self,
        ctx: &Context,
        id: &S::Id,
        make: impl FnOnce(Reply<T>) -> S::Msg,
    ) -> Result<T, AskError<S::Msg>> {
        self.core.ask(ctx, make, |msg| self.core.tell(Some(ctx), id, msg))
    }

    /// Tells every session in memory what `make` makes for it. It never waits: a session with a full
    /// mailbox does not hold up the rest, its message comes back.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # let all = Manager::<S>::builder("s").sharded(1).restart(Restart::Temporary).build()?;
    /// all.get_or_start(&ctx, &7)?;
    /// assert_eq!(all.broadcast(|_| None).told, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn broadcast(&self, mut make: impl FnMut(&S::Id) -> S::Msg) -> Broadcast<S> {
        let mut report = Broadcast { told: 0, full: Vec::new() };
        self.core.directory.each(|cell| match self.core.push(cell, make(&cell.id)) {
            Pushed::Taken(then, victim) => {
                report.told += 1;
                self.core.then(then, cell);
                if let Some(victim) = victim {
                    self.core.config.hooks.dead(&cell.id, Some(victim), super::Died::Overflow);
                }
            }
            Pushed::Full(msg) => report.full.push((cell.id.clone(), msg)),
            Pushed::Ending(_) | Pushed::Gone(_) | Pushed::Passivated(_) => {}
        });
        report
    }

    /// Has a session end after what it has accepted, and waits until it has; returns why it ended. `None`
    /// if it is not in memory. It takes no more messages meanwhile.
    ///
    /// When it returns, the session is neither in [`ids`](Self::ids) nor in any count, and those who
    /// watch it have been told. A session that stops itself in this way waits for ever, or until `ctx`
    /// stops: see [`Cx::stop`](super::Cx::stop).
    ///
    /// # Cancellation
    /// Stops waiting; the session ends all the same.
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
    /// all.get_or_start(&ctx, &7)?;
    /// assert!(matches!(all.stop(&ctx, &7)?, Some(Reason::Asked)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn stop(&self, ctx: &Context, id: &S::Id) -> Result<Option<Reason<S::Error>>, Stop> {
        ctx.check()?;
        let Some(cell) = self.find(id) else { return Ok(None) };
        self.core.order(&cell, Order::Drain, Reason::Asked);
        worker::step_aside();
        self.core.wait_over(ctx, &cell)
    }

    /// Has a session end after what it has accepted, without waiting for that; `false` if it is not in
    /// memory.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # let all = Manager::<S>::builder("s").sharded(1).restart(Restart::Temporary).build()?;
    /// let seven = all.get_or_start(&ctx, &7)?;
    /// assert!(all.try_stop(&7) && !all.try_stop(&8));
    /// assert!(matches!(seven.wait_ended(&ctx)?, Some(Reason::Asked)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_stop(&self, id: &S::Id) -> bool {
        let cell = self.find(id);
        if let Some(cell) = &cell {
            self.core.order(cell, Order::Drain, Reason::Asked);
        }
        cell.is_some()
    }

    /// Has a session end after the message in hand, without waiting for that: the rest is undelivered.
    /// `false` if it is not in memory.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # let all = Manager::<S>::builder("s").sharded(1).restart(Restart::Temporary).build()?;
    /// let seven = all.get_or_start(&ctx, &7)?;
    /// assert!(all.abort(&7));
    /// assert!(seven.wait_ended(&ctx)?.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn abort(&self, id: &S::Id) -> bool {
        let cell = self.find(id);
        if let Some(cell) = &cell {
            self.core.order(cell, Order::Abort, Reason::Asked);
        }
        cell.is_some()
    }

    /// Has a session leave memory when it has handled what it has, if it wants to; `false` if it is
    /// not in memory.
    ///
    /// ```
    /// # use ironsys::{Context, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = (); type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, _: (), _: &mut Cx<'_, S>) -> Result<(), &'static str> { Ok(()) }
    /// # fn save(&self) -> Option<Snapshot> { Some(Snapshot::new(1, "state")) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # use std::time::Duration;
    /// let all = Manager::<S>::builder("s").sharded(1).store(MemoryStore::new()).build()?;
    /// all.get_or_start(&ctx, &7)?;
    /// assert!(all.passivate(&7));
    /// while !all.is_empty() {
    ///     ctx.sleep(Duration::from_millis(1))?;
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn passivate(&self, id: &S::Id) -> bool {
        let cell = self.find(id);
        if let Some(cell) = &cell {
            self.core.order(cell, Order::Passivate, Reason::Asked);
        }
        cell.is_some()
    }
}

/// Whom a [`broadcast`](Sessions::broadcast) reached.
#[non_exhaustive]
pub struct Broadcast<S: Session> {
    /// How many took the message.
    pub told: usize,
    /// Who had no room, with the message.
    pub full: Vec<(S::Id, S::Msg)>,
}

impl<S: Session> fmt::Debug for Broadcast<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let full = self.full.len();
        f.debug_struct("Broadcast").field("told", &self.told).field("full", &full).finish()
    }
}

impl<S: Session> Clone for Sessions<S> {
    fn clone(&self) -> Self {
        Sessions { core: self.core.clone() }
    }
}

impl<S: Session> fmt::Debug for Sessions<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("len", &self.len()).finish_non_exhaustive()
    }
}
