//! Admission: a short queue in front of a limit, that sheds rather than grows.
//!
//! * `values`: what a context says of a request: its priority and its tenant;
//! * `hall` is the queue, sequential, inside one lock: classes, tenants, and how long one may wait;
//! * `gate` is what users hold, and `stats` what it has counted.
//!
//! What comes from where: the time limit of the queue from CoDel (Nichols and Jacobson, 2012) in the form
//! for servers that Facebook gave it ("Fail at Scale", 2015), with adaptive LIFO; the share of tenants
//! from stochastic fairness queueing (McKenney, 1990).

mod gate;
mod hall;
mod stats;
mod values;

pub use gate::{Admission, AdmissionBuilder, Admitted};
pub use hall::AdmissionError;
pub use stats::AdmissionStats;
pub use values::{Priority, Tenant};
