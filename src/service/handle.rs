//! The handle that starts the parts and drains them.

use super::health::Health;
use super::part::{Ended, Part};
use super::report::{PartReport, Report};
use super::stopper::Stopper;
use super::task::Task;
use crate::context::{Canceller, Context};
use crate::error::BuildError;
use crate::observe::{Registry, Tasks};
use crate::panics::Panicked;
use crate::sync::{Arc, catch_unwind};
use std::fmt;
use std::io;
use std::panic::Location;
use std::time::Duration;

/// Owns the parts of a program.
///
/// Parts are started one after the other and live until they are drained, in the reverse order:
/// a stop of the context that the service was built with asks it to [end](Stopper::request) and stops
/// none of them. A service is a part itself, so there may be trees of them.
///
/// Dropping it drains it without any time: every part gives up at once, and is joined.
pub struct Service {
    name: Arc<str>,
    /// What the contexts of the parts are below. Never stopped itself.
    life: Context,
    stopper: Stopper,
    health: Health,
    within: Duration,
    on_overdue: Arc<dyn Fn(&Overdue) + Send + Sync>,
    parts: Vec<Running>,
}

struct Running {
    name: Arc<str>,
    part: Box<dyn Part>,
    cancel: Canceller,
    at: &'static Location<'static>,
}

/// A part that has not ended though its time is over. `Display` prints what still runs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Overdue {
    /// The part's name.
    pub part: Arc<str>,
    /// Everything that runs under the service's registry, and what it waits for.
    pub tasks: Tasks,
}

/// A part was not started. Those before it run on, until the service is drained or dropped.
#[derive(Debug, thiserror::Error)]
#[error("`{part}` was not started: {error}")]
#[non_exhaustive]
pub struct StartError<E> {
    /// The part's name.
    pub part: Arc<str>,
    /// Why.
    pub error: E,
}

/// Builds a [`Service`]. Made by [`Service::builder`].
#[must_use]
pub struct Builder {
    name: String,
    ctx: Option<Context>,
    within: Duration,
    on_overdue: Arc<dyn Fn(&Overdue) + Send + Sync>,
}

impl Builder {
    /// Gives the service the context that asks it to end when it stops, with clock, values and registry
    /// for all parts. Without it: a root of its own.
    ///
    /// ```
    /// # use ironsys::{Context, service::*};
    /// # let (ctx, cancel) = Context::root();
    /// let service = Service::builder("shop").context(&ctx).build()?;
    /// cancel.cancel_with("the machine goes down");
    /// assert!(service.stopper().is_requested());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn context(mut self, ctx: &Context) -> Self {
        self.ctx = Some(ctx.clone());
        self
    }

    /// Sets how long [`run`](Service::run) lets the drain take, all parts together; by default 30 s.
    ///
    /// ```
    /// # use ironsys::service::*;
    /// let never = Service::builder("shop").drain_within(std::time::Duration::ZERO);
    /// assert!(never.build().is_err());
    /// ```
    pub fn drain_within(mut self, limit: Duration) -> Self {
        self.within = limit;
        self
    }

    /// Tells `f` of a part that has not ended when its time is over, or when the service is forced; by
    /// default that goes to the log as an error. It runs on whichever thread notices, often the clock's
    /// timer thread: it must be short.
    ///
    /// ```
    /// # use ironsys::service::*;
    /// let loud = Service::builder("shop").on_overdue(|late| eprintln!("{late}"));
    /// assert!(loud.build().is_ok());
    /// ```
    pub fn on_overdue(mut self, f: impl Fn(&Overdue) + Send + Sync + 'static) -> Self {
        self.on_overdue = Arc::new(f);
        self
    }

    /// Builds it. Nothing runs yet.
    ///
    /// # Errors
    /// The time for the drain is zero.
    ///
    /// ```
    /// # use ironsys::service::*;
    /// let service = Service::builder("shop").build()?;
    /// assert!(!service.health().ready().is_fine()); // not started yet
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn build(self) -> Result<Service, BuildError> {
        if self.within.is_zero() {
            return Err(BuildError::new("service", "drain_within", "is zero: take at least 1 ns"));
        }
        let ctx = self.ctx.unwrap_or_else(|| Context::root().0);
        let stopper = Stopper::new(&ctx);
        Ok(Service {
            name: self.name.into(),
            life: ctx.detached().0,
            health: Health::new(stopper.clone()),
            stopper,
            within: self.within,
            on_overdue: self.on_overdue,
            parts: Vec::new(),
        })
    }
}

