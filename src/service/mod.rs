//! A program as an ordered set of parts: started one after the other, drained in the reverse order.
//!
//! What is started last depends on what was started before, so it is drained first: the server takes no
//! more and answers what it has, then the sessions are flushed, then the relay empties its outbox.
//! Whatever is left when the time is over is in the [`Report`], by name.
//!
//! ```
//! use ironsys::{Context, pool::Pool, service::Service};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (ctx, _cancel) = Context::root();
//! let mut service = Service::builder("shop").context(&ctx).build()?;
//! let mail = service.start("mail", |ctx| {
//!     let pool = Pool::builder("mail").workers(2).context(ctx).build()?;
//!     let submitter = pool.submitter();
//!     Ok::<_, ironsys::BuildError>((pool, submitter))
//! })?;
//! mail.execute(&ctx, |_| { /* send it */ })?;
//!
//! // Usually a signal does this: see `Stopper::on_signals` (feature `signals`).
//! service.stopper().request("the example is over");
//! let report = service.run(&ctx);
//! assert!(report.is_clean(), "{report}");
//! # Ok(()) }
//! ```

mod handle;
mod health;
mod part;
mod report;
#[cfg(all(feature = "signals", not(any(loom, ironsys_loom, shuttle))))]
mod signals;
mod stopper;
mod task;

pub use handle::{Builder, Overdue, Service, StartError};
pub use health::{Health, Problem, Status};
pub use part::{Ended, Left, Part, Within};
pub use report::{PartReport, Report};
#[cfg(all(feature = "signals", not(any(loom, ironsys_loom, shuttle))))]
pub use signals::SignalWatch;
pub use stopper::Stopper;
