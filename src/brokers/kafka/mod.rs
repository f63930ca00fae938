//! Kafka: a topic as the end of a relay and as the source of a consumer.
//!
//! ```no_run
//! use ironsys::{Context, brokers::kafka::{TopicPublisher, TopicSource}};
//! use ironsys::durable::{Consumer, Delivery, Outbox};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! let (ctx, _cancel) = Context::root();
//! let outbox = Outbox::open(dir.path())?;
//! let to = TopicPublisher::builder("127.0.0.1:9092", "payments").build()?;
//! let relay = outbox.relay(to).name("kafka").start(&ctx)?;
//!
//! // In another process, or in many:
//! let source = TopicSource::builder("127.0.0.1:9092", "payments", "billing").build()?;
//! let handle = |_: &Context, m: &Delivery| -> Result<(), String> {
//!     if m.body.is_empty() { Err("empty".into()) } else { Ok(()) }
//! };
//! Consumer::builder().dedupe(10_000).build()?.run(&ctx, source, handle)?;
//! # drop(relay);
//! # Ok(()) }
//! ```
//!
//! The client is librdkafka, by the `rdkafka` crate. It has threads of its own, which serve the
//! connections; what it logs goes to `log`.
//!
//! * `client`: what both ends have in common: where, and which properties;
//! * `publisher`: the end of a relay; `source`, `group`: a member of a consumer group.

mod client;
mod group;
mod publisher;
mod source;

pub use publisher::{TopicPublisher, TopicPublisherBuilder};
pub use source::{TopicCommitter, TopicSource, TopicSourceBuilder};
