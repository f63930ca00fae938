//! From a source of messages to workers, and back with the commit: messages of one key in order, keys
//! beside each other, and nothing committed before all in front of it is done.
//!
//! * `source`: what a consumer needs of a broker's client, and an outbox as one;
//! * `watermark`: which positions may be committed; `window`: which ids were seen;
//! * `run`: feed, workers and committer; `builder`: the settings and the control.

mod builder;
mod run;
mod source;
mod watermark;
mod window;

pub use builder::{Consumer, ConsumerBuilder, Control};
pub use run::{ConsumeError, ConsumerReport};
pub use source::{Committer, Delivery, Source, SourceError};
