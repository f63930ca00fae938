//! Permits that are out, and come back when their guard is dropped.

use super::shared::Shared;
use crate::observe::Recorded;
use crate::sync::Arc;
use std::fmt;

// ===== impl Permit =====

/// Permits of a semaphore, given back when this is dropped. Made by
/// [`Semaphore::acquire`](super::Semaphore::acquire).
///
/// It belongs to no thread: move it into the task or the connection that it stands for.
#[must_use = "the permits are given back when this is dropped"]
pub struct Permit {
    shared: Arc<Shared>,
    permits: usize,
}

impl Permit {
    #[inline]
    pub(super) fn new(shared: Arc<Shared>, permits: usize) -> Self {
        Permit { shared, permits }
    }

    /// Returns how many permits it holds.
    ///
    /// ```
    /// # use ironsys::limit::Semaphore;
    /// let permit = Semaphore::new(5).try_acquire(3).unwrap();
    /// assert_eq!(permit.permits(), 3);
    /// ```
    #[must_use]
    pub fn permits(&self) -> usize {
        self.permits
    }

    /// Gives the permits back, as dropping does.
    ///
    /// ```
    /// # use ironsys::limit::Semaphore;
    /// let slots = Semaphore::new(1);
    /// slots.try_acquire(1).unwrap().release();
    /// assert_eq!(slots.available(), 1);
    /// ```
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
    ///
    /// ```
    /// # use ironsys::limit::Semaphore;
    /// let slots = Semaphore::new(5);
    /// let mut some = slots.try_acquire(2).unwrap();
    /// some.merge(slots.try_acquire(3).unwrap()).unwrap();
    /// assert_eq!(some.permits(), 5);
    /// ```
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
        if self.permits != 0 {
            self.shared.give_back(self.permits);
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("permits", &self.permits).finish_non_exhaustive()
    }
}

// ===== impl Held =====

/// Permits of a semaphore that is borrowed meanwhile, given back when this is dropped. Made by
/// [`Semaphore::hold`](super::Semaphore::hold).
#[must_use = "the permits are given back when this is dropped"]
pub struct Held<'a> {
    shared: &'a Shared,
    permits: usize,
}

impl<'a> Held<'a> {
    #[inline]
    pub(super) fn new(shared: &'a Shared, permits: usize) -> Self {
        Held { shared, permits }
    }

    /// Returns how many permits it holds.
    ///
    /// ```
    /// # use ironsys::{Context, limit::Semaphore};
    /// # let (ctx, _cancel) = Context::root();
    /// let slots = Semaphore::new(5);
    /// assert_eq!(slots.hold(&ctx, 3).unwrap().permits(), 3);
    /// ```
    #[must_use]
    pub fn permits(&self) -> usize {
        self.permits
    }

    /// Gives the permits back, as dropping does.
    ///
    /// ```
    /// # use ironsys::{Context, limit::Semaphore};
    /// # let (ctx, _cancel) = Context::root();
    /// let slots = Semaphore::new(1);
    /// slots.hold(&ctx, 1).unwrap().release();
    /// assert_eq!(slots.available(), 1);
    /// ```
    pub fn release(self) {}
}

impl Drop for Held<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.permits != 0 {
            self.shared.give_back(self.permits);
        }
    }
}

impl fmt::Debug for Held<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("permits", &self.permits).finish_non_exhaustive()
    }
}

// ===== impl Watched =====

/// Permits of a semaphore of which it is on record who has them, given back when this is dropped. Made by
/// [`Semaphore::hold_watched`](super::Semaphore::hold_watched).
///
/// It stays on its thread:
///
/// ```compile_fail,E0277
/// # use ironsys::limit::Watched;
/// fn send<T: Send>(_: T) {}
/// fn elsewhere(permits: Watched<'_>) {
///     send(permits);
/// }
/// ```
#[must_use = "the permits are given back when this is dropped"]
pub struct Watched<'a> {
    /// Dropped first: permits that nobody has on record make nobody suspect.
    _recorded: Recorded,
    held: Held<'a>,
}

impl<'a> Watched<'a> {
    pub(super) fn new(recorded: Recorded, held: Held<'a>) -> Self {
        Watched { _recorded: recorded, held }
    }

    /// Returns how many permits it holds.
    ///
    /// ```
    /// # use ironsys::{Context, limit::Semaphore};
    /// # let (ctx, _cancel) = Context::root();
    /// let slots = Semaphore::new(5);
    /// assert_eq!(slots.hold_watched(&ctx, 3).unwrap().permits(), 3);
    /// ```
    #[must_use]
    pub fn permits(&self) -> usize {
        self.held.permits()
    }

    /// Gives the permits back, as dropping does.
    ///
    /// ```
    /// # use ironsys::{Context, limit::Semaphore};
    /// # let (ctx, _cancel) = Context::root();
    /// let slots = Semaphore::new(1);
    /// slots.hold_watched(&ctx, 1).unwrap().release();
    /// assert_eq!(slots.available(), 1);
    /// ```
    pub fn release(self) {}
}

impl fmt::Debug for Watched<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("permits", &self.permits()).finish_non_exhaustive()
    }
}
