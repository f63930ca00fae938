//! At most so many calls at once, and at most so many that wait.

use super::error::{CallError, Full};
use crate::context::Context;
use crate::error::BuildError;
use crate::limit::{AcquireError, Permit, Semaphore, SemaphoreStats};
use crate::sync::{Arc, AtomicUsize, Ordering};
use std::fmt;
use std::time::Duration;

/// Lets at most so many calls run at once, so that one slow thing does not take all threads.
///
/// A call that finds no room waits in a bounded queue, in order of arrival; if that is full, it is
/// refused at once. Cheap to clone; all clones are handles to one bulkhead. Give one to each thing
/// that may be slow on its own.
///
/// ```
/// use ironsys::{Context, resilience::Bulkhead};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (ctx, _cancel) = Context::root();
/// let bulkhead = Bulkhead::builder("reports").concurrent(1).build()?;
/// let out = bulkhead.call(&ctx, |ctx| {
///     Ok::<_, ()>(bulkhead.call(ctx, |_| Ok::<_, ()>("no room for a second")))
/// });
/// assert!(out.is_ok_and(|inner| inner.is_err_and(|e| e.is_refusal())));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Bulkhead {
    shared: Arc<Shared>,
}

struct Shared {
    name: Arc<str>,
    room: Semaphore,
    /// Calls that wait or are about to, never more than `queue`.
    waiting: AtomicUsize,
    queue: usize,
    max_wait: Option<Duration>,
    refused: AtomicUsize,
}

impl Bulkhead {
    /// Starts to set a bulkhead up; the name is for errors and waits.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let bulkhead = Bulkhead::builder("reports").build()?;
    /// assert_eq!(bulkhead.call(&ctx, |_| Ok::<_, ()>(1)), Ok(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder(name: impl Into<String>) -> BulkheadBuilder {
        BulkheadBuilder { name: name.into(), concurrent: 16, queue: 0, max_wait: None }
    }

    /// Calls `f` when there is room.
    ///
    /// # Cancellation
    /// A stopped context fails the call at once, and ends its wait.
    ///
    /// # Errors
    /// [`Full`](CallError::Full), [`Stopped`](CallError::Stopped), or `f`'s own as
    /// [`Failed`](CallError::Failed).
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let bulkhead = Bulkhead::builder("reports").build()?;
    /// let out = bulkhead.call(&ctx, |_| Err::<(), _>("no paper"));
    /// assert_eq!(out, Err(CallError::Failed("no paper")));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn call<T, E>(
        &self,
        ctx: &Context,
        f: impl FnOnce(&Context) -> Result<T, E>,
    ) -> Result<T, CallError<E>> {
        ctx.check()?;
        self.run(ctx, |ctx| f(ctx).map_err(CallError::Failed))
    }

    #[track_caller]
    pub(super) fn run<T, E>(
        &self,
        ctx: &Context,
        f: impl FnOnce(&Context) -> Result<T, CallError<E>>,
    ) -> Result<T, CallError<E>> {
        let permit = match self.shared.room.try_acquire(1) {
            Ok(permit) => permit,
            Err(_) => self.wait(ctx)?,
        };
        let out = f(ctx);
        drop(permit);
        out
    }

    #[cold]
    #[track_caller]
    fn wait<E>(&self, ctx: &Context) -> Result<Permit, CallError<E>> {
        let Some(_place) = self.shared.place() else { return Err(self.full()) };
        let patient = self.shared.max_wait.map(|time| ctx.with_timeout(time));
        match self.shared.room.acquire(patient.as_ref().unwrap_or(ctx), 1) {
            Ok(permit) => Ok(permit),
            Err(AcquireError::Stopped(stop)) => match ctx.check() {
                Ok(()) if patient.is_some() => Err(self.full()), // It has waited long enough.
                _ => Err(CallError::Stopped(stop)),
            },
            Err(_) => Err(self.full()),
        }
    }

    fn full<E>(&self) -> CallError<E> {
        self.shared.refused.fetch_add(1, Ordering::Relaxed);
        CallError::Full(Full {
            name: self.shared.name.clone(),
            running: self.shared.room.in_use(),
            waiting: self.shared.room.waiting(),
        })
    }

    /// Sets how many calls may run at once, see [`Semaphore::resize`]. 0 refuses those that come and
    /// those that wait.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let bulkhead = Bulkhead::builder("reports").build()?;
    /// bulkhead.resize(0);
    /// assert!(bulkhead.call(&ctx, |_| Ok::<_, ()>(1)).unwrap_err().is_refusal());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn resize(&self, concurrent: usize) {
        self.shared.room.resize(concurrent);
    }

    /// Returns the counts.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let bulkhead = Bulkhead::builder("reports").build()?;
    /// let running = bulkhead.call(&ctx, |_| Ok::<_, ()>(bulkhead.stats().running));
    /// assert_eq!(running, Ok(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> BulkheadStats {
        let SemaphoreStats { ledger, in_use, waiting, .. } = self.shared.room.stats();
        let refused = self.shared.refused.load(Ordering::Relaxed) as u64;
        BulkheadStats { admitted: ledger.done, running: in_use, waiting, refused }
    }

    pub(super) fn explain(&self) -> String {
        let Shared { name, room, queue, .. } = &*self.shared;
        format!("bulkhead `{name}`: {} at once, {queue} may wait", room.capacity())
    }
}

