//! Limits: how much may happen at once, and how much in a time.
//!
//! | you want | use |
//! |---|---|
//! | at most `n` of something at a time, in order of arrival, by weight | [`Semaphore`] |
//! | a rate, with bursts | [`TokenBucket`]; one that lends: [`DebtBucket`] |
//! | a rate, evenly | [`LeakyShaper`]; a meter: [`LeakyBucket`]; by intervals: [`Gcra`] |
//! | never more than so many in any minute | [`SlidingWindow`] |
//! | any of these for each user or address | [`Keyed`] |
//! | as many at a time as the service bears | [`AdaptiveLimit`], with [`Vegas`], [`Gradient2`] or [`Aimd`] |
//! | short waits under overload, the important first | [`Admission`] |
//!
//! All come in four ways: try, wait under a context, reserve where it makes sense, and a guard or a word
//! at the end. All waits are in order of arrival, end with the context, and are in vain never: what cannot
//! come in time is refused at once.
//!
//! The rooms: `semaphore` and `permit` are what users hold; `shared` the word and the lock behind them, `line`
//! what the lock guards; `rate`, `keyed`,
//! `adaptive` and `admission` are the others; `errors` what a call says when it got nothing. `README.md` in
//! this folder has the protocols and why nothing is lost or minted.

mod errors;
mod line;
mod permit;
mod semaphore;
mod shared;

mod rate;

mod adaptive;

mod admission;
mod keyed;

pub use adaptive::{
    AdaptiveLimit, AdaptiveLimitBuilder, AdaptivePermit, AdaptiveStats, Aimd, Algorithm, Baseline,
    Fixed, Gradient2, Outcome, Sample, Vegas,
};
pub use admission::{
    Admission, AdmissionBuilder, AdmissionError, AdmissionStats, Admitted, Priority, Tenant,
};
pub use errors::{AcquireError, RateError, TryAcquireError, TryRateError};
pub use keyed::{Keyed, KeyedBuilder, KeyedStats, Limit, SeededState, TooManyKeys};
pub use permit::{Held, Permit, Watched};
pub use rate::{
    DebtBucket, Gcra, LeakyBucket, LeakyShaper, Rate, RateLimit, RateLimitBuilder, RateStats,
    Reservation, SlidingWindow, TokenBucket,
};
pub use rate::{Debts, Kind, Leaks, Scheduled, Shaped, Tokens, Windowed};
pub use semaphore::{Semaphore, SemaphoreStats};
