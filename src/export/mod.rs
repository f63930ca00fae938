//! Eyes on a running program: its numbers, its tasks, and who waits for whom.
//!
//! Nothing here listens on a socket or runs in the background unless it is asked to; each part hands
//! out text or values, and what serves them is yours.
//!
//! * [`prometheus`]: numbers as Prometheus text, those of this crate's parts among them;
//! * [`json`]: the task tree as JSON;
//! * [`deadlock`]: who waits for whom, and whether they wait for each other;
//! * `profile`: where threads wait, by how long;
//! * `advice`: what the times a channel was full and empty say;
//! * `growth`: tasks that become more and more;
//! * [`trace`]: a file for a trace viewer;
//! * `periodic`: a thread that looks every so often;
//! * `parts`: what each part of the crate has to say in numbers.

mod advice;
pub mod deadlock;
mod growth;
pub mod json;
mod parts;
mod periodic;
mod profile;
pub mod prometheus;
pub mod trace;

#[cfg(feature = "metrics")]
pub mod facade;

pub use crate::observe::{Histogram, HistogramSnapshot};
pub use advice::{CapacityAdvice, capacity_advice};
pub use deadlock::{Deadlock, DeadlockFinder, DeadlockWatch};
pub use growth::{Growth, GrowthWatch, TaskGrowth};
pub use profile::{ProfileWatch, WaitProfile, WaitReport, WaitSite};
pub use prometheus::{Measured, Scrape, ScrapeError};
