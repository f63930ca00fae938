//! How many extra calls may be made: a budget that retries and hedges share.

use crate::error::BuildError;
use crate::sync::{Arc, AtomicBool, LeakTrack, Mutex, Ordering};
use crate::time::Clock;
use std::fmt;
use std::time::Instant;

/// Bounds the extra calls of everybody who shares it, in proportion to the calls that are made anyway.
///
/// A limit on attempts for each call does not help when everything fails: three attempts each are
/// three times the load, on a service that is down. A budget does: each call puts a share of a token
/// in, each extra call takes a whole one out, and it takes it when it is *decided*, before it waits,
/// so that retries which wait cannot all come back at once.
///
/// Over any time, `extra calls ≤ burst + ratio · calls + floor · seconds`.
///
/// Cheap to clone; all clones are handles to one budget. Give one to all retries and hedges that call
/// the same service.
///
/// # Cost
/// Putting in is one load while the budget is full, as it is when nothing fails; else a lock.
///
/// ```
/// use ironsys::resilience::Budget;
/// # fn main() -> Result<(), ironsys::BuildError> {
/// let budget = Budget::builder().burst(1).ratio(0.5).floor_per_second(0).build()?;
/// assert!(budget.withdraw()); // the burst
/// assert!(!budget.withdraw());
/// budget.deposit();
/// budget.deposit(); // two calls, half a token each
/// assert!(budget.withdraw());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Budget {
    shared: Arc<Shared>,
}

struct Shared {
    /// Guards the balance.
    state: Mutex<State>,
    /// Whether the balance is at its ceiling, so that putting in changes nothing. Written under
    /// `state`, read without it.
    full: AtomicBool,
    /// In billionths of a token: then a floor of one token a second is one for each nanosecond.
    most: u64,
    each: u64,
    floor: u32,
    clock: Clock,
    _leak: LeakTrack,
}

struct State {
    balance: u64,
    /// Up to when the floor has been paid in.
    paid: Instant,
    granted: u64,
    refused: u64,
}

impl Budget {
    /// Starts to set a budget up.
    ///
    /// ```
    /// # use ironsys::resilience::*;
    /// assert_eq!(Budget::builder().build()?.stats().balance, 10.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder() -> BudgetBuilder {
        BudgetBuilder { ratio: 0.2, floor: 1, burst: 10, clock: Clock::system() }
    }

    /// Puts the share of one call in. [`Retry`](super::Retry) and hedges do it for each call.
    ///
    /// ```
    /// # use ironsys::resilience::*;
    /// let budget = Budget::builder().burst(1).ratio(1.0).floor_per_second(0).build()?;
    /// assert!(budget.withdraw());
    /// budget.deposit();
    /// assert!(budget.withdraw());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn deposit(&self) {
        // Acquire: whoever finds it full comes after what filled it.
        if !self.shared.full.load(Ordering::Acquire) {
            self.shared.deposit();
        }
    }

    /// Takes one token out for an extra call; `false`: there is none, do not make it.
    ///
    /// ```
    /// # use ironsys::resilience::*;
    /// let budget = Budget::builder().burst(1).floor_per_second(0).build()?;
    /// assert!(budget.withdraw());
    /// assert!(!budget.withdraw());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "without a token the extra call must not be made"]
    pub fn withdraw(&self) -> bool {
        let shared = &*self.shared;
        let now = shared.clock.now();
        let mut state = shared.state.lock();
        shared.pay_floor(&mut state, now);
        let granted = state.balance >= TOKEN;
        if granted {
            state.balance -= TOKEN;
            state.granted += 1;
        } else {
            state.refused += 1;
        }
        shared.publish(&state);
        granted
    }

    /// Returns the counts.
    ///
    /// ```
    /// # use ironsys::resilience::*;
    /// let budget = Budget::builder().burst(2).floor_per_second(0).build()?;
    /// budget.withdraw();
    /// assert_eq!(budget.stats().balance, 1.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> BudgetStats {
        let shared = &*self.shared;
        let now = shared.clock.now();
        let mut state = shared.state.lock();
        shared.pay_floor(&mut state, now);
        shared.publish(&state);
        BudgetStats {
            balance: state.balance as f64 / TOKEN as f64,
            granted: state.granted,
            refused: state.refused,
        }
    }
}

impl Shared {
    #[cold]
    fn deposit(&self) {
        let mut state = self.state.lock();
        state.balance = state.balance.saturating_add(self.each).min(self.most);
        self.publish(&state);
    }

