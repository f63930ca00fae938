//! Publish and subscribe: who publishes to a topic reaches whoever is subscribed to it.
//!
//! Not a [`broadcast`](crate::channel::broadcast()): there one queue serves all, and the slowest holds
//! it up or misses messages. Here each subscription has a queue of its own, with its own size and
//! policy, and there are topics.
//!
//! A directory of topics under one lock, and a channel for each subscription; so there is no waiting of
//! its own. The rooms: `handle` and `builder` are what publishers hold; `subscription` what subscribers
//! do; `directory` who is subscribed to what; `errors` is what a publish says.

mod builder;
mod directory;
mod errors;
mod handle;
mod subscription;

pub use builder::{BusBuilder, SubscribeBuilder};
pub use errors::{PublishError, SubscribeError};
pub use handle::{Bus, BusStats, Published};
pub use subscription::{Handler, HandlerDrained, HandlerStats, Subscription};
