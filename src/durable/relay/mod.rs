//! The way from an outbox to a broker: at least once, in order, with a bounded number in flight.
//!
//! * `publisher`: what a relay needs of a broker's client;
//! * `flight`: what was sent and is not answered;
//! * `run`: the loop; `handle`: starting and ending it;
//! * `dead`: what no broker takes.

mod builder;
mod dead;
mod flight;
mod handle;
mod publisher;
mod run;

pub use builder::{RelayBuilder, StartError};
pub use dead::{DeadLetter, DeadLetters, OpenLetters, ReplayError, Replayed, Returned};
pub use handle::{Relay, RelayReport};
pub use publisher::{PublishError, Publisher, Sent};
pub use run::{RelayError, RelayStats};
