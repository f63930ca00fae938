//! The handle to a clock.

use super::timers::{Alarm, Call, Timers};
use super::virtual_clock::Virtual;
use crate::sync::{self, Arc};
use std::fmt;
use std::time::{Instant, SystemTime};

/// A source of time: cheap to clone, shared by a whole tree of contexts.
///
/// Two kinds exist: [`Clock::system`] and the clock of a
/// [`VirtualClock`](crate::time::VirtualClock).
///
/// ```
/// use ironsys::{Context, time::{Clock, VirtualClock}};
/// use std::time::Duration;
///
/// let time = VirtualClock::new();
/// let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
/// let before = ctx.clock().now();
/// time.advance(Duration::from_secs(3600)); // takes no time at all
/// assert_eq!(ctx.clock().now() - before, Duration::from_secs(3600));
/// assert!(Clock::system().now() >= before);
/// ```
#[derive(Clone)]
pub struct Clock(pub(super) Kind);

#[derive(Clone)]
pub(super) enum Kind {
    System(Arc<Timers>),
    Virtual(Arc<Virtual>),
}

/// Something a clock wakes: a parked thread.
pub(crate) trait Wake: Send + Sync {
    fn wake(&self);
}

impl Clock {
    /// Makes a clock that shows the machine's monotonic time.
    ///
    /// Clocks made by two calls differ only in the thread they use: a system clock starts one timer
    /// thread when the first deadline hook is registered and ends it when none is left.
    ///
    /// ```
    /// # use ironsys::time::Clock;
    /// assert!(Clock::system().is_same(&Clock::system()));
    /// ```
    #[must_use]
    pub fn system() -> Self {
        Clock(Kind::System(Arc::new(Timers::new())))
    }

    /// Returns the present time of this clock.
    ///
    /// ```
    /// # use ironsys::time::Clock;
    /// let clock = Clock::system();
    /// assert!(clock.now() <= clock.now());
    /// ```
    #[inline]
    #[must_use]
    pub fn now(&self) -> Instant {
        match &self.0 {
            Kind::System(_) => sync::time::now(),
            Kind::Virtual(time) => time.now(),
        }
    }

    /// Returns what this clock shows as date and time.
    ///
    /// It may step, forward and back, whenever somebody sets the clock; nobody is told. So it is for
    /// dates, and [`now`](Self::now) for everything that is measured or waited for.
    ///
    /// ```
    /// # use ironsys::time::VirtualClock;
    /// # use std::time::{Duration, SystemTime};
    /// let midnight_of_2000 = SystemTime::UNIX_EPOCH + Duration::from_secs(946_684_800);
    /// assert_eq!(VirtualClock::new().clock().wall(), midnight_of_2000);
    /// ```
    #[must_use]
    pub fn wall(&self) -> SystemTime {
        match &self.0 {
            Kind::System(_) => sync::time::wall(),
            Kind::Virtual(time) => time.wall(),
        }
    }

    /// Returns whether both are handles to one clock, so that their instants compare.
    ///
    /// ```
    /// # use ironsys::time::{Clock, VirtualClock};
    /// let time = VirtualClock::new();
    /// assert!(time.clock().is_same(&time.clock()));
    /// assert!(!time.clock().is_same(&Clock::system()));
    /// ```
    #[must_use]
    pub fn is_same(&self, other: &Clock) -> bool {
        match (&self.0, &other.0) {
            (Kind::System(_), Kind::System(_)) => true,
            (Kind::Virtual(a), Kind::Virtual(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// Calls `call` at `when`, once, unless the alarm is dropped before.
    pub(crate) fn call_at(&self, when: Instant, call: Call) -> Alarm {
        match &self.0 {
            Kind::System(timers) => Timers::call_at(timers, when, call),
            Kind::Virtual(time) => Virtual::call_at(time, when, call),
        }
    }

    /// The virtual time behind this clock, if it is one.
    pub(crate) fn as_virtual(&self) -> Option<&Arc<Virtual>> {
        match &self.0 {
            Kind::System(_) => None,
            Kind::Virtual(time) => Some(time),
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::System(_) => "Clock::system",
            Kind::Virtual(_) => "Clock::virtual",
        })
    }
}
