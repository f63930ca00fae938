//! One call for all who ask for the same at the same time.
//!
//! * `flight`: one call, and who waits for it; here: which call it is. `README.md` has the protocol.

mod flight;

use self::flight::{Flight, Landed, Wait, outcome};
use super::error::{CallError, Full, SharedPanic};
use crate::context::{Cause, Context, Stop};
use crate::observe::Counter;
use crate::panics;
use crate::pool::{Submitter, TrySubmitError};
use crate::sync::{Arc, MODEL, Mutex, catch_unwind};
use crate::wait::{Place, Site, WaitKind};
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::panic::Location;

/// Makes callers that ask for the same key at the same time share one call.
///
/// The first one makes the call, those who come while it runs wait for it, and all get the outcome:
/// values and errors by clone (put an [`Arc`](std::sync::Arc) around what is large), a panic as
/// [`Panicked`](CallError::Panicked). Nothing is kept afterwards: who comes when the call has ended
/// makes a new one. For keeping use a cache.
///
/// # Who waits for how long
/// Each by its own context. The call has a context of its own, which keeps the first caller's clock and
/// values, and stops when *nobody* is interested any more, not when the first caller leaves.
///
/// With [`call`](Self::call) it runs on the first caller's thread, which cannot leave before the call
/// comes back: it works for the others, and if its own context stops meanwhile, the call goes on as long
/// as one of the others waits. With [`call_on`](Self::call_on) it runs on a pool, and everybody can leave.
///
/// A call that everybody has left is not joined any more; the next caller makes a new one, even while
/// the old one is still on its way back. A call that asks for its own key waits for itself.
///
/// Cheap to clone; all clones are handles to one group. `Hash` is called with no lock held, `Eq` under
/// a lock: it must not call back.
///
/// ```
/// use ironsys::{Context, resilience::SingleFlight};
/// let (ctx, _cancel) = Context::root();
/// let users = SingleFlight::<u64, String, &str>::new();
/// let name = users.call(&ctx, 7, |_| Ok("Ada".to_owned()));
/// assert_eq!(name.as_deref(), Ok("Ada"));
/// assert_eq!(users.stats().made, 1);
/// ```
pub struct SingleFlight<K, T, E> {
    shared: Arc<Shared<K, T, E>>,
}

struct Shared<K, T, E> {
    hasher: RandomState,
    /// Each guards the calls under way of some keys.
    shards: Box<[Shard<K, T, E>]>,
    made: Counter,
    joined: Counter,
}

type Shard<K, T, E> = Mutex<Vec<Entry<K, T, E>>>;

/// A call under way. There are few of them at a time, so a list will do.
struct Entry<K, T, E> {
    hash: u64,
    key: K,
    flight: Arc<Flight<T, E>>,
}

/// Where a caller finds itself.
enum Seat<T, E> {
    /// It is to make the call.
    First(Arc<Flight<T, E>>),
    /// Somebody else has made it.
    Joined(Arc<Flight<T, E>>),
}

/// What became of the callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SingleFlightStats {
    /// Calls that were made.
    pub made: u64,
    /// Callers that joined one.
    pub joined: u64,
    /// Calls under way.
    pub in_flight: usize,
}

impl<K: Hash + Eq, T: Clone, E: Clone> SingleFlight<K, T, E> {
    /// Makes a group without calls.
    ///
    /// ```
    /// # use ironsys::resilience::*;
    /// let users = SingleFlight::<u64, String, ()>::new();
    /// assert_eq!(users.stats().in_flight, 0);
    /// ```
    #[must_use]
    pub fn new() -> Self {
        let shards = if MODEL { 1 } else { SHARDS };
        let shards = (0..shards).map(|_| Mutex::new(Vec::new())).collect();
        let (made, joined) = (Counter::new(), Counter::new());
        let shared = Shared { hasher: RandomState::new(), shards, made, joined };
        SingleFlight { shared: Arc::new(shared) }
    }

