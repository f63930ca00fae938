//! The arithmetic of a rate: how much has come in by a time, and when there will be so much.
//!
//! Time is nanoseconds since the limiter was made. Tokens are counted in units of 2^-30 token. The
//! *credit* at a time is all that has come in since the start, rounded down to a unit:
//!
//! `credit(t) = credit(at) + (rest + (t - at) * step) / per`, where `step / per` is the rate in units a
//! nanosecond, as a fraction.
//!
//! What was spent is a number on the same scale, so that a bucket is one number, and a change of the
//! rate does not touch it. That is the virtual scheduling of the ATM Forum's GCRA, with the clock
//! counted in tokens instead of the tokens in time: a fraction of a nanosecond is never rounded, so
//! nothing adds up.
//!
//! *Exactness.* Two credits differ by what came in between, to within less than a unit. A token that is
//! due exactly at a time is there at that time: the roundings of both ends are then equal. And no token
//! comes early if the rate in lowest terms is a count per at most 2^30 ns, such as any count a second:
//! what comes in during a whole number of nanoseconds is then short of a whole token by 2^-30 at least,
//! if it is short of it. With longer periods it may come 2^-29 of a token early.
//!
//! *Speed.* The division is done once for each *stretch* of at most 2^30 ns: the credit at its beginning
//! is exact, and within it `step / per` is a reciprocal, rounded up in the 64th binary place, which
//! moves no credit of a stretch past a unit (Granlund and Montgomery) unless the period is long.

use super::quantity::Rate;

/// A token, in units.
pub(super) const TOKEN: u64 = 1 << 30;

/// The longest stretch, in nanoseconds and in tokens.
const STRETCH: u64 = 1 << 30;

#[derive(Debug, Clone)]
#[repr(C)] // In the order of use.
pub(super) struct Plan {
    near: Near,
    rate: Rate,
    /// When the stretch began, the credit then, and what the division left.
    at: u64,
    credit: u128,
    rest: u128,
    /// The rate in units a nanosecond: at most 2^62 in the numerator, 2^94 in the denominator.
    step: u128,
    per: u128,
    /// Counts the changes of anything above.
    version: u64,
}

/// The stretch without a division.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Near {
    /// Units a nanosecond: whole ones and 2^-64ths.
    pub(super) whole: u64,
    pub(super) part: u64,
    /// What the division left at the beginning, in 2^-64ths of a unit.
    pub(super) carry: u64,
    /// How long the stretch is. 0: there is none, divide.
    pub(super) len: u64,
}

impl Near {
    /// What comes in during the first `d` nanoseconds, `d < len`.
    #[inline]
    pub(super) fn refill(&self, d: u64) -> u64 {
        let part = u128::from(d) * u128::from(self.part) + u128::from(self.carry);
        // A stretch brings 2^60 units at the most, so nothing is cut off.
        self.whole.wrapping_mul(d).wrapping_add((part >> 64) as u64)
    }
}

impl Plan {
    pub(super) fn new(rate: Rate) -> Plan {
        let mut plan = Plan {
            rate,
            step: 0,
            per: 1,
            at: 0,
            credit: 0,
            rest: 0,
            near: Near::default(),
            version: 0,
        };
        plan.adopt(rate);
        plan
    }

