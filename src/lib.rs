//! Structured, synchronous concurrency on OS threads: what async code has, for code that blocks, and
//! without an async runtime.
//!
//! # At a glance
//!
//! | you want | use |
//! |---|---|
//! | a call to give up on a deadline or a cancel | [`Context`] |
//! | some tasks that borrow, all ended when the call returns | [`scope()`] |
//! | one function over many items, so many at a time | [`scope::map`] |
//! | the first answer, a quorum, whatever works | [`scope::first_ok`], [`scope::quorum`], [`scope::best_effort`] |
//! | to hand messages from thread to thread, bounded | [`channel::bounded`] |
//! | the first of several operations | [`select!`] |
//! | stages of work with threads between them, as one expression | [`flow::Flow`] |
//! | at most so many at once | [`limit::Semaphore`], as many as it bears: [`limit::AdaptiveLimit`] |
//! | so many in a time, each user so many | [`limit::TokenBucket`] and its like, [`limit::Keyed`] |
//! | short waits under overload | [`limit::Admission`] |
//! | jobs from many callers on a few threads | [`pool::Pool`] |
//! | the same, in order for each key; or several on common threads | [`pool::KeyedPool`], [`pool::Subpools`] |
//! | work at times: intervals, dates, cron | [`schedule::Scheduler`] |
//! | a loop that goes round at a rate | [`schedule::Ticker`] |
//! | to share what is dear to make: connections, clients | [`resource::ResourcePool`] |
//! | buffers that are used again | [`resource::BufferPool`] |
//! | to write without waiting for the disk | [`writer::BackgroundWriter`] |
//! | one write for the items of many callers | [`writer::Batcher`] |
//! | everybody who asked to get the messages of a topic | [`bus::Bus`] |
//! | one thread that owns something nobody else may touch | [`owner::Owner`] |
//! | state that lives long, in one thread's hands at a time | [`session::Manager`] |
//! | a program of parts, started in order and drained in order | [`service::Service`] |
//! | how long to wait between attempts | [`schedule::Backoff`] |
//! | to retry, to give up in time, to spare what is down | [`resilience`] |
//! | to compute on all cores | [`cpu::map`] |
//! | threads that start in microseconds | [`threads::ThreadCache`] |
//! | events on disk before they are acknowledged | `durable::Outbox` (feature `durable`) |
//! | a broker at the end, a rate that processes share | `brokers` (features `kafka`, `nats`, `redis`) |
//! | another process to do the work, with no server | `durable::Queue` (feature `durable`, Unix) |
//! | several steps, all done or all undone | `saga::Sagas` (feature `durable`) |
//! | child processes that leave nothing behind | `process::Command` (feature `process`, Linux) |
//! | tests of timeouts that take no time | [`time::VirtualClock`] |
//! | to see what every thread waits for | [`observe::tasks`], as JSON [`export::json::tasks`] |
//! | to be told of threads that wait for each other | [`export::DeadlockWatch`] |
//! | to know where threads wait, and what leaks tasks | [`export::WaitProfile`], [`export::GrowthWatch`] |
//! | a file for a trace viewer | [`export::trace`] |
//! | numbers for Prometheus, how long things take | [`export::Scrape`], [`export::Histogram`] |
//! | your own code model-checked | [`sync`] and the feature `testing` |
//!
//! # Example
//!
//! ```
//! use ironsys::{Context, Stop, channel};
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), Stop> {
//! let (ctx, _cancel) = Context::root();
//! let ctx = ctx.with_timeout(Duration::from_secs(5));
//! let words = ["a", "bb", "ccc"];
//! let (tx, rx) = channel::bounded(2);
//! let letters = ironsys::scope(&ctx, |s| {
//!     let sum = s.spawn(|ctx| Ok::<_, Stop>(rx.iter(ctx).sum::<usize>()));
//!     for word in &words {
//!         // A send that is cut short gives its value back.
//!         tx.send(s.ctx(), word.len()).map_err(|e| e.stop().cloned().unwrap())?;
//!     }
//!     tx.close();
//!     sum.join(&ctx)
//! })?;
//! assert_eq!(letters, 6);
//! # Ok(()) }
//! ```
//!
//! # What holds everywhere
//!
//! 1. **Blocking is visible.** A function takes `&Context` if and only if it may block. There are no
//!    `_timeout` twins: deadlines are in the context.
//! 2. **Cancelled means it did not happen.** A cancelled send gives the value back, a cancelled
//!    receive took nothing, a cancelled acquire holds nothing. A stop is for good.
//! 3. **Nothing outlives its owner.** Scopes join their tasks, handles join their threads, also when
//!    something panics.
//! 4. **Nothing is lost silently.** Every queue keeps a [ledger](observe::Ledger); what was accepted
//!    and not done is handed back by value.
//! 5. **Panics are data.** A scope resumes the first with its own payload; a pool gives it to the
//!    ticket.
//! 6. **Your error stays your error**, and the first one is recorded before the cancel it causes.
//! 7. **Everything is bounded**, and idle threads sleep: no polling, no ticks.
//! 8. **Your code never runs under a lock of ours.**
//!
//! # Model checking
//!
//! Every lock and atomic comes from [`sync`]. Built with `--cfg loom` (or `--cfg ironsys_loom`, if a
//! crate in your tree does not like the first) the whole library runs inside loom, and so does your
//! code on top of it. See `docs/guide.md`.
//!
//! # Features
//!
//! None is on by default. `testing` adds `ironsys::testing`, `chaos` random preemption for stress
//! tests, `cron` cron expressions for [`schedule`], `durable` adds `ironsys::durable` and
//! `ironsys::saga`, `kafka`, `nats` and `redis` clients in `ironsys::brokers`, `process` adds `ironsys::process`,
//! `signals` lets a [`service`] end at Ctrl-C, `metrics` adds what [`export`] has for the `metrics`
//! facade, `full` all of it.
//!
//! # What it is not
//!
//! For 100,000 mostly idle sockets use async. There is no reactor, no hard real time, and no cluster
//! protocol here.
#![deny(unsafe_code)]
// The fence around the seam, see clippy.toml: only `sync` and `testing` may name the primitives.
#![deny(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

pub mod sync;
pub mod time;

pub mod panics;

mod wait;

pub mod context;
pub mod observe;

pub mod channel;
pub mod limit;

pub mod bus;
pub mod cpu;
pub mod owner;
pub mod pool;
pub mod resource;
pub mod schedule;
pub mod scope;
pub mod threads;
pub mod writer;

pub mod flow;
pub mod resilience;

pub mod service;
pub mod session;

#[cfg(all(feature = "process", target_os = "linux", not(any(loom, ironsys_loom, shuttle))))]
pub mod process;

#[cfg(all(
    any(feature = "kafka", feature = "nats", feature = "redis"),
    not(any(loom, ironsys_loom, shuttle))
))]
pub mod brokers;
#[cfg(feature = "durable")]
pub mod durable;
#[cfg(feature = "durable")]
pub mod saga;

pub mod export;

#[cfg(feature = "testing")]
pub mod testing;

mod error;

pub use context::{Canceller, Cause, Context, Stop};
pub use error::BuildError;
pub use panics::Panicked;
pub use scope::scope;

#[cfg(doctest)]
mod papers {
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[doc = include_str!("../docs/guide.md")]
    struct Guide;
}
