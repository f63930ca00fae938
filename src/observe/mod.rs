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
//! * `ledger`: what came in equals what went out and what is left.

mod counter;
mod ledger;
mod registry;
mod thread;
mod tree;

pub use crate::wait::WaitKind;
pub use ledger::Ledger;
pub use registry::{Registry, tasks};
pub use tree::{Task, TaskKind, Tasks, Waiting};

pub(crate) use counter::Counter;
pub(crate) use thread::{Mark, TaskId, begin, current};
