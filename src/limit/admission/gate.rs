//! What users hold of an admission.

use super::super::adaptive::{Algorithm, Brain, Fixed, Outcome, check};
use super::hall::{AdmissionError, Hall, Rules, Spot};
use super::stats::AdmissionStats;
use super::values::{Priority, Tenant};
use crate::context::{Context, Op};
use crate::error::BuildError;
use crate::sync::{Arc, LeakTrack, Mutex};
use crate::time::Clock;
use crate::wait::{Site, WaitKind, Waiter, Wakes};
use std::fmt;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// Admits as many requests at a time as the service bears, with a short queue in front that sheds.
///
/// The limit is fixed or learned by an [`Algorithm`]. Requests that do not fit wait, by the
/// [`Priority`] and the [`Tenant`] of their context:
/// * a more important class is served before a less important one, and displaces it when no more may
///   wait;
/// * tenants of a class take turns, so a loud one delays itself;
/// * nobody waits longer than the *interval*; and once somebody has been waiting for a whole interval
///   without a break, that is *overload*: nobody waits longer than the *target* then, and the newest are
///   served first, which still have time.
///
/// So under overload the wait of those who are admitted stays short, and the others are told at once.
/// Every admission ends in a word on how it went, as with [`AdaptiveLimit`](crate::limit::AdaptiveLimit).
///
/// # Fairness
/// None between classes: a lower one waits for as long as a higher one has work, and is shed. Between
/// tenants: lanes, 16 by default, which tenants share by a hash of their names.
///
/// ```
/// use ironsys::limit::{Admission, AdmissionError, Fixed, Priority};
/// use ironsys::{Context, time::VirtualClock};
/// use std::time::Duration;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let time = VirtualClock::auto();
/// let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
/// let gate = Admission::builder(Fixed).initial(1).queue(10).clock(time.clock()).build()?;
/// let request = gate.enter(&ctx)?;
/// let shed = gate.enter(&ctx.with_value(Priority::Low)).unwrap_err();
/// assert_eq!(shed, AdmissionError::Shed { waited: Duration::from_millis(100) });
/// request.success();
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Admission {
    shared: Arc<Shared>,
}

struct Shared {
    /// Guards the queue and the limit.
    hall: Mutex<Hall>,
    brain: Brain,
    clock: Clock,
    lanes: usize,
    name: Option<Arc<str>>,
    _leak: LeakTrack,
}

impl Shared {
    /// Runs one critical section, then wakes whom it chose.
    fn with<R>(&self, f: impl FnOnce(&mut Hall, Instant, &mut Wakes) -> R) -> R {
        let (now, mut wakes) = (self.clock.now(), Wakes::default());
        let mut hall = self.hall.lock();
        let out = f(&mut hall, now, &mut wakes);
        drop(hall);
        wakes.wake();
        out
    }
}

impl Admission {
    /// Makes one step by step. With [`Fixed`] the limit is the one it begins with.
    ///
    /// ```
    /// # use ironsys::limit::{Admission, Fixed};
    /// let gate = Admission::builder(Fixed).initial(8).build().unwrap();
    /// assert_eq!(gate.stats().limit, 8);
    /// ```
    pub fn builder(algorithm: impl Algorithm) -> AdmissionBuilder {
        AdmissionBuilder {
            algorithm: Box::new(algorithm),
            bounds: 1..=200,
            initial: None,
            places: 1_000,
            target: Duration::from_millis(5),
            interval: Duration::from_millis(100),
            tenants: 16,
            clock: None,
            name: None,
        }
    }

    /// Makes one with a limit that does not learn.
    ///
    /// # Errors
    /// If the limit is 0 or above 2^32.
    ///
    /// ```
    /// # use ironsys::limit::Admission;
    /// assert!(Admission::fixed(8).is_ok() && Admission::fixed(0).is_err());
    /// ```
    pub fn fixed(limit: usize) -> Result<Admission, BuildError> {
        Admission::builder(Fixed).bounds(limit..=limit).build()
    }