impl Shared {
    /// A place in the queue, if one is free.
    fn place(&self) -> Option<Place<'_>> {
        let mut waiting = self.waiting.load(Ordering::Relaxed);
        while waiting < self.queue {
            let more = waiting + 1;
            // Relaxed: it counts, and the semaphore orders.
            let (ok, fail) = (Ordering::Relaxed, Ordering::Relaxed);
            match self.waiting.compare_exchange(waiting, more, ok, fail) {
                Ok(_) => return Some(Place(self)),
                Err(found) => waiting = found,
            }
        }
        None
    }
}

struct Place<'a>(&'a Shared);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Bulkhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bulkhead").field("name", &self.shared.name).finish_non_exhaustive()
    }
}

/// A bulkhead at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BulkheadStats {
    /// Calls that were let in.
    pub admitted: u64,
    /// Calls that run.
    pub running: usize,
    /// Calls that wait.
    pub waiting: usize,
    /// Calls that were refused: the queue was full, or they had waited for long enough.
    pub refused: u64,
}

/// Sets a bulkhead up. Made by [`Bulkhead::builder`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct BulkheadBuilder {
    name: String,
    concurrent: usize,
    queue: usize,
    max_wait: Option<Duration>,
}

impl BulkheadBuilder {
    /// Sets how many calls may run at once. The default is 16; 0 is refused; `usize::MAX` is no
    /// limit.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let bulkhead = Bulkhead::builder("reports").concurrent(1).build()?;
    /// let inner = bulkhead.call(&ctx, |ctx| Ok::<_, ()>(bulkhead.call(ctx, |_| Ok::<_, ()>(1))));
    /// assert!(inner.unwrap().unwrap_err().is_refusal());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn concurrent(mut self, calls: usize) -> Self {
        self.concurrent = calls;
        self
    }

    /// Sets how many calls may wait. The default is 0: none waits.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # use std::time::Duration;
    /// # let (ctx, _cancel) = Context::root();
    /// let bulkhead = Bulkhead::builder("reports").concurrent(1).queue(1).build()?;
    /// let out = bulkhead.call(&ctx, |ctx| {
    ///     let hurried = ctx.with_timeout(Duration::from_millis(1));
    ///     bulkhead.call(&hurried, |_| Ok::<_, ()>(1)).map_err(|_| "it waited until its time was up")
    /// });
    /// assert!(out.is_err());
    /// assert_eq!(bulkhead.stats().refused, 0);
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn queue(mut self, calls: usize) -> Self {
        self.queue = calls;
        self
    }

    /// Sets how long a call may wait; then it is refused. By default as long as its context allows.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*, time::VirtualClock};
    /// # use std::time::Duration;
    /// # let time = VirtualClock::auto();
    /// # let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// let bulkhead = Bulkhead::builder("reports").concurrent(1).queue(1);
    /// let bulkhead = bulkhead.max_wait(Duration::from_secs(1)).build()?;
    /// let inner = bulkhead.call(&ctx, |ctx| Ok::<_, ()>(bulkhead.call(ctx, |_| Ok::<_, ()>(1))));
    /// assert!(inner.unwrap().unwrap_err().is_refusal()); // after a second
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_wait(mut self, time: Duration) -> Self {
        self.max_wait = Some(time);
        self
    }

    /// Makes the bulkhead.
    ///
    /// # Errors
    /// `concurrent` is 0.
    ///
    /// ```
    /// # use ironsys::resilience::*;
    /// assert!(Bulkhead::builder("reports").concurrent(0).build().is_err());
    /// ```
    pub fn build(self) -> Result<Bulkhead, BuildError> {
        if self.concurrent == 0 {
            return Err(BuildError::new("bulkhead", "concurrent", "is 0: no call could ever run"));
        }
        let room = Semaphore::named(self.name.clone(), self.concurrent);
        let shared = Shared {
            name: self.name.into(),
            room,
            waiting: AtomicUsize::new(0),
            queue: self.queue,
            max_wait: self.max_wait,
            refused: AtomicUsize::new(0),
        };
        Ok(Bulkhead { shared: Arc::new(shared) })
    }
}
