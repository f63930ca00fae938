//! A bucket in one word, for as long as nobody waits and nothing is reserved.
//!
//! The word is what was spent, modulo 2^63 units, and a bit that says "take the lock". Beside it is a
//! copy of the plan, guarded by a sequence number: odd while it changes, and different after.
//!
//! Invariants:
//! 1. Who has the lock and has set the bit is alone with the word.
//! 2. The copy is of the plan under the lock, but for a change under way, when the bit is set.
//! 3. `spent - credit at the beginning of the stretch` is from 0 to less than 2^33 tokens, the size of
//!    the word: at least 0, since `spent` is raised to the credit before a new stretch begins; less,
//!    since nobody takes without the lock once the stretch is over.
//!
//! The order of a try matters: the word, the clock, the copy, the exchange. So the plan is not older than
//! the word's; if another word is found, the plan's number is looked at again. A plan may be replaced between the copy and
//! the exchange; if the word is still the same then, the call has passed by the old plan at a time
//! before the new one's, which is to say: before the change.

use super::meter::Tried;
use super::plan::{self, Near, Plan};
use crate::sync::{self, AtomicU64, Ordering};

/// "Take the lock."
const BUSY: u64 = 1;
/// Of the word without the bit.
const RING: u64 = u64::MAX >> 1;

/// A cache line of its own, since every call writes it.
#[derive(Debug)]
#[repr(align(64))]
struct Word(AtomicU64);

#[derive(Debug)]
#[repr(align(64))]
pub struct Published {
    /// What was spent, shifted by one, and `BUSY`.
    word: Word,
    /// Odd while the fields below change. Only who has the lock writes any of them.
    sequence: AtomicU64,
    /// The version of the plan that is published.
    version: AtomicU64,
    at: AtomicU64,
    base: AtomicU64,
    whole: AtomicU64,
    part: AtomicU64,
    carry: AtomicU64,
    len: AtomicU64,
    capacity: AtomicU64,
    /// `step`, `per` and `rest` of the plan; a `per` of 0: they are too long.
    fraction: [AtomicU64; 3],
    /// One at a time: passes at a level of 0 only.
    shaper: bool,
}

/// What a try reads of the plan.
#[derive(Clone, Copy)]
struct Copied {
    sequence: u64,
    at: u64,
    base: u64,
    near: Near,
    capacity: u64,
}

