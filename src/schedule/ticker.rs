//! A loop that goes round at fixed times.

use super::grid;
use crate::context::{Context, Stop};
use crate::error::BuildError;
use crate::time::Clock;
use std::time::{Duration, Instant};

/// Ticks at an interval, counted from start to start: what the loop does between two ticks does not
/// move the next one. It has no thread and no channel; a tick is a wait under the caller's context.
///
/// ```
/// use ironsys::{Context, schedule::Ticker, time::VirtualClock};
/// use std::time::Duration;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let time = VirtualClock::auto();
/// let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
/// let second = Duration::from_secs(1);
/// let (start, mut ticker) = (time.now(), Ticker::new(ctx.clock(), second)?);
/// for n in 1..=3 {
///     ticker.wait(&ctx)?;
///     assert_eq!(time.now(), start + n * second);
///     time.advance(second / 3); // the work
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Ticker {
    interval: Duration,
    missed: Missed,
    /// `None`: beyond the end of time.
    next: Option<Instant>,
    ticks: u64,
    clock: Clock,
}

/// What a [`Ticker`] does when the loop took longer than the interval.
///
/// | | a loop that takes 2.5 intervals once, and then no time |
/// |---|---|
/// | `Skip`  | 1, 3.5, 4, 5, 6, … |
/// | `Burst` | 1, 3.5, 3.5, 4, 5, … |
/// | `Delay` | 1, 3.5, 4.5, 5.5, … |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Missed {
    /// One tick at once for all that were missed; the next at its old time.
    #[default]
    Skip,
    /// Every tick that was missed, one after the other, until the loop has caught up.
    Burst,
    /// One tick at once, and the times of all later ones move: never two in less than the interval.
    Delay,
}

/// One tick. Made by [`Ticker::wait`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tick {
    /// Which one: the first is 0. What was missed is not counted.
    pub number: u64,
    /// When it was due.
    pub due: Instant,
    /// When it came.
    pub at: Instant,
    /// Ticks that fall out because of this one: their times have passed too.
    pub missed: u64,
}

impl Tick {
    /// Returns how long after its time the tick came.
    ///
    /// ```
    /// # use ironsys::{Context, schedule::Ticker, time::VirtualClock};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (time, second) = (VirtualClock::new(), Duration::from_secs(1));
    /// # let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// let mut ticker = Ticker::new(ctx.clock(), second)?;
    /// time.advance(second * 3 / 2);
    /// assert_eq!(ticker.wait(&ctx)?.late(), second / 2);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn late(&self) -> Duration {
        self.at.saturating_duration_since(self.due)
    }
}

impl Ticker {
    /// Makes a ticker on `clock` whose first tick comes in one `interval`, and which skips what it
    /// missed. An interval of `Duration::MAX` never ticks.
    ///
    /// # Errors
    /// `interval`: it is zero.
    ///
    /// ```
    /// # use ironsys::{schedule::Ticker, time::VirtualClock};
    /// # use std::time::Duration;
    /// let clock = VirtualClock::new().clock();
    /// assert!(Ticker::new(&clock, Duration::ZERO).is_err());
    /// ```
    pub fn new(clock: &Clock, interval: Duration) -> Result<Ticker, BuildError> {
        if interval.is_zero() {
            return Err(BuildError::new("ticker", "interval", "must not be zero"));
        }
        let next = clock.now().checked_add(interval);
        Ok(Ticker { interval, missed: Missed::default(), next, ticks: 0, clock: clock.clone() })
    }

    /// Sets what becomes of ticks that were missed.
    ///
    /// ```
    /// # use ironsys::{Context, schedule::{Missed, Ticker}, time::VirtualClock};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (time, second) = (VirtualClock::new(), Duration::from_secs(1));
    /// # let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// let mut ticker = Ticker::new(ctx.clock(), second)?.missed(Missed::Burst);
    /// time.advance(second * 2);
    /// assert_eq!((ticker.wait(&ctx)?.number, ticker.wait(&ctx)?.number), (0, 1));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn missed(mut self, missed: Missed) -> Ticker {
        self.missed = missed;
        self
    }

    /// Makes the next tick come now, and the others count from it.
    ///
    /// ```
    /// # use ironsys::{schedule::Ticker, time::VirtualClock};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let time = VirtualClock::new();
    /// let ticker = Ticker::new(&time.clock(), Duration::from_secs(1))?.at_once();
    /// assert_eq!(ticker.next_due(), Some(time.now()));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn at_once(mut self) -> Ticker {
        self.reset();
        self
    }

    /// Makes the next tick come now, and the others count from it.
    ///
    /// ```
    /// # use ironsys::{schedule::Ticker, time::VirtualClock};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let time = VirtualClock::new();
    /// let mut ticker = Ticker::new(&time.clock(), Duration::from_secs(1))?;
    /// ticker.reset();
    /// assert_eq!(ticker.next_due(), Some(time.now()));
    /// # Ok(()) }
    /// ```
    pub fn reset(&mut self) {
        self.next = Some(self.clock.now());
    }

    /// Returns when the next tick is due. `None`: beyond the end of time.
    ///
    /// ```
    /// # use ironsys::{schedule::Ticker, time::VirtualClock};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (time, second) = (VirtualClock::new(), Duration::from_secs(1));
    /// let ticker = Ticker::new(&time.clock(), second)?;
    /// assert_eq!(ticker.next_due(), Some(time.now() + second));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.next
    }

    /// Waits for the next tick; one that is due comes at once.
    ///
    /// If `ctx` has another clock than the ticker, what is left is counted on `ctx`'s.
    ///
    /// # Cancellation
    /// The tick is not used up: the next wait returns it.
    ///
    /// # Errors
    /// Why `ctx` stopped.
    ///
    /// ```
    /// # use ironsys::{Context, schedule::Ticker, time::VirtualClock};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let time = VirtualClock::auto();
    /// let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// let mut ticker = Ticker::new(ctx.clock(), Duration::from_secs(1))?;
    /// assert_eq!(ticker.wait(&ctx)?.missed, 0);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn wait(&mut self, ctx: &Context) -> Result<Tick, Stop> {
        let Some(due) = self.next else { return Err(ctx.wait_stopped()) };
        if ctx.clock().is_same(&self.clock) {
            ctx.sleep_until(due)?;
        } else {
            ctx.sleep(due.saturating_duration_since(self.clock.now()))?;
        }
        // Not before its time, whatever the other clock says.
        let at = self.clock.now().max(due);
        let passed = grid::passed(due, self.interval, at);
        let (missed, next) = match self.missed {
            Missed::Burst => (0, due.checked_add(self.interval)),
            Missed::Skip => (passed.count - 1, passed.next),
            Missed::Delay => (passed.count - 1, at.checked_add(self.interval)),
        };
        let number = self.ticks;
        self.ticks += 1;
        self.next = next;
        Ok(Tick { number, due, at, missed })
    }
}
