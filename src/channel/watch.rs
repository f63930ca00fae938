//! The latest value, for everybody who wants to know.
//!
//! One lock over the value, its version and the watchers that wait. The value is an `Arc`, so what
//! readers hold stays whole while newer ones come, and nothing of the user's is cloned or dropped
//! under the lock. Publishing tells every watcher that waits; versions in between may be skipped.

use crate::context::{Context, Op, Stop};
use crate::sync::{Arc, LeakTrack, Mutex};
use crate::wait::{Place, Site, WaitKind, WaitQueue, Waiter, Wakes};
use std::fmt;

/// Makes a value that one end publishes and the other watches: configuration, leadership, progress.
///
/// A watcher always sees the latest value, and may miss those before it. When the [`Publisher`] is
/// gone, the last value can still be seen.
///
/// ```
/// use ironsys::{Context, channel};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (ctx, _cancel) = Context::root();
/// let (level, mut watcher) = channel::watch("info");
/// level.publish("debug");
/// level.publish("trace");
/// assert_eq!(*watcher.wait_changed(&ctx)?, "trace");
/// drop(level);
/// assert!(watcher.wait_changed(&ctx).is_err());
/// assert_eq!(*watcher.get(), "trace");
/// # Ok(()) }
/// ```
pub fn watch<T>(initial: T) -> (Publisher<T>, Watcher<T>) {
    let state = State {
        value: Arc::new(initial),
        version: 0,
        closed: false,
        watchers: 1,
        waiting: WaitQueue::default(),
    };
    let shared = Arc::new(Shared { state: Mutex::new(state), _leak: LeakTrack::new() });
    (Publisher { shared: shared.clone() }, Watcher { shared, seen: 0 })
}

struct Shared<T> {
    /// Guards the value, its version, and who waits for the next.
    state: Mutex<State<T>>,
    _leak: LeakTrack,
}

struct State<T> {
    value: Arc<T>,
    version: u64,
    closed: bool,
    watchers: usize,
    waiting: WaitQueue,
}

impl<T> Shared<T> {
    /// Replaces the value, if it still is of `version`; what is returned was replaced, or was not
    /// put in.
    fn replace(&self, value: Arc<T>, version: Option<u64>) -> Result<Arc<T>, Arc<T>> {
        let mut wakes = Wakes::default();
        let mut state = self.state.lock();
        if version.is_some_and(|version| version != state.version) {
            return Err(value);
        }
        state.version += 1;
        let old = std::mem::replace(&mut state.value, value);
        state.waiting.notify_all(&mut wakes);
        drop(state);
        wakes.wake();
        Ok(old)
    }

    fn latest(&self) -> (Arc<T>, u64) {
        let state = self.state.lock();
        (state.value.clone(), state.version)
    }
}

/// A [`Watcher::wait_changed`] that saw nothing new.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// The publisher is gone, and its last value has been seen.
    #[error("nothing more will be published")]
    Closed,
    /// The context stopped first.
    #[error(transparent)]
    Stopped(#[from] Stop),
}

impl WatchError {
    /// Returns whether the publisher is gone.
    ///
    /// ```
    /// # use ironsys::{Context, channel};
    /// # let (ctx, _cancel) = Context::root();
    /// let (publisher, mut watcher) = channel::watch(1);
    /// drop(publisher);
    /// assert!(watcher.wait_changed(&ctx).unwrap_err().is_closed());
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self, WatchError::Closed)
    }

    /// Returns why the context stopped, if that is what happened.
    ///
    /// ```
    /// # use ironsys::{Context, channel};
    /// let (ctx, cancel) = Context::root();
    /// let (_publisher, mut watcher) = channel::watch(1);
    /// cancel.cancel();
    /// assert!(watcher.wait_changed(&ctx).unwrap_err().stop().is_some());
    /// ```
    #[must_use]
    pub fn stop(&self) -> Option<&Stop> {
        match self {
            WatchError::Stopped(stop) => Some(stop),
            WatchError::Closed => None,
        }
    }
}

// ===== impl Publisher =====

/// The end that publishes. Made by [`watch`]. Watchers are closed when it is dropped.
pub struct Publisher<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Publisher<T> {
    /// Publishes a value and returns the one before. Never waits.
    ///
    /// ```
    /// # use ironsys::channel;
    /// let (level, watcher) = channel::watch("info");
    /// assert_eq!(*level.publish("debug"), "info");
    /// assert_eq!(*watcher.get(), "debug");
    /// ```
    pub fn publish(&self, value: T) -> Arc<T> {
        match self.shared.replace(Arc::new(value), None) {
            Ok(old) | Err(old) => old,
        }
    }

    /// Publishes what `f` makes of the latest value, and returns the one before. Never waits.
    ///
    /// `f` runs outside of all locks; it runs again if another thread published meanwhile.
    ///
    /// ```
    /// use ironsys::channel;
    /// let (count, watcher) = channel::watch(1);
    /// assert_eq!(*count.update(|n| n + 1), 1);
    /// assert_eq!(*watcher.get(), 2);
    /// ```
    pub fn update(&self, mut f: impl FnMut(&T) -> T) -> Arc<T> {
        loop {
            let (latest, version) = self.shared.latest();
            if let Ok(old) = self.shared.replace(Arc::new(f(&latest)), Some(version)) {
                return old;
            }
        }
    }

    /// Returns the latest value.
    ///
    /// ```
    /// # use ironsys::channel;
    /// let (level, _watcher) = channel::watch("info");
    /// assert_eq!(*level.get(), "info");
    /// ```
    #[must_use]
    pub fn get(&self) -> Arc<T> {
        self.shared.latest().0
    }

