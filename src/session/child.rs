//! What a supervisor starts and stops: a session, a task, another supervisor.

use super::address::Address;
use super::cell::Order;
use super::handle::Sessions;
use super::manager::ended;
use super::model::{Reason, Session};
use super::policy::Restart;
use super::supervisor::{self, Supervisor};
use crate::channel::{self, Answer, Sender};
use crate::context::{Canceller, Context};
use crate::panics;
use crate::sync::{Arc, catch_unwind, thread};
use std::fmt;
use std::time::Duration;

/// One child of a [`Supervisor`]: how to start it, when to start it again, how long it may take to
/// stop.
#[must_use = "a child is started by its supervisor"]
pub struct Child {
    pub(super) name: Arc<str>,
    pub(super) restart: Restart,
    pub(super) stop_within: Duration,
    pub(super) start: Box<dyn Start>,
}

/// Starts one child, again and again.
pub(super) trait Start: Send {
    /// Returns when the child is ready, or why it is not. Whoever it is tells `ended` once, at its end.
    fn start(&mut self, ctx: &Context, ended: Ended) -> Result<Box<dyn Running>, String>;
}

/// A child that was started.
pub(super) trait Running: Send {
    /// Has it end, and returns when it has; whether it did so before `ctx` stopped.
    fn stop(self: Box<Self>, ctx: &Context) -> bool;
}

/// The word of a child's end.
pub(super) struct Ended {
    pub(super) child: usize,
    pub(super) generation: u64,
    pub(super) tell: Sender<Event>,
}

pub(super) struct Event {
    pub(super) child: usize,
    pub(super) generation: u64,
    pub(super) failure: Option<String>,
}

impl Ended {
    fn tell(self, failure: Option<String>) {
        let Ended { child, generation, tell } = self;
        let _ = tell.try_send(Event { child, generation, failure }); // The supervisor may be gone.
    }
}

impl Child {
    fn new(name: impl Into<String>, start: impl Start + 'static) -> Child {
        let (restart, stop_within) = (Restart::Permanent, Duration::from_secs(5));
        Child { name: name.into().into(), restart, stop_within, start: Box::new(start) }
    }

    /// Makes a child of the session with this id. It ends for the supervisor when its manager does not
    /// restart it: build that with [`Restart::Temporary`] to leave all restarts to the supervisor.
    ///
    /// ```
    /// # use ironsys::{Context, channel::Reply, session::*};
    /// # struct S; impl Session for S { type Id = u32; type Msg = Option<Reply<u32>>; type Error = &'static str;
    /// # fn start(_: &u32, _: &mut Cx<'_, S>) -> Result<S, &'static str> { Ok(S) }
    /// # fn handle(&mut self, m: Self::Msg, cx: &mut Cx<'_, S>) -> Result<(), &'static str> { m.ok_or("none")?.send(*cx.id()).ok(); Ok(()) } }
    /// # let (ctx, _cancel) = Context::root();
    /// # let all = Manager::<S>::builder("s").sharded(1).restart(Restart::Temporary).build()?;
    /// let child = Child::session(&all.sessions(), 7);
    /// let supervisor = Supervisor::builder("top").child(child).start(&ctx)?;
    /// assert_eq!(all.ids(), [7]);
    /// supervisor.stop(&ctx);
    /// assert!(all.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn session<S: Session>(sessions: &Sessions<S>, id: S::Id) -> Child {
        let name = sessions.core.name_of(&id);
        Child::new(name, OfSession { sessions: sessions.clone(), id })
    }

    /// Makes a child of a closure with a thread of its own. It has started when its thread has; an error
    /// and a panic are failures; `Ok` is a normal end.
    ///
    /// ```
    /// # use ironsys::{Context, session::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let child = Child::task("once", |_| Ok::<_, String>(())).restart(Restart::Transient);
    /// let mut supervisor = Supervisor::builder("top").child(child).start(&ctx)?;
    /// assert_eq!(supervisor.wait_ended(&ctx)?.restarts, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn task<E: fmt::Display>(
        name: impl Into<String>,
        f: impl Fn(&Context) -> Result<(), E> + Send + Sync + 'static,
    ) -> Child {
        let name = name.into();
        let run = Arc::new(move |ctx: &Context| f(ctx).map_err(|e| e.to_string()));
        Child::new(name.clone(), OfTask { name, run })
    }

    /// Makes a child of a whole supervisor, built anew at each start. That it gives up is its failure; if
    /// `build` panics it does not start.
    ///
    /// ```
    /// # use ironsys::{Context, session::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let child = Child::supervisor("below", || Supervisor::builder("below"));
    /// let supervisor = Supervisor::builder("top").child(child).start(&ctx)?;
    /// assert!(supervisor.stop(&ctx).in_time);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn supervisor(
        name: impl Into<String>,
        build: impl Fn() -> supervisor::Builder + Send + 'static,
    ) -> Child {
        Child::new(name, OfSupervisor { build })
    }

    /// Sets when the child is started again. The default is [`Restart::Permanent`], as in OTP.
    ///
    /// ```
    /// # use ironsys::{Context, session::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let child = Child::task("fails", |_| Err("no")).restart(Restart::Temporary);
    /// let mut supervisor = Supervisor::builder("top").child(child).start(&ctx)?;
    /// assert_eq!(supervisor.wait_ended(&ctx)?.restarts, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn restart(mut self, restart: Restart) -> Child {
        self.restart = restart;
        self
    }

    /// Sets how long the child may take to stop before it is cancelled; its end is awaited all the
    /// same. The default is five seconds; zero cancels at once, `Duration::MAX` never.
    ///
    /// ```
    /// # use ironsys::{Context, session::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let child = Child::task("waits", |ctx| Err(ctx.wait_stopped()));
    /// let child = child.stop_within(std::time::Duration::MAX);
    /// let supervisor = Supervisor::builder("top").child(child).start(&ctx)?;
    /// assert!(supervisor.stop(&ctx).in_time);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stop_within(mut self, time: Duration) -> Child {
        self.stop_within = time;
        self
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child").field("name", &self.name).finish_non_exhaustive()
    }
}

