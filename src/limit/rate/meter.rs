//! What a rule is to the queue and the lock around it.

use super::super::errors::RateError;

/// A rule: when so much fits, and what passing does. Sequential; it runs no code of the user's.
///
/// The rule is apart from its `Cell`, what one subject has used, so that a thousand keys share it. Times
/// are nanoseconds since the limiter was made.
pub trait Meter: Clone + Send + 'static {
    /// What one subject has used.
    type Cell: Send + 'static;
    /// What passing took, for giving it back.
    type Taken: Send + 'static;
    /// What is enough for a call while nobody waits; `()` if nothing is.
    type Fast: Send + Sync + 'static;

    /// A subject that has used nothing.
    fn fresh(&self, t: u64) -> Self::Cell;

    /// Is `n` more than can ever fit?
    fn too_many(&self, n: u32) -> Result<(), RateError>;

    /// May one more wait behind those that do?
    fn has_room(&self, cell: &Self::Cell, t: u64, ahead: u64, n: u32) -> Result<(), RateError>;

    /// Takes note of the time, before anything else at that time.
    fn advance(&mut self, t: u64);

    /// Drops from the cell what is over by `t`.
    fn settle(&self, cell: &mut Self::Cell, t: u64);

    /// Do `n` fit at `t`, if nobody is ahead?
    fn fits(&self, cell: &Self::Cell, t: u64, n: u32) -> bool;

    /// When `n` fit, behind those `ahead`; `None`: never, at this rate.
    fn due(&self, cell: &Self::Cell, ahead: impl Iterator<Item = u32>, n: u32) -> Option<u64>;

    /// `n` pass at `at`.
    fn take(&self, cell: &mut Self::Cell, at: u64, n: u32) -> Self::Taken;

    /// The four above in one: passes at `t` if `n` fit, with nobody ahead.
    #[inline]
    fn pass(&mut self, cell: &mut Self::Cell, t: u64, n: u32) -> bool {
        self.advance(t);
        self.settle(cell, t);
        let fits = self.fits(cell, t, n);
        if fits {
            self.take(cell, t, n);
        }
        fits
    }

    /// Drops from what was taken what is over by `t`: giving it back would be minting.
    fn age(&self, cell: &Self::Cell, t: u64, taken: &mut Self::Taken);

    /// Undoes `take`.
    fn refund(&self, cell: &mut Self::Cell, taken: Self::Taken);

    /// When the cell is as good as a fresh one; `None`: not by waiting.
    fn idle_at(&self, cell: &Self::Cell) -> Option<u64>;

    /// How much fits now, and how much is used, in whole tokens.
    fn level(&self, cell: &Self::Cell, t: u64) -> (i64, u64);

    /// How much fits at the most.
    fn capacity(&self) -> u32;

    /// Becomes as `like`, from `t` on, with all the cells that go by this rule.
    fn become_like<'a>(
        &mut self,
        like: &Self,
        t: u64,
        cells: impl Iterator<Item = &'a mut Self::Cell>,
    ) where
        Self::Cell: 'a;

    // ----- The fast side -----

    /// Makes the fast side.
    fn fast(&self, cell: &Self::Cell) -> Self::Fast;

    /// Tries without a lock.
    fn try_fast(fast: &Self::Fast, n: u32, now: impl Fn() -> u64) -> Tried;

    /// Stops the fast side and takes over what it has. The caller has the lock.
    fn open(&self, fast: &Self::Fast, cell: &mut Self::Cell);

    /// Gives it back; `busy`: it stays stopped, since the order of those who wait, or what was
    /// reserved, is known only under the lock.
    fn close(&self, fast: &Self::Fast, cell: &Self::Cell, busy: bool);
}

/// What came of a try without a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tried {
    /// It has passed.
    Granted,
    /// Not now, but in so many nanoseconds.
    NotYet(u64),
    /// It takes the lock to say.
    Slow,
}