    /// Makes a watcher that has seen the latest value.
    ///
    /// ```
    /// # use ironsys::channel;
    /// let (level, _first) = channel::watch("info");
    /// level.publish("debug");
    /// let second = level.watch();
    /// assert!(!second.has_changed());
    /// ```
    #[must_use]
    pub fn watch(&self) -> Watcher<T> {
        let mut state = self.shared.state.lock();
        state.watchers += 1;
        Watcher { shared: self.shared.clone(), seen: state.version }
    }

    /// Returns how many watchers there are.
    ///
    /// ```
    /// # use ironsys::channel;
    /// let (level, watcher) = channel::watch("info");
    /// let _second = watcher.clone();
    /// assert_eq!(level.watchers(), 2);
    /// ```
    #[must_use]
    pub fn watchers(&self) -> usize {
        self.shared.state.lock().watchers
    }
}

impl<T> Drop for Publisher<T> {
    fn drop(&mut self) {
        let mut wakes = Wakes::default();
        let mut state = self.shared.state.lock();
        state.closed = true;
        state.waiting.notify_all(&mut wakes);
        drop(state);
        wakes.wake();
    }
}

impl<T: fmt::Debug> fmt::Debug for Publisher<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("latest", &self.get()).finish_non_exhaustive()
    }
}

// ===== impl Watcher =====

/// The end that sees. Made by [`watch`]; a clone has seen what the original has.
pub struct Watcher<T> {
    shared: Arc<Shared<T>>,
    /// The version last seen.
    seen: u64,
}

impl<T> Watcher<T> {
    /// Waits for a value that this watcher has not seen, and returns the latest.
    ///
    /// # Cancellation
    /// A stopped context fails the call at once, also when there is something new. A call cut short
    /// has seen nothing: the next one returns what came meanwhile.
    ///
    /// # Errors
    /// [`Closed`](WatchError::Closed) once the publisher is gone and its last value seen,
    /// [`Stopped`](WatchError::Stopped).
    ///
    /// ```
    /// # use ironsys::{Context, channel};
    /// # let (ctx, _cancel) = Context::root();
    /// let (level, mut watcher) = channel::watch("info");
    /// level.publish("debug");
    /// assert_eq!(*watcher.wait_changed(&ctx).unwrap(), "debug");
    /// ```
    #[track_caller]
    pub fn wait_changed(&mut self, ctx: &Context) -> Result<Arc<T>, WatchError> {
        ctx.check()?;
        let Watcher { shared, seen } = self;
        let mut change = Change { shared, seen, place: Place::default() };
        ctx.block(Site::new(WaitKind::Recv, None), &mut change)?
    }

    /// Waits until the latest value satisfies `condition`, and returns it. The condition runs
    /// outside of all locks; values that come and go meanwhile may be skipped.
    ///
    /// # Cancellation
    /// Like [`wait_changed`](Self::wait_changed).
    ///
    /// # Errors
    /// Like [`wait_changed`](Self::wait_changed); `Closed` if the last value does not satisfy it.
    ///
    /// ```
    /// use ironsys::{Context, channel};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let (progress, mut watcher) = channel::watch(0);
    /// progress.publish(100);
    /// assert_eq!(*watcher.wait_until(&ctx, |percent| *percent == 100)?, 100);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn wait_until(
        &mut self,
        ctx: &Context,
        mut condition: impl FnMut(&T) -> bool,
    ) -> Result<Arc<T>, WatchError> {
        ctx.check()?;
        let (mut value, version) = self.shared.latest();
        self.seen = version;
        while !condition(&value) {
            value = self.wait_changed(ctx)?;
        }
        Ok(value)
    }

    /// Returns the latest value, seen or not. It does not count as seen.
    ///
    /// ```
    /// # use ironsys::channel;
    /// let (level, watcher) = channel::watch("info");
    /// level.publish("debug");
    /// assert_eq!(*watcher.get(), "debug");
    /// ```
    #[must_use]
    pub fn get(&self) -> Arc<T> {
        self.shared.latest().0
    }

    /// Returns whether there is a value that this watcher has not seen.
    ///
    /// ```
    /// # use ironsys::channel;
    /// let (level, watcher) = channel::watch("info");
    /// level.publish("debug");
    /// assert!(watcher.has_changed());
    /// ```
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.shared.state.lock().version != self.seen
    }

    /// Returns whether the publisher is gone.
    ///
    /// ```
    /// # use ironsys::channel;
    /// let (level, watcher) = channel::watch("info");
    /// drop(level);
    /// assert!(watcher.is_closed());
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.state.lock().closed
    }
}

impl<T> Clone for Watcher<T> {
    fn clone(&self) -> Self {
        self.shared.state.lock().watchers += 1;
        Watcher { shared: self.shared.clone(), seen: self.seen }
    }
}

impl<T> Drop for Watcher<T> {
    fn drop(&mut self) {
        self.shared.state.lock().watchers -= 1;
    }
}

impl<T: fmt::Debug> fmt::Debug for Watcher<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("latest", &self.get()).finish_non_exhaustive()
    }
}

/// A wait for something new.
struct Change<'a, T> {
    shared: &'a Shared<T>,
    seen: &'a mut u64,
    place: Place,
}

impl<T> Op for Change<'_, T> {
    type Out = Result<Arc<T>, WatchError>;

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<Self::Out> {
        let mut state = self.shared.state.lock();
        let out = if state.version != *self.seen {
            *self.seen = state.version;
            Ok(state.value.clone())
        } else if state.closed {
            Err(WatchError::Closed)
        } else {
            state.waiting.enter(&mut self.place, waiter);
            return None;
        };
        state.waiting.leave(&mut self.place);
        Some(out)
    }

    fn withdraw(&mut self) -> Option<Self::Out> {
        // No baton: a new value tells everybody.
        self.shared.state.lock().waiting.leave(&mut self.place);
        None
    }
}
