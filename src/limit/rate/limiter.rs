//! The rate limit: a rule, a queue and the lock around them.

use super::super::errors::{RateError, TryRateError};
use super::meter::{Meter, Tried};
use super::queue::Queue;
use super::reservation::Reservation;
use super::spec::Kind;
use super::turn::{Entry, Seen, Turns, Waiting, take_turn};
use crate::context::Context;
use crate::observe::Ledger;
use crate::sync::{Arc, AtomicU64, LeakTrack, Mutex, Ordering};
use crate::time::Clock;
use crate::wait::Wakes;
use std::fmt;
use std::time::{Duration, Instant};

/// Lets so many pass in a time. See the kinds: [`TokenBucket`](super::TokenBucket),
/// [`DebtBucket`](super::DebtBucket), [`LeakyBucket`](super::LeakyBucket),
/// [`LeakyShaper`](super::LeakyShaper), [`Gcra`](super::Gcra), [`SlidingWindow`](super::SlidingWindow).
///
/// Cheap to clone; all clones are handles to one limit. Time is its own clock's, which should be the
/// one of the contexts that it is used with: deadlines are compared with waits, and if the clocks
/// differ, a wait is counted on the context's and then looked at again.
///
/// # Fairness
/// First come, first served, whatever the numbers asked for. Nobody overtakes one who waits, not even
/// [`try_acquire`](Self::try_acquire).
///
/// # Cost
/// Buckets: a look at the clock and one compare-and-swap, unless somebody waits or a reservation is
/// held. Windows: one lock.
pub struct RateLimit<K: Kind> {
    shared: Arc<Shared<K::Meter>>,
}

struct Shared<M: Meter> {
    /// Enough while nobody waits.
    fast: M::Fast,
    /// Guards the rule, what was used, and who waits.
    line: Mutex<Line<M>>,
    /// Refusals without a wait. A count, nothing hangs on it.
    refused: AtomicU64,
    clock: Clock,
    start: Instant,
    name: Option<Arc<str>>,
    _leak: LeakTrack,
}

struct Line<M: Meter> {
    meter: M,
    cell: M::Cell,
    queue: Queue<M>,
}

// ===== impl Shared =====

impl<M: Meter> Shared<M> {
    #[inline]
    fn now(&self) -> u64 {
        let since = self.clock.now().saturating_duration_since(self.start);
        // Seconds and nanoseconds apart are cheaper than all in 128 bits; the time ends in 584 years.
        since.as_secs().wrapping_mul(1_000_000_000).wrapping_add(u64::from(since.subsec_nanos()))
    }

    /// Runs one critical section at the present time, then wakes whom it chose.
    fn with<R>(&self, f: impl FnOnce(&mut Line<M>, u64, &mut Wakes) -> R) -> R {
        let mut wakes = Wakes::default();
        let mut guard = self.line.lock();
        let line = &mut *guard;
        line.meter.open(&self.fast, &mut line.cell);
        let t = self.now();
        line.queue.settle(&mut line.meter, &mut line.cell, t, &mut wakes);
        let out = f(line, t, &mut wakes);
        line.meter.close(&self.fast, &line.cell, line.queue.is_busy());
        drop(guard);
        wakes.wake();
        out
    }

    /// Passes, or says when it will be.
    fn try_slow(&self, n: u32) -> Result<(), TryRateError> {
        self.with(|line, t, wakes| {
            let Line { meter, cell, queue } = line;
            queue.try_busy(meter, cell, t, n, wakes)
        })
    }
}

impl<M: Meter> Turns for Shared<M> {
    fn enter(&self, n: u32, within: Option<Duration>, reserving: bool) -> Result<Entry, RateError> {
        self.with(|line, t, _| {
            let latest = within
                .map(|wait| t.saturating_add(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX)));
            let Line { meter, cell, queue } = line;
            queue.enter(meter, cell, t, n, latest, reserving).map(Entry::from)
        })
    }

    fn look(&self, id: u64, waiter: Option<&Waiting<'_>>, peek: bool) -> Seen {
        self.with(|line, t, _| {
            let Line { meter, cell, queue } = line;
            Seen::of(queue.look(meter, cell, id, waiter.map(|w| w.0), peek), t)
        })
    }

    fn withdraw(&self, id: u64) -> bool {
        self.with(|line, _, wakes| line.queue.withdraw(id, wakes))
    }

    fn cancel(&self, id: u64) {
        self.with(|line, t, wakes| {
            line.queue.cancel(&line.meter, &mut line.cell, t, id, wakes);
        });
    }

    fn name(&self) -> Option<Arc<str>> {
        self.name.clone()
    }
}

// ===== impl RateLimit =====

