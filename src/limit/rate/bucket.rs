//! The buckets: token bucket, leaky bucket, GCRA. One rule, told from two sides.
//!
//! A bucket is one number, what was *spent*, on the scale of the plan's credit. `level = spent - credit`
//! is what is used of the capacity: it drains at the rate, and never below 0, since what comes in while
//! the bucket is full is lost: before anything is taken, `spent` is raised to the credit.
//!
//! * A token bucket has `capacity - level` tokens.
//! * A leaky bucket as a meter has `level` in it.
//! * GCRA's theoretical arrival time is when the level will be 0. `n` conform if they fit on top.
//! * A leaky bucket as a shaper passes one when the level is 0, and puts it on top then.

use super::super::errors::RateError;
use super::meter::{Meter, Tried};
use super::plan::{Plan, TOKEN};
use super::published::Published;
use super::quantity::Rate;

/// What a bucket may owe beyond its capacity, in tokens.
const MOST_OWED: u128 = 1 << 31;

/// What a try reads comes first, here and in the plan: few cache lines.
#[derive(Debug, Clone)]
#[repr(C)]
pub struct Bucket {
    /// In units, below 2^62.
    capacity: u64,
    rule: Rule,
    /// Tokens that a new token bucket lacks.
    missing: u64,
    plan: Plan,
}

/// How the kinds differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// What is kept when the capacity changes is the tokens.
    Tokens { debt: bool },
    /// What is kept when the capacity changes is the level.
    Level,
    /// One at a time; so many may wait.
    Shaper { queue: u32 },
}

impl Bucket {
    pub(super) fn new(rate: Rate, capacity: u64, rule: Rule) -> Bucket {
        Bucket { plan: Plan::new(rate), capacity, rule, missing: 0 }
    }

    pub(super) fn with_missing(mut self, tokens: u32) -> Bucket {
        self.missing = u64::from(tokens) * TOKEN;
        self
    }

    pub(super) fn rate(&self) -> Rate {
        self.plan.rate()
    }

    pub(super) fn change_rate(&mut self, t: u64, rate: Rate) {
        self.plan.change(t, rate);
    }

    /// Changes the capacity: a token bucket keeps its tokens, or as many as fit, and its debt; a leaky
    /// one its level.
    pub(super) fn change_capacity(&mut self, cell: &mut Spent, t: u64, capacity: u64) {
        if let Rule::Tokens { .. } = self.rule {
            let credit = self.plan.credit(t);
            let level = cell.get().saturating_sub(credit);
            // Tokens are kept while they fit: the level moves with the capacity, not below 0.
            let level = (level + u128::from(capacity)).saturating_sub(u128::from(self.capacity));
            *cell = Spent::of(credit + level);
        }
        self.capacity = capacity;
    }

    pub(super) fn change_queue(&mut self, queue: u32) {
        self.rule = Rule::Shaper { queue };
    }

    pub(super) fn queue(&self) -> u32 {
        match self.rule {
            Rule::Shaper { queue } => queue,
            _ => 0,
        }
    }

    fn is_shaper(&self) -> bool {
        matches!(self.rule, Rule::Shaper { .. })
    }

    /// Up to which level `ask` units may rise.
    fn room(&self, ask: u128) -> u128 {
        if self.is_shaper() { ask } else { u128::from(self.capacity) }
    }
}

/// What was spent, in two halves: a `u128` would make the place of a key half as large again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent([u64; 2]);

impl Spent {
    #[inline]
    fn of(units: u128) -> Spent {
        Spent([(units >> 64) as u64, units as u64])
    }

    #[inline]
    fn get(self) -> u128 {
        let [high, low] = self.0;
        u128::from(high) << 64 | u128::from(low)
    }
}

fn units(n: u32) -> u128 {
    u128::from(n) * u128::from(TOKEN)
}

impl Meter for Bucket {
    /// What was spent.
    type Cell = Spent;
    /// What can be given back, in units.
    type Taken = u128;
    type Fast = Published;

    fn fresh(&self, t: u64) -> Spent {
        Spent::of(self.plan.credit(t) + u128::from(self.missing))
    }

    fn too_many(&self, n: u32) -> Result<(), RateError> {
        let unbound = match self.rule {
            Rule::Tokens { debt } => debt,
            Rule::Level => false,
            Rule::Shaper { .. } => true,
        };
        if unbound || self.rate().is_unlimited() || units(n) <= u128::from(self.capacity) {
            return Ok(());
        }
        Err(RateError::TooMany { asked: n, capacity: self.capacity() })
    }

