//! The handles: [`Context`] goes down with every call, [`Canceller`] stays with whoever may stop it.

use super::block::Op;
use super::build::ContextBuilder;
use super::hooks::OnStop;
use super::node::Node;
use super::stop::{Cause, Stop};
use super::values::Values;
use crate::observe::Registry;
use crate::sync::Arc;
use crate::time::Clock;
use crate::wait::{Site, WaitKind, Waiter};
use std::borrow::Cow;
use std::fmt;
use std::panic::Location;
use std::time::{Duration, Instant};

/// Tells a call when to give up, and carries what belongs to the request.
///
/// A function takes `&Context` if and only if it may block; it is then a cancel point and honours
/// the deadline. Contexts form a tree: stopping one stops all below it, and a child's deadline is
/// never later than its parent's. A stop is for good: every later blocking call under a stopped
/// context fails at once. A context cannot cancel itself; that takes the [`Canceller`].
///
/// # Cost
/// A clone is one reference count. A child is one allocation, no thread; dropped, it leaves nothing
/// behind. [`check`](Self::check) is one load, and a look at the clock if there is a deadline.
///
/// ```
/// use ironsys::{Context, Stop};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Stop> {
/// let (ctx, cancel) = Context::root();
/// let request = ctx.with_timeout(Duration::from_secs(5));
/// request.check()?; // not stopped yet
/// cancel.cancel_with("shutting down");
/// let stop = request.check().unwrap_err();
/// assert_eq!(stop.cause().map(|c| c.reason()), Some("shutting down"));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Context {
    node: Arc<Node>,
    values: Option<Arc<Values>>,
}

impl Context {
    pub(super) fn over(node: Arc<Node>, values: Option<Arc<Values>>) -> Self {
        Context { node, values }
    }

    /// Makes a root without a deadline, on a system clock.
    ///
    /// ```
    /// # use ironsys::Context;
    /// let (ctx, _cancel) = Context::root();
    /// assert!(ctx.deadline().is_none());
    /// ```
    #[must_use]
    pub fn root() -> (Context, Canceller) {
        ContextBuilder::new().build()
    }

    /// Makes a root step by step: clock, registry, values.
    ///
    /// ```
    /// let (ctx, _cancel) = ironsys::Context::builder().value(7_u32).build();
    /// assert_eq!(ctx.value::<u32>(), Some(&7));
    /// ```
    pub fn builder() -> ContextBuilder {
        ContextBuilder::new()
    }

    /// Makes a child that can be cancelled without its parent.
    ///
    /// ```
    /// # use ironsys::Context;
    /// # let (ctx, _cancel) = Context::root();
    /// let (child, cancel) = ctx.with_cancel();
    /// cancel.cancel();
    /// assert!(child.is_stopped() && !ctx.is_stopped());
    /// ```
    #[must_use]
    pub fn with_cancel(&self) -> (Context, Canceller) {
        let node = self.node.child(None);
        (Context::over(node.clone(), self.values.clone()), Canceller::over(node))
    }

    /// Makes a child that stops `timeout` from now, or with its parent if that is earlier. A timeout
    /// of zero is stopped from the start; one too long to represent adds nothing.
    ///
    /// ```
    /// # use ironsys::Context;
    /// # let (ctx, _cancel) = Context::root();
    /// assert!(ctx.with_timeout(std::time::Duration::ZERO).is_stopped());
    /// ```
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Context {
        self.derive(self.clock().now().checked_add(timeout))
    }

    /// Makes a child that stops at `deadline`, an instant of [this clock](Self::clock), or with its
    /// parent if that is earlier.
    ///
    /// ```
    /// # use ironsys::Context;
    /// # let (ctx, _cancel) = Context::root();
    /// let now = ctx.clock().now();
    /// assert_eq!(ctx.with_deadline(now).deadline(), Some(now));
    /// ```
    #[must_use]
    pub fn with_deadline(&self, deadline: Instant) -> Context {
        self.derive(Some(deadline))
    }

    fn derive(&self, deadline: Option<Instant>) -> Context {
        Context::over(self.node.child(deadline), self.values.clone())
    }