    /// Returns what `f` returns, called now on this thread or before by somebody else.
    ///
    /// # Cancellation
    /// Whoever waits for somebody else's call stops waiting. Whoever makes the call is no longer
    /// interested in it, but returns when it does. When nobody is interested its context stops.
    ///
    /// # Errors
    /// The call's own as [`Failed`](CallError::Failed), [`Panicked`](CallError::Panicked) for all who
    /// waited, [`Stopped`](CallError::Stopped).
    ///
    /// # Cost
    /// Without company: two allocations and three uncontended locks; with a deadline also a timer.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let users = SingleFlight::<u64, String, &str>::new();
    /// let name = users.call(&ctx, 7, |_| Ok("Ada".to_owned()));
    /// assert_eq!(name.as_deref(), Ok("Ada"));
    /// ```
    #[track_caller]
    pub fn call(
        &self,
        ctx: &Context,
        key: K,
        f: impl FnOnce(&Context) -> Result<T, E>,
    ) -> Result<T, CallError<E>>
    where
        T: Send + Sync + 'static,
        E: Send + Sync + 'static,
    {
        ctx.check()?;
        let at = Location::caller();
        let hash = self.shared.hasher.hash_one(&key);
        match self.shared.board(ctx, hash, key) {
            Seat::Joined(flight) => wait(ctx, &flight),
            Seat::First(flight) => {
                // Whoever makes the call is one of those who are interested, until its own stop.
                let interest = ctx.on_stop({
                    let flight = flight.clone();
                    move |_| flight.leave()
                });
                let landed = Arc::new(run(at, || f(&flight.ctx)));
                drop(interest);
                self.shared.land(hash, &flight, landed.clone());
                outcome(Ok(landed))
            }
        }
    }

    /// Like [`call`](Self::call), but `f` runs on a pool, so that the first caller, too, can leave.
    /// Do not call it from a job of the same pool: it would wait for its own place.
    ///
    /// # Cancellation
    /// Stops waiting. When nobody is interested the call's context stops; it also stops with the pool.
    ///
    /// # Errors
    /// As for [`call`](Self::call); [`Full`](CallError::Full) for all who waited if the pool's queue is
    /// full, and [`Stopped`](CallError::Stopped) if it is closed or gives the job up.
    ///
    /// ```
    /// # use ironsys::{Context, pool::Pool, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let pool = Pool::builder("users").workers(1).build()?;
    /// let users = SingleFlight::<u64, String, &str>::new();
    /// let name = users.call_on(&ctx, &pool.submitter(), 7, |_| Ok("Ada".to_owned()));
    /// assert_eq!(name.as_deref(), Ok("Ada"));
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    #[track_caller]
    pub fn call_on(
        &self,
        ctx: &Context,
        pool: &Submitter,
        key: K,
        f: impl FnOnce(&Context) -> Result<T, E> + Send + 'static,
    ) -> Result<T, CallError<E>>
    where
        K: Send + Sync + 'static,
        T: Send + Sync + 'static,
        E: Send + Sync + 'static,
    {
        ctx.check()?;
        let at = Location::caller();
        let hash = self.shared.hasher.hash_one(&key);
        let flight = match self.shared.board(ctx, hash, key) {
            Seat::Joined(flight) => flight,
            Seat::First(flight) => {
                let owed = Owed { shared: self.shared.clone(), hash, flight: flight.clone(), at };
                let job = move |job: &Context| {
                    let ctx = Context::merge(&owed.flight.ctx, job);
                    let landed = run(at, || f(&ctx));
                    owed.land(landed);
                };
                if let Err(TrySubmitError::Full(job)) = pool.try_submit(job) {
                    self.shared.land(hash, &flight, Arc::new(Err(full(pool))));
                    drop(job); // Landed already: what it owes is nobody's any more.
                }
                flight
            }
        };
        wait(ctx, &flight)
    }

    /// Makes the next caller of `key` make a new call, though one is under way: those who wait for
    /// that one still get its outcome. Returns whether there was one.
    ///
    /// ```
    /// # use ironsys::resilience::*;
    /// let users = SingleFlight::<u64, String, ()>::new();
    /// assert!(!users.forget(&7)); // nobody asks for it
    /// ```
    pub fn forget(&self, key: &K) -> bool {
        let hash = self.shared.hasher.hash_one(key);
        let mut shard = self.shared.shard(hash).lock();
        let found = shard.iter().position(|e| e.hash == hash && e.key == *key);
        let gone = found.map(|i| shard.swap_remove(i));
        drop(shard);
        gone.is_some() // The key, and perhaps the flight, are dropped with no lock held.
    }

    /// Returns the counts.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let users = SingleFlight::<u64, u32, ()>::new();
    /// users.call(&ctx, 7, |_| Ok(1)).unwrap();
    /// assert_eq!((users.stats().made, users.stats().joined), (1, 0));
    /// ```
    #[must_use]
    pub fn stats(&self) -> SingleFlightStats {
        let shards = self.shared.shards.iter();
        SingleFlightStats {
            made: self.shared.made.sum(),
            joined: self.shared.joined.sum(),
            in_flight: shards.map(|shard| shard.lock().len()).sum(),
        }
    }
}

