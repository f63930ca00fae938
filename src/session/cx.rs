//! What a session sees while it has its turn.

use super::address::Address;
use super::cell::Cell;
use super::core::Core;
use super::handle::Sessions;
use super::model::{Reason, Session};
use super::timers::{TimerId, Timers};
use super::worker;
use crate::context::Context;
use crate::sync::Arc;
use std::fmt;
use std::time::Duration;

/// A session's view of the world, for the time of one call.
pub struct Cx<'a, S: Session> {
    core: &'a Arc<Core<S>>,
    cell: &'a Arc<Cell<S>>,
    wants: &'a mut Wants,
    timers: &'a mut Option<Box<Timers>>,
}

/// What a session has asked for during its turn.
#[derive(Debug, Default)]
pub(super) struct Wants {
    pub(super) finish: bool,
    pub(super) own: bool,
}

impl<'a, S: Session> Cx<'a, S> {
    pub(super) fn new(
        core: &'a Arc<Core<S>>,
        cell: &'a Arc<Cell<S>>,
        wants: &'a mut Wants,
        timers: &'a mut Option<Box<Timers>>,
    ) -> Self {
        Cx { core, cell, wants, timers }
    }

    #[inline]
    pub(super) fn wants_out(&self) -> bool {
        self.wants.finish || self.wants.own
    }