    /// Makes a handle to the same context that carries `value`, found by its type. It hides an
    /// earlier value of the same type.
    ///
    /// ```
    /// use ironsys::Context;
    /// struct Tenant(&'static str);
    /// let (ctx, _cancel) = Context::root();
    /// let ctx = ctx.with_value(Tenant("a"));
    /// assert_eq!(ctx.value::<Tenant>().map(|t| t.0), Some("a"));
    /// assert!(ctx.value::<String>().is_none());
    /// ```
    #[must_use]
    pub fn with_value<T: Send + Sync + 'static>(&self, value: T) -> Context {
        Context::over(self.node.clone(), Values::push(self.values.clone(), value))
    }

    /// Returns the nearest value of type `T`.
    ///
    /// ```
    /// # use ironsys::Context;
    /// # let (ctx, _cancel) = Context::root();
    /// assert_eq!(ctx.with_value(7_u32).value::<u32>(), Some(&7));
    /// ```
    #[must_use]
    pub fn value<T: 'static>(&self) -> Option<&T> {
        Values::find(self.values.as_ref())
    }

    /// Makes a context that the parent's stop does not reach, for cleaning up: it keeps clock and
    /// values and stops `timeout` from now.
    ///
    /// ```
    /// use ironsys::Context;
    /// use std::time::Duration;
    /// let (ctx, cancel) = Context::root();
    /// cancel.cancel();
    /// let cleanup = ctx.shielded(Duration::from_secs(1));
    /// assert!(ctx.check().is_err() && cleanup.check().is_ok());
    /// ```
    #[must_use]
    pub fn shielded(&self, timeout: Duration) -> Context {
        let deadline = self.clock().now().checked_add(timeout);
        Context::over(Node::root(self.node.root.clone(), deadline), self.values.clone())
    }

    /// A root of its own with this clock, registry and values, and no deadline: for work that others
    /// will wait for.
    pub(crate) fn detached(&self) -> (Context, Canceller) {
        let node = Node::root(self.node.root.clone(), None);
        (Context::over(node.clone(), self.values.clone()), Canceller::over(node))
    }

    /// Makes a context that stops with either of the two.
    ///
    /// Clock and registry are `a`'s; values are looked up in `a` first. If `b` has another clock,
    /// what is left until its deadline is counted on `a`'s.
    ///
    /// ```
    /// # use ironsys::Context;
    /// # let ((a, _keep), (b, cancel)) = (Context::root(), Context::root());
    /// let both = Context::merge(&a, &b);
    /// cancel.cancel();
    /// assert!(both.is_stopped() && !a.is_stopped());
    /// ```
    #[must_use]
    pub fn merge(a: &Context, b: &Context) -> Context {
        let deadline = match b.deadline() {
            Some(at) if !a.clock().is_same(b.clock()) => {
                let left = at.saturating_duration_since(b.clock().now());
                a.clock().now().checked_add(left)
            }
            deadline => deadline,
        };
        let values = Values::join(a.values.as_ref(), b.values.as_ref());
        Context::over(a.node.merged(&b.node, deadline), values)
    }

    /// Returns an error if the context is stopped: put it into loops that compute.
    ///
    /// # Errors
    /// Why it stopped.
    ///
    /// ```
    /// # use ironsys::Context;
    /// # let (ctx, cancel) = Context::root();
    /// assert!(ctx.check().is_ok());
    /// cancel.cancel();
    /// assert!(ctx.check().is_err());
    /// ```
    #[inline]
    pub fn check(&self) -> Result<(), Stop> {
        if !self.node.is_marked() && self.node.deadline.is_none() {
            return Ok(());
        }
        self.node.stopped().map_or(Ok(()), Err)
    }

    /// Returns whether the context is stopped.
    ///
    /// ```
    /// let (ctx, cancel) = ironsys::Context::root();
    /// assert!(!ctx.is_stopped());
    /// cancel.cancel();
    /// assert!(ctx.is_stopped());
    /// ```
    #[inline]
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.check().is_err()
    }

    /// Returns when the context stops by itself.
    ///
    /// ```
    /// let (ctx, _cancel) = ironsys::Context::root();
    /// assert!(ctx.with_timeout(std::time::Duration::from_secs(1)).deadline() > ctx.deadline());
    /// ```
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.node.deadline
    }

    /// Returns how long until the deadline: zero if it has passed, `None` if there is none.
    ///
    /// ```
    /// # use ironsys::Context;
    /// # let (ctx, _cancel) = Context::root();
    /// assert_eq!(ctx.remaining(), None);
    /// ```
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline().map(|at| at.saturating_duration_since(self.clock().now()))
    }

    /// Returns the clock that deadlines and sleeps are read from.
    ///
    /// ```
    /// # let time = ironsys::time::VirtualClock::new();
    /// let (ctx, _cancel) = ironsys::Context::builder().clock(time.clock()).build();
    /// assert_eq!(ctx.clock().now(), time.now());
    /// ```
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.node.root.clock
    }

    /// Sleeps for `time`. `Duration::MAX` sleeps until the context stops.
    ///
    /// # Cancellation
    /// Ends at once when the context stops. A sleep that ends at the very deadline has ended well.
    ///
    /// # Errors
    /// Why the context stopped.
    ///
    /// ```
    /// use ironsys::{Context, Stop, time::VirtualClock};
    /// use std::time::Duration;
    /// let time = VirtualClock::auto();
    /// let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// let short = ctx.with_timeout(Duration::from_secs(1));
    /// assert_eq!(short.sleep(Duration::from_secs(60)), Err(Stop::DeadlineExceeded));
    /// ```
    #[track_caller]
    pub fn sleep(&self, time: Duration) -> Result<(), Stop> {
        self.check()?;
        self.sleep_to(self.clock().now().checked_add(time))
    }

    /// Sleeps until `at`, an instant of [this clock](Self::clock). One that has passed does not
    /// sleep.
    ///
    /// # Cancellation
    /// As for [`sleep`](Self::sleep).
    ///
    /// # Errors
    /// Why the context stopped.
    ///
    /// ```
    /// use ironsys::{Context, Stop, time::VirtualClock};
    /// use std::time::Duration;
    /// # fn main() -> Result<(), Stop> {
    /// let time = VirtualClock::auto();
    /// let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// let noon = time.now() + Duration::from_secs(43_200);
    /// ctx.sleep_until(noon)?;
    /// assert_eq!(time.now(), noon);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn sleep_until(&self, at: Instant) -> Result<(), Stop> {
        self.check()?;
        self.sleep_to(Some(at))
    }

    #[track_caller]
    fn sleep_to(&self, until: Option<Instant>) -> Result<(), Stop> {
        let never = &mut Never { clock: self.clock(), until };
        let site = Site::new(WaitKind::Sleep, None);
        loop {
            // `Some`: it was time. `None` with a deadline: the same, noticed by the wait.
            match self.block_until(until, site.clone(), never)? {
                None if until.is_none() => {}
                _ => return Ok(()),
            }
        }
    }

    /// Waits until the context stops and returns why.
    ///
    /// # Cancellation
    /// That is what it waits for.
    ///
    /// ```
    /// # use ironsys::Context;
    /// # let (ctx, cancel) = Context::root();
    /// cancel.cancel();
    /// assert!(ctx.wait_stopped().is_cancelled());
    /// ```
    #[track_caller]
    pub fn wait_stopped(&self) -> Stop {
        let never = &mut Never { clock: self.clock(), until: None };
        match self.block(Site::new(WaitKind::Stopped, None), never) {
            Ok(()) => unreachable!("Never with no end does not happen"),
            Err(stop) => stop,
        }
    }

    /// Runs `f` once when the context stops, unless the guard is dropped before.
    ///
    /// It runs on the thread that cancels, outside of all locks; at a deadline, on the clock's timer
    /// thread or on whichever thread notices the deadline first; at once, on this thread, if the
    /// context is stopped already. So it must be short: shut a socket down, kill a child process. A
    /// panic in it is logged and goes no further.
    ///
    /// ```
    /// use ironsys::Context;
    /// use std::sync::mpsc;
    /// let (ctx, cancel) = Context::root();
    /// let (tx, rx) = mpsc::channel();
    /// let _guard = ctx.on_stop(move |why| tx.send(why.to_string()).unwrap());
    /// cancel.cancel_with("bye");
    /// assert!(rx.recv().unwrap().ends_with("bye"));
    /// ```
    pub fn on_stop(&self, f: impl FnOnce(Stop) + Send + 'static) -> OnStop {
        OnStop::register(self, Box::new(f))
    }

    /// Returns how many children and how many hooks (closures, blocked calls) are linked: for leak
    /// tests.
    ///
    /// ```
    /// # use ironsys::Context;
    /// # let (ctx, _cancel) = Context::root();
    /// let _child = ctx.with_cancel();
    /// assert_eq!(ctx.linked(), (1, 0));
    /// ```
    #[must_use]
    pub fn linked(&self) -> (usize, usize) {
        self.node.linked()
    }

    /// Whether the context has been stopped, in one load. A deadline that has passed counts once
    /// somebody has noticed it: a blocked call, a check, or an `on_stop` closure's alarm.
    #[inline]
    pub(crate) fn is_marked(&self) -> bool {
        self.node.is_marked()
    }

    pub(super) fn node(&self) -> &Arc<Node> {
        &self.node
    }

    pub(crate) fn registry(&self) -> Option<&Registry> {
        self.node.root.registry.as_ref()
    }
}