impl Published {
    pub(super) fn new(plan: &Plan, capacity: u64, shaper: bool, spent: u128) -> Published {
        let published = Published {
            word: Word(AtomicU64::new(ring(spent) << 1)),
            sequence: AtomicU64::new(0),
            version: AtomicU64::new(u64::MAX),
            at: AtomicU64::new(0),
            base: AtomicU64::new(0),
            whole: AtomicU64::new(0),
            part: AtomicU64::new(0),
            carry: AtomicU64::new(0),
            len: AtomicU64::new(0),
            capacity: AtomicU64::new(0),
            fraction: [AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0)],
            shaper,
        };
        published.publish(plan, capacity);
        published
    }

    /// Takes `ask` units if they fit.
    #[inline]
    pub(super) fn try_take(&self, ask: u64, now: impl Fn() -> u64) -> Tried {
        loop {
            // Acquire: a word that was given back under the lock comes with its plan.
            let mut word = self.word.0.load(Ordering::Acquire);
            if word & BUSY != 0 {
                return Tried::Slow;
            }
            let t = now();
            let Some(copy) = self.copy() else { return Tried::Slow };
            // A time before the stretch wraps around, and so is not within it either; but for a rate of
            // zero, which has one endless stretch, and brings nothing whatever the time.
            let d = t.wrapping_sub(copy.at);
            if d >= copy.near.len {
                return Tried::Slow;
            }
            let refilled = copy.near.refill(d);
            let after = copy.base.wrapping_add(refilled).wrapping_add(ask);
            let room = if self.shaper { ask } else { copy.capacity };
            let mut first = true;
            // The plan stays good for each word that is found, as long as it has not changed. So does the
            // time for passing, but not for being refused: it is a little old then.
            while first || self.sequence.load(Ordering::Relaxed) == copy.sequence {
                let spent = (word >> 1).wrapping_sub(copy.base) & RING;
                let level = spent.saturating_sub(refilled);
                if level + ask > room {
                    if first {
                        return self.not_yet(word, copy.sequence, ask, t);
                    }
                    break;
                }
                let new = after.wrapping_add(level) << 1;
                let orders = (Ordering::AcqRel, Ordering::Acquire);
                match self.word.0.compare_exchange(word, new, orders.0, orders.1) {
                    Ok(_) => return Tried::Granted,
                    Err(found) if found & BUSY != 0 => return Tried::Slow,
                    Err(found) => (word, first) = (found, false),
                }
            }
        }
    }

    /// How long after `t` until `ask` fit on top of what `word` says was spent.
    #[cold]
    fn not_yet(&self, word: u64, sequence: u64, ask: u64, t: u64) -> Tried {
        // Copied again: to hand the copy over would cost its eight words on every pass.
        let copy = match self.copy() {
            Some(copy) if copy.sequence == sequence => copy,
            _ => return Tried::Slow,
        };
        let d = t.saturating_sub(copy.at);
        let spent = (word >> 1).wrapping_sub(copy.base) & RING;
        let [step, per, rest] = [0, 1, 2].map(|i| self.fraction[i].load(Ordering::Relaxed));
        // As in `copy`.
        sync::fence(Ordering::Acquire);
        // No exchange says that the word still is what the plan was read for, so this does: a newer plan
        // than the word's comes with the bit, or with another word.
        let sound = self.sequence.load(Ordering::Relaxed) == copy.sequence
            && self.word.0.load(Ordering::Relaxed) == word;
        let room = if self.shaper { ask } else { copy.capacity };
        // More than exists, or a rate of zero: that is for the lock to say.
        if !sound || per == 0 || ask > room {
            return Tried::Slow;
        }
        let need = (spent + ask).saturating_sub(room);
        let wait = plan::wait(need.into(), step.into(), per.into(), rest.into());
        wait.map_or(Tried::Slow, |at| Tried::NotYet(at.saturating_sub(d).max(1)))
    }

    #[inline]
    fn copy(&self) -> Option<Copied> {
        let sequence = self.sequence.load(Ordering::Acquire);
        let copy = Copied {
            sequence,
            at: self.at.load(Ordering::Relaxed),
            base: self.base.load(Ordering::Relaxed),
            near: Near {
                whole: self.whole.load(Ordering::Relaxed),
                part: self.part.load(Ordering::Relaxed),
                carry: self.carry.load(Ordering::Relaxed),
                len: self.len.load(Ordering::Relaxed),
            },
            capacity: self.capacity.load(Ordering::Relaxed),
        };
        // Acquire: if any of these was of a newer plan, so is the number below.
        sync::fence(Ordering::Acquire);
        let sound = sequence & 1 == 0 && self.sequence.load(Ordering::Relaxed) == sequence;
        sound.then_some(copy)
    }

    /// Publishes a plan, if it is not the one that is. The caller has the lock.
    pub(super) fn publish(&self, plan: &Plan, capacity: u64) {
        let same = self.version.load(Ordering::Relaxed) == plan.version()
            && self.capacity.load(Ordering::Relaxed) == capacity;
        if same {
            return;
        }
        let (at, credit) = plan.anchor();
        let near = plan.near();
        let [step, per, rest] = plan.fraction().unwrap_or_default();
        let sequence = self.sequence.load(Ordering::Relaxed);
        self.sequence.store(sequence.wrapping_add(1), Ordering::Relaxed);
        // Release: who sees a new field sees the odd number.
        sync::fence(Ordering::Release);
        self.version.store(plan.version(), Ordering::Relaxed);
        self.at.store(at, Ordering::Relaxed);
        self.base.store(ring(credit), Ordering::Relaxed);
        self.whole.store(near.whole, Ordering::Relaxed);
        self.part.store(near.part, Ordering::Relaxed);
        self.carry.store(near.carry, Ordering::Relaxed);
        self.len.store(near.len, Ordering::Relaxed);
        self.capacity.store(capacity, Ordering::Relaxed);
        self.fraction[0].store(step, Ordering::Relaxed);
        self.fraction[1].store(per, Ordering::Relaxed);
        self.fraction[2].store(rest, Ordering::Relaxed);
        self.sequence.store(sequence.wrapping_add(2), Ordering::Release);
    }

    /// Sets the bit, and returns what was spent. The caller has the lock, and `plan` is published.
    pub(super) fn stop(&self, plan: &Plan) -> u128 {
        let mut word = self.word.0.load(Ordering::Acquire);
        while word & BUSY == 0 {
            let busy = word | BUSY;
            match self.word.0.compare_exchange(word, busy, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => break,
                Err(found) => word = found,
            }
        }
        let (_, credit) = plan.anchor();
        credit + u128::from((word >> 1).wrapping_sub(ring(credit)) & RING)
    }

    /// Gives the word back.
    pub(super) fn start(&self, spent: u128, busy: bool) {
        // Release: with the plan that was published before.
        self.word.0.store(ring(spent) << 1 | u64::from(busy), Ordering::Release);
    }
}

fn ring(spent: u128) -> u64 {
    spent as u64 & RING
}
