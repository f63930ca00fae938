//! A rate limit for each key.

use super::super::errors::{RateError, TryRateError};
use super::super::rate::{
    Entry, Kind, Meter, Queue, RateLimit, Reservation, Seen, Tried, Turns, Waiting, take_turn,
};
use super::front::{Keyed, Shared};
use crate::context::Context;
use crate::sync::Arc;
use crate::wait::Wakes;
use std::hash::{BuildHasher, Hash};
use std::time::Duration;

type Of<Q, K, S> = Shared<Q, RateLimit<K>, S>;

/// One key of a table, as the owner of its queue.
struct AtKey<Q, K: Kind, S, R: AsRef<Of<Q, K, S>>> {
    shared: R,
    key: Q,
    kind: std::marker::PhantomData<fn() -> (K, S)>,
}

/// A table lent, for a blocked call.
struct Lent<'a, Q, K: Kind, S>(&'a Of<Q, K, S>);

impl<Q, K: Kind, S> AsRef<Of<Q, K, S>> for Lent<'_, Q, K, S> {
    fn as_ref(&self) -> &Of<Q, K, S> {
        self.0
    }
}

impl<Q, K, S, R> AtKey<Q, K, S, R>
where
    Q: Hash + Eq + Clone + Send + Sync,
    K: Kind,
    S: BuildHasher + Clone + Send + Sync,
    R: AsRef<Of<Q, K, S>>,
{
    /// Runs one critical section on the key's queue, then wakes whom it chose.
    fn with<T>(
        &self,
        f: impl FnOnce(
            &mut Queue<K::Meter>,
            &mut K::Meter,
            &mut <K::Meter as Meter>::Cell,
            u64,
            &mut Wakes,
        ) -> T,
    ) -> Option<T> {
        let shared = self.shared.as_ref();
        let (t, mut wakes, mut left) = (shared.now(), Wakes::default(), false);
        let out = shared.shards.with(&self.key, t, |rule, place| {
            let mut queue = place.queue.take().unwrap_or_default();
            queue.settle(&mut rule.meter, &mut place.cell, t, &mut wakes);
            let out = f(&mut queue, &mut rule.meter, &mut place.cell, t, &mut wakes);
            if queue.is_busy() {
                place.queue = Some(queue);
            } else {
                rule.counts.add(&queue);
                left = true;
            }
            out
        });
        wakes.wake();
        if left {
            shared.shards.may_be_idle(&self.key);
        }
        out
    }
}

impl<Q, K, S, R> Turns for AtKey<Q, K, S, R>
where
    Q: Hash + Eq + Clone + Send + Sync,
    K: Kind,
    S: BuildHasher + Clone + Send + Sync,
    R: AsRef<Of<Q, K, S>> + Send + Sync,
{
    fn enter(&self, n: u32, within: Option<Duration>, reserving: bool) -> Result<Entry, RateError> {
        let entered = self.with(|queue, meter, cell, t, _| {
            let nanos = |wait: Duration| u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
            let latest = within.map(|wait| t.saturating_add(nanos(wait)));
            queue.enter(meter, cell, t, n, latest, reserving).map(Entry::from)
        });
        entered.unwrap_or(Err(RateError::TooManyKeys))
    }

    fn look(&self, id: u64, waiter: Option<&Waiting<'_>>, peek: bool) -> Seen {
        let seen = self.with(|queue, meter, cell, t, _| {
            Seen::of(queue.look(meter, cell, id, waiter.map(|w| w.0), peek), t)
        });
        // Who is in a queue has his key in the table.
        seen.unwrap_or(Seen::Refused(RateError::TooManyKeys))
    }

    fn withdraw(&self, id: u64) -> bool {
        self.with(|queue, _, _, _, wakes| queue.withdraw(id, wakes)).unwrap_or(false)
    }

    fn cancel(&self, id: u64) {
        self.with(|queue, meter, cell, t, wakes| queue.cancel(meter, cell, t, id, wakes));
    }

    fn name(&self) -> Option<Arc<str>> {
        self.shared.as_ref().name.clone()
    }
}

