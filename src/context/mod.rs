//! Contexts: who may stop a call, when it must end, and what it carries along.
//!
//! * `stop`: why a context stopped;
//! * `node`: the tree: children, hooks, and how a stop travels down;
//! * `handle`: [`Context`] and [`Canceller`], what users hold;
//! * `build`: roots with a clock of their own and warm threads;
//! * `hooks`: closures that run when a context stops;
//! * `block`: the one loop in which a call waits under a context;
//! * `values`: typed values;
//! * `slots`: numbered places with reuse.
//!
//! `README.md` in this folder has the invariants of the tree and why no stop is missed.

mod block;
mod build;
mod handle;
mod hooks;
mod node;
mod slots;
mod stop;
mod values;

pub use build::ContextBuilder;
pub use handle::{CancelOnDrop, Canceller, Context};
pub use hooks::OnStop;
pub use stop::{Cause, Stop};

pub(crate) use block::Op;
pub(crate) use node::earliest;
