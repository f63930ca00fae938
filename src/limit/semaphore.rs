//! The semaphore.

use super::errors::{AcquireError, TryAcquireError};
use super::line::Line;
use super::permit::{Held, Permit, Watched};
use super::shared::{Acquire, Shared};
use crate::context::Context;
use crate::observe::{self, Ledger};
use crate::sync::Arc;
use crate::wait::{On, Site, WaitKind, key};
use std::fmt;

/// Lets at most so many pass at a time: strictly in order of arrival, by weight, resizable.
///
/// Cheap to clone; all clones are handles to one semaphore. A [`Permit`] gives its permits back when
/// it is dropped, on whichever thread that is.
///
/// # Fairness
/// First come, first served, whatever the weights: a call that asks for many and has to wait holds
/// up everybody behind it, so it is never starved, and no call overtakes one that waits, not even
/// [`try_acquire`](Self::try_acquire).
///
/// # Cost
/// Getting a free permit and giving it back is one compare-and-swap each, and as much again for the
/// count of handles that a [`Permit`] has part in; a [`Held`] goes without. Whoever finds too few permits,
/// and for as long as anybody waits everybody, takes a lock. So does every call if there are more
/// than 2^31 - 1 permits.
///
/// ```
/// use ironsys::{Context, limit::Semaphore};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (ctx, _cancel) = Context::root();
/// let connections = Semaphore::new(2);
/// let first = connections.acquire(&ctx, 1)?;
/// let second = connections.acquire(&ctx, 1)?;
/// assert!(connections.try_acquire(1).is_err());
/// drop(first);
/// assert!(connections.try_acquire(1).is_ok());
/// assert_eq!((second.permits(), connections.in_use()), (1, 1));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Semaphore {
    shared: Arc<Shared>,
}

// ===== impl Semaphore =====

impl Semaphore {
    /// Makes a semaphore with `permits` permits, all free.
    ///
    /// With 0 every call that asks for permits is refused, until [`resize`](Self::resize) adds some.
    /// `usize::MAX` is no limit.
    ///
    /// ```
    /// # use ironsys::limit::Semaphore;
    /// assert_eq!(Semaphore::new(5).available(), 5);
    /// ```
    #[must_use]
    pub fn new(permits: usize) -> Self {
        Semaphore::make(None, permits)
    }

    /// Like [`new`](Self::new), with the name under which waits show in
    /// [`observe::tasks`](crate::observe::tasks).
    ///
    /// ```
    /// # use ironsys::limit::Semaphore;
    /// assert_eq!(Semaphore::named("connections", 5).capacity(), 5);
    /// ```
    #[must_use]
    pub fn named(name: impl Into<String>, permits: usize) -> Self {
        Semaphore::make(Some(name.into().into()), permits)
    }

    pub(super) fn make(name: Option<Arc<str>>, permits: usize) -> Self {
        Semaphore { shared: Arc::new(Shared::new(name, permits)) }
    }

    /// Whether there is no other handle, and so no permit and nobody who waits.
    pub(super) fn is_only_handle(&self) -> bool {
        Arc::strong_count(&self.shared) == 1
    }

    pub(super) fn name(&self) -> Option<Arc<str>> {
        self.shared.name.clone()
    }

    /// Acquires `permits` permits together, waiting in line if need be. 0 permits are granted at
    /// once.
    ///
    /// # Cancellation
    /// A stopped context fails the call at once, also when permits are free. A call cut short holds
    /// nothing and leaves the line. Permits handed to it at that very moment are not lost: it then
    /// succeeds.
    ///
    /// # Errors
    /// [`TooMany`](AcquireError::TooMany) at once if more is asked for than exists; also later, if
    /// the semaphore shrinks below that while the call waits. [`Closed`](AcquireError::Closed),
    /// [`Stopped`](AcquireError::Stopped).
    ///
    /// ```
    /// use ironsys::{Context, limit::{AcquireError, Semaphore}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, cancel) = Context::root();
    /// let memory = Semaphore::new(512);
    /// let buffer = memory.acquire(&ctx, 500)?;
    /// let huge = memory.acquire(&ctx, 600).unwrap_err();
    /// assert_eq!(huge, AcquireError::TooMany { asked: 600, capacity: 512 });
    /// cancel.cancel();
    /// assert!(memory.acquire(&ctx, 1).unwrap_err().stop().is_some());
    /// # drop(buffer);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    #[inline]
    pub fn acquire(&self, ctx: &Context, permits: usize) -> Result<Permit, AcquireError> {
        self.enter(ctx, permits)?;
        Ok(self.permit(permits))
    }

