//! Redis: a stream as the end of a relay and as the source of a consumer, and limits that processes
//! share.
//!
//! ```no_run
//! use ironsys::{Context, brokers::redis::{Server, StreamPublisher, StreamSource}};
//! use ironsys::durable::{Consumer, Delivery, Outbox};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! let (ctx, _cancel) = Context::root();
//! let server = Server::new("redis://127.0.0.1:6379/0")?;
//!
//! let outbox = Outbox::open(dir.path())?;
//! let to = StreamPublisher::builder(&server, "payments").max_len(1_000_000).build()?;
//! let relay = outbox.relay(to).name("redis").start(&ctx)?;
//!
//! // In another process, or in many:
//! let source = StreamSource::builder(&server, "payments", "billing", "billing-1").build()?;
//! let handle = |_: &Context, m: &Delivery| -> Result<(), String> {
//!     if m.body.is_empty() { Err("empty".into()) } else { Ok(()) }
//! };
//! Consumer::builder().dedupe(10_000).build()?.run(&ctx, source, handle)?;
//! # drop(relay);
//! # Ok(()) }
//! ```
//!
//! The `redis` crate has the protocol; the socket is ours, because a blocked call has to end with its
//! context: a stop shuts the socket down, and nothing looks at a clock meanwhile.
//!
//! * `server`: where it is; `link`: one connection, and what ends it;
//! * `keep`: one that is made again when it breaks;
//! * `publisher`: the end of a relay; `source`, `ack`: the two halves of a consumer's source; `entry`:
//!   how an event looks in a stream;
//! * `limit`: a rate that processes share; `bucket`: its script, and what is leased.

mod ack;
mod bucket;
mod entry;
mod keep;
mod limit;
mod limit_builder;
mod link;
mod publisher;
mod server;
mod source;
mod source_builder;

pub use ack::StreamCommitter;
pub use entry::StreamEntry;
pub use limit::{Passed, SharedLimit, SharedLimitError, WhenAway};
pub use limit_builder::SharedLimitBuilder;
pub use publisher::{StreamPublisher, StreamPublisherBuilder};
pub use server::Server;
pub use source::StreamSource;
pub use source_builder::StreamSourceBuilder;
