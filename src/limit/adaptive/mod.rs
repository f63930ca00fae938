//! Limits that find out by themselves how much a service can take.
//!
//! * `algorithm`: what a limit learns from, and the trait of those that do;
//! * `vegas`, `gradient`, `aimd`: three of them; `baseline` is what the first two compare with;
//! * `brain` runs one outside of all locks, keeps the limit within bounds, and does not let it grow
//!   while it is not used;
//! * `permits` is the limit on top of a semaphore.

mod aimd;
mod algorithm;
mod baseline;
mod brain;
mod gradient;
mod permits;
mod vegas;

pub use aimd::Aimd;
pub use algorithm::{Algorithm, Fixed, Outcome, Sample};
pub use baseline::Baseline;
pub use gradient::Gradient2;
pub use permits::{AdaptiveLimit, AdaptiveLimitBuilder, AdaptivePermit, AdaptiveStats};
pub use vegas::Vegas;

pub(super) use brain::{Brain, Lessons};
pub(super) use permits::check;