    /// Waits to be admitted.
    ///
    /// # Cancellation
    /// A cancel point. A stopped context fails the call at once, also when there is room. A call cut
    /// short leaves the queue; if it was admitted at that very moment, it succeeds.
    ///
    /// # Errors
    /// [`Full`](AdmissionError::Full) at once; [`Shed`](AdmissionError::Shed) and
    /// [`Displaced`](AdmissionError::Displaced) after a wait; [`Stopped`](AdmissionError::Stopped).
    ///
    /// ```
    /// # use ironsys::{Context, limit::Admission};
    /// # let (ctx, _cancel) = Context::root();
    /// let gate = Admission::fixed(8).unwrap();
    /// gate.enter(&ctx).unwrap().success();
    /// assert_eq!(gate.stats().successes, 1);
    /// ```
    #[track_caller]
    pub fn enter(&self, ctx: &Context) -> Result<Admitted, AdmissionError> {
        ctx.check()?;
        let mut op = Enter {
            shared: &self.shared,
            class: Priority::of(ctx),
            lane: Tenant::lane(ctx, self.shared.lanes),
            spot: None,
            until: None,
        };
        let site = Site::new(WaitKind::Permit, self.shared.name.clone());
        let mut until = None;
        loop {
            match ctx.block_until(until, site.clone(), &mut op)? {
                Some(Step::Decided(how)) => return how.map(|()| self.admitted()),
                Some(Step::Again(at)) => {
                    op.until = Some(at);
                    let wait = at.saturating_duration_since(self.shared.clock.now());
                    until = ctx.clock().now().checked_add(wait);
                }
                None => op.until = None,
            }
        }
    }

    /// Is admitted if there is room and nobody waits.
    ///
    /// ```
    /// # use ironsys::limit::Admission;
    /// let gate = Admission::fixed(1).unwrap();
    /// let _first = gate.try_enter().unwrap();
    /// assert!(gate.try_enter().is_none());
    /// ```
    #[must_use]
    pub fn try_enter(&self) -> Option<Admitted> {
        let passes = self.shared.with(|hall, _, _| hall.pass());
        passes.then(|| self.admitted())
    }

    fn admitted(&self) -> Admitted {
        let in_flight = self.shared.with(|hall, _, _| hall.in_flight);
        let since = self.shared.clock.now();
        Admitted { of: self.clone(), in_flight, since, said: false }
    }

    /// Returns the admission's counts.
    ///
    /// ```
    /// # use ironsys::limit::Admission;
    /// let gate = Admission::fixed(8).unwrap();
    /// let _request = gate.try_enter().unwrap();
    /// assert_eq!((gate.stats().limit, gate.stats().in_flight), (8, 1));
    /// ```
    #[must_use]
    pub fn stats(&self) -> AdmissionStats {
        let lessons = self.shared.brain.lessons();
        self.shared.with(|hall, now, _| AdmissionStats::of(hall, now, lessons))
    }

    /// Returns in words what the limit is and why.
    ///
    /// ```
    /// # use ironsys::limit::Admission;
    /// assert!(Admission::fixed(8).unwrap().explain().starts_with("limit 8, 0 at work"));
    /// ```
    #[must_use]
    pub fn explain(&self) -> String {
        let stats = self.stats();
        let why = self.shared.brain.explain().unwrap_or_else(|| "it is learning".into());
        let how = if stats.is_overloaded { "overloaded" } else { "not overloaded" };
        let (limit, at_work, wait) = (stats.limit, stats.in_flight, stats.waiting);
        format!("limit {limit}, {at_work} at work, {wait} wait, {how}; {why}; {}", stats.ledger)
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission").field("name", &self.shared.name).finish_non_exhaustive()
    }
}

/// A request under way. Say how it ended; dropping it says nothing.
#[must_use = "dropping it ends the request and teaches nothing"]
pub struct Admitted {
    of: Admission,
    in_flight: usize,
    since: Instant,
    said: bool,
}

impl Admitted {
    /// Ends it: it was served.
    ///
    /// ```
    /// # use ironsys::limit::Admission;
    /// let gate = Admission::fixed(8).unwrap();
    /// gate.try_enter().unwrap().success();
    /// assert_eq!(gate.stats().successes, 1);
    /// ```
    pub fn success(self) {
        self.end(Outcome::Success);
    }

    /// Ends it: it was refused or timed out further on.
    ///
    /// ```
    /// # use ironsys::limit::Admission;
    /// let gate = Admission::fixed(8).unwrap();
    /// gate.try_enter().unwrap().dropped();
    /// assert_eq!(gate.stats().drops, 1);
    /// ```
    pub fn dropped(self) {
        self.end(Outcome::Dropped);
    }