impl<K: Eq, T, E> Shared<K, T, E> {
    /// Joins the call for `key`, or enters a new one.
    fn board(&self, ctx: &Context, hash: u64, key: K) -> Seat<T, E> {
        let mut key = Some(key);
        let mut stale: Option<Arc<Flight<T, E>>> = None;
        let (seat, _gone) = loop {
            let mut shard = self.shard(hash).lock();
            let found = shard.iter_mut().find(|e| e.hash == hash && Some(&e.key) == key.as_ref());
            match found {
                Some(entry) if !is(&stale, &entry.flight) => {
                    let flight = entry.flight.clone();
                    drop(shard);
                    if flight.join() {
                        break (Seat::Joined(flight), None);
                    }
                    stale = Some(flight); // Over: replace it, unless somebody has done so by then.
                }
                Some(entry) => {
                    let flight = Arc::new(Flight::new(ctx));
                    let old = std::mem::replace(&mut entry.flight, flight.clone());
                    break (Seat::First(flight), Some(old));
                }
                None => {
                    let flight = Arc::new(Flight::new(ctx));
                    let entered = flight.clone();
                    shard.extend(key.take().map(|key| Entry { hash, key, flight: entered }));
                    break (Seat::First(flight), None);
                }
            }
        };
        match &seat {
            Seat::First(_) => self.made.add_one(),
            Seat::Joined(_) => self.joined.add_one(),
        }
        seat
    }

    /// Tells all who wait, and takes the call off the list.
    fn land(&self, hash: u64, flight: &Arc<Flight<T, E>>, landed: Landed<T, E>) {
        flight.land(landed);
        let mut shard = self.shard(hash).lock();
        let found = shard.iter().position(|e| Arc::ptr_eq(&e.flight, flight));
        let gone = found.map(|i| shard.swap_remove(i));
        drop(shard);
        drop(gone);
    }

    fn shard(&self, hash: u64) -> &Shard<K, T, E> {
        &self.shards[hash as usize % self.shards.len()]
    }
}

fn is<T>(one: &Option<Arc<T>>, other: &Arc<T>) -> bool {
    one.as_ref().is_some_and(|one| Arc::ptr_eq(one, other))
}

#[track_caller]
fn wait<T: Clone, E: Clone>(ctx: &Context, flight: &Flight<T, E>) -> Result<T, CallError<E>> {
    let mut op = Wait { flight, place: Place::default() };
    outcome(ctx.block(Site::new(WaitKind::Join, None), &mut op))
}

/// Makes the call; its panic is an outcome.
pub(super) fn run<T, E>(
    at: &'static Location<'static>,
    f: impl FnOnce() -> Result<T, E>,
) -> Result<T, CallError<E>> {
    match catch_unwind(f) {
        Ok(out) => out.map_err(CallError::Failed),
        Err(payload) => {
            let message = panics::message(&*payload).into();
            panics::discard(payload);
            Err(CallError::Panicked(SharedPanic { message, at }))
        }
    }
}

/// The queue of the pool is full.
pub(super) fn full<E>(pool: &Submitter) -> CallError<E> {
    let stats = pool.stats();
    let running = usize::try_from(stats.running).unwrap_or(usize::MAX);
    CallError::Full(Full { name: pool.name().into(), running, waiting: stats.queue.depth })
}

/// The pool did not run the call.
pub(super) fn gave_up<E>(at: &'static Location<'static>) -> CallError<E> {
    CallError::Stopped(Stop::Cancelled(Cause::new("the pool did not run the call".into(), at)))
}

/// A call on a pool, which owes an outcome: whoever drops it unmade says so.
struct Owed<K: Eq, T, E> {
    shared: Arc<Shared<K, T, E>>,
    hash: u64,
    flight: Arc<Flight<T, E>>,
    at: &'static Location<'static>,
}

impl<K: Eq, T, E> Owed<K, T, E> {
    fn land(&self, landed: Result<T, CallError<E>>) {
        self.shared.land(self.hash, &self.flight, Arc::new(landed));
    }
}

impl<K: Eq, T, E> Drop for Owed<K, T, E> {
    fn drop(&mut self) {
        if !self.flight.has_landed() {
            self.land(Err(gave_up(self.at)));
        }
    }
}

impl<K: Hash + Eq, T: Clone, E: Clone> Default for SingleFlight<K, T, E> {
    fn default() -> Self {
        SingleFlight::new()
    }
}

impl<K, T, E> Clone for SingleFlight<K, T, E> {
    fn clone(&self) -> Self {
        SingleFlight { shared: self.shared.clone() }
    }
}

impl<K, T, E> fmt::Debug for SingleFlight<K, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SingleFlight")
            .field("made", &self.shared.made)
            .field("joined", &self.shared.joined)
            .finish_non_exhaustive()
    }
}

const SHARDS: usize = 8;
