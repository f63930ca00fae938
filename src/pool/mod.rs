//! Worker pools: a fixed number of threads, or one that adapts, over bounded queues.
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
//! | you want | use |
//! |---|---|
//! | as many workers as the load needs | [`Builder::workers`] with a range |
//! | urgent jobs first, without starving the rest | [`Builder::order`] |
//! | to hear of jobs that hang, and go on without them | [`Builder::heartbeat`], [`Builder::replace_stuck`] |
//! | the jobs of one customer in order, of many in parallel | [`KeyedPool`] |
//! | several pools on one number of threads | [`Subpools`] |
//!
//! What is promised, and tested:
//! * every accepted job ends as done, failed, cancelled or handed back; nobody waits for ever;
//! * a panic is the job's failure, not the worker's;
//! * a job that waits for another of its own pool, or submits to its own full pool, runs that job
//!   itself, so it cannot deadlock; its stack grows with its own nesting, not with the queue.
//!
//! The rooms: `builder`, `handle` and `submit` are what users hold; `options`, `job` and `queued` are a
//! job; `ticket` waits for it, `group` for several; `intake` is where it goes, a channel or, if the pool
//! adapts or has an order, a `board`, with `order` and `size` to decide; `crew` is what the workers
//! share, `staff` who they are, `worker` what one does, `watch` who takes too long; `report` is what
//! can be seen of it. `keyed` and `subpools` are built on a pool, with queues made of `lane`s.

mod board;
mod builder;
mod crew;
mod errors;
mod group;
mod handle;
mod intake;
mod job;
mod keyed;
mod lane;
mod options;
mod order;
mod queued;
mod report;
mod size;
mod staff;
mod submit;
mod subpools;
mod ticket;
mod watch;
mod worker;

pub use builder::Builder;
pub use errors::{JoinError, SubmitError, TrySubmitError};
pub use group::Group;
pub use handle::Pool;
pub use keyed::{KeyedBuilder, KeyedPool, KeyedStats, KeyedSubmitter};
pub use options::JobOptions;
pub use order::Order;
pub use queued::Job;
pub use report::{Drained, Stats};
pub use size::{Resize, Why, Workers};
pub use submit::Submitter;
pub use subpools::{Share, Subpools, SubpoolsBuilder};
pub use ticket::Ticket;
pub use watch::Stuck;
pub use worker::beat;
