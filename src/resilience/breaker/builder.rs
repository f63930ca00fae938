//! How a breaker is set up.

use super::core::Core;
use super::news::Listener;
use super::trip::Trip;
use super::{Breaker, BreakerState, Transition};
use crate::error::BuildError;
use crate::schedule::Backoff;
use crate::sync::Arc;
use crate::time::Clock;
use std::fmt;
use std::time::Duration;

/// What a breaker was told.
pub(super) struct Config {
    pub(super) name: Arc<str>,
    pub(super) trips: Vec<Trip>,
    pub(super) open_for: Backoff,
    pub(super) probes: u32,
    pub(super) close_after: u32,
    pub(super) probe_timeout: Duration,
    pub(super) slow_after: Option<Duration>,
    pub(super) initial: BreakerState,
    pub(super) clock: Clock,
    pub(super) listeners: Vec<Listener>,
}

/// Sets a breaker up. Made by [`Breaker::builder`].
#[must_use = "a builder does nothing until `build`"]
pub struct BreakerBuilder {
    config: Config,
    close_after: Option<u32>,
}

impl BreakerBuilder {
    pub(super) fn new(name: Arc<str>) -> Self {
        BreakerBuilder {
            config: Config {
                name,
                trips: Vec::new(),
                open_for: Backoff::fixed(Duration::from_secs(30)),
                probes: 1,
                close_after: 1,
                probe_timeout: Duration::from_secs(60),
                slow_after: None,
                initial: BreakerState::Closed,
                clock: Clock::system(),
                listeners: Vec::new(),
            },
            close_after: None,
        }
    }

