//! Children that stand and fall together, with OTP's meaning.
//!
//! A supervisor is a thread with a list of children. It starts them in order, each when the one before
//! is ready; it stops them in reverse order, each within its own time. When one ends that should not
//! have, it first stops what the strategy says, and only then starts anything: there are never two
//! copies of a child. When that happens too often it stops all and ends itself.

use super::child::{self, Child, Ended, Event, Running};
use super::errors::ChildError;
use super::policy::{Intensity, Recent};
use crate::channel::{self, Answer, Receiver, Reply, Sender};
use crate::context::{Canceller, Context, OnStop, Stop};
use crate::schedule::{Backoff, Delays};
use crate::sync::thread;
use std::fmt;
use std::time::Duration;

/// Who is started again when one child has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Strategy {
    /// That child. The default.
    #[default]
    OneForOne,
    /// All of them: the others are stopped first, in reverse order.
    OneForAll,
    /// That child and those after it, which are stopped first, in reverse order.
    RestForOne,
}

/// Builds a [`Supervisor`]. Made by [`Supervisor::builder`].
#[must_use = "a builder does nothing until `start`"]
pub struct Builder {
    name: String,
    strategy: Strategy,
    intensity: Intensity,
    backoff: Backoff,
    children: Vec<Child>,
    on_end: Option<OnEnd>,
}

type OnEnd = Box<dyn FnOnce(Option<&str>) + Send>;

/// Keeps children running: see [`Strategy`], [`Child`] and [`Restart`](super::Restart).
///
/// Dropping it stops the children, in reverse order, and waits for them: so a child that drops its
/// supervisor, or stops it, waits for itself.
///
/// ```
/// use ironsys::Context;
/// use ironsys::session::{Child, Restart, Strategy, Supervisor};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (ctx, _cancel) = Context::root();
/// let (tx, rx) = ironsys::channel::bounded(8);
/// let listener = Child::task("listener", move |ctx| {
///     tx.send(ctx, "up").map_err(|e| e.to_string())?;
///     Err::<(), _>(ctx.wait_stopped().to_string())
/// });
/// let supervisor = Supervisor::builder("net")
///     .strategy(Strategy::OneForAll)
///     .intensity(5, std::time::Duration::from_secs(30))
///     .child(listener.restart(Restart::Transient))
///     .start(&ctx)?;
/// assert_eq!(rx.recv(&ctx)?, "up");
/// assert!(supervisor.stop(&ctx).in_time);
/// # Ok(()) }
/// ```
pub struct Supervisor {
    cancel: Canceller,
    thread: Option<thread::JoinHandle<()>>,
    end: Answer<Stopped>,
    /// How it ended, once that was asked for.
    ended: Option<Stopped>,
    /// Cancels children that are being stopped.
    cut: Canceller,
}

/// How a supervisor ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stopped {
    /// Whether every child stopped within its time.
    pub in_time: bool,
    /// Restarts over its life; those of several children at once count once.
    pub restarts: u64,
    /// The child and the failure over which it gave up, if it did.
    pub gave_up: Option<String>,
}

