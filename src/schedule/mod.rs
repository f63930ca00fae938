//! When things happen: delay sequences, and what runs at a time.
//!
//! * `backoff`, `delays`: how long to wait between attempts, as a value;
//! * `grid`: times that are an interval apart;
//! * `ticker`: a loop that goes round at fixed times;
//! * `plan`, `cron`: when a job runs and by which rules; `timing`: which of its times have passed;
//! * `job`, `book`, `times`, `runs`: everything that one lock guards; `effects`: what follows from it;
//! * `core`, `run`: the lock, the dispatch thread and the runners; `README.md` has the protocol;
//! * `handle`, `scheduler`, `builder`, `view`, `errors`: what users see.

mod backoff;
mod book;
mod builder;
mod core;
#[cfg(feature = "cron")]
mod cron;
mod delays;
mod effects;
mod errors;
mod grid;
mod handle;
mod job;
mod plan;
mod run;
mod runs;
mod scheduler;
mod ticker;
mod times;
mod timing;
mod view;

pub use backoff::{Backoff, Jitter};
pub use builder::Builder;
#[cfg(feature = "cron")]
pub use cron::{Cron, CronError};
pub use delays::Delays;
pub use errors::{AddError, Refused, RunNowError};
pub use handle::Handle;
pub use plan::{Misfire, Overlap, Plan};
pub use scheduler::{Drained, Left, Scheduler};
pub use ticker::{Missed, Tick, Ticker};
pub use view::{JobResult, JobState, JobView, LastRun, Outcome, Stats};