/// A wait for a time, or for nothing at all.
struct Never<'a> {
    clock: &'a Clock,
    until: Option<Instant>,
}

impl Op for Never<'_> {
    type Out = ();

    fn poll(&mut self, _: &Arc<Waiter>) -> Option<()> {
        self.until.filter(|until| self.clock.now() >= *until).map(drop)
    }

    fn withdraw(&mut self) -> Option<()> {
        None
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("stopped", &self.node.is_marked())
            .field("remaining", &self.remaining())
            .finish_non_exhaustive()
    }
}

/// Cancels a context and everything below it.
///
/// Separate from [`Context`], so that what is called cannot cancel its caller. Dropping it cancels
/// nothing; [`cancel_on_drop`](Self::cancel_on_drop) makes a guard that does.
#[derive(Clone)]
pub struct Canceller {
    node: Arc<Node>,
}

impl Canceller {
    pub(super) fn over(node: Arc<Node>) -> Self {
        Canceller { node }
    }

    /// Cancels; returns whether this call did it (`false`: it was stopped already).
    ///
    /// When it returns, everything below is stopped, every `on_stop` closure has run and every
    /// blocked call has been woken.
    ///
    /// ```
    /// # use ironsys::Context;
    /// let (_ctx, cancel) = Context::root();
    /// assert!(cancel.cancel() && !cancel.cancel());
    /// ```
    #[track_caller]
    pub fn cancel(&self) -> bool {
        self.cancel_with("")
    }

