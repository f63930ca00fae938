//! Calls that may fail: try again, give up in time, spare what is down.
//!
//! | you want | use |
//! |---|---|
//! | to stop calling what keeps failing | [`Breaker`] |
//! | to try again what fails now and then | [`Retry`], with a [`Budget`] |
//! | to give up in time | [`Timeout`] |
//! | another answer when there is none | [`Fallback`] |
//! | one slow thing not to take all threads | [`Bulkhead`] |
//! | to turn calls away under load | [`Shed`] |
//! | one call for all who ask for the same now | [`SingleFlight`] |
//! | the faster of two attempts when one is slow | [`Hedge`] |
//! | several of these | [`Policy`] |
//!
//! All run the call on the calling thread, unless they say otherwise; take a [`Context`](crate::Context);
//! return a [`CallError`], which keeps the call's own error; and count what they do. None has a thread.
//!
//! ```
//! use ironsys::Context;
//! use ironsys::resilience::{Breaker, Policy, Retry, Timeout};
//! use std::time::Duration;
//! # fn main() -> Result<(), ironsys::BuildError> {
//! let (ctx, _cancel) = Context::root();
//! let policy = Policy::new()
//!     .timeout(Timeout::new(Duration::from_secs(2)))
//!     .retry(Retry::exponential(Duration::from_millis(50)).max_attempts(3))
//!     .breaker(&Breaker::builder("prices").build()?);
//! assert_eq!(policy.call(&ctx, |_ctx| "42".parse::<u32>()), Ok(42));
//! # Ok(()) }
//! ```
//!
//! The rooms: `error` has what they say when there is no value; `budget` what retries and hedges share;
//! one for each guard; `policy` puts them together. `breaker` and `single_flight` have a README.

mod breaker;
mod budget;
mod bulkhead;
mod error;
mod fallback;
mod hedge;
mod policy;
mod retry;
mod shed;
mod single_flight;
mod timeout;

pub use breaker::{
    Admission, Answer, Breaker, BreakerBuilder, BreakerState, BreakerStats, Open, Transition, Trip,
    WindowStats,
};
pub use budget::{Budget, BudgetBuilder, BudgetStats};
pub use bulkhead::{Bulkhead, BulkheadBuilder, BulkheadStats};
pub use error::{CallError, Full, SharedPanic};
pub use fallback::{Fallback, Rescue, Value};
pub use hedge::{Hedge, HedgeStats};
pub use policy::{Bare, Boxed, Inside, Layer, Next, Policy};
pub use retry::{AnyFailure, Judge, Judged, Refusals, Retry, RetryStats, Retrying, Verdict, When};
pub use shed::{Shed, ShedLimit};
pub use single_flight::{SingleFlight, SingleFlightStats};
pub use timeout::{Timeout, TimeoutStats};
