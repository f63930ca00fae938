//! Waiting: the only place where a thread of this crate stops.
//!
//! * `waiter`: one parked thread, with a flag that remembers a wake-up;
//! * `queue`: threads waiting for one condition, in order, inside the lock that guards it;
//! * `site`: what a thread waits for, for whoever looks at the task tree;
//! * `serving`: what it is at work for, when that is too short to be listed.
//!
//! `README.md` in this folder has the protocol, and why no wake-up is lost.

mod queue;
mod serving;
mod site;
mod waiter;

pub(crate) use queue::{Place, WaitQueue, Wakes};
pub(crate) use serving::{Serving, serve, serves};
pub(crate) use site::{Lends, On, Site, key};
// Public as `observe::WaitKind`.
#[allow(unreachable_pub)]
pub use site::WaitKind;
pub(crate) use waiter::Waiter;
#[cfg(feature = "testing")]
pub(crate) use waiter::time_noting;
