//! What each part of the crate has to say in numbers: [`Measured`](super::Measured) for the `stats()` of
//! channels, pools, limits, sessions and so on, all under names that begin with `ironsys_`.
//!
//! * `section`: the names of one part, and ledgers;
//! * `queues`: channels, buses, owners, writers, batchers, schedulers, flows;
//! * `workers`: pools, sessions, resources, buffers, tasks;
//! * `limits`: semaphores, rates, adaptive limits, admission;
//! * `calls`: breakers, retries, hedges and the like;
//! * `durable`: outboxes and relays.

mod calls;
#[cfg(feature = "durable")]
mod durable;
mod limits;
mod queues;
mod section;
mod workers;

use section::Section;
