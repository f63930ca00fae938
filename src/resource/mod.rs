//! Pools of things that are used again: connections, clients, buffers.
//!
//! | you want | use |
//! |---|---|
//! | to share a few of something that is dear to make or scarce | [`ResourcePool`] |
//! | byte buffers that are not allocated each time | [`BufferPool`] |
//!
//! **Pool only what is dear, scarce or large.** A pool costs a lock and keeps things alive that nobody
//! uses. A connection, a process, a compiled model are worth it; a `String` is not: measure first.
//!
//! No pool here has a thread or a tick. What is too old is found when somebody takes, returns or
//! [`maintain`](ResourcePool::maintain)s; in a pool that nobody touches it stays.
//!
//! The rooms: `pool` and `builder` are what users hold; `state` is what the one lock guards; `guard`
//! holds what was taken; `errors` says why nothing was; `buffers` is the other pool. `README.md` in
//! this folder has the protocol.

mod buffers;
mod builder;
mod errors;
mod guard;
mod pool;
mod state;

pub use buffers::{Buffer, BufferPool, BufferPoolBuilder, BufferStats};
pub use builder::Builder;
pub use errors::TakeError;
pub use guard::Pooled;
pub use pool::{Drained, ResourcePool, Stats};