impl Builder {
    /// Sets who is started again when one child has ended. The default is [`Strategy::OneForOne`].
    ///
    /// ```
    /// # use ironsys::{Context, session::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let builder = Supervisor::builder("top").strategy(Strategy::OneForAll);
    /// let idle = Child::task("idle", |ctx| Err::<(), _>(ctx.wait_stopped()));
    /// let fails = Child::task("fails", |_| Err("no")); // and `idle` starts again with it
    /// let mut supervisor = builder.child(idle).child(fails).start(&ctx)?;
    /// assert_eq!(supervisor.wait_ended(&ctx)?.gave_up.as_deref(), Some("fails: no"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Sets how many restarts there may be within a period before it gives up. The default is 5 in 30
    /// seconds; 0 gives up at the first.
    ///
    /// ```
    /// # use ironsys::{Context, session::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let builder = Supervisor::builder("top").intensity(0, std::time::Duration::from_secs(30));
    /// let child = Child::task("fails", |_| Err("no"));
    /// let mut supervisor = builder.child(child).start(&ctx)?;
    /// assert!(supervisor.wait_ended(&ctx)?.gave_up.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn intensity(mut self, restarts: u32, period: Duration) -> Self {
        self.intensity = Intensity::new(restarts, period);
        self
    }

    /// Sets how long to wait before each restart. The default is not to wait.
    ///
    /// ```
    /// # use ironsys::{Context, session::*};
    /// # let (ctx, _cancel) = Context::root();
    /// # let time = ironsys::time::VirtualClock::auto();
    /// # let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// let second = std::time::Duration::from_secs(1);
    /// let builder = Supervisor::builder("top").backoff(ironsys::schedule::Backoff::fixed(second));
    /// let since = time.now();
    /// builder.child(Child::task("fails", |_| Err("no"))).start(&ctx)?.wait_ended(&ctx)?;
    /// assert_eq!(time.now() - since, 5 * second); // five restarts
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Adds a child, started after those added before it.
    ///
    /// ```
    /// # use ironsys::{Context, session::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let child = Child::task("once", |_| Ok::<_, String>(())).restart(Restart::Temporary);
    /// let mut supervisor = Supervisor::builder("top").child(child).start(&ctx)?;
    /// assert_eq!(supervisor.wait_ended(&ctx)?.restarts, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn child(mut self, child: Child) -> Self {
        self.children.push(child);
        self
    }

    /// Calls `f` once at the end, with the failure if it gave up: on the supervisor's thread, after the
    /// children have stopped.
    ///
    /// ```
    /// # use ironsys::{Context, session::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let (tx, rx) = ironsys::channel::bounded(1);
    /// let builder = Supervisor::builder("top").on_end(move |e| drop(tx.try_send(e.is_none())));
    /// builder.start(&ctx)?.stop(&ctx);
    /// assert!(rx.recv(&ctx)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_end(mut self, f: impl FnOnce(Option<&str>) + Send + 'static) -> Self {
        self.on_end = Some(Box::new(f));
        self
    }

    /// Calls `f` as well, before what [`on_end`](Self::on_end) was given.
    pub(super) fn before_end(mut self, f: impl FnOnce(Option<&str>) + Send + 'static) -> Self {
        let then = self.on_end.take();
        self.on_end(move |failure| {
            f(failure);
            if let Some(then) = then {
                then(failure);
            }
        })
    }

    /// Starts the supervisor's thread, and the children in order, on the calling thread.
    ///
    /// # Cancellation
    /// Of the start: what has been started is stopped again.
    ///
    /// # Errors
    /// A child did not start. It is not tried again. Under the supervisor's own name: it holds a zero
    /// byte, or there is no thread for it; then no child was started.
    ///
    /// ```
    /// # use ironsys::{Context, session::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let supervisor = Supervisor::builder("top").start(&ctx)?;
    /// assert_eq!(supervisor.stop(&ctx).restarts, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn start(self, ctx: &Context) -> Result<Supervisor, ChildError> {
        let (stopping, cut) = ctx.shielded(Duration::MAX).with_cancel();
        let (life, cancel) = stopping.with_cancel();
        let (tell, events) = channel::bounded(usize::MAX); // One event for each start of a child.
        let (over, end) = channel::oneshot();
        // The thread first: children are not left behind for want of one.
        let (hand, mut handed) = channel::oneshot::<Group>();
        let (on_end, start) = (self.on_end, ctx.shielded(Duration::MAX));
        let work = move || {
            if let Ok(group) = handed.recv(&start) {
                group.live(&events, over, on_end);
            }
        };
        let thread = match child::thread(&self.name, work) {
            Ok(thread) => thread,
            Err(problem) => return Err(ChildError { child: self.name, problem }),
        };
        let places = self.children.into_iter().map(Place::new).collect();
        let mut group = Group {
            strategy: self.strategy,
            intensity: self.intensity,
            delays: self.backoff.delays(),
            backoff: self.backoff,
            recent: Recent::default(),
            places,
            tell,
            stopping,
            ctx: life,
            stopped: Stopped { in_time: true, restarts: 0, gave_up: None },
        };
        if let Err((child, problem)) = group.start_from(0, ctx) {
            let _cut = cut_with(&cut, ctx);
            group.stop_from(0);
            let child = group.places[child].spec.name.to_string();
            drop(hand);
            let _ = thread.join(); // It has nothing to do.
            return Err(ChildError { child, problem });
        }
        let _ = hand.send(group); // It is waited for.
        Ok(Supervisor { cancel, thread: Some(thread), end, ended: None, cut })
    }
}

