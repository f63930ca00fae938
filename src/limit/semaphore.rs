//! The semaphore.

use super::errors::{AcquireError, TryAcquireError};
use super::line::Line;
use crate::context::{Context, Op};
use crate::observe::Ledger;
use crate::sync::{Arc, LeakTrack, Mutex, planted};
use crate::wait::{Site, WaitKind, Waiter, Wakes};
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
/// Getting a free permit and giving it back is one uncontended lock each, without an allocation.
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

struct Shared {
    /// Guards the whole semaphore.
    line: Mutex<Line>,
    name: Option<Arc<str>>,
    _leak: LeakTrack,
}

impl Shared {
    /// Takes permits if they are free and nobody waits for them.
    #[inline]
    fn take(&self, permits: usize) -> Result<(), TryAcquireError> {
        self.line.lock().take(permits)
    }

    /// Runs one critical section, then wakes whom it chose.
    #[inline]
    fn with<R>(&self, f: impl FnOnce(&mut Line, &mut Wakes) -> R) -> R {
        let mut wakes = Wakes::default();
        let mut line = self.line.lock();
        let out = f(&mut line, &mut wakes);
        drop(line);
        wakes.wake();
        out
    }
}

// ===== impl Semaphore =====

impl Semaphore {
    /// Makes a semaphore with `permits` permits, all free.
    ///
    /// With 0 every call that asks for permits is refused, until [`resize`](Self::resize) adds some.
    /// `usize::MAX` is no limit.
    #[must_use]
    pub fn new(permits: usize) -> Self {
        Semaphore::make(None, permits)
    }

    /// Like [`new`](Self::new), with the name under which waits show in
    /// [`observe::tasks`](crate::observe::tasks).
    #[must_use]
    pub fn named(name: impl Into<String>, permits: usize) -> Self {
        Semaphore::make(Some(name.into().into()), permits)
    }

    pub(super) fn make(name: Option<Arc<str>>, permits: usize) -> Self {
        let line = Mutex::new(Line::new(permits));
        Semaphore { shared: Arc::new(Shared { line, name, _leak: LeakTrack::new() }) }
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
        ctx.check()?;
        let taken = self.shared.take(permits);
        match taken {
            Ok(()) => Ok(self.permit(permits)),
            Err(_) => self.acquire_slow(ctx, permits),
        }
    }

    #[cold]
    #[track_caller]
    fn acquire_slow(&self, ctx: &Context, permits: usize) -> Result<Permit, AcquireError> {
        let mut op = Acquire { shared: &self.shared, asked: permits, id: 0 };
        ctx.block(Site::new(WaitKind::Permit, self.shared.name.clone()), &mut op)??;
        Ok(self.permit(permits))
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
        let mut line = self.shared.line.lock();
        let taken = line.take(permits);
        if taken.is_err() {
            line.counts.rejected += 1;
        }
        drop(line);
        taken.map(|()| self.permit(permits))
    }

    fn permit(&self, permits: usize) -> Permit {
        Permit { shared: self.shared.clone(), permits }
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
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.line.lock().closed
    }

    /// Returns how many permits exist.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.shared.line.lock().capacity
    }

    /// Returns how many permits are free. While somebody waits for more than these, they are kept.
    #[must_use]
    pub fn available(&self) -> usize {
        self.shared.line.lock().free()
    }

    /// Returns how many permits are out; more than the capacity after a shrink.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.shared.line.lock().in_use
    }

    /// Returns how many calls wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.line.lock().waiting()
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
        let line = self.shared.line.lock();
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

// ===== impl Permit =====

/// Permits of a semaphore, given back when this is dropped. Made by [`Semaphore::acquire`].
///
/// It belongs to no thread: move it into the task or the connection that it stands for.
#[must_use = "the permits are given back when this is dropped"]
pub struct Permit {
    shared: Arc<Shared>,
    permits: usize,
}

impl Permit {
    /// Returns how many permits it holds.
    #[must_use]
    pub fn permits(&self) -> usize {
        self.permits
    }

    /// Gives the permits back, as dropping does.
    pub fn release(self) {}

    /// Takes `permits` of the permits into a guard of their own; `None` if it holds fewer.
    ///
    /// ```
    /// use ironsys::limit::Semaphore;
    /// let memory = Semaphore::new(100);
    /// let mut whole = memory.try_acquire(100).unwrap();
    /// let tail = whole.split(30).unwrap();
    /// drop(tail);
    /// assert_eq!((whole.permits(), memory.available()), (70, 30));
    /// assert!(whole.split(71).is_none());
    /// ```
    #[must_use]
    pub fn split(&mut self, permits: usize) -> Option<Permit> {
        self.permits = self.permits.checked_sub(permits)?;
        Some(Permit { shared: self.shared.clone(), permits })
    }

    /// Joins the permits of `other` to these.
    ///
    /// # Errors
    /// `other`, if it is of another semaphore.
    pub fn merge(&mut self, mut other: Permit) -> Result<(), Permit> {
        if !Arc::ptr_eq(&self.shared, &other.shared) {
            return Err(other);
        }
        self.permits += std::mem::take(&mut other.permits);
        Ok(())
    }
}

impl Drop for Permit {
    #[inline]
    fn drop(&mut self) {
        let permits = self.permits;
        if permits != 0 {
            self.shared.with(|line, wakes| line.give_back(permits, wakes));
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("permits", &self.permits).finish_non_exhaustive()
    }
}

// ===== impl Acquire =====

/// An acquire under way.
struct Acquire<'a> {
    shared: &'a Shared,
    asked: usize,
    /// Its number in the line; 0 before it has one.
    id: u64,
}

impl Op for Acquire<'_> {
    type Out = Result<(), AcquireError>;

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<Self::Out> {
        let mut line = self.shared.line.lock();
        if self.id != 0 {
            return line.look(self.id);
        }
        let why = match line.take(self.asked) {
            Ok(()) => return Some(Ok(())),
            Err(TryAcquireError::NoPermits) => {
                self.id = line.enter(self.asked, waiter);
                return None;
            }
            Err(TryAcquireError::Closed) => AcquireError::Closed,
            Err(TryAcquireError::TooMany { asked, capacity }) => {
                AcquireError::TooMany { asked, capacity }
            }
        };
        line.counts.rejected += 1;
        Some(Err(why))
    }

    fn withdraw(&mut self) -> Option<Self::Out> {
        let id = std::mem::take(&mut self.id);
        if id == 0 {
            return None;
        }
        let out = self.shared.with(|line, wakes| line.leave(id, wakes));
        // Granted at the last moment: it did happen, and the caller gets its permit.
        out.filter(|out| out.is_err() || !planted("lost_grant"))
    }
}
