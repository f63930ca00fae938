//! Warm threads: a bounded cache of parked threads that scopes and pools borrow.
//!
//! Starting a thread costs some 27 µs, waking a parked one 2 to 9 µs. Put a [`ThreadCache`] into the
//! root context and every scope below it takes its threads from there:
//!
//! ```
//! use ironsys::{Context, Stop, threads::ThreadCache};
//!
//! # fn main() -> Result<(), Stop> {
//! let threads = ThreadCache::new(8);
//! let (ctx, _cancel) = Context::builder().value(threads.clone()).build();
//! let answer = ironsys::scope(&ctx, |s| {
//!     let task = s.spawn(|_| Ok::<_, Stop>(6 * 7));
//!     task.join(&ctx)
//! })?;
//! assert_eq!(answer, 42);
//! # Ok(()) }
//! ```
//!
//! Without a cache a scope starts threads of its own. Nothing else differs.
//!
//! * `cache`: the handle, who is idle, and who is asked to come;
//! * `worker`: one thread: its job, its parking, its end;
//! * `owned`: a thread that belongs to a handle and does one thing until it is closed.

mod cache;
mod owned;
mod worker;

pub use cache::{Builder, ThreadCache};

pub(crate) use cache::crew;
pub(crate) use owned::{Owned, is_current};