impl<K: Kind> RateLimit<K> {
    pub(super) fn make(meter: K::Meter, clock: Clock, name: Option<Arc<str>>) -> Self {
        let start = clock.now();
        let cell = meter.fresh(0);
        let shared = Shared {
            fast: meter.fast(&cell),
            line: Mutex::new(Line { meter, cell, queue: Queue::default() }),
            refused: AtomicU64::new(0),
            clock,
            start,
            name,
            _leak: LeakTrack::new(),
        };
        RateLimit { shared: Arc::new(shared) }
    }

    /// Passes if it can pass now and nobody waits. 0 passes always.
    ///
    /// # Errors
    /// [`NotYet`](TryRateError::NotYet) with the time until it could, or why waiting would be in vain.
    ///
    /// ```
    /// # use ironsys::limit::{Rate, TokenBucket};
    /// let bucket = TokenBucket::new(Rate::per_hour(1), 1);
    /// assert!(bucket.try_acquire(1).is_ok() && bucket.try_acquire(1).is_err());
    /// ```
    #[inline]
    pub fn try_acquire(&self, n: u32) -> Result<(), TryRateError> {
        match self.try_fast(n) {
            Tried::Granted => Ok(()),
            Tried::NotYet(nanos) => {
                self.shared.refused.fetch_add(1, Ordering::Relaxed);
                Err(TryRateError::not_yet(nanos))
            }
            Tried::Slow => self.try_slow(n),
        }
    }

    #[inline]
    fn try_fast(&self, n: u32) -> Tried {
        if n == 0 {
            return Tried::Granted;
        }
        K::Meter::try_fast(&self.shared.fast, n, || self.shared.now())
    }

    #[cold]
    fn try_slow(&self, n: u32) -> Result<(), TryRateError> {
        let tried = self.shared.try_slow(n);
        if tried.is_err() {
            self.shared.refused.fetch_add(1, Ordering::Relaxed);
        }
        tried
    }

    /// Passes, waiting for its turn if need be. 0 passes at once.
    ///
    /// The wait is known when it begins: if the context's deadline comes before the turn, the call
    /// fails at once, and takes nothing. A change of the limit moves the turns of those who wait.
    ///
    /// # Cancellation
    /// A cancel point. A stopped context fails the call at once, also when it could pass. A call cut
    /// short has taken nothing, and those behind it move up. A turn that comes at that very moment is
    /// not lost: the call succeeds.
    ///
    /// # Errors
    /// [`TooLate`](RateError::TooLate); [`TooMany`](RateError::TooMany) and
    /// [`NoRefill`](RateError::NoRefill) if waiting would be in vain, also later, if the limit changes;
    /// [`Backlog`](RateError::Backlog); [`Stopped`](RateError::Stopped).
    ///
    /// ```
    /// # use ironsys::{Context, limit::{Rate, TokenBucket}, time::VirtualClock};
    /// let time = VirtualClock::auto();
    /// let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// let bucket = TokenBucket::builder(Rate::per_hour(1), 1).clock(time.clock()).build().unwrap();
    /// bucket.acquire(&ctx, 1).unwrap();
    /// assert!(bucket.acquire(&ctx, 1).is_ok()); // an hour later
    /// ```
    #[track_caller]
    #[inline]
    pub fn acquire(&self, ctx: &Context, n: u32) -> Result<(), RateError> {
        ctx.check()?;
        if self.try_fast(n) == Tried::Granted { Ok(()) } else { self.acquire_slow(ctx, n) }
    }

    fn note_refused(&self) {
        self.shared.refused.fetch_add(1, Ordering::Relaxed);
    }

    #[cold]
    #[track_caller]
    fn acquire_slow(&self, ctx: &Context, n: u32) -> Result<(), RateError> {
        let entered = self.shared.enter(n, ctx.remaining(), false);
        if entered.is_err() {
            self.note_refused();
        }
        match entered? {
            0 => Ok(()),
            id => take_turn(&*self.shared, ctx, id),
        }
    }

    /// Takes a place in the queue without waiting. 0 needs none, and can be used at once.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire), but it is never too late.
    ///
    /// ```
    /// use ironsys::limit::{Rate, TokenBucket};
    /// let bucket = TokenBucket::new(Rate::per_hour(1), 1);
    /// let now = bucket.reserve(1).unwrap();
    /// let later = bucket.reserve(1).unwrap();
    /// assert!(now.try_use().is_ok());
    /// let later = later.try_use().unwrap_err();
    /// assert!(later.delay().as_secs() > 3500);
    /// ```
    pub fn reserve(&self, n: u32) -> Result<Reservation, RateError> {
        let id = if n == 0 { 0 } else { self.shared.enter(n, None, true)? };
        Ok(Reservation::new(self.shared.clone(), id, n))
    }

