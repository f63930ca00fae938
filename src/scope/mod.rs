//! Scopes: tasks that borrow from the stack, and end before the scope returns.
//!
//! ```
//! use ironsys::{Context, Stop};
//!
//! # fn main() -> Result<(), Stop> {
//! let (ctx, _cancel) = Context::root();
//! let words = ["structured", "concurrency"];
//! let letters = ironsys::scope(&ctx, |s| {
//!     let a = s.spawn(|_| Ok::<_, Stop>(words[0].len()));
//!     let b = s.spawn(|_| Ok(words[1].len()));
//!     Ok(a.join(&ctx)? + b.join(&ctx)?)
//! })?;
//! assert_eq!(letters, 21);
//! # Ok(()) }
//! ```
//!
//! | you want | use |
//! |---|---|
//! | some tasks, all of which must succeed | [`scope`] |
//! | a limit, a name | [`options`] |
//! | one function over many items | [`map`], [`for_each`] |
//! | the first answer, a quorum, whatever works | [`first_ok`], [`race`], [`quorum`], [`best_effort`], [`collect`] |
//!
//! The rooms: `core` has the queue and the threads that serve it (`README.md` has the protocol);
//! `handle` what the body of a scope uses; `task` the result of one task; `options` how to open one;
//! `map` and `joiner` are written on top of these.

mod core;
mod handle;
mod joiner;
mod map;
mod options;
mod state;
mod task;

pub use handle::{Named, Scope};
pub use joiner::{
    Joined, Joiner, NotEnough, Outcome, all, best_effort, collect, first_ok, quorum, race,
};
pub use map::{for_each, map};
pub use options::{DEFAULT_LIMIT, Options, options, scope};
pub use task::Task;
