//! One test body, three ways to run it: every interleaving, random ones, real threads.
//!
//! A *model* is a closure with two or three threads and one or two operations each. The build decides
//! what [`model`] does with it:
//!
//! | build | command | what is explored |
//! |---|---|---|
//! | loom | `RUSTFLAGS="--cfg loom" cargo test --profile loom` | every interleaving up to a bound of preemptions |
//! | shuttle | `RUSTFLAGS="--cfg shuttle" cargo test` | random, PCT and uniform random schedules |
//! | real | `cargo test` | many runs on OS threads; a hang is a failure |
//! | real, feature `chaos` | `cargo test --features ironsys/chaos` | the same, with seeded preemption everywhere |
//!
//! A crate built on ironsys model-checks itself the same way: it takes its locks, atomics and threads
//! from [`ironsys::sync`](crate::sync) and puts `ironsys = { features = ["testing"] }` into its
//! dev-dependencies. Where a dependency does not build under plain `--cfg loom` (event-listener,
//! async-nats), `--cfg ironsys_loom` switches ironsys alone.
//!
//! ```
//! use ironsys::{Context, channel, sync::thread, testing};
//!
//! testing::model("a message arrives", || {
//!     let (ctx, _cancel) = Context::root();
//!     let (tx, rx) = channel::bounded(1);
//!     let sender = thread::spawn("sender", {
//!         let ctx = ctx.clone();
//!         move || tx.send(&ctx, 7).unwrap()
//!     });
//!     assert_eq!(rx.recv(&ctx), Ok(7));
//!     sender.unwrap().join().unwrap();
//! });
//! ```
//!
//! # Writing a model
//! * At most four threads are started over the life of an execution (loom's limit is five), and all
//!   of them are joined: a thread that is still blocked when the body returns is a deadlock.
//! * Every wait needs two models. Without a deadline a lost wake-up is a deadlock, and found. With
//!   one, every moment of the time-out is explored ([`Model::choices`]), but a lost wake-up is hidden.
//! * Nothing but the schedule may differ between executions: no clock but [`Context`](crate::Context)'s,
//!   no random numbers, no statics.
//! * A model that reports one execution has lost its race.
//!
//! # Environment
//! | variable | meaning |
//! |---|---|
//! | `LOOM_MAX_PREEMPTIONS` | the bound of every model, instead of its own |
//! | `IRONSYS_CHOICE` | only this pattern of time-outs |
//! | `IRONSYS_RUNS` | runs on real threads (200), or iterations for each shuttle scheduler (1,000) |
//! | `IRONSYS_SCHEDULERS` | for shuttle: some of `random,pct,urw,dfs` |
//! | `IRONSYS_SEED` | for chaos: the seed of the first run, as a failure printed it |
//! | `IRONSYS_HANG_SECS` | how long a run on real threads may take (30) |
//! | `IRONSYS_STATS` | a file that gets one `MODEL` line a model |
//! | `IRONSYS_CENSUS` | for loom: a file that gets every operation of `sync` that was executed |
//!
//! The rest of loom's variables work too. To see the interleaving that fails, run the test alone with
//! `LOOM_CHECKPOINT_FILE=f LOOM_CHECKPOINT_INTERVAL=1`, then again with `LOOM_LOCATION=1`.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

#[doc(hidden)]
pub mod inner;
mod model;
mod report;

#[cfg(all(any(loom, ironsys_loom), not(shuttle)))]
#[path = "run_loom.rs"]
mod run;
#[cfg(not(any(loom, ironsys_loom, shuttle)))]
#[path = "run_real.rs"]
mod run;
#[cfg(shuttle)]
#[path = "run_shuttle.rs"]
mod run;

pub use model::{Model, model};