/// When `n` will fit, if time is all that it takes.
#[cold]
fn not_yet<M: Meter>(meter: &M, cell: &M::Cell, t: u64, n: u32) -> Tried {
    match (meter.too_many(n), meter.due(cell, std::iter::empty(), n)) {
        (Ok(()), Some(at)) => Tried::NotYet(at.saturating_sub(t).max(1)),
        _ => Tried::Slow,
    }
}

impl<Q, K, S> Keyed<Q, RateLimit<K>, S>
where
    Q: Hash + Eq + Clone + Send + Sync,
    K: Kind,
    S: BuildHasher + Clone + Send + Sync,
{
    /// As [`RateLimit::try_acquire`], for `key`.
    ///
    /// # Errors
    /// As there, and [`TooManyKeys`](TryRateError::TooManyKeys) if the key is new and there is no room
    /// for it.
    ///
    /// ```
    /// # use ironsys::limit::{Keyed, Rate, TokenBucket};
    /// let clients = Keyed::builder(&TokenBucket::new(Rate::per_hour(1), 1)).build().unwrap();
    /// assert!(clients.try_acquire(&"alice", 1).is_ok());
    /// assert!(clients.try_acquire(&"alice", 1).is_err());
    /// assert!(clients.try_acquire(&"bob", 1).is_ok());
    /// ```
    #[inline]
    pub fn try_acquire(&self, key: &Q, n: u32) -> Result<(), TryRateError> {
        if n == 0 {
            return Ok(());
        }
        // Before the lock: who comes late to it is taken to be that much earlier, which is safe.
        let t = self.shared.now();
        let tried = self.shared.shards.with(key, t, |rule, place| match place.queue {
            None if rule.meter.pass(&mut place.cell, t, n) => Tried::Granted,
            None => not_yet(&rule.meter, &place.cell, t, n),
            Some(_) => Tried::Slow,
        });
        match tried {
            Some(Tried::Granted) => Ok(()),
            Some(Tried::NotYet(nanos)) => Err(TryRateError::not_yet(nanos)),
            Some(Tried::Slow) => self.try_slow(key, t, n),
            None => Err(TryRateError::TooManyKeys),
        }
    }

    /// Tries in the order of those who wait, and finds the reason for a refusal.
    #[cold]
    fn try_slow(&self, key: &Q, t: u64, n: u32) -> Result<(), TryRateError> {
        let mut wakes = Wakes::default();
        let tried = self.shared.shards.with(key, t, |rule, place| {
            let mut none = Queue::default();
            let queue = place.queue.as_deref_mut().unwrap_or(&mut none);
            queue.try_busy(&mut rule.meter, &mut place.cell, t, n, &mut wakes)
        });
        wakes.wake();
        tried.unwrap_or(Err(TryRateError::TooManyKeys))
    }

    /// As [`RateLimit::acquire`], for `key`.
    ///
    /// # Cancellation
    /// As there.
    ///
    /// # Errors
    /// As there, and [`TooManyKeys`](RateError::TooManyKeys) if the key is new and there is no room for
    /// it.
    ///
    /// ```
    /// use ironsys::Context;
    /// use ironsys::limit::{Keyed, Rate, TokenBucket};
    /// use ironsys::time::VirtualClock;
    /// use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let time = VirtualClock::auto();
    /// let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// let each = TokenBucket::builder(Rate::per_second(10), 1).clock(time.clock()).build()?;
    /// let clients = Keyed::builder(&each).build()?;
    /// let start = time.now();
    /// clients.acquire(&ctx, &7, 1)?;
    /// clients.acquire(&ctx, &7, 1)?;
    /// assert_eq!(time.now() - start, Duration::from_millis(100));
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn acquire(&self, ctx: &Context, key: &Q, n: u32) -> Result<(), RateError> {
        ctx.check()?;
        if self.try_acquire(key, n).is_ok() {
            return Ok(());
        }
        let shared = Lent(&*self.shared);
        let at = AtKey { shared, key: key.clone(), kind: std::marker::PhantomData };
        match at.enter(n, ctx.remaining(), false)? {
            0 => Ok(()),
            id => take_turn(&at, ctx, id),
        }
    }

    /// As [`RateLimit::reserve`], for `key`, which stays for as long as the reservation does.
    ///
    /// # Errors
    /// As there, and [`TooManyKeys`](RateError::TooManyKeys) if the key is new and there is no room for
    /// it.
    ///
    /// ```
    /// # use ironsys::limit::{Keyed, Rate, TokenBucket};
    /// let clients = Keyed::builder(&TokenBucket::new(Rate::per_hour(1), 1)).build().unwrap();
    /// let place = clients.reserve(&"alice", 1).unwrap();
    /// assert!(clients.try_acquire(&"alice", 1).is_err());
    /// place.cancel();
    /// assert!(clients.try_acquire(&"alice", 1).is_ok());
    /// ```
    pub fn reserve(&self, key: &Q, n: u32) -> Result<Reservation, RateError>
    where
        Q: 'static,
        S: 'static,
    {
        let (shared, key) = (self.shared.clone(), key.clone());
        let at = AtKey { shared, key, kind: std::marker::PhantomData };
        let id = if n == 0 { 0 } else { at.enter(n, None, true)? };
        Ok(Reservation::new(Arc::new(at), id, n))
    }

    /// Makes all keys, those that are there and those to come, like `each`, from now on. What they have
    /// used stays, as with the `update_` methods of the limit. One shard changes after the other.
    ///
    /// ```
    /// use ironsys::limit::{Keyed, LeakyBucket, Rate};
    /// let clients = Keyed::builder(&LeakyBucket::new(Rate::per_hour(1), 2)).build().unwrap();
    /// clients.try_acquire(&"a", 2).unwrap();
    /// clients.update(&LeakyBucket::new(Rate::per_hour(1), 5));
    /// clients.try_acquire(&"a", 3).unwrap();
    /// assert!(clients.try_acquire(&"a", 1).is_err());
    /// ```
    pub fn update(&self, each: &RateLimit<K>) {
        let (like, ..) = each.template();
        let t = self.shared.now();
        let mut wakes = Wakes::default();
        self.shared.shards.each(|rule, places| {
            let mut places: Vec<_> = places.collect();
            for place in &mut places {
                if let Some(queue) = &mut place.queue {
                    queue.settle(&mut rule.meter, &mut place.cell, t, &mut wakes);
                }
            }
            rule.meter.become_like(&like, t, places.iter_mut().map(|place| &mut place.cell));
            for place in places {
                if let Some(queue) = &mut place.queue {
                    queue.changed(&rule.meter, &mut place.cell, t, &mut wakes);
                }
            }
        });
        wakes.wake();
    }

    /// Returns how many calls wait, or hold a reservation, for `key`.
    ///
    /// ```
    /// # use ironsys::limit::{Keyed, Rate, TokenBucket};
    /// let clients = Keyed::builder(&TokenBucket::new(Rate::per_hour(1), 1)).build().unwrap();
    /// let _place = clients.reserve(&"alice", 1).unwrap();
    /// assert_eq!((clients.in_flight(&"alice"), clients.in_flight(&"bob")), (1, 0));
    /// ```
    #[must_use]
    pub fn in_flight(&self, key: &Q) -> u64 {
        let look = |_: &mut _, place: &mut super::limits::Place<K::Meter>| {
            place.queue.as_ref().map_or(0, |queue| queue.in_flight())
        };
        self.shared.shards.with(key, self.shared.now(), look).unwrap_or(0)
    }
}
