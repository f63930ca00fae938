//! Flows: lazy streams and pipelines in one model.
//!
//! A [`Flow`] is a source and what happens to its items. Operators run fused, on one thread, like the
//! adaptors of an iterator, until a *boundary* puts a bounded link and a thread between. Nothing runs
//! before a *sink* is called with a context; the sink returns when every stage has ended.
//!
//! ```
//! use ironsys::{Context, flow::{Flow, FlowError}};
//! use std::num::ParseIntError;
//!
//! # fn main() -> Result<(), FlowError<ParseIntError>> {
//! let (ctx, _cancel) = Context::root();
//! let text = ["3", "4", "5"];
//! let sum = Flow::slice(&text)
//!     .try_map(|s| s.parse::<u64>()).named("parse") // fails with a ParseIntError
//!     .buffer(64)                                   // what stands before has its own thread
//!     .map(|n| n * n)
//!     .fold(&ctx, 0, |sum, n| sum + n)?;
//! assert_eq!(sum, 50);
//! # Ok(()) }
//! ```
//!
//! | rooms | |
//! |---|---|
//! | `handle`, `stage`, `wiring` | the handle, what it is made of, how a sink runs it |
//! | `fused`, `op/`, `source/`, `sink/` | the two shapes of an operator, and all of them |
//! | `link/`, `boundary/` | the queue between two segments, and what uses it |
//! | `fault`, `error`, `raise`, `on_error` | how flows fail |
//! | `monitor/`, `topology` | what can be seen of them |
//!
//! `README.md` in this folder has the protocol, and how to add an operator.

mod aggregate;
mod boundary;
mod cx;
mod error;
mod fallible;
mod fault;
mod fused;
mod handle;
mod keyed;
mod link;
mod monitor;
pub mod on_error;
mod op;
mod raise;
mod router;
mod sink;
mod source;
mod stage;
mod topology;
mod window;
mod wiring;

pub use aggregate::{Aggregate, Count, Sum};
pub use boundary::Par;
pub use error::{FlowCause, FlowError};
pub use fallible::Fallible;
pub use fault::{Becomes, Fails, Fault, Joins, Never};
pub use handle::Flow;
pub use keyed::Keyed;
pub use monitor::{LinkStats, Monitor, Report, SegmentStats};
pub use router::{Router, RuleStats, Rules};
pub use sink::{Items, Routed, Sent, WriteErrorOf};
pub use stage::{ErrorOf, Stage};
pub use topology::Topology;
pub use window::{Pane, Window};