    /// Ends it, and nothing is learned: as dropping does.
    ///
    /// ```
    /// # use ironsys::limit::Admission;
    /// let gate = Admission::fixed(8).unwrap();
    /// gate.try_enter().unwrap().ignore();
    /// assert_eq!((gate.stats().ignored, gate.stats().in_flight), (1, 0));
    /// ```
    pub fn ignore(self) {}

    /// Ends it with an outcome.
    ///
    /// ```
    /// # use ironsys::limit::{Admission, Outcome};
    /// let gate = Admission::fixed(8).unwrap();
    /// gate.try_enter().unwrap().end(Outcome::Dropped);
    /// assert_eq!(gate.stats().drops, 1);
    /// ```
    pub fn end(mut self, outcome: Outcome) {
        self.said = true; // Dropping gives the place back without a second word.
        let shared = &self.of.shared;
        let time = shared.clock.now().saturating_duration_since(self.since);
        shared.brain.learn(outcome, time, self.in_flight, |limit| {
            shared.with(|hall, now, wakes| hall.resize(limit, now, wakes));
        });
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let shared = &self.of.shared;
        if !self.said {
            shared.brain.learn(Outcome::Ignore, Duration::ZERO, self.in_flight, |_| {});
        }
        shared.with(Hall::ended);
    }
}

impl fmt::Debug for Admitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admitted").field("since", &self.since).finish_non_exhaustive()
    }
}

/// An entry under way.
struct Enter<'a> {
    shared: &'a Shared,
    class: Priority,
    lane: usize,
    spot: Option<Spot>,
    /// When it is to look again.
    until: Option<Instant>,
}

enum Step {
    Decided(Result<(), AdmissionError>),
    Again(Instant),
}

impl Op for Enter<'_> {
    type Out = Step;

    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<Step> {
        let (class, lane, spot) = (self.class, self.lane, &mut self.spot);
        let look = self.shared.with(|hall, now, wakes| {
            let spot = match *spot {
                Some(spot) => spot,
                None if hall.pass() => return Ok(Ok(())),
                None => match hall.enter(class, lane, now, waiter, wakes) {
                    Ok(entered) => *spot.insert(entered),
                    Err(why) => return Ok(Err(why)),
                },
            };
            hall.look(spot, now)
        });
        match look {
            Ok(how) => Some(Step::Decided(how)),
            Err(at) if self.until == Some(at) => None,
            Err(at) => Some(Step::Again(at)),
        }
    }

    fn withdraw(&mut self) -> Option<Step> {
        let shared = self.shared;
        let now = shared.clock.now();
        if self.until.is_some_and(|until| now >= until) {
            // It is time to look again, which is for the loop to do.
            return self.spot.map(|_| Step::Again(now));
        }
        let spot = self.spot.take()?;
        let how = shared.with(|hall, _, _| hall.leave(spot));
        // Admitted at the last moment: it did happen.
        how.filter(Result::is_ok).map(Step::Decided)
    }
}

/// Makes an [`Admission`]. By default between 1 and 200 beginning with 20, 1,000 may wait, the target is
/// 5 ms and the interval 100 ms, there are 16 lanes for tenants, and the clock is the system's.
#[must_use = "a builder does nothing until `build`"]
pub struct AdmissionBuilder {
    algorithm: Box<dyn Algorithm>,
    bounds: RangeInclusive<usize>,
    initial: Option<usize>,
    places: usize,
    target: Duration,
    interval: Duration,
    tenants: usize,
    clock: Option<Clock>,
    name: Option<Arc<str>>,
}

impl AdmissionBuilder {
    /// Sets the least and the most that the limit can be.
    ///
    /// ```
    /// # use ironsys::limit::{Admission, Vegas};
    /// let gate = Admission::builder(Vegas::default()).bounds(1..=8).build().unwrap();
    /// assert_eq!(gate.stats().limit, 8); // The usual 20 is out of bounds.
    /// ```
    pub fn bounds(mut self, bounds: RangeInclusive<usize>) -> Self {
        self.bounds = bounds;
        self
    }

    /// Sets the limit to begin with. By default 20, or the bound next to it.
    ///
    /// ```
    /// # use ironsys::limit::{Admission, Vegas};
    /// let gate = Admission::builder(Vegas::default()).initial(3).build().unwrap();
    /// assert_eq!(gate.stats().limit, 3);
    /// ```
    pub fn initial(mut self, limit: usize) -> Self {
        self.initial = Some(limit);
        self
    }

