//! Building a manager.

use super::config::Config;
use super::core::Core;
use super::manager::Manager;
use super::model::Session;
use super::policy::{Intensity, Restart};
use crate::channel::Overflow;
use crate::context::Context;
use crate::error::BuildError;
use crate::schedule::Backoff;
use crate::sync::{Arc, thread};
use crate::threads::ThreadCache;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

/// Builds a [`Manager`]. Made by [`Manager::builder`].
#[must_use = "a builder does nothing until `build`"]
pub struct Builder<S: Session> {
    name: String,
    pub(super) config: Config<S>,
    parent: Option<Context>,
}

const MAX_SHARDS: usize = 1024;

impl<S: Session> Builder<S> {
    pub(super) fn new(name: String) -> Self {
        let config = Config::new("".into(), thread::available_parallelism());
        Builder { name, config, parent: None }
    }

    /// Runs the sessions on `shards` threads, each with sessions of its own. The default, with one for
    /// each processor.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// let all = Manager::<S>::builder("s").sharded(2).build()?;
    /// assert_eq!(all.loads().len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sharded(mut self, shards: usize) -> Self {
        self.config.shards = shards;
        self
    }

    /// Gives every session a thread of its own: for few sessions that block much.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// let all = Manager::<S>::builder("s").thread_per_session().build()?;
    /// assert_eq!(all.ask(&ctx, &7, Some)?, 7);
    /// assert!(all.loads().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn thread_per_session(mut self) -> Self {
        self.config.shards = OWN;
        self
    }

    /// Sets how many messages may wait for one session. The default is 64.
    ///
    /// ```
    /// # use ironsys::{Context, channel::{self, Receiver}, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Receiver<()>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.recv(cx.context()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// let all = Manager::<S>::builder("s").sharded(1).mailbox(1).build()?;
    /// let (go, wait) = channel::bounded(1); // It is held at a message until we say go.
    /// let taken = (0..3).filter(|_| all.try_tell(&7, wait.clone()).is_ok()).count();
    /// assert!(taken <= 2); // one in hand, one in the mailbox
    /// drop(go);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn mailbox(mut self, messages: usize) -> Self {
        self.config.mailbox = messages;
        self
    }

    /// Sets what happens to a message that finds the mailbox full. The default is [`Overflow::Block`].
    ///
    /// ```
    /// # use ironsys::{Context, channel::{self, Receiver}, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Receiver<()>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.recv(cx.context()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// let newest = channel::Overflow::DropNewest;
    /// let all = Manager::<S>::builder("s").sharded(1).mailbox(1).overflow(newest).build()?;
    /// let (go, wait) = channel::bounded(1); // It is held at a message until we say go.
    /// for _ in 0..3 {
    ///     all.try_tell(&7, wait.clone())?; // never refused
    /// }
    /// assert!(all.stats().ledger.dropped >= 1);
    /// drop(go);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn overflow(mut self, overflow: Overflow<S::Msg>) -> Self {
        self.config.overflow = overflow;
        self
    }

    /// Sets how many messages of one session are handled before the next session has its turn. The
    /// default is 32.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// let none = Manager::<S>::builder("s").sharded(1).turn(0).build();
    /// assert_eq!(none.err().map(|error| error.field()), Some("turn"));
    /// let all = Manager::<S>::builder("s").sharded(1).turn(1).build()?; // strictly in turn
    /// assert_eq!(all.ask(&ctx, &7, Some)?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn turn(mut self, messages: usize) -> Self {
        self.config.turn = messages;
        self
    }

    /// Sets how many threads there may be at once: those of the shards, those that stand in for
    /// blocked ones, and those of sessions that have their own. The default is 1,024. When all of them
    /// wait for sessions that have none, nobody goes on: see [`ask`](super::Sessions::ask).
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// let few = Manager::<S>::builder("s").sharded(2).max_threads(1).build();
    /// assert_eq!(few.err().map(|error| error.field()), Some("max_threads"));
    /// let all = Manager::<S>::builder("s").sharded(2).max_threads(2).build()?;
    /// assert_eq!(all.ask(&ctx, &7, Some)?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_threads(mut self, threads: usize) -> Self {
        self.config.max_threads = threads;
        self
    }

    /// Sets after which ends a session is started again. The default is [`Restart::Transient`].
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// let all = Manager::<S>::builder("s").sharded(1).restart(Restart::Temporary).build()?;
    /// let seven = all.get_or_start(&ctx, &7)?;
    /// seven.tell(&ctx, None)?; // It fails at this.
    /// assert!(matches!(seven.wait_ended(&ctx)?, Some(Reason::Failed(_))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn restart(mut self, restart: Restart) -> Self {
        self.config.restart = restart;
        self
    }

    /// Sets how many restarts a session may have within a period before it is given up. The default is
    /// 5 in 30 seconds.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// let never = std::time::Duration::from_secs(30);
    /// let all = Manager::<S>::builder("s").sharded(1).intensity(0, never).build()?;
    /// let seven = all.get_or_start(&ctx, &7)?;
    /// seven.tell(&ctx, None)?; // It fails at this, and is given up.
    /// assert!(seven.wait_ended(&ctx)?.is_some_and(|reason| !reason.is_normal()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn intensity(mut self, restarts: u32, period: Duration) -> Self {
        self.config.intensity = Intensity::new(restarts, period);
        self
    }

    /// Sets how long to wait before each restart. The default is 10 ms, doubling up to 5 s, with
    /// [`Jitter::Equal`](crate::schedule::Jitter::Equal). When the sequence ends the session is given
    /// up; it begins anew when a period has passed without a restart.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # use ironsys::{schedule::Backoff, time::VirtualClock};
    /// # let time = VirtualClock::auto();
    /// # let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// let minute = std::time::Duration::from_secs(60);
    /// let all = Manager::<S>::builder("s").sharded(1).backoff(Backoff::fixed(minute)).context(&ctx).build()?;
    /// let since = time.now();
    /// all.tell(&ctx, &7, None)?; // It fails at this, and starts again in a minute.
    /// assert_eq!(all.ask(&ctx, &7, Some)?, 7);
    /// assert!(time.now() - since >= minute);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.config.backoff = backoff;
        self
    }

    /// Sets how often a message may crash its session before it is a dead letter. The default is 1; more
    /// needs [`Session::again`].
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) }
    /// # fn again(_: &Self::Msg) -> Option<Self::Msg> { Some(None) } }
    /// # let (ctx, _cancel) = Context::root();
    /// let (tx, rx) = ironsys::channel::bounded(8);
    /// let failed = move |_: &u32, _: &_, _| drop(tx.try_send(()));
    /// let builder = Manager::<S>::builder("s").sharded(1).on_failure(failed);
    /// let all = builder.poison_after(2).build()?; // `S::again` gives a copy
    /// all.tell(&ctx, &7, None)?; // It fails at this, twice.
    /// rx.recv(&ctx)?;
    /// rx.recv(&ctx)?;
    /// assert_eq!(all.ask(&ctx, &7, Some)?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn poison_after(mut self, crashes: u32) -> Self {
        self.config.poison_after = crashes;
        self
    }

    /// Sets after which time a shard that has not ended a turn, and has sessions waiting, is served by
    /// another thread. It is looked at once in that time, so whoever waits does so for twice as long at
    /// most. The default is 3 ms; `Duration::MAX`: never. The look is on the clock's timer thread, and
    /// under load only.
    ///
    /// ```
    /// # use ironsys::{Context, channel::{self, Receiver}, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Receiver<()>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.recv(cx.context()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// let soon = std::time::Duration::from_millis(1);
    /// let all = Manager::<S>::builder("s").sharded(1).stuck_after(soon).build()?;
    /// let ((go, wait), (free, open)) = (channel::bounded(1), channel::bounded(1));
    /// all.tell(&ctx, &7, wait)?; // It blocks the only shard ...
    /// drop(free);
    /// all.tell(&ctx, &8, open)?; // ... and another thread serves this one.
    /// assert!(matches!(all.stop(&ctx, &8)?, Some(Reason::Asked)));
    /// drop(go);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stuck_after(mut self, time: Duration) -> Self {
        self.config.stuck_after = (time != Duration::MAX).then_some(time);
        self
    }

    /// Reports a session that has been at one turn for longer than `limit` as [`Failure::Hung`](super::Failure::Hung). It is
    /// looked at every [`stuck_after`](Self::stuck_after), or every `limit` if that is never, while
    /// something is at work. For sessions on shards. The default is not to, as for `Duration::MAX`.
    ///
    /// ```
    /// # use ironsys::{Context, channel::{self, Receiver}, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Receiver<()>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.recv(cx.context()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// let (tx, rx) = channel::bounded(8);
    /// let failed = move |_: &u32, failure: &Failure<_>, _| drop(tx.try_send(failure.to_string()));
    /// let limit = std::time::Duration::from_millis(5);
    /// let all = Manager::<S>::builder("s").sharded(1).hung_after(limit).on_failure(failed).build()?;
    /// let (go, wait) = channel::bounded(1);
    /// all.tell(&ctx, &7, wait)?; // It is held at this.
    /// assert_eq!(rx.recv(&ctx)?, "at one message for more than 5ms");
    /// drop(go);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn hung_after(mut self, limit: Duration) -> Self {
        self.config.hung_after = (limit != Duration::MAX).then_some(limit);
        self
    }

    /// Lets a thread that asks an idle session run that session itself, instead of waking a shard: an
    /// answer then costs no change of threads. The price: the asker's own deadline is looked at only
    /// when the handler is done. The default is not to.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// let all = Manager::<S>::builder("s").sharded(1).caller_runs(true).build()?;
    /// assert_eq!(all.ask(&ctx, &7, Some)?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn caller_runs(mut self, yes: bool) -> Self {
        self.config.caller_runs = yes;
        self
    }

    /// Lists each turn of a session on a shard in [`observe::tasks`](crate::observe::tasks) while it
    /// runs, below the worker of its shard, or below whoever runs it for
    /// [`caller_runs`](Self::caller_runs); and keeps the longest turns of the `slowest` slowest
    /// sessions for [`Sessions::slowest`](super::Sessions::slowest). 0: turns are listed, and none is
    /// kept. The default is neither. A session with a thread of its own is always listed.
    ///
    /// # Cost
    /// Two looks at the clock, the text of the id and two short locks for each turn; nothing while
    /// sessions are idle.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// let all = Manager::<S>::builder("s").sharded(1).observe_turns(1).build()?;
    /// all.ask(&ctx, &7, Some)?;
    /// let sessions = all.sessions();
    /// all.close(&ctx);
    /// assert_eq!(sessions.slowest().len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn observe_turns(mut self, slowest: usize) -> Self {
        self.config.observed = Some(slowest);
        self
    }

    /// Makes the sessions stop with `ctx`, on its clock and under its registry, and see its values. The
    /// default is a root of its own.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// let all = Manager::<S>::builder("s").sharded(1).context(&ctx).build()?;
    /// let seven = all.get_or_start(&ctx, &7)?;
    /// _cancel.cancel();
    /// all.close(&ctx);
    /// assert!(seven.is_ended());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn context(mut self, ctx: &Context) -> Self {
        self.parent = Some(ctx.clone());
        self
    }

    /// Makes the manager, and starts the threads of the shards.
    ///
    /// # Errors
    /// `name`: it holds a zero byte. `sharded`: 0, or more than 1,024. `observe_turns`: more than 1,024.
    /// `mailbox`, `turn`,
    /// `poison_after`, `idle_after`, `live_limit`, `stuck_after`, `hung_after`: 0. `max_threads`: fewer
    /// than shards, or the system has no thread left to give; those that were started are joined.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// let none = Manager::<S>::builder("s").mailbox(0).build();
    /// assert!(none.unwrap_err().to_string().contains("mailbox"));
    /// ```
    #[track_caller]
    pub fn build(self) -> Result<Manager<S>, BuildError> {
        let Builder { name, mut config, parent } = self;
        let wrong = |field, problem: &str| Err(BuildError::new("session manager", field, problem));
        if name.contains('\0') {
            return wrong("name", "holds a zero byte");
        }
        if config.shards == OWN {
            config.shards = 0;
        } else if config.shards == 0 || config.shards > MAX_SHARDS {
            return wrong("sharded", "must be between 1 and 1024");
        }
        if config.max_threads < config.shards.max(1) {
            return wrong("max_threads", "must be at least the number of shards");
        }
        if config.observed > Some(MAX_SLOWEST) {
            return wrong("observe_turns", "must not be more than 1024");
        }
        let zeros = [
            ("mailbox", config.mailbox == 0),
            ("turn", config.turn == 0),
            ("poison_after", config.poison_after == 0),
            ("idle_after", config.idle_after == Some(Duration::ZERO)),
            ("live_limit", config.live_limit == Some(0)),
            ("stuck_after", config.stuck_after == Some(Duration::ZERO)),
            ("hung_after", config.hung_after == Some(Duration::ZERO)),
        ];
        if let Some((field, _)) = zeros.into_iter().find(|(_, is_zero)| *is_zero) {
            return wrong(field, "must not be 0");
        }
        config.name = name.clone().into();
        // Threads that stood in for blocked ones stay, a few, for the next time.
        let threads = ThreadCache::builder().name(name).idle(config.shards + 2);
        let threads = threads.keep_alive(Duration::MAX).build()?;
        let (ctx, cancel) = parent.unwrap_or_else(|| Context::root().0).with_cancel();
        let shards = config.shards;
        let core = Arc::new(Core::new(config, ctx, threads, Location::caller()));
        let manager = Manager::new(core.clone(), cancel);
        for shard in 0..shards {
            if !core.relieve(shard) {
                return wrong("max_threads", "the system has no thread left to give");
            }
        }
        Ok(manager)
    }
}

/// The list of the slowest is looked through at every turn.
const MAX_SLOWEST: usize = 1024;

/// Stands for a thread for each session until `build`.
const OWN: usize = usize::MAX;

impl<S: Session> fmt::Debug for Builder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("name", &self.name).finish_non_exhaustive()
    }
}