    /// Acquires like [`acquire`](Self::acquire), for as long as this handle is borrowed. That saves the
    /// count of handles, which is half the cost.
    ///
    /// # Cancellation
    /// As of [`acquire`](Self::acquire).
    ///
    /// # Errors
    /// As of [`acquire`](Self::acquire).
    ///
    /// ```
    /// use ironsys::{Context, limit::Semaphore};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let slots = Semaphore::new(1);
    /// let held = slots.hold(&ctx, 1)?;
    /// assert!(slots.try_acquire(1).is_err());
    /// drop(held);
    /// assert_eq!(slots.available(), 1);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    #[inline]
    pub fn hold(&self, ctx: &Context, permits: usize) -> Result<Held<'_>, AcquireError> {
        self.enter(ctx, permits)?;
        Ok(Held::new(&self.shared, permits))
    }

    /// Acquires like [`hold`](Self::hold), and puts on record which task has the permits, so that a
    /// [`DeadlockWatch`](crate::export::DeadlockWatch) sees who holds up whom. The guard stays on its
    /// thread, and so with its task.
    ///
    /// # Cancellation
    /// As of [`acquire`](Self::acquire).
    ///
    /// # Errors
    /// As of [`acquire`](Self::acquire).
    ///
    /// # Cost
    /// Some 30 ns more than [`hold`](Self::hold), which costs nothing more for it.
    ///
    /// ```
    /// use ironsys::{Context, limit::Semaphore};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let account = Semaphore::named("account", 1);
    /// let locked = account.hold_watched(&ctx, 1)?;
    /// assert_eq!((locked.permits(), account.available()), (1, 0));
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn hold_watched(&self, ctx: &Context, permits: usize) -> Result<Watched<'_>, AcquireError> {
        let held = self.hold(ctx, permits)?;
        Ok(Watched::new(observe::hold(key(&*self.shared), permits), held))
    }

    #[track_caller]
    #[inline]
    fn enter(&self, ctx: &Context, permits: usize) -> Result<(), AcquireError> {
        ctx.check()?;
        if self.shared.take(permits) { Ok(()) } else { self.enter_line(ctx, permits) }
    }

    #[cold]
    #[track_caller]
    fn enter_line(&self, ctx: &Context, permits: usize) -> Result<(), AcquireError> {
        let mut op = Acquire::new(&self.shared, permits);
        let site = Site::new(WaitKind::Permit, self.shared.name.clone());
        ctx.block(site.on(On::Lent(self.shared.clone())), &mut op)?
    }

    /// Acquires `permits` permits if they are free and nobody waits. It never overtakes.
    ///
    /// # Errors
    /// [`NoPermits`](TryAcquireError::NoPermits), [`TooMany`](TryAcquireError::TooMany) or
    /// [`Closed`](TryAcquireError::Closed).
    ///
    /// ```
    /// use ironsys::limit::{Semaphore, TryAcquireError};
    /// let slots = Semaphore::new(1);
    /// let slot = slots.try_acquire(1).unwrap();
    /// assert_eq!(slots.try_acquire(1).unwrap_err(), TryAcquireError::NoPermits);
    /// # drop(slot);
    /// ```
    #[inline]
    pub fn try_acquire(&self, permits: usize) -> Result<Permit, TryAcquireError> {
        if !self.shared.take(permits) {
            self.try_line(permits)?;
        }
        Ok(self.permit(permits))
    }

    #[cold]
    fn try_line(&self, permits: usize) -> Result<(), TryAcquireError> {
        self.shared.with(|line, _| {
            let taken = line.take(permits);
            line.counts.rejected += u64::from(taken.is_err());
            taken
        })
    }

    fn permit(&self, permits: usize) -> Permit {
        Permit::new(self.shared.clone(), permits)
    }

    /// Sets how many permits exist.
    ///
    /// More permits let those who wait pass at once. Fewer take effect as permits come back: until
    /// as many are back as were taken away, none is given out. Calls in line that ask for more than
    /// `permits` are refused. 0 stops the intake.
    ///
    /// ```
    /// use ironsys::limit::Semaphore;
    /// let slots = Semaphore::new(10);
    /// let held = slots.try_acquire(10).unwrap();
    /// slots.resize(2);
    /// assert_eq!((slots.available(), slots.in_use()), (0, 10)); // a debt of 8
    /// drop(held);
    /// assert_eq!((slots.available(), slots.in_use()), (2, 0));
    /// ```
    pub fn resize(&self, permits: usize) {
        self.shared.with(|line, wakes| line.resize(permits, wakes));
    }

    /// Closes the semaphore for good: calls that wait, and all later ones, fail. Permits that are
    /// out stay valid. Returns whether this call closed it.
    ///
    /// ```
    /// use ironsys::limit::Semaphore;
    /// let slots = Semaphore::new(1);
    /// assert!(slots.close());
    /// assert!(slots.try_acquire(1).unwrap_err().is_closed());
    /// ```
    pub fn close(&self) -> bool {
        self.shared.with(Line::close)
    }

    /// Returns whether the semaphore is closed.
    ///
    /// ```
    /// # use ironsys::limit::Semaphore;
    /// let slots = Semaphore::new(1);
    /// slots.close();
    /// assert!(slots.is_closed());
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.with(|line, _| line.closed)
    }

    /// Returns how many permits exist.
    ///
    /// ```
    /// # use ironsys::limit::Semaphore;
    /// let slots = Semaphore::new(5);
    /// slots.resize(7);
    /// assert_eq!(slots.capacity(), 7);
    /// ```
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.shared.with(|line, _| line.capacity)
    }

    /// Returns how many permits are free. While somebody waits for more than these, they are kept.
    ///
    /// ```
    /// # use ironsys::limit::Semaphore;
    /// let slots = Semaphore::new(5);
    /// let _two = slots.try_acquire(2).unwrap();
    /// assert_eq!(slots.available(), 3);
    /// ```
    #[must_use]
    pub fn available(&self) -> usize {
        self.shared.with(|line, _| line.free())
    }

    /// Returns how many permits are out; more than the capacity after a shrink.
    ///
    /// ```
    /// # use ironsys::limit::Semaphore;
    /// let slots = Semaphore::new(5);
    /// let _two = slots.try_acquire(2).unwrap();
    /// assert_eq!(slots.in_use(), 2);
    /// ```
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.shared.with(|line, _| line.in_use)
    }

    /// Returns how many calls wait.
    ///
    /// ```
    /// # use ironsys::limit::Semaphore;
    /// assert_eq!(Semaphore::new(5).waiting(), 0);
    /// ```
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.with(|line, _| line.waiting())
    }

    /// Returns the counts of the semaphore.
    ///
    /// ```
    /// use ironsys::limit::Semaphore;
    /// let slots = Semaphore::new(3);
    /// let held = slots.try_acquire(2).unwrap();
    /// let stats = slots.stats();
    /// assert_eq!((stats.capacity, stats.in_use, stats.ledger.done), (3, 2, 1));
    /// assert!(stats.ledger.is_balanced());
    /// # drop(held);
    /// ```
    #[must_use]
    pub fn stats(&self) -> SemaphoreStats {
        self.shared.with(|line, _| {
            let counts = &line.counts;
            let waiting = line.waiting();
            SemaphoreStats {
                ledger: Ledger {
                    accepted: counts.granted + counts.refused + counts.cancelled + waiting as u64,
                    done: counts.granted,
                    failed: counts.refused,
                    cancelled: counts.cancelled,
                    dropped: 0,
                    in_flight: waiting as u64,
                },
                capacity: line.capacity,
                in_use: line.in_use,
                waiting,
                peak_waiting: counts.peak_waiting,
                rejected: counts.rejected,
            }
        })
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore").field("name", &self.shared.name).finish_non_exhaustive()
    }
}

/// A semaphore at one moment, taken under its lock: the numbers agree with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SemaphoreStats {
    /// Calls: `accepted` came in, `done` got permits, `failed` were refused after they had waited,
    /// `cancelled` gave up waiting, `in_flight` wait.
    pub ledger: Ledger,
    /// How many permits exist.
    pub capacity: usize,
    /// How many permits are out; more than `capacity` after a shrink.
    pub in_use: usize,
    /// How many calls wait.
    pub waiting: usize,
    /// How many calls waited at the most.
    pub peak_waiting: usize,
    /// Calls turned away at the door: by `try_acquire`, or because they asked for too many.
    pub rejected: u64,
}
