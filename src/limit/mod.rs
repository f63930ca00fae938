//! Limits: how much may happen at once.
//!
//! | you want | use |
//! |---|---|
//! | at most `n` of something at a time, in order of arrival, by weight | [`Semaphore`] |
//!
//! The rooms: `semaphore` is what users hold; `line` what its one lock guards; `errors` what a call
//! says when it got nothing. `README.md` in this folder has the protocol and why no permit is lost.

mod errors;
mod line;
mod semaphore;

pub use errors::{AcquireError, TryAcquireError};
pub use semaphore::{Permit, Semaphore, SemaphoreStats};