impl Supervisor {
    /// Starts to build a supervisor; the name is for its thread.
    ///
    /// ```
    /// # use ironsys::{Context, session::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let error = Supervisor::builder("a\0b").start(&ctx).unwrap_err();
    /// assert_eq!(error.child(), "a\0b"); // no name for a thread
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder(name: impl Into<String>) -> Builder {
        Builder {
            name: name.into(),
            strategy: Strategy::default(),
            intensity: Intensity::default(),
            backoff: Backoff::fixed(Duration::ZERO),
            children: Vec::new(),
            on_end: None,
        }
    }

    /// Stops the children in reverse order, each within its own time, and ends.
    ///
    /// # Cancellation
    /// When `ctx` stops, every child that is left is cancelled at once; the call still waits for them.
    ///
    /// ```
    /// # use ironsys::{Context, session::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let supervisor = Supervisor::builder("top").start(&ctx)?;
    /// assert!(supervisor.stop(&ctx).in_time);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stop(mut self, ctx: &Context) -> Stopped {
        let _cut = cut_with(&self.cut, ctx);
        self.cancel.cancel_with("the supervisor was stopped");
        self.join()
    }

    /// Waits until it has given up, or every child has ended for good; returns how.
    ///
    /// # Cancellation
    /// Stops waiting; the supervisor goes on.
    ///
    /// # Errors
    /// Why the context stopped.
    ///
    /// ```
    /// # use ironsys::{Context, session::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let child = Child::task("once", |_| Ok::<_, String>(())).restart(Restart::Transient);
    /// let mut supervisor = Supervisor::builder("top").child(child).start(&ctx)?;
    /// assert!(supervisor.wait_ended(&ctx)?.gave_up.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_ended(&mut self, ctx: &Context) -> Result<Stopped, Stop> {
        if self.ended.is_none() {
            match self.end.recv(ctx) {
                Ok(stopped) => self.ended = Some(stopped),
                Err(channel::AnswerError::Stopped(stop)) => return Err(stop),
                Err(channel::AnswerError::Dropped) => {}
            }
        }
        Ok(self.outcome())
    }

    fn outcome(&mut self) -> Stopped {
        let ended = self.ended.take().or_else(|| self.end.try_recv().ok());
        // Only a thread that panicked leaves nothing.
        let unknown = Stopped { in_time: false, restarts: 0, gave_up: None };
        self.ended.insert(ended.unwrap_or(unknown)).clone()
    }

    fn join(&mut self) -> Stopped {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // It does not unwind.
        }
        self.outcome()
    }
}