    /// Sets how many may wait. 0: nobody does.
    ///
    /// ```
    /// # use ironsys::{Context, limit::{Admission, AdmissionError, Fixed}};
    /// # let (ctx, _cancel) = Context::root();
    /// let gate = Admission::builder(Fixed).initial(1).queue(0).build().unwrap();
    /// let _first = gate.enter(&ctx).unwrap();
    /// assert_eq!(gate.enter(&ctx).unwrap_err(), AdmissionError::Full);
    /// ```
    pub fn queue(mut self, places: usize) -> Self {
        self.places = places;
        self
    }

    /// Sets how long one may wait under overload.
    ///
    /// ```
    /// # use ironsys::limit::{Admission, Fixed};
    /// # use std::time::Duration;
    /// let built = Admission::builder(Fixed).target(Duration::from_secs(1)).build();
    /// assert_eq!(built.unwrap_err().field(), "target"); // longer than the interval
    /// ```
    pub fn target(mut self, target: Duration) -> Self {
        self.target = target;
        self
    }

    /// Sets how long one may wait otherwise, and how long somebody has to wait all the time for it to
    /// be an overload.
    ///
    /// ```
    /// # use ironsys::limit::{Admission, Fixed};
    /// # use std::time::Duration;
    /// let built = Admission::builder(Fixed).interval(Duration::from_millis(1)).build();
    /// assert_eq!(built.unwrap_err().field(), "target"); // 5 ms, which is longer
    /// ```
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Sets how many lanes there are for tenants.
    ///
    /// ```
    /// # use ironsys::limit::{Admission, Fixed};
    /// assert!(Admission::builder(Fixed).tenants(0).build().is_err());
    /// ```
    pub fn tenants(mut self, lanes: usize) -> Self {
        self.tenants = lanes;
        self
    }

    /// Sets the clock: the one of the contexts that it is used with.
    ///
    /// ```
    /// # use ironsys::{Context, limit::{Admission, Fixed}, time::VirtualClock};
    /// let time = VirtualClock::auto();
    /// let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// let gate = Admission::builder(Fixed).initial(1).clock(time.clock()).build().unwrap();
    /// let _first = gate.enter(&ctx).unwrap();
    /// assert!(gate.enter(&ctx).is_err()); // shed after 100 ms, which pass at once
    /// ```
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Sets the name under which waits show in [`observe::tasks`](crate::observe::tasks).
    ///
    /// ```
    /// # use ironsys::limit::{Admission, Fixed};
    /// let gate = Admission::builder(Fixed).name("http").build().unwrap();
    /// assert!(format!("{gate:?}").contains("http"));
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into().into());
        self
    }

    /// Makes it.
    ///
    /// # Errors
    /// As [`AdaptiveLimitBuilder::build`](crate::limit::AdaptiveLimitBuilder::build); if the target is
    /// longer than the interval; if there are no lanes, or more than 4,096.
    ///
    /// ```
    /// # use ironsys::limit::{Admission, Fixed};
    /// assert!(Admission::builder(Fixed).bounds(1..=8).initial(9).build().is_err());
    /// ```
    pub fn build(self) -> Result<Admission, BuildError> {
        let wrong = |field, problem: String| BuildError::new("admission", field, problem);
        let (bounds, initial) = check(&self.bounds, self.initial)?;
        if self.target > self.interval {
            return Err(wrong("target", "is longer than the interval".into()));
        }
        if self.tenants == 0 || self.tenants > 4096 {
            let problem = format!("is {}: take 1 to 4,096 lanes", self.tenants);
            return Err(wrong("tenants", problem));
        }
        let AdmissionBuilder { places, target, interval, .. } = self;
        let hall = Hall::new(initial, self.tenants, Rules { places, target, interval });
        let shared = Shared {
            hall: Mutex::new(hall),
            brain: Brain::new(self.algorithm, bounds, initial),
            clock: self.clock.unwrap_or_else(Clock::system),
            lanes: self.tenants,
            name: self.name,
            _leak: LeakTrack::new(),
        };
        Ok(Admission { shared: Arc::new(shared) })
    }
}

impl fmt::Debug for AdmissionBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdmissionBuilder").field("bounds", &self.bounds).finish_non_exhaustive()
    }
}
