//! Child processes as structured tasks: a command runs below a context, and nothing of it is left when
//! the call returns. Linux; feature `process`.
//!
//! The child leads a process group of its own. When the context stops the group gets a SIGTERM and,
//! after the [grace](Command::grace), a SIGKILL. When the child ends, however that is, what is left of
//! its group is killed, the child is reaped, and what is in its pipes is read; a grandchild that
//! keeps a pipe open holds nothing up. Only a process that leaves the group by itself gets away.
//!
//! The caller's thread does all of it: it sleeps in one `poll` for the pipes, the child (a pidfd) and
//! the context (an eventfd, written by a hook). There is no other thread, and nothing ticks.
//!
//! ```
//! use ironsys::{Context, process::{Command, ProcessError}};
//! use std::time::Duration;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (ctx, _cancel) = Context::root();
//! let output = Command::new("tr").args(["a-z", "A-Z"]).stdin(*b"loud").run(&ctx)?;
//! assert!(output.status.success());
//! assert_eq!(output.stdout, b"LOUD");
//!
//! let soon = ctx.with_timeout(Duration::from_millis(20));
//! match Command::new("sleep").arg("1000").run(&soon) {
//!     Err(ProcessError::Stopped { stop, .. }) => assert!(stop.is_timeout()),
//!     other => panic!("{other:?}"),
//! }
//! # Ok(()) }
//! ```
//!
//! * `command`: what to run, and under which limits;
//! * `output`: what came of it; `intake`: what is kept of a pipe;
//! * `group`: the child and its group, ended and reaped whatever happens; `run`: the loop.

mod command;
mod group;
mod intake;
mod output;
mod run;

pub use command::Command;
pub use output::{Line, OnExcess, Output, ProcessError, Stream};
