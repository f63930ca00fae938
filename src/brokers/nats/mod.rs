//! NATS: a client that blocks, JetStream as the other end of a relay, and as a source.
//!
//! One socket and no thread: whoever calls reads and writes. Every wait is under the context it is given,
//! and a ping of the server is answered whenever something is read.
//!
//! * [`Options`]: where the servers are, and who one is;
//! * [`Client`]: publish, request, subscribe;
//! * [`JetStream`]: streams and consumers; [`JetStreamPublisher`] for a
//!   [`Relay`](crate::durable::Relay), [`JetStreamSource`] for a [`Consumer`](crate::durable::Consumer);
//! * `wire` is the socket, with TLS or without; `parse` what comes over it; `nkey` signs.

mod client;
mod connection;
mod error;
mod jetstream;
mod message;
mod nkey;
mod options;
mod parse;
mod publisher;
mod servers;
mod source;
mod subscription;
mod wire;

pub use client::Client;
pub use error::NatsError;
pub use jetstream::JetStream;
pub use message::Message;
pub use options::Options;
pub use publisher::JetStreamPublisher;
pub use source::{JetStreamCommitter, JetStreamSource};
pub use subscription::Subscription;
