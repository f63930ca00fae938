//! Who is told what the sessions of a manager do not say themselves.

use super::builder::Builder;
use super::config::DeadLetter;
use super::model::{Failure, Reason, Session};
use super::store::{Snapshot, StoreError};
use crate::panics::Panicked;
use crate::sync::Arc;

impl<S: Session> Builder<S> {
    /// Sets what is told of every failure, with the panic if it was one. It runs on the session's
    /// thread. Without it failures are logged.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// let (tx, rx) = ironsys::channel::bounded(8);
    /// let told = move |id: &u32, failure: &_, _| drop(tx.try_send(format!("{id}: {failure}")));
    /// let all = Manager::<S>::builder("s").sharded(1).on_failure(told).build()?;
    /// all.tell(&ctx, &7, None)?;
    /// assert_eq!(rx.recv(&ctx)?, "7: none");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_failure(
        mut self,
        f: impl Fn(&S::Id, &Failure<S::Error>, Option<Panicked>) + Send + Sync + 'static,
    ) -> Self {
        self.config.hooks.failure = Some(Arc::new(f));
        self
    }

    /// Sets who gets the messages that a session had accepted and not handled when it ended. Without it
    /// they are dropped, and counted.
    ///
    /// ```
    /// # use ironsys::{Context, channel::{self, Receiver}, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Receiver<()>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.recv(cx.context()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// let (tx, rx) = channel::bounded(8);
    /// let told = move |id: &u32, messages: Vec<_>, _: &_| drop(tx.try_send((*id, messages.len())));
    /// let all = Manager::<S>::builder("s").sharded(1).on_undelivered(told).build()?;
    /// let (go, wait) = channel::bounded(1); // It is held at a message until we say go.
    /// all.tell(&ctx, &7, wait.clone())?;
    /// all.tell(&ctx, &7, wait)?;
    /// all.abort(&7);
    /// drop(go);
    /// let (id, messages) = rx.recv(&ctx)?;
    /// assert!(id == 7 && messages >= 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_undelivered(
        mut self,
        f: impl Fn(&S::Id, Vec<S::Msg>, &Reason<S::Error>) + Send + Sync + 'static,
    ) -> Self {
        self.config.hooks.undelivered = Some(Arc::new(f));
        self
    }

    /// Sets who gets messages that crash their session, and those the overflow policy drops. Without
    /// it they are dropped, and counted.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// let (tx, rx) = ironsys::channel::bounded(8);
    /// let told = move |letter: DeadLetter<_, _>| drop(tx.try_send((letter.id, letter.why)));
    /// let all = Manager::<S>::builder("s").sharded(1).on_dead_letter(told).build()?;
    /// all.tell(&ctx, &7, None)?;
    /// assert_eq!(rx.recv(&ctx)?, (7, Died::Poison));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_dead_letter(
        mut self,
        f: impl Fn(DeadLetter<S::Id, S::Msg>) + Send + Sync + 'static,
    ) -> Self {
        self.config.hooks.dead_letter = Some(Arc::new(f));
        self
    }

    /// Sets who is told when a state could not be saved. With the snapshot if the session has ended, so
    /// that it is not lost; without if it stays in memory for that reason. Without it that is logged.
    ///
    /// ```
    /// # use ironsys::{Context, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = (); type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, _: (), _: &mut Cx<'_, S>) -> Result<(), &'static str> { Ok(()) }
    /// # fn save(&self) -> Option<Snapshot> { Some(Snapshot::new(1, "state")) } }
    /// # let (ctx, _cancel) = Context::root();
    /// struct Full;
    /// impl Store<u32> for Full {
    ///     // ...
    /// #     fn load(&self, _: &Context, _: &u32) -> Result<Option<Snapshot>, StoreError> { Ok(None) }
    /// #     fn save(&self, _: &Context, id: &u32, _: &Snapshot) -> Result<(), StoreError> {
    /// #         Err(StoreError::Failed { id: id.to_string(), problem: "full".into() })
    /// #     }
    /// }
    /// let (tx, rx) = ironsys::channel::bounded(8);
    /// let told = move |id: &u32, state: Option<Snapshot>, _| drop(tx.try_send((*id, state)));
    /// let all = Manager::<S>::builder("s").sharded(1).store(Full).on_unsaved(told).build()?;
    /// all.get_or_start(&ctx, &7)?;
    /// all.stop(&ctx, &7)?;
    /// assert_eq!(rx.recv(&ctx)?, (7, Some(Snapshot::new(1, "state"))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_unsaved(
        mut self,
        f: impl Fn(&S::Id, Option<Snapshot>, StoreError) + Send + Sync + 'static,
    ) -> Self {
        self.config.hooks.unsaved = Some(Arc::new(f));
        self
    }
}
