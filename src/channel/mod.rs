//! Bounded channels whose every wait can be cancelled, and `select` over them.
//!
//! | you want | use |
//! |---|---|
//! | to hand work from any number of senders to any number of receivers | [`bounded`] |
//! | the sender to wait until its message is taken | [`bounded`]`(0)`, a rendezvous |
//! | messages dropped or refused under overload | [`builder`] with an [`Overflow`] |
//! | one answer to one question | [`oneshot()`] |
//! | everybody to get every message | [`broadcast()`] |
//! | everybody to know the latest value | [`watch()`] |
//! | to wait for the first of several operations | [`select!`](crate::select) |
//!
//! Closing is explicit or by dropping: [`Sender::close`] and [`Receiver::close`] stop the intake,
//! as does dropping the last sender; what is queued is still received. When the last receiver goes,
//! senders get their values back.
//!
//! The rooms: `state` is what the one lock guards; `shared` the operations that do not wait; `ops`
//! those that do; `offers` the blocked senders; `handle` what users hold. `README.md` in this folder
//! has the protocol and why no message is lost.

mod broadcast;
mod build;
mod errors;
mod handle;
mod offers;
mod oneshot;
mod ops;
mod policy;
mod select;
mod shared;
mod state;
mod stats;
mod watch;

pub use broadcast::{
    BroadcastBuilder, BroadcastRecvError, BroadcastStats, BroadcastTryRecvError, Broadcaster, Feed,
    SlowReceiver, Subscriber, broadcast,
};
pub use build::{Builder, bounded, builder};
pub use errors::{RecvError, SendError, TryRecvError, TrySendError};
pub use handle::{Iter, Receiver, Sender};
pub use oneshot::{Answer, AnswerError, Reply, oneshot};
pub use policy::Overflow;
pub use select::Order;
pub use stats::Stats;

pub(crate) use stats::Stopwatch;
pub use watch::{Publisher, WatchError, Watcher, watch};

#[doc(hidden)]
pub use select::{Arm, RecvArm, SendArm, select_arms};