    /// Returns the id of this session.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Reply<u32>; type Error = String;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, String> { Ok(S) }
    /// # fn handle(&mut self, msg: Reply<u32>, cx: &mut Cx<'_, S>) -> Result<(), String> {
    /// msg.send(*cx.id()).ok(); // in `handle`
    /// # Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # let all = Manager::<S>::builder("s").sharded(1).build()?;
    /// assert_eq!(all.ask(&ctx, &7, |reply| reply)?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn id(&self) -> &S::Id {
        &self.cell.id
    }

    /// Returns the context under which the sessions run: for calls that block, and for its values.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Reply<u32>; type Error = String;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, String> { Ok(S) }
    /// # fn handle(&mut self, msg: Reply<u32>, cx: &mut Cx<'_, S>) -> Result<(), String> {
    /// msg.send(u32::from(cx.context().is_stopped())).ok(); // in `handle`
    /// # Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # let all = Manager::<S>::builder("s").sharded(1).build()?;
    /// assert_eq!(all.ask(&ctx, &7, |reply| reply)?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.core.ctx
    }

    /// Returns the address of this session.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Reply<u32>; type Error = String;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, String> { Ok(S) }
    /// # fn handle(&mut self, msg: Reply<u32>, cx: &mut Cx<'_, S>) -> Result<(), String> {
    /// msg.send(*cx.address().id()).ok(); // in `handle`
    /// # Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # let all = Manager::<S>::builder("s").sharded(1).build()?;
    /// assert_eq!(all.ask(&ctx, &7, |reply| reply)?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn address(&self) -> Address<S> {
        Address::new(self.core.clone(), self.cell.clone())
    }

    /// Returns the handle to all sessions.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Reply<u32>; type Error = String;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, String> { Ok(S) }
    /// # fn handle(&mut self, msg: Reply<u32>, cx: &mut Cx<'_, S>) -> Result<(), String> {
    /// msg.send(cx.sessions().len() as u32).ok(); // in `handle`
    /// # Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # let all = Manager::<S>::builder("s").sharded(1).build()?;
    /// assert_eq!(all.ask(&ctx, &7, |reply| reply)?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn sessions(&self) -> Sessions<S> {
        Sessions::new(self.core.clone())
    }

    /// Returns whether the manager has a store.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Reply<u32>; type Error = String;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, String> { Ok(S) }
    /// # fn handle(&mut self, msg: Reply<u32>, cx: &mut Cx<'_, S>) -> Result<(), String> {
    /// msg.send(u32::from(cx.has_store())).ok(); // in `handle`
    /// # Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # let all = Manager::<S>::builder("s").sharded(1).build()?;
    /// assert_eq!(all.ask(&ctx, &7, |reply| reply)?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn has_store(&self) -> bool {
        self.core.has_store
    }

    /// Ends this session after the present message. What waits in its mailbox is undelivered. To the
    /// supervisor it is a normal end. In `start` or `restore` it is an order to end, as from outside: the
    /// session handles what it has been told, and is not started again.
    ///
    /// ```
    /// # use ironsys::{Context, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = (); type Error = String;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, String> { Ok(S) }
    /// # fn handle(&mut self, _: (), cx: &mut Cx<'_, S>) -> Result<(), String> {
    /// cx.stop(); // in `handle`
    /// # Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # let all = Manager::<S>::builder("s").sharded(1).build()?;
    /// let seven = all.get_or_start(&ctx, &7)?;
    /// seven.tell(&ctx, ())?;
    /// assert!(matches!(seven.wait_ended(&ctx)?, Some(Reason::Finished)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stop(&mut self) {
        self.wants.finish = true;
    }

    /// Runs `f`, which blocks, while another thread serves this one's shard. Without it a handler that
    /// blocks holds up the sessions of its shard until that is noticed
    /// ([`stuck_after`](super::Builder::stuck_after)). The blocking calls of [`Sessions`] and
    /// [`Address`] do this by themselves.
    ///
    /// # Cost
    /// A wake-up of another thread, once a turn; nothing on a thread that serves no shard.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Reply<u32>; type Error = String;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, String> { Ok(S) }
    /// # fn handle(&mut self, msg: Reply<u32>, cx: &mut Cx<'_, S>) -> Result<(), String> {
    /// let read = cx.block_in_place(|| 5); // in `handle`
    /// msg.send(read).ok();
    /// # Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # let all = Manager::<S>::builder("s").sharded(1).build()?;
    /// assert_eq!(all.ask(&ctx, &7, |reply| reply)?, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn block_in_place<R>(&mut self, f: impl FnOnce() -> R) -> R {
        worker::step_aside();
        f()
    }

    /// Gives this session a thread of its own, from the end of this message on, until it leaves memory
    /// or ends. If there is no thread to be had
    /// ([`max_threads`](super::Builder::max_threads)) it stays on its shard, and the log says so.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Reply<u32>; type Error = String;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, String> { Ok(S) }
    /// # fn handle(&mut self, msg: Reply<u32>, cx: &mut Cx<'_, S>) -> Result<(), String> {
    /// cx.dedicate(); // in `handle`
    /// # msg.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # let all = Manager::<S>::builder("s").sharded(1).build()?;
    /// assert_eq!(all.ask(&ctx, &7, |reply| reply)?, 7);
    /// assert_eq!(all.ask(&ctx, &7, |reply| reply)?, 7); // on its own thread
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dedicate(&mut self) {
        self.wants.own = true;
    }

    /// Sends `msg` to this session after `delay`. It finds room in any mailbox. If the session ends
    /// first, the message is dropped; a session with timers is not passivated. `Duration::MAX`: never.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = String;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, String> { Ok(S) }
    /// # fn handle(&mut self, msg: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), String> {
    /// # let Some(reply) = msg else { cx.stop(); return Ok(()) };
    /// cx.after(std::time::Duration::ZERO, None); // in `handle`, where `None` means to stop
    /// # reply.send(0).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # let all = Manager::<S>::builder("s").sharded(1).build()?;
    /// let seven = all.get_or_start(&ctx, &7)?;
    /// seven.ask(&ctx, Some)?;
    /// assert!(matches!(seven.wait_ended(&ctx)?, Some(Reason::Finished)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn after(&mut self, delay: Duration, msg: S::Msg) -> TimerId {
        let timers = self.timers.get_or_insert_default();
        let clock = self.core.ctx.clock();
        // What cannot be represented is due at the end of what can.
        let far = || clock.now() + Duration::from_secs(u64::from(u32::MAX));
        let at = clock.now().checked_add(delay).unwrap_or_else(far);
        self.core.send_at(self.cell, timers, at, msg)
    }

    /// Sends what `make` makes to this session every `period`, first after one period. A beat for which
    /// the mailbox has no room is left out, as are beats that are late by more than a period, and one for
    /// which `make` panics: that is logged.
    ///
    /// # Panics
    /// If `period` is zero.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, msg: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> {
    /// # let Some(reply) = msg else { cx.stop(); return Ok(()) };
    /// cx.every(std::time::Duration::from_millis(1), || None); // in `handle`, where `None` means to stop
    /// # reply.send(0).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # let all = Manager::<S>::builder("s").sharded(1).build()?;
    /// let seven = all.get_or_start(&ctx, &7)?;
    /// seven.ask(&ctx, Some)?;
    /// assert!(matches!(seven.wait_ended(&ctx)?, Some(Reason::Finished)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn every(
        &mut self,
        period: Duration,
        make: impl FnMut() -> S::Msg + Send + 'static,
    ) -> TimerId {
        assert!(!period.is_zero(), "a period of zero");
        let timers = self.timers.get_or_insert_default();
        self.core.send_every(self.cell, timers, period, make)
    }

    /// Takes a timer back; `false` if it has fired, or was not this session's.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Reply<u32>; type Error = String;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, String> { Ok(S) }
    /// # fn handle(&mut self, msg: Reply<u32>, cx: &mut Cx<'_, S>) -> Result<(), String> {
    /// let timer = cx.after(std::time::Duration::from_secs(60), msg); // in `handle`
    /// assert!(cx.cancel(timer));
    /// # Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # let all = Manager::<S>::builder("s").sharded(1).build()?;
    /// assert!(all.ask(&ctx, &7, |reply| reply).unwrap_err().is_dropped());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cancel(&mut self, timer: TimerId) -> bool {
        self.timers.as_mut().is_some_and(|timers| timers.cancel(timer))
    }

    /// Sends what `make` makes to this session when `other` ends, at once if it has ended. The message
    /// has been accepted when a call that waits for that end returns, such as
    /// [`stop`](super::Sessions::stop); it finds room in any mailbox, and brings this session back if
    /// that has left memory. Restarts are no ends; `other` is not passivated while it is watched.
    ///
    /// ```
    /// # use ironsys::{Context, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Address<S>>; type Error = String;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, String> { Ok(S) }
    /// # fn handle(&mut self, msg: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), String> {
    /// # let Some(other) = msg else { cx.stop(); return Ok(()) };
    /// cx.watch(&other, |_, _| None); // in `handle`, where `None` means to stop
    /// # Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # let all = Manager::<S>::builder("s").sharded(1).build()?;
    /// let (seven, eight) = (all.get_or_start(&ctx, &7)?, all.get_or_start(&ctx, &8)?);
    /// seven.tell(&ctx, Some(eight))?;
    /// all.stop(&ctx, &8)?;
    /// assert!(matches!(seven.wait_ended(&ctx)?, Some(Reason::Finished)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn watch<O: Session>(
        &mut self,
        other: &Address<O>,
        make: impl FnOnce(&O::Id, &Reason<O::Error>) -> S::Msg + Send + 'static,
    ) {
        let (core, cell) = (Arc::downgrade(self.core), self.cell.clone());
        other.on_end(move |id, reason| {
            let msg = make(id, reason);
            if let Some(core) = core.upgrade() {
                core.push_late(&cell, msg);
                crate::panics::discard(core);
            }
        });
    }
}

impl<S: Session> fmt::Debug for Cx<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cx").field("id", self.id()).finish_non_exhaustive()
    }
}