    pub(super) fn rate(&self) -> Rate {
        self.rate
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn near(&self) -> Near {
        self.near
    }

    /// Beginning of the stretch, and the credit then.
    pub(super) fn anchor(&self) -> (u64, u128) {
        (self.at, self.credit)
    }

    /// `(step, per, rest)`, if they are short.
    pub(super) fn fraction(&self) -> Option<[u64; 3]> {
        let short = |n: u128| u64::try_from(n).ok();
        Some([short(self.step)?, short(self.per)?, short(self.rest)?])
    }

    /// What has come in by `t`. A `t` before the stretch counts as its beginning: somebody who looked
    /// at the clock a little earlier is taken to be that little later.
    #[inline]
    pub(super) fn credit(&self, t: u64) -> u128 {
        let d = t.saturating_sub(self.at);
        if d < self.near.len {
            self.credit + u128::from(self.near.refill(d))
        } else {
            self.credit + (self.rest + u128::from(d) * self.step) / self.per
        }
    }

    /// The first time at which the credit is `target`; `None` if it never is.
    pub(super) fn due(&self, target: u128) -> Option<u64> {
        let Some(need) = target.checked_sub(self.credit).filter(|need| *need != 0) else {
            return Some(self.at);
        };
        wait(need, self.step, self.per, self.rest).map(|d| self.at.saturating_add(d))
    }

    /// Begins a new stretch at `t` if the old one is over.
    #[inline]
    pub(super) fn advance(&mut self, t: u64) {
        if t.saturating_sub(self.at) >= self.near.len && t > self.at {
            self.begin(t);
        }
    }

    /// Changes the rate from `t` on. What has come in stays, but for less than a unit.
    pub(super) fn change(&mut self, t: u64, rate: Rate) {
        self.begin(t.max(self.at));
        self.adopt(rate);
    }

    fn begin(&mut self, t: u64) {
        let total = self.rest + u128::from(t - self.at) * self.step;
        self.credit += total / self.per;
        self.rest = total % self.per;
        self.at = t;
        self.near.carry = ratio(self.rest, self.per);
        self.version += 1;
    }

    fn adopt(&mut self, rate: Rate) {
        let (count, per) = (u128::from(rate.count()) * u128::from(TOKEN), rate.per().as_nanos());
        let common = gcd(count, per).max(1);
        self.rate = rate;
        (self.step, self.per) = (count / common, (per / common).max(1));
        self.rest = 0;
        let most = (u128::from(STRETCH) * u128::from(TOKEN)).saturating_mul(self.per);
        self.near = Near {
            whole: (self.step / self.per) as u64, // At most 2^62.
            part: ratio(self.step % self.per, self.per),
            carry: 0,
            len: match self.step {
                _ if rate.is_unlimited() => 0,
                0 => u64::MAX,
                // A stretch of 1 ns is worth nothing, but it is a stretch.
                step => (most / step).clamp(1, u128::from(STRETCH)) as u64,
            },
        };
        self.version += 1;
    }
}

/// How long until `need` units have come in.
pub(super) fn wait(need: u128, step: u128, per: u128, rest: u128) -> Option<u64> {
    if step == 0 {
        return None;
    }
    let need = need.saturating_mul(per).saturating_sub(rest);
    Some(u64::try_from(need.div_ceil(step)).unwrap_or(u64::MAX))
}

/// `part / whole < 1` in 2^-64ths, rounded up.
fn ratio(part: u128, whole: u128) -> u64 {
    // More than 63 bits are a period of centuries: the lowest ones do not matter.
    let shift = (128 - whole.leading_zeros()).saturating_sub(63);
    let (part, whole) = (part >> shift, whole >> shift);
    u64::try_from((part << 64).div_ceil(whole)).unwrap_or(u64::MAX)
}

fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn rates() -> impl Strategy<Value = Rate> {
        let count = prop_oneof![0..20_u32, any::<u32>()];
        let per = prop_oneof![0..100_u64, any::<u32>().prop_map(u64::from), any::<u64>()];
        (count, per).prop_map(|(count, per)| Rate::new(count, Duration::from_nanos(per)))
    }

    proptest! {
        /// The reciprocal says what the division says, or, with long periods, a unit more.
        #[test]
        fn a_stretch_is_as_good_as_a_division(rate in rates(), at: u32, d: u64) {
            let mut plan = Plan::new(rate);
            prop_assume!(!rate.is_unlimited());
            plan.begin(u64::from(at));
            let d = d % plan.near.len.min(1 << 40);
            let exact = (plan.rest + u128::from(d) * plan.step) / plan.per;
            let near = u128::from(plan.near.refill(d));
            let slack = u128::from(plan.per > 1 << 30);
            prop_assert!(near >= exact && near <= exact + slack, "{near} for {exact}");
        }

        /// However often a stretch is begun, nothing is lost on the way.
        #[test]
        fn stretches_do_not_drift(rate in rates(), steps in prop::collection::vec(0_u64..1 << 40, 0..20)) {
            let mut plan = Plan::new(rate);
            let mut t = 0;
            for step in steps {
                t += step;
                plan.begin(t);
            }
            let once = Plan::new(rate);
            prop_assert_eq!(plan.credit, u128::from(t) * once.step / once.per);
        }

        /// A time that is due is the first at which the credit is there.
        #[test]
        fn due_is_the_first_time(rate in rates(), need in 1..u128::from(u64::MAX)) {
            let mut plan = Plan::new(rate);
            prop_assume!(!rate.is_unlimited());
            plan.near.len = 0; // The division, not the reciprocal.
            match plan.due(need) {
                None => prop_assert!(rate.is_zero()),
                Some(u64::MAX) => {}
                Some(t) => {
                    prop_assert!(plan.credit(t) >= need);
                    prop_assert!(t == 0 || plan.credit(t - 1) < need);
                }
            }
        }
    }
}
