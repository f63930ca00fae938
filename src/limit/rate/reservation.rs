//! A place in the queue that is held without a thread.

use super::super::errors::RateError;
use super::turn::{Seen, Turns, take_turn};
use crate::context::Context;
use crate::sync::Arc;
use std::fmt;
use std::time::Duration;

/// A place in a rate limit's queue, held until it is used or given back. Made by
/// [`RateLimit::reserve`](super::RateLimit::reserve).
///
/// It is used once, by [`wait`](Self::wait) or [`try_use`](Self::try_use), or given back once, by
/// [`cancel`](Self::cancel) or by dropping it. What is given back is exactly what was taken, unless the
/// bucket has run over since: then as much as would be there without the reservation. Those who wait
/// behind move up.
///
/// While one is held, calls on this limiter take a lock.
///
/// ```
/// use ironsys::limit::{Rate, TokenBucket};
/// let bucket = TokenBucket::new(Rate::per_hour(1), 3);
/// let three = bucket.reserve(3).unwrap();
/// assert_eq!(bucket.available(), 0);
/// three.cancel();
/// assert_eq!(bucket.available(), 3);
/// ```
///
/// A second cancel does not compile:
///
/// ```compile_fail,E0382
/// use ironsys::limit::{Rate, TokenBucket};
/// let bucket = TokenBucket::new(Rate::per_hour(1), 3);
/// let three = bucket.reserve(3).unwrap();
/// three.cancel();
/// three.cancel();
/// ```
///
/// Nor does giving back what was used:
///
/// ```compile_fail,E0382
/// # use ironsys::{Context, limit::{Rate, TokenBucket}};
/// # let (ctx, _cancel) = Context::root();
/// # let bucket = TokenBucket::new(Rate::per_hour(1), 3);
/// let three = bucket.reserve(3).unwrap();
/// three.wait(&ctx).unwrap();
/// three.cancel();
/// ```
#[must_use = "the reservation is given back when this is dropped"]
pub struct Reservation {
    turns: Arc<dyn Turns>,
    /// 0: used, or given back.
    id: u64,
    n: u32,
}

impl Reservation {
    pub(in crate::limit) fn new(turns: Arc<dyn Turns>, id: u64, n: u32) -> Reservation {
        Reservation { turns, id, n }
    }

    /// Returns for how many it is.
    ///
    /// ```
    /// # use ironsys::limit::{Rate, TokenBucket};
    /// let bucket = TokenBucket::new(Rate::per_hour(1), 3);
    /// assert_eq!(bucket.reserve(2).unwrap().count(), 2);
    /// ```
    #[must_use]
    pub fn count(&self) -> u32 {
        self.n
    }

    /// Returns how long until it can be used, as things stand: less if somebody ahead gives up, more
    /// or less if the limit changes. Zero: it can be used, or it would be refused, at once.
    ///
    /// ```
    /// use ironsys::limit::{Rate, TokenBucket};
    /// use ironsys::time::VirtualClock;
    /// use std::time::Duration;
    /// let time = VirtualClock::new();
    /// let bucket = TokenBucket::builder(Rate::per_second(1), 1).clock(time.clock()).build().unwrap();
    /// let (first, second) = (bucket.reserve(1).unwrap(), bucket.reserve(1).unwrap());
    /// assert_eq!((first.delay(), second.delay()), (Duration::ZERO, Duration::from_secs(1)));
    /// # drop((first, second));
    /// ```
    #[must_use]
    pub fn delay(&self) -> Duration {
        match self.turns.look(self.id, None, true) {
            Seen::Due { wait, .. } => wait,
            _ => Duration::ZERO,
        }
    }

    /// Waits until it can be used, and uses it.
    ///
    /// # Cancellation
    /// A cancel point. Cut short, the reservation is given back.
    ///
    /// # Errors
    /// As [`RateLimit::acquire`](super::RateLimit::acquire): too late at once if the deadline is nearer
    /// than the wait.
    ///
    /// ```
    /// # use ironsys::{Context, limit::{Rate, TokenBucket}};
    /// # let (ctx, _cancel) = Context::root();
    /// let bucket = TokenBucket::new(Rate::per_hour(1), 3);
    /// bucket.reserve(2).unwrap().wait(&ctx).unwrap();
    /// assert_eq!(bucket.available(), 1);
    /// ```
    #[track_caller]
    pub fn wait(mut self, ctx: &Context) -> Result<(), RateError> {
        ctx.check()?; // Dropping `self` gives it back.
        let id = std::mem::take(&mut self.id);
        if id == 0 { Ok(()) } else { take_turn(&*self.turns, ctx, id) }
    }

    /// Uses it if its time has come.
    ///
    /// # Errors
    /// The reservation, if it has not, or if the limit has changed so that it never will.
    ///
    /// ```
    /// # use ironsys::limit::{Rate, TokenBucket};
    /// let bucket = TokenBucket::new(Rate::per_hour(1), 1);
    /// assert!(bucket.reserve(1).unwrap().try_use().is_ok());
    /// assert!(bucket.reserve(1).unwrap().try_use().is_err()); // in an hour
    /// ```
    pub fn try_use(mut self) -> Result<(), Reservation> {
        if self.id == 0 {
            return Ok(());
        }
        match self.turns.look(self.id, None, false) {
            Seen::Passed => {
                self.id = 0;
                Ok(())
            }
            Seen::Due { .. } | Seen::Refused(_) => Err(self),
        }
    }

    /// Gives it back, as dropping does.
    ///
    /// ```
    /// # use ironsys::limit::{Rate, TokenBucket};
    /// let bucket = TokenBucket::new(Rate::per_hour(1), 3);
    /// bucket.reserve(3).unwrap().cancel();
    /// assert_eq!(bucket.available(), 3);
    /// ```
    pub fn cancel(self) {}
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let id = std::mem::take(&mut self.id);
        if id != 0 {
            self.turns.cancel(id);
        }
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").field("count", &self.n).finish_non_exhaustive()
    }
}