// ===== a session =====

struct OfSession<S: Session> {
    sessions: Sessions<S>,
    id: S::Id,
}

impl<S: Session> Start for OfSession<S> {
    fn start(&mut self, ctx: &Context, ended: Ended) -> Result<Box<dyn Running>, String> {
        let address = self.sessions.get_or_start(ctx, &self.id).map_err(|e| panics::text(&e))?;
        let watched = address.watched_by(move |_, reason| {
            ended.tell(reason.failure().map(|failure| panics::text(failure)));
        });
        Ok(Box::new(watched))
    }
}

/// This session, and no other that somebody has started under its id since.
impl<S: Session> Running for Address<S> {
    fn stop(self: Box<Self>, ctx: &Context) -> bool {
        let (core, cell) = (self.core(), self.cell());
        core.order(cell, Order::Drain, Reason::Sibling);
        if ended(core.wait_over(ctx, cell)) {
            return true;
        }
        core.order(cell, Order::Abort, Reason::Sibling);
        ended(core.wait_over(&core.after, cell));
        false
    }
}

// ===== a task =====

type Run = dyn Fn(&Context) -> Result<(), String> + Send + Sync;

struct OfTask {
    name: String,
    run: Arc<Run>,
}

struct RunningTask {
    cancel: Canceller,
    thread: thread::JoinHandle<()>,
    done: Answer<()>,
}

impl Start for OfTask {
    fn start(&mut self, ctx: &Context, ended: Ended) -> Result<Box<dyn Running>, String> {
        // Not below `ctx`, which is there for the start.
        let (ctx, cancel) = ctx.shielded(Duration::MAX).with_cancel();
        let (run, (over, done)) = (self.run.clone(), channel::oneshot());
        let work = move || {
            let failure = match catch_unwind(|| run(&ctx)) {
                Ok(Ok(())) => None,
                Ok(Err(text)) => Some(text),
                Err(payload) => {
                    let text = format!("panicked: {}", panics::message(&*payload));
                    panics::discard(payload);
                    Some(text)
                }
            };
            ended.tell(failure);
            let _ = over.send(());
        };
        let thread = self::thread(&self.name, work)?;
        Ok(Box::new(RunningTask { cancel, thread, done }))
    }
}

/// Starts a thread, if its name can be one.
pub(super) fn thread(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> Result<thread::JoinHandle<()>, String> {
    if name.contains('\0') {
        return Err("its name holds a zero byte".into());
    }
    thread::spawn(name, work).map_err(|e| e.to_string())
}

impl Running for RunningTask {
    fn stop(mut self: Box<Self>, ctx: &Context) -> bool {
        self.cancel.cancel_with("its supervisor stopped it");
        let in_time = self.done.recv(ctx).is_ok();
        let _ = self.thread.join(); // It does not unwind.
        in_time
    }
}

// ===== a supervisor =====

struct OfSupervisor<F> {
    build: F,
}

impl<F: Fn() -> supervisor::Builder + Send> Start for OfSupervisor<F> {
    fn start(&mut self, ctx: &Context, ended: Ended) -> Result<Box<dyn Running>, String> {
        let below = catch_unwind(|| (self.build)()).map_err(|payload| {
            let text = format!("panicked: {}", panics::message(&*payload));
            panics::discard(payload);
            text
        })?;
        let below = below.before_end(move |failure| ended.tell(failure.map(str::to_owned)));
        let supervisor = below.start(ctx).map_err(|e| e.to_string())?;
        Ok(Box::new(supervisor))
    }
}

impl Running for Supervisor {
    fn stop(self: Box<Self>, ctx: &Context) -> bool {
        (*self).stop(ctx).in_time
    }
}
