//! Calls that may fail: try again, give up in time, spare what is down.

mod breaker;
mod error;

pub use breaker::{
    Admission, Answer, Breaker, BreakerBuilder, BreakerState, BreakerStats, Open, Transition, Trip,
    WindowStats,
};
pub use error::{CallError, Full, SharedPanic};
