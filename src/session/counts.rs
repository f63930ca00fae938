//! What the handle to all sessions can say of them.

use super::handle::Sessions;
use super::model::Session;
use super::slowest::Slowest;
use super::stats::{self, Stats};
use std::time::Duration;

impl<S: Session> Sessions<S> {
    /// Returns how many sessions are in memory.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # let all = Manager::<S>::builder("s").sharded(1).restart(Restart::Temporary).build()?;
    /// all.get_or_start(&ctx, &7)?;
    /// all.get_or_start(&ctx, &8)?;
    /// assert_eq!(all.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.core.directory.len()
    }

    /// Returns whether no session is in memory.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # let all = Manager::<S>::builder("s").sharded(1).restart(Restart::Temporary).build()?;
    /// assert!(all.is_empty());
    /// all.get_or_start(&ctx, &7)?;
    /// assert!(!all.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the ids of the sessions in memory, in no order.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # let all = Manager::<S>::builder("s").sharded(1).restart(Restart::Temporary).build()?;
    /// all.get_or_start(&ctx, &7)?;
    /// assert_eq!(all.ids(), [7]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn ids(&self) -> Vec<S::Id> {
        let mut ids = Vec::with_capacity(self.len());
        self.core.directory.each(|cell| ids.push(cell.id.clone()));
        ids
    }

    /// Returns counts, the ledger, and the load of each shard.
    ///
    /// # Cost
    /// Looks at every session in memory, under its lock: for a million some 50 ms.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # let all = Manager::<S>::builder("s").sharded(1).restart(Restart::Temporary).build()?;
    /// all.get_or_start(&ctx, &7)?;
    /// assert_eq!(all.stats().sessions, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats::of(&self.core)
    }

    /// Returns the sessions with the longest turns and how long those took on the manager's clock, the
    /// slowest first; each session once. Empty unless
    /// [`observe_turns`](super::Builder::observe_turns) says how many to keep. Sessions that have
    /// ended stay in the list.
    ///
    /// ```
    /// use ironsys::{Context, session::{Cx, Manager, Session}};
    /// use std::convert::Infallible;
    ///
    /// struct Echo;
    /// impl Session for Echo {
    ///     type Id = u32;
    ///     type Msg = ironsys::channel::Reply<()>;
    ///     type Error = Infallible;
    ///     fn start(_: &u32, _: &mut Cx<'_, Self>) -> Result<Self, Infallible> { Ok(Echo) }
    ///     fn handle(&mut self, reply: Self::Msg, _: &mut Cx<'_, Self>) -> Result<(), Infallible> {
    ///         reply.send(()).ok();
    ///         Ok(())
    ///     }
    /// }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let echos = Manager::<Echo>::builder("echo").sharded(1).observe_turns(10).build()?;
    /// echos.ask(&ctx, &7, |reply| reply)?;
    /// let sessions = echos.sessions();
    /// echos.close(&ctx);
    /// assert_eq!(sessions.slowest()[0].0, 7);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn slowest(&self) -> Vec<(S::Id, Duration)> {
        self.core.slowest.as_ref().map_or_else(Vec::new, Slowest::list)
    }

    /// Returns how many states are in memory. One load. A session that ends or leaves is taken out of
    /// this count before it is taken out of [`len`](Self::len).
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # let all = Manager::<S>::builder("s").sharded(1).restart(Restart::Temporary).build()?;
    /// all.get_or_start(&ctx, &7)?;
    /// assert_eq!(all.live(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn live(&self) -> usize {
        self.core.idlers.live()
    }

    /// Returns the load of each shard; nothing if every session has a thread of its own.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// let all = Manager::<S>::builder("s").sharded(2).build()?;
    /// assert_eq!(all.ask(&ctx, &7, Some)?, 7);
    /// assert_eq!(all.loads().len(), 2);
    /// # all.close(&ctx);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn loads(&self) -> Vec<super::Load> {
        self.core.shards.iter().map(|shard| shard.load()).collect()
    }

    /// Returns the `n` sessions with the fullest mailboxes, the fullest first. What a session has taken for
    /// the turn it is at is in its mailbox no longer.
    ///
    /// # Cost
    /// As [`stats`](Self::stats).
    ///
    /// ```
    /// # use ironsys::{Context, channel::{self, Receiver}, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Receiver<()>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.recv(cx.context()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// let all = Manager::<S>::builder("s").sharded(1).turn(1).build()?; // takes one at a time
    /// let (go, wait) = channel::bounded(1); // It is held at a message until we say go.
    /// for _ in 0..5 {
    ///     all.tell(&ctx, &7, wait.clone())?;
    /// }
    /// let (id, waiting) = all.deepest(1)[0];
    /// assert!(id == 7 && waiting >= 4);
    /// drop(go);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn deepest(&self, n: usize) -> Vec<(S::Id, usize)> {
        stats::deepest(&self.core, n)
    }
}