    fn pay_floor(&self, state: &mut State, now: Instant) {
        let nanos = now.saturating_duration_since(state.paid).as_nanos();
        let paid = nanos.saturating_mul(u128::from(self.floor)) + u128::from(state.balance);
        state.balance = u64::try_from(paid).unwrap_or(self.most).min(self.most);
        state.paid = state.paid.max(now);
    }

    fn publish(&self, state: &State) {
        // Release: see `deposit`.
        self.full.store(state.balance == self.most, Ordering::Release);
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

/// A budget at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct BudgetStats {
    /// Tokens there are.
    pub balance: f64,
    /// Extra calls that got one.
    pub granted: u64,
    /// Extra calls that were not made for want of one.
    pub refused: u64,
}

/// Sets a budget up. Made by [`Budget::builder`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct BudgetBuilder {
    ratio: f64,
    floor: u32,
    burst: u32,
    clock: Clock,
}

impl BudgetBuilder {
    /// Sets how many extra calls there may be for each call. The default is 0.2; from 0 to 1,000.
    ///
    /// ```
    /// # use ironsys::resilience::*;
    /// assert!(Budget::builder().ratio(-1.0).build().is_err());
    /// ```
    pub fn ratio(mut self, extra: f64) -> Self {
        self.ratio = extra;
        self
    }

    /// Sets how many extra calls a second there may be in any case, so that those who call rarely
    /// can retry at all. The default is 1; 0 is none.
    ///
    /// ```
    /// # use ironsys::{Context, resilience::*, time::VirtualClock};
    /// # use std::time::Duration;
    /// # let time = VirtualClock::auto();
    /// # let (ctx, _cancel) = Context::builder().clock(time.clock()).build();
    /// let builder = Budget::builder().burst(1).floor_per_second(1).clock(ctx.clock());
    /// let budget = builder.build()?;
    /// assert!(budget.withdraw() && !budget.withdraw());
    /// time.advance(Duration::from_secs(1));
    /// assert!(budget.withdraw());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn floor_per_second(mut self, extra: u32) -> Self {
        self.floor = extra;
        self
    }

    /// Sets how many tokens can be saved; so many are there at the beginning. The default is 10; 0 is
    /// refused.
    ///
    /// ```
    /// # use ironsys::resilience::*;
    /// assert_eq!(Budget::builder().burst(3).build()?.stats().balance, 3.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn burst(mut self, tokens: u32) -> Self {
        self.burst = tokens;
        self
    }

    /// Sets the clock; the default is a system clock. Give it the one of your contexts.
    ///
    /// ```
    /// # use ironsys::{resilience::*, time::VirtualClock};
    /// # use std::time::Duration;
    /// let time = VirtualClock::new();
    /// let budget = Budget::builder().burst(1).floor_per_second(1).clock(&time.clock()).build()?;
    /// assert!(budget.withdraw() && !budget.withdraw());
    /// time.advance(Duration::from_secs(1));
    /// assert!(budget.withdraw());
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    pub fn clock(mut self, clock: &Clock) -> Self {
        self.clock = clock.clone();
        self
    }

    /// Makes the budget.
    ///
    /// # Errors
    /// `ratio` is not from 0 to 1,000, or `burst` is 0.
    ///
    /// ```
    /// # use ironsys::resilience::*;
    /// let none = Budget::builder().burst(0).build();
    /// assert!(none.unwrap_err().to_string().contains("burst"));
    /// ```
    pub fn build(self) -> Result<Budget, BuildError> {
        if !(0.0..=1000.0).contains(&self.ratio) {
            return Err(BuildError::new("budget", "ratio", "is not from 0 to 1000"));
        }
        if self.burst == 0 {
            return Err(BuildError::new(
                "budget",
                "burst",
                "is 0: no extra call could ever be made",
            ));
        }
        let most = u64::from(self.burst) * TOKEN;
        let state = State { balance: most, paid: self.clock.now(), granted: 0, refused: 0 };
        let shared = Shared {
            state: Mutex::new(state),
            full: AtomicBool::new(true),
            most,
            each: (self.ratio * TOKEN as f64).round() as u64,
            floor: self.floor,
            clock: self.clock,
            _leak: LeakTrack::new(),
        };
        Ok(Budget { shared: Arc::new(shared) })
    }
}

/// A token, in the units of the balance.
const TOKEN: u64 = 1_000_000_000;
