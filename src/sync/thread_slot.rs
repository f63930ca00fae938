//! Small numbers for threads: the first few that are alive have one each, nobody twice.
//!
//! What a thread writes under its number is seen by the next one that gets it: the number is given back
//! with Release and taken with Acquire. In a model no thread has a number, since the list would tie
//! one execution to the next.

use super::MODEL;
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many threads have a number at once.
pub(crate) const COUNT: usize = 16;

const UNASKED: usize = usize::MAX;
const NONE: usize = usize::MAX - 1;

/// The numbers in use, a bit each.
static TAKEN: AtomicU64 = AtomicU64::new(0);

std::thread_local! {
    static MINE: Cell<usize> = const { Cell::new(UNASKED) };
    static OWNER: Owner = Owner(MINE.with(Cell::get));
}

/// The calling thread's number; one that is not below [`COUNT`] if it has none.
#[inline]
pub(crate) fn mine() -> usize {
    if MODEL {
        return NONE;
    }
    let mine = MINE.with(Cell::get);
    if mine == UNASKED { ask() } else { mine }
}

#[cold]
fn ask() -> usize {
    let take = |taken: u64| {
        let free = taken.trailing_ones() as usize;
        (free < COUNT).then_some(taken | 1 << free)
    };
    let taken = TAKEN.fetch_update(Ordering::AcqRel, Ordering::Acquire, take);
    let mine = taken.map_or(NONE, |taken| taken.trailing_ones() as usize);
    MINE.with(|m| m.set(mine));
    // A thread that ends already can own nothing more: the number goes back at once.
    if mine != NONE && OWNER.try_with(|_| ()).is_err() {
        drop(Owner(mine));
    }
    MINE.with(Cell::get)
}

/// Gives the number back when its thread ends. What the thread does after that shares.
struct Owner(usize);

impl Drop for Owner {
    fn drop(&mut self) {
        MINE.with(|m| m.set(NONE));
        if self.0 < COUNT {
            TAKEN.fetch_and(!(1 << self.0), Ordering::Release);
        }
    }
}
