//! When a session leaves memory, and where its state is then.

use super::builder::Builder;
use super::model::Session;
use super::store::{Corrupt, Store};
use crate::sync::Arc;
use std::time::Duration;

impl<S: Session> Builder<S> {
    /// Sets after which time without a message a session is asked to leave memory. The default is
    /// never, as is `Duration::MAX`. A session that stays is asked again, so the time must not be 0.
    ///
    /// ```
    /// # use ironsys::{Context, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = (); type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, _: (), _: &mut Cx<'_, S>) -> Result<(), &'static str> { Ok(()) }
    /// # fn save(&self) -> Option<Snapshot> { Some(Snapshot::new(1, "state")) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # use std::time::Duration;
    /// let builder = Manager::<S>::builder("s").sharded(1).store(MemoryStore::new());
    /// let all = builder.idle_after(Duration::from_millis(1)).build()?;
    /// let seven = all.get_or_start(&ctx, &7)?;
    /// while all.live() > 0 {
    ///     ctx.sleep(Duration::from_millis(1))?;
    /// }
    /// assert!(!seven.is_ended()); // It is in the store.
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn idle_after(mut self, time: Duration) -> Self {
        self.config.idle_after = (time != Duration::MAX).then_some(time);
        self
    }

    /// Sets how many states may be in memory: above that the ones used longest ago are asked to leave,
    /// each shard looking after its own. The default is no limit.
    ///
    /// ```
    /// # use ironsys::{Context, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = (); type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, _: (), _: &mut Cx<'_, S>) -> Result<(), &'static str> { Ok(()) }
    /// # fn save(&self) -> Option<Snapshot> { Some(Snapshot::new(1, "state")) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # use std::time::Duration;
    /// let builder = Manager::<S>::builder("s").sharded(1).store(MemoryStore::new());
    /// let all = builder.live_limit(1).build()?;
    /// all.get_or_start(&ctx, &7)?;
    /// all.get_or_start(&ctx, &8)?;
    /// while all.live() > 1 {
    ///     ctx.sleep(Duration::from_millis(1))?;
    /// }
    /// assert_eq!(all.ids(), [8]); // used last
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn live_limit(mut self, sessions: usize) -> Self {
        self.config.live_limit = Some(sessions);
        self
    }

    /// Sets where states are kept when they are not in memory, and after the end. The default is
    /// nowhere.
    ///
    /// The manager drops it when it has ended, and `close` or the drop returns after that, even if there
    /// are handles left: the same file can be opened again. Only a manager that one of its own sessions
    /// closes or drops keeps the store until the last handle is gone.
    ///
    /// ```
    /// # use ironsys::{Context, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = (); type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, _: (), _: &mut Cx<'_, S>) -> Result<(), &'static str> { Ok(()) }
    /// # fn save(&self) -> Option<Snapshot> { Some(Snapshot::new(1, "state")) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # use std::sync::Arc;
    /// struct Shared(Arc<MemoryStore<u32>>);
    /// impl Store<u32> for Shared {
    ///     fn load(&self, ctx: &Context, id: &u32) -> Result<Option<Snapshot>, StoreError> { self.0.load(ctx, id) }
    ///     fn save(&self, ctx: &Context, id: &u32, state: &Snapshot) -> Result<(), StoreError> { self.0.save(ctx, id, state) }
    /// }
    /// let kept = Arc::new(MemoryStore::new());
    /// let all = Manager::<S>::builder("s").sharded(1).store(Shared(kept.clone())).build()?;
    /// all.get_or_start(&ctx, &7)?;
    /// all.close(&ctx);
    /// assert_eq!(kept.load(&ctx, &7)?, Some(Snapshot::new(1, "state")));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn store(mut self, store: impl Store<S::Id>) -> Self {
        self.config.store = Some(Arc::new(store));
        self
    }

    /// Sets what to do about a snapshot that cannot be read. The default is to refuse.
    ///
    /// ```
    /// # use ironsys::{Context, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = (); type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, _: (), _: &mut Cx<'_, S>) -> Result<(), &'static str> { Ok(()) }
    /// # fn save(&self) -> Option<Snapshot> { Some(Snapshot::new(1, "state")) }
    /// # fn restore(_: &u32, _: Snapshot, _: &mut Cx<'_, S>) -> Result<S, Restore<&'static str>> { Err(Restore::Corrupt("an old version".into())) } }
    /// # let (ctx, _cancel) = Context::root();
    /// let store = MemoryStore::new();
    /// store.save(&ctx, &7, &Snapshot::new(0, "?"))?; // `S::restore` cannot read it.
    /// let builder = Manager::<S>::builder("s").sharded(1).store(store);
    /// let all = builder.corrupt(Corrupt::StartFresh).build()?;
    /// assert!(all.get_or_start(&ctx, &7).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn corrupt(mut self, corrupt: Corrupt) -> Self {
        self.config.corrupt = corrupt;
        self
    }
}
