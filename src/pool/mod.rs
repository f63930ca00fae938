//! Worker pools: a fixed number of threads over one bounded queue.
//!
//! ```
//! use ironsys::{Context, pool::Pool};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (ctx, _cancel) = Context::root();
//! let pool = Pool::builder("squares").workers(2).queue(64).build()?;
//! let ticket = pool.submit(&ctx, |_| 6 * 7)?;
//! assert_eq!(ticket.join(&ctx)?, 42);
//! let report = pool.drain(&ctx);
//! assert_eq!((report.done, report.undelivered.len()), (1, 0));
//! # Ok(()) }
//! ```
//!
//! A pool is for work that outlives the call that submits it, or that many callers share. For work
//! that ends before its caller returns take a [`scope`](crate::scope()); for computing on all cores,
//! [`cpu`](crate::cpu).
//!
//! What is promised, and tested:
//! * every accepted job ends as done, failed, cancelled or handed back; nobody waits for ever;
//! * a panic is the job's failure, not the worker's;
//! * a job that waits for another of its own pool, or submits to its own full pool, runs that job
//!   itself, so it cannot deadlock; its stack grows with its own nesting, not with the queue.
//!
//! The rooms: `builder` and `handle` are what users hold; `job` is a job and its result; `ticket`
//! waits for it; `worker` runs it; `group` collects several.

mod builder;
mod errors;
mod group;
mod handle;
mod job;
mod ticket;
mod worker;

pub use builder::Builder;
pub use errors::{JoinError, SubmitError, TrySubmitError};
pub use group::Group;
pub use handle::{Drained, Pool, Stats, Submitter};
pub use job::{Job, JobOptions};
pub use ticket::Ticket;