    fn has_room(&self, cell: &Spent, t: u64, ahead: u64, n: u32) -> Result<(), RateError> {
        if self.rate().is_unlimited() {
            return Ok(());
        }
        let ahead = u128::from(ahead) * u128::from(TOKEN);
        let level = cell.get().saturating_sub(self.plan.credit(t)) + ahead;
        let (queued, most) = match self.rule {
            Rule::Shaper { queue } => (level, units(queue)),
            _ => (level + units(n), u128::from(self.capacity) + MOST_OWED * u128::from(TOKEN)),
        };
        if queued <= most { Ok(()) } else { Err(RateError::Backlog) }
    }

    #[inline]
    fn advance(&mut self, t: u64) {
        self.plan.advance(t);
    }

    #[inline]
    fn settle(&self, cell: &mut Spent, t: u64) {
        let credit = self.plan.credit(t);
        if credit > cell.get() || self.rate().is_unlimited() {
            *cell = Spent::of(credit);
        }
    }

    #[inline]
    fn fits(&self, cell: &Spent, t: u64, n: u32) -> bool {
        let ask = units(n);
        let target = (cell.get() + ask).saturating_sub(self.room(ask));
        self.plan.credit(t) >= target || self.rate().is_unlimited()
    }

    #[inline]
    fn due(&self, cell: &Spent, ahead: impl Iterator<Item = u32>, n: u32) -> Option<u64> {
        if self.rate().is_unlimited() {
            return Some(0);
        }
        let ask = units(n);
        let spent = cell.get() + ahead.map(units).sum::<u128>();
        self.plan.due((spent + ask).saturating_sub(self.room(ask)))
    }

    #[inline]
    fn take(&self, cell: &mut Spent, at: u64, n: u32) -> u128 {
        self.settle(cell, at);
        if self.rate().is_unlimited() {
            return 0;
        }
        *cell = Spent::of(cell.get() + units(n));
        units(n)
    }

    /// With one look at the plan.
    #[inline]
    fn pass(&mut self, cell: &mut Spent, t: u64, n: u32) -> bool {
        self.plan.advance(t);
        if self.rate().is_unlimited() {
            self.settle(cell, t);
            return true;
        }
        let (credit, ask) = (self.plan.credit(t), units(n));
        let spent = cell.get().max(credit);
        let fits = spent + ask <= credit + self.room(ask);
        *cell = Spent::of(if fits { spent + ask } else { spent });
        fits
    }

    fn age(&self, cell: &Spent, t: u64, taken: &mut u128) {
        // What is below the level has been made up for by what was lost to the full bucket.
        *taken = (*taken).min(cell.get().saturating_sub(self.plan.credit(t)));
    }

    fn refund(&self, cell: &mut Spent, taken: u128) {
        *cell = Spent::of(cell.get() - taken);
    }

    fn idle_at(&self, cell: &Spent) -> Option<u64> {
        if self.rate().is_unlimited() { Some(0) } else { self.plan.due(cell.get()) }
    }

    fn level(&self, cell: &Spent, t: u64) -> (i64, u64) {
        let level = cell.get().saturating_sub(self.plan.credit(t));
        // Below 2^64 units both, by the bound on what is owed.
        let free = (i128::from(self.capacity) - level as i128).div_euclid(i128::from(TOKEN));
        (free as i64, level.div_ceil(u128::from(TOKEN)) as u64)
    }

    fn capacity(&self) -> u32 {
        (self.capacity / TOKEN) as u32
    }

    fn become_like<'a>(&mut self, like: &Self, t: u64, cells: impl Iterator<Item = &'a mut Spent>) {
        let old = self.capacity;
        for cell in cells {
            self.settle(cell, t);
            self.capacity = old;
            self.change_capacity(cell, t, like.capacity);
        }
        (self.capacity, self.rule, self.missing) = (like.capacity, like.rule, like.missing);
        self.change_rate(t, like.rate());
    }

    fn fast(&self, cell: &Spent) -> Published {
        Published::new(&self.plan, self.capacity, self.is_shaper(), cell.get())
    }

    #[inline]
    fn try_fast(fast: &Published, n: u32, now: impl Fn() -> u64) -> Tried {
        fast.try_take(u64::from(n) * TOKEN, now)
    }

    fn open(&self, fast: &Published, cell: &mut Spent) {
        *cell = Spent::of(fast.stop(&self.plan));
    }

    fn close(&self, fast: &Published, cell: &Spent, busy: bool) {
        fast.publish(&self.plan, self.capacity);
        fast.start(cell.get(), busy);
    }
}
