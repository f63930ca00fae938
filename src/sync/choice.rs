//! Choices that a model checker does not make by itself: a fixed bit pattern an execution.
//!
//! loom has no nondeterministic choice, so a model with timed waits is run once for each pattern
//! (`testing::Model::choices`).

use std::cell::Cell;

std::thread_local! {
    static PATTERN: Cell<u64> = const { Cell::new(0) };
    static LEFT: Cell<u64> = const { Cell::new(0) };
}

/// Fixes the pattern of the executions to come.
pub fn set_choices(bits: u64) {
    PATTERN.with(|p| p.set(bits));
    rewind_choices();
}

/// Starts the pattern again; call it first in every execution.
pub fn rewind_choices() {
    LEFT.with(|l| l.set(PATTERN.with(Cell::get)));
}

/// Takes the next bit of the pattern.
#[cfg(not(shuttle))]
pub(crate) fn choice() -> bool {
    LEFT.with(|l| {
        let bits = l.get();
        l.set(bits >> 1);
        bits & 1 == 1
    })
}