    /// Returns how many could pass now: 0 if somebody waits.
    ///
    /// ```
    /// # use ironsys::limit::{Rate, TokenBucket};
    /// let bucket = TokenBucket::new(Rate::per_hour(1), 5);
    /// bucket.try_acquire(2).unwrap();
    /// assert_eq!(bucket.available(), 3);
    /// ```
    #[must_use]
    pub fn available(&self) -> u32 {
        u32::try_from(self.stats().balance).unwrap_or(0)
    }

    /// Returns how many have passed and still count: the level of a leaky bucket, rounded up.
    ///
    /// ```
    /// # use ironsys::limit::{LeakyBucket, Rate};
    /// let bucket = LeakyBucket::new(Rate::per_hour(1), 5);
    /// bucket.try_acquire(2).unwrap();
    /// assert_eq!(bucket.used(), 2);
    /// ```
    #[must_use]
    pub fn used(&self) -> u64 {
        self.stats().used
    }

    /// Returns how many can pass at once at the most, rounded down.
    ///
    /// ```
    /// # use ironsys::limit::{Rate, TokenBucket};
    /// assert_eq!(TokenBucket::new(Rate::per_hour(1), 5).capacity(), 5);
    /// ```
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.ask(Meter::capacity)
    }

    /// Returns how many wait: blocked calls, and reservations that are not due.
    ///
    /// ```
    /// # use ironsys::limit::{Rate, TokenBucket};
    /// let bucket = TokenBucket::new(Rate::per_hour(1), 1);
    /// let _places = (bucket.reserve(1).unwrap(), bucket.reserve(1).unwrap());
    /// assert_eq!(bucket.waiting(), 1); // the first is due
    /// ```
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.stats().waiting
    }

    /// Returns the limit's counts.
    ///
    /// ```
    /// use ironsys::limit::{Rate, TokenBucket};
    /// let bucket = TokenBucket::new(Rate::per_hour(1), 2);
    /// bucket.try_acquire(2).unwrap();
    /// let debt = bucket.reserve(1).unwrap();
    /// let stats = bucket.stats();
    /// assert_eq!((stats.balance, stats.waiting, stats.ledger.in_flight), (0, 1, 1));
    /// assert!(stats.ledger.is_balanced());
    /// # drop(debt);
    /// ```
    #[must_use]
    pub fn stats(&self) -> RateStats {
        let refused = self.shared.refused.load(Ordering::Relaxed);
        self.shared.with(|line, t, _| {
            let counts = line.queue.counts;
            let (balance, used) = line.meter.level(&line.cell, t);
            let (waiting, away) = (line.queue.waiting(), counts.turned_away);
            let in_flight = line.queue.in_flight();
            RateStats {
                ledger: Ledger {
                    accepted: counts.used + counts.cancelled + away + in_flight,
                    done: counts.used,
                    failed: away,
                    cancelled: counts.cancelled,
                    dropped: 0,
                    in_flight,
                },
                balance,
                used,
                waiting,
                peak_waiting: counts.peak_waiting,
                refused,
            }
        })
    }

    /// Changes the rule, and lets those who wait look again.
    pub(super) fn change(
        &self,
        f: impl FnOnce(&mut K::Meter, &mut <K::Meter as Meter>::Cell, u64),
    ) {
        self.shared.with(|line, t, wakes| {
            let Line { meter, cell, queue } = line;
            f(meter, cell, t);
            meter.settle(cell, t);
            queue.changed(meter, cell, t, wakes);
        });
    }

    /// Reads the rule.
    pub(super) fn ask<R>(&self, f: impl FnOnce(&K::Meter) -> R) -> R {
        f(&self.shared.line.lock().meter)
    }

    /// The rule, the clock and the name, for a keyed limit made after this one.
    pub(in crate::limit) fn template(&self) -> (K::Meter, Clock, Option<Arc<str>>) {
        let meter = self.shared.line.lock().meter.clone();
        (meter, self.shared.clock.clone(), self.shared.name.clone())
    }
}

impl<K: Kind> Clone for RateLimit<K> {
    fn clone(&self) -> Self {
        RateLimit { shared: self.shared.clone() }
    }
}

impl<K: Kind> fmt::Debug for RateLimit<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit").field("name", &self.shared.name).finish_non_exhaustive()
    }
}

/// A rate limit at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateStats {
    /// Calls that waited, and reservations: `done` have passed, `failed` were turned away by a change
    /// of the limit, `cancelled` gave up, `in_flight` wait or hold a reservation. What passes without
    /// waiting is not counted: that would cost as much again.
    pub ledger: Ledger,
    /// How many could pass now if nobody waited; negative: so many are owed.
    pub balance: i64,
    /// How many have passed and still count.
    pub used: u64,
    /// How many wait.
    pub waiting: usize,
    /// How many waited at the most.
    pub peak_waiting: usize,
    /// Calls refused without a wait.
    pub refused: u64,
}