    /// Adds a rule; the breaker opens when one of them says so. Without any it is
    /// [`Trip::consecutive(5)`](Trip::consecutive).
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let breaker = Breaker::builder("db").trip(Trip::consecutive(1)).build()?;
    /// breaker.call(&ctx, |_| Err::<(), _>("down")).unwrap_err();
    /// assert_eq!(breaker.state(), BreakerState::Open);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn trip(mut self, rule: Trip) -> Self {
        self.config.trips.push(rule);
        self
    }

    /// Sets how long the breaker stays open before it lets a probe through. The default is 30 s; zero
    /// probes at the next call; `Duration::MAX` stays open until somebody says otherwise.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let breaker = Breaker::builder("db").open_for(std::time::Duration::ZERO).build()?;
    /// breaker.trip();
    /// assert_eq!(breaker.call(&ctx, |_| Ok::<_, ()>(1)), Ok(1)); // a probe
    /// assert_eq!(breaker.state(), BreakerState::Closed);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_for(self, time: Duration) -> Self {
        self.open_backoff(Backoff::fixed(time))
    }

    /// Sets a sequence instead: each time the probes fail the next delay, from the beginning again
    /// when the breaker has closed. A sequence that ends repeats its last delay.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*, time::VirtualClock};
    /// # use std::time::Duration;
    /// # let time = VirtualClock::auto();
    /// # let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// # use ironsys::schedule::Backoff;
    /// let delays = Backoff::fixed(Duration::from_secs(3));
    /// let breaker = Breaker::builder("db").open_backoff(delays).clock(ctx.clock()).build()?;
    /// breaker.trip();
    /// assert_eq!(breaker.stats().retry_after, Some(Duration::from_secs(3)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_backoff(mut self, delays: Backoff) -> Self {
        self.config.open_for = delays;
        self
    }

    /// Sets how many calls the half-open breaker admits, all in all, before it decides. The default
    /// is 1; 0 is refused.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let breaker = Breaker::builder("db").probes(2).build()?;
    /// breaker.half_open();
    /// breaker.call(&ctx, |_| Ok::<_, ()>(())).unwrap();
    /// assert_eq!(breaker.state(), BreakerState::HalfOpen); // one more
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn probes(mut self, calls: u32) -> Self {
        self.config.probes = calls;
        self
    }

    /// Sets how many of the probes must succeed. The default is all; the breaker opens again as soon
    /// as that is out of reach.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let breaker = Breaker::builder("db").probes(2).close_after(1).build()?;
    /// breaker.half_open();
    /// breaker.call(&ctx, |_| Ok::<_, ()>(())).unwrap();
    /// assert_eq!(breaker.state(), BreakerState::Closed);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close_after(mut self, successes: u32) -> Self {
        self.close_after = Some(successes);
        self
    }

    /// Sets how long probes may take to answer; then the breaker opens again, so that a probe which
    /// hangs does not keep it half-open for ever. The default is 60 s; `Duration::MAX` waits.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*, time::VirtualClock};
    /// # use std::time::Duration;
    /// # let time = VirtualClock::new();
    /// let second = Duration::from_secs(1);
    /// let breaker = Breaker::builder("db").probe_timeout(second).clock(&time.clock()).build()?;
    /// breaker.half_open();
    /// let _hangs = breaker.try_admit()?;
    /// time.advance(second);
    /// assert!(breaker.try_admit().is_err());
    /// assert_eq!(breaker.state(), BreakerState::Open);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn probe_timeout(mut self, time: Duration) -> Self {
        self.config.probe_timeout = time;
        self
    }

    /// Sets how long a call may take before it is slow, which matters to rules that are
    /// [`slow`](Trip::slow), and to probes if there is such a rule. By default no call is slow.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*, time::VirtualClock};
    /// # use std::time::Duration;
    /// # let time = VirtualClock::auto();
    /// # let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// let slow = Breaker::builder("db").trip(Trip::consecutive(1).slow()).clock(ctx.clock());
    /// let breaker = slow.slow_after(Duration::from_secs(1)).build()?;
    /// breaker.call(&ctx, |ctx| ctx.sleep(Duration::from_secs(2))).unwrap();
    /// assert_eq!(breaker.state(), BreakerState::Open);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn slow_after(mut self, time: Duration) -> Self {
        self.config.slow_after = Some(time);
        self
    }

    /// Sets the state in which it begins: closed by default; open by force, disabled or metrics only
    /// are possible too.
    ///
    /// ```
    /// # use ironsys::resilience::*;
    /// let breaker = Breaker::builder("db").initial(BreakerState::Disabled).build()?;
    /// assert_eq!(breaker.state(), BreakerState::Disabled);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn initial(mut self, state: BreakerState) -> Self {
        self.config.initial = state;
        self
    }

    /// Sets the clock; the default is a system clock. Give it the one of your contexts.
    ///
    /// ```
    /// # use ironsys::{resilience::*, time::VirtualClock};
    /// # use std::time::Duration;
    /// let time = VirtualClock::new();
    /// let breaker = Breaker::builder("db").clock(&time.clock()).build()?;
    /// breaker.trip();
    /// assert!(breaker.try_admit().is_err());
    /// time.advance(Duration::from_secs(30));
    /// assert!(breaker.try_admit().is_ok());
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn clock(mut self, clock: &Clock) -> Self {
        self.config.clock = clock.clone();
        self
    }

    /// Adds a listener. It is told every transition, in order, on the thread that caused it or an
    /// earlier one, with no lock held: it may use the breaker. A panic in it is logged. One that is
    /// slow delays the call that changed the state; with more than 64 transitions untold the oldest
    /// are given up and counted.
    ///
    /// ```
    /// # use ironsys::resilience::*;
    /// # use std::sync::{Arc, Mutex};
    /// let seen = Arc::new(Mutex::new(Vec::new()));
    /// let told = { let seen = seen.clone(); move |t: &Transition| seen.lock().unwrap().push(*t) };
    /// let breaker = Breaker::builder("db").on_transition(told).build()?;
    /// breaker.trip();
    /// assert_eq!(seen.lock().unwrap().len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_transition(mut self, f: impl Fn(&Transition) + Send + Sync + 'static) -> Self {
        self.config.listeners.push(Listener(Arc::new(f)));
        self
    }

    /// Makes the breaker.
    ///
    /// # Errors
    /// A value that makes no sense: a rule that never or always holds (`trip`), `probes` 0,
    /// `close_after` 0 or more than the probes, an `initial` state that has a history.
    ///
    /// ```
    /// # use ironsys::resilience::*;
    /// let never = Breaker::builder("db").probes(0).build();
    /// assert!(never.unwrap_err().to_string().contains("probes"));
    /// ```
    pub fn build(mut self) -> Result<Breaker, BuildError> {
        let wrong = |field, problem: &str| Err(BuildError::new("breaker", field, problem));
        let config = &mut self.config;
        if config.trips.is_empty() {
            config.trips.push(Trip::consecutive(5));
        }
        config.trips.iter().try_for_each(|trip| trip.check(config.slow_after))?;
        config.close_after = self.close_after.unwrap_or(config.probes);
        if config.probes == 0 {
            return wrong("probes", "is 0: it could never close");
        }
        if !(1..=config.probes).contains(&config.close_after) {
            return wrong("close_after", "is not between 1 and the number of probes");
        }
        if matches!(config.initial, BreakerState::Open | BreakerState::HalfOpen) {
            return wrong("initial", "is a state that a breaker gets into by itself");
        }
        Ok(Breaker { core: Arc::new(Core::new(self.config)) })
    }
}

impl fmt::Debug for BreakerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerBuilder")
            .field("name", &self.config.name)
            .field("trips", &self.config.trips)
            .finish_non_exhaustive()
    }
}