impl Service {
    /// Starts to build a service; the name is for reports and the log.
    ///
    /// ```
    /// # use ironsys::{Context, service::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let service = Service::builder("shop").build()?;
    /// assert_eq!(&*service.drain(&ctx).name, "shop");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder(name: impl Into<String>) -> Builder {
        let log = |overdue: &Overdue| log::error!("{overdue}");
        let within = Duration::from_secs(30);
        Builder { name: name.into(), ctx: None, within, on_overdue: Arc::new(log) }
    }

    /// Starts a part: calls `make` with the part's context, and keeps what it made. The second value that
    /// `make` returns comes back: a handle on the part, for those who use it.
    ///
    /// The context lives until the part has been drained.
    ///
    /// # Errors
    /// What `make` returned, with the part's name.
    ///
    /// # Panics
    /// When `make` does. The service is as it was.
    ///
    /// ```
    /// # use ironsys::{Context, service::*};
    /// # let (ctx, _cancel) = Context::root();
    /// # let mut service = Service::builder("shop").build()?;
    /// let handle = service.start("cache", |_| {
    ///     let part = |_: &Context| Ended::clean().left("dirty pages", 2);
    ///     Ok::<_, std::convert::Infallible>((part, "a handle"))
    /// })?;
    /// assert_eq!((handle, service.drain(&ctx).left()), ("a handle", 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn start<P, H, E>(
        &mut self,
        name: &str,
        make: impl FnOnce(&Context) -> Result<(P, H), E>,
    ) -> Result<H, StartError<E>>
    where
        P: Part + 'static,
    {
        let (name, at): (Arc<str>, _) = (name.into(), Location::caller());
        let (ctx, cancel) = self.life.with_cancel();
        let (part, handle) =
            make(&ctx).map_err(|error| StartError { part: name.clone(), error })?;
        self.parts.push(Running { name, part: Box::new(part), cancel, at });
        Ok(handle)
    }

    /// Starts a thread as a part. Draining it cancels its context and waits for it to return.
    ///
    /// If it returns an error before that, or panics at any time, the service is asked to end; the report
    /// says why. Returning `Ok` early is no failure, and an error after that is none: it is logged, unless
    /// it only says that the context stopped. What has something to say at the end is a
    /// [`Part`](super::Part) of its own.
    ///
    /// # Errors
    /// The operating system has no more threads.
    ///
    /// ```
    /// # use ironsys::{Context, service::*};
    /// # let (ctx, _cancel) = Context::root();
    /// # let mut service = Service::builder("shop").build()?;
    /// service.spawn("worker", |ctx| Err::<(), _>(ctx.wait_stopped()))?;
    /// assert!(service.drain(&ctx).is_clean());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn spawn<E: fmt::Display>(
        &mut self,
        name: &str,
        work: impl FnOnce(&Context) -> Result<(), E> + Send + 'static,
    ) -> Result<(), StartError<io::Error>> {
        let (stopper, at) = (self.stopper.clone(), Location::caller());
        self.start(name, |ctx| Ok((Task::start(ctx, name.into(), stopper, at, work)?, ())))
    }

    /// Adds a question to [`Health::ready`]: an error says why no work should come here now. It is asked
    /// from any thread and must not block.
    ///
    /// ```
    /// # use ironsys::{Context, service::*};
    /// # let (ctx, _cancel) = Context::root();
    /// # let mut service = Service::builder("shop").build()?;
    /// service.ready_if("disk", || Err("full".to_string()));
    /// assert!(service.health().ready().problems.iter().any(|p| &*p.probe == "disk"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ready_if(
        &self,
        name: &str,
        probe: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) {
        self.health.add(name.into(), false, Arc::new(probe));
    }

    /// Adds a question to [`Health::live`], and to [`Health::ready`]: an error says why only a new
    /// process would help.
    ///
    /// ```
    /// # use ironsys::{Context, service::*};
    /// # let (ctx, _cancel) = Context::root();
    /// # let mut service = Service::builder("shop").build()?;
    /// service.live_if("memory", || Err("corrupt".to_string()));
    /// assert_eq!(service.health().live().problems[0].why, "corrupt");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn live_if(
        &self,
        name: &str,
        probe: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) {
        self.health.add(name.into(), true, Arc::new(probe));
    }

    /// Returns a handle that asks the service to end.
    ///
    /// ```
    /// # use ironsys::{Context, service::*};
    /// # let (ctx, _cancel) = Context::root();
    /// # let mut service = Service::builder("shop").build()?;
    /// service.stopper().request("enough");
    /// assert_eq!(service.run(&ctx).why, "enough");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Returns a handle that tells whether the service does its work.
    ///
    /// ```
    /// # use ironsys::{Context, service::*};
    /// # let (ctx, _cancel) = Context::root();
    /// # let mut service = Service::builder("shop").build()?;
    /// assert!(service.health().live().is_fine());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Says that everything is started, waits until the service is asked to end, and drains it.
    ///
    /// # Cancellation
    /// A stop of `ctx` asks the service to end, as a stop of its own context does. The drain has its own
    /// time then, see [`Builder::drain_within`].
    ///
    /// ```
    /// # use ironsys::{Context, service::*};
    /// # let (ctx, _cancel) = Context::root();
    /// # let mut service = Service::builder("shop").build()?;
    /// service.spawn("worker", |ctx| Err::<(), _>(ctx.wait_stopped()))?;
    /// service.stopper().request("enough");
    /// assert!(service.run(&ctx).is_clean());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn run(mut self, ctx: &Context) -> Report {
        self.health.started();
        let stop = match self.stopper.wait_requested(ctx) {
            Ok(stop) | Err(stop) => stop,
        };
        let reason = stop.cause().map(|cause| cause.reason().to_owned());
        let why = reason.filter(|reason| !reason.is_empty()).unwrap_or_else(|| stop.to_string());
        self.stopper.request(why.clone());
        self.end(&self.life.with_timeout(self.within), why)
    }

    /// Takes no more and drains every part, those that were started last first.
    ///
    /// # Cancellation
    /// When `ctx` stops, what is still to be done is given up and reported; parts that do not heed their
    /// context hold the call up.
    ///
    /// ```
    /// # use ironsys::{Context, service::*};
    /// # let (ctx, _cancel) = Context::root();
    /// # let mut service = Service::builder("shop").build()?;
    /// service.spawn("worker", |ctx| Err::<(), _>(ctx.wait_stopped()))?;
    /// assert_eq!(&*service.drain(&ctx).parts[0].name, "worker");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn drain(mut self, ctx: &Context) -> Report {
        let why = "it was to drain";
        self.stopper.request(why);
        self.end(ctx, why.into())
    }

    fn end(&mut self, ctx: &Context, why: String) -> Report {
        let ctx = Context::merge(ctx, self.stopper.forced());
        let mut parts = Vec::with_capacity(self.parts.len());
        while let Some(running) = self.parts.pop() {
            parts.push(self.end_part(&ctx, running));
        }
        Report { name: self.name.clone(), why, parts }
    }

    fn end_part(&self, ctx: &Context, running: Running) -> PartReport {
        let Running { name, part, cancel, at } = running;
        let began = ctx.clock().now();
        let overdue = {
            let (tell, part) = (self.on_overdue.clone(), name.clone());
            let registry = self.life.registry().cloned();
            // A part that has no time from the start has a moment to give up in.
            let late = ctx.is_stopped().then(|| self.life.with_timeout(MOMENT));
            late.as_ref().unwrap_or(ctx).on_stop(move |_| {
                let tasks = registry.as_ref().map_or_else(Tasks::default, Registry::tasks);
                tell(&Overdue { part, tasks });
            })
        };
        let ended = catch_unwind(|| part.drain(ctx));
        let in_time = !ctx.is_stopped();
        drop(overdue);
        cancel.cancel_with("the part has been drained");
        let took = ctx.clock().now().saturating_duration_since(began);
        let (ended, panicked) = match ended {
            Ok(ended) => (ended, None),
            Err(payload) => (Ended::clean(), Some(Panicked::new(&*name, at, payload))),
        };
        PartReport { name, ended, took, in_time, panicked }
    }
}

/// Everything that is left of its parts is left of it, by their names.
impl Part for Service {
    fn drain(self: Box<Self>, ctx: &Context) -> Ended {
        let report = Service::drain(*self, ctx);
        let mut ended = Ended::clean();
        for part in report.parts {
            for left in part.ended.left {
                ended = ended.left(format!("{} of {}", left.what, part.name), left.count);
            }
            let panicked = part.panicked.map(|panicked| panicked.to_string());
            for error in part.ended.error.into_iter().chain(panicked) {
                ended = ended.error(format_args!("{}: {error}", part.name));
            }
        }
        ended
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if !self.parts.is_empty() {
            self.stopper.request("the service was dropped");
            let no_time = self.life.with_timeout(Duration::ZERO);
            drop(self.end(&no_time, String::new()));
        }
    }
}

impl fmt::Display for Overdue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the drain of `{}` is out of time; what still runs:\n{}", self.part, self.tasks)
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<_> = self.parts.iter().map(|part| &part.name).collect();
        f.debug_struct("Service").field("name", &self.name).field("parts", &parts).finish()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How long a part whose time was over before its drain began may take without being overdue.
const MOMENT: Duration = Duration::from_secs(1);
