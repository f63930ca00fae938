//! Seeing what every thread does: a tree of scopes, tasks and workers, and what each waits for.
//!
//! [`tasks`] shows the process; [`Registry::tasks`] one registry. Nothing is sampled and nothing
//! runs in the background: a thread that works for a scope or pool keeps a small stack of what it
//! is doing behind its own lock, and notes what it waits for when it parks. Fast paths pay nothing.
//!
//! * `registry`: the threads at work;
//! * `thread`: one thread's stack of tasks;
//! * `tree`: the snapshot, and how it prints;
//! * `counter`: counts that cost next to nothing to add to;
//! * `buckets`, `histogram`: how long things take, likewise;
//! * `ledger`: what came in equals what went out and what is left.

mod buckets;
mod counter;
mod histogram;
mod ledger;
mod registry;
mod thread;
mod tree;

pub use crate::wait::WaitKind;
pub use histogram::{Histogram, HistogramSnapshot};
pub use ledger::Ledger;
pub use registry::{Registry, tasks};
pub use tree::{Task, TaskKind, Tasks, Waiting};

pub(crate) use buckets::{BUCKETS, bucket};
pub(crate) use counter::Counter;
pub(crate) use histogram::quantile;
pub(crate) use thread::{
    DAEMON, Mark, Recorded, TaskId, ThreadView, begin, begin_for, current, hold, thread_number,
};
