//! Eyes on a running program: its numbers, its tasks, and who waits for whom.
//!
//! Nothing here listens on a socket or runs in the background unless it is asked to; each part hands
//! out text or values, and what serves them is yours.
//!
//! * [`prometheus`]: numbers as Prometheus text, those of this crate's parts among them;
//! * [`json`]: the task tree as JSON;
//! * [`deadlock`]: who waits for whom, and whether they wait for each other;
//! * `periodic`: a thread that looks every so often;
//! * `parts`: what each part of the crate has to say in numbers.

pub mod deadlock;
pub mod json;
mod parts;
mod periodic;
pub mod prometheus;

#[cfg(feature = "metrics")]
pub mod facade;

pub use crate::observe::{Histogram, HistogramSnapshot};
pub use deadlock::{Deadlock, DeadlockFinder, DeadlockWatch};
pub use prometheus::{Measured, Scrape, ScrapeError};
