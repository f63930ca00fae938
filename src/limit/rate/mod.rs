//! Rate limits: how much may pass in a time.
//!
//! One machine behind all of them, in three layers:
//! * `plan` is arithmetic: how much has been refilled by a time, and when there will be so much;
//!   `bucket` and `window` are the rules built on it, each behind the trait `Meter`;
//! * `queue` is who waits, in order of arrival, and who holds a reservation: sequential code that lives
//!   inside a lock;
//! * `limiter` is that lock, and beside it, for buckets, one word that is enough while nobody waits
//!   (`published`).
//!
//! `turn` is the blocked call and `reservation` the place held without a thread; `spec` is what users
//! name, `setup` how each kind is made and changed, and `builder` what they build with.

mod bucket;
mod builder;
mod limiter;
mod meter;
mod plan;
mod published;
mod queue;
mod reservation;
mod setup;
mod spec;
mod turn;
mod window;

mod quantity;

pub use builder::RateLimitBuilder;
pub use limiter::{RateLimit, RateStats};
pub use quantity::Rate;
pub use reservation::Reservation;
pub use spec::{
    DebtBucket, Debts, Gcra, Kind, Leaks, LeakyBucket, LeakyShaper, Scheduled, Shaped,
    SlidingWindow, TokenBucket, Tokens, Windowed,
};

pub(super) use meter::{Meter, Tried};
pub(super) use queue::{Counts, Queue};
pub(super) use turn::{Entry, Seen, Turns, Waiting, take_turn};
