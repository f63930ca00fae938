//! Clients of brokers: where a relay sends to and a consumer receives from, each behind its feature.
//!
//! Not inside a model: they wait in sockets, and take no lock that others wait for.

#[cfg(any(feature = "nats", feature = "redis"))]
mod dial;
#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(feature = "nats")]
pub mod nats;
#[cfg(feature = "redis")]
pub mod redis;