/// Cancels the children that are being stopped when `ctx` stops.
fn cut_with(cut: &Canceller, ctx: &Context) -> OnStop {
    let cut = cut.clone();
    ctx.on_stop(move |_| {
        cut.cancel_with("whoever waits for its end has been stopped");
    })
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.cancel.cancel_with("the supervisor was dropped");
        self.join();
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Supervisor")
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A child and, if it runs, its handle. `generation` tells its end from that of an earlier copy.
struct Place {
    spec: Child,
    running: Option<Box<dyn Running>>,
    generation: u64,
}

impl Place {
    fn new(spec: Child) -> Place {
        Place { spec, running: None, generation: 0 }
    }
}

struct Group {
    strategy: Strategy,
    intensity: Intensity,
    backoff: Backoff,
    delays: Delays,
    recent: Recent,
    places: Vec<Place>,
    tell: Sender<Event>,
    /// Under which children are stopped, until nobody waits for that any longer.
    stopping: Context,
    ctx: Context,
    stopped: Stopped,
}

impl Group {
    /// Starts the children from `first` on that do not run, in order.
    fn start_from(&mut self, first: usize, ctx: &Context) -> Result<(), (usize, String)> {
        for child in first..self.places.len() {
            self.start_one(child, ctx).map_err(|problem| (child, problem))?;
        }
        Ok(())
    }

    fn start_one(&mut self, child: usize, ctx: &Context) -> Result<(), String> {
        let place = &mut self.places[child];
        if place.running.is_some() {
            return Ok(());
        }
        place.generation += 1;
        let ended = Ended { child, generation: place.generation, tell: self.tell.clone() };
        place.running = Some(place.spec.start.start(ctx, ended)?);
        Ok(())
    }

    /// Stops the children from `first` on, in reverse order.
    fn stop_from(&mut self, first: usize) {
        for place in self.places[first..].iter_mut().rev() {
            place.generation += 1; // Its end is no news any more.
            if let Some(running) = place.running.take() {
                self.stopped.in_time &=
                    running.stop(&self.stopping.with_timeout(place.spec.stop_within));
            }
        }
    }

    fn live(mut self, events: &Receiver<Event>, over: Reply<Stopped>, on_end: Option<OnEnd>) {
        while self.places.iter().any(|place| place.running.is_some()) {
            let Ok(event) = events.recv(&self.ctx) else { break };
            let place = &mut self.places[event.child];
            if place.generation != event.generation {
                continue;
            }
            if let Some(running) = place.running.take() {
                running.stop(&self.ctx); // It has ended: this only joins it.
            }
            if !place.spec.restart.applies(event.failure.is_some()) {
                continue;
            }
            let text = event.failure.unwrap_or_else(|| "it ended".into());
            if !self.again(event.child, text) {
                break;
            }
        }
        self.stop_from(0);
        if let Some(on_end) = on_end {
            super::config::guard(|| on_end(self.stopped.gave_up.as_deref()));
        }
        let _ = over.send(self.stopped);
    }

    /// Starts a child again, and those that go with it; `false`: it gives up, or is stopped.
    fn again(&mut self, child: usize, mut why: String) -> bool {
        let (mut first, mut blamed) = (child, child);
        loop {
            let now = self.ctx.clock().now();
            let quiet = self.recent.is_quiet(self.intensity, now);
            if !self.recent.allow(self.intensity, now) {
                return self.give_up(blamed, &why);
            }
            if quiet {
                self.delays = self.backoff.delays();
            }
            let Some(delay) = self.delays.next() else {
                return self.give_up(blamed, &why);
            };
            self.stopped.restarts += 1;
            match self.strategy {
                Strategy::OneForOne => {}
                Strategy::OneForAll => self.stop_from(0),
                Strategy::RestForOne => self.stop_from(first),
            }
            if !delay.is_zero() && self.ctx.sleep(delay).is_err() {
                return false;
            }
            let ctx = self.ctx.clone();
            let started = match self.strategy {
                Strategy::OneForOne => self.start_one(first, &ctx).map_err(|e| (first, e)),
                Strategy::OneForAll => self.start_from(0, &ctx),
                Strategy::RestForOne => self.start_from(first, &ctx),
            };
            match started {
                Ok(()) => return true,
                Err(_) if self.ctx.is_stopped() => return false,
                // A restart that fails counts as one more.
                Err((next, problem)) => {
                    (first, blamed, why) = (next.min(first), next, problem);
                }
            }
        }
    }

    fn give_up(&mut self, child: usize, why: &str) -> bool {
        self.stopped.gave_up = Some(format!("{}: {why}", self.places[child].spec.name));
        false
    }
}