    /// Cancels and says why; the reason is found in every error that follows from it.
    ///
    /// ```
    /// # use ironsys::Context;
    /// # let (ctx, cancel) = Context::root();
    /// cancel.cancel_with("bye");
    /// assert!(ctx.wait_stopped().to_string().ends_with("bye"));
    /// ```
    #[track_caller]
    pub fn cancel_with(&self, reason: impl Into<Cow<'static, str>>) -> bool {
        self.node.stop(&Stop::Cancelled(Cause::new(reason.into(), Location::caller())))
    }

    /// Makes a guard that cancels when it is dropped.
    ///
    /// ```
    /// use ironsys::Context;
    /// let (ctx, cancel) = Context::root();
    /// drop(cancel.cancel_on_drop());
    /// assert!(ctx.is_stopped());
    /// ```
    #[track_caller]
    pub fn cancel_on_drop(self) -> CancelOnDrop {
        CancelOnDrop { canceller: self, at: Location::caller() }
    }
}

impl fmt::Debug for Canceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canceller").field("stopped", &self.node.is_marked()).finish_non_exhaustive()
    }
}

/// Cancels a context when it is dropped. Made by [`Canceller::cancel_on_drop`].
#[derive(Debug)]
#[must_use = "the context is cancelled when this is dropped"]
pub struct CancelOnDrop {
    canceller: Canceller,
    at: &'static Location<'static>,
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        let cause = Cause::new("its owner is gone".into(), self.at);
        self.canceller.node.stop(&Stop::Cancelled(cause));
    }
}
