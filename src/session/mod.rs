//! Sessions: state that lives longer than a call, in the hands of one thread at a time.
//!
//! A session (an actor) is a state, a mailbox, and a method that handles one message. A [`Manager`]
//! has many of them, finds them by id, and runs them on a few threads: a session that nobody talks to
//! costs memory, some 200 bytes besides its state, and no thread.
//!
//! ```
//! use ironsys::{Context, channel::Reply, session::{Cx, Manager, Session}};
//!
//! struct Cart { items: Vec<String> }
//! enum Cmd { Add(&'static str), Count(Reply<usize>) }
//!
//! impl Session for Cart {
//!     type Id = u64;
//!     type Msg = Cmd;
//!     type Error = std::convert::Infallible;
//!
//!     fn start(_: &u64, _: &mut Cx<'_, Self>) -> Result<Self, Self::Error> {
//!         Ok(Cart { items: Vec::new() })
//!     }
//!
//!     fn handle(&mut self, msg: Cmd, _: &mut Cx<'_, Self>) -> Result<(), Self::Error> {
//!         match msg {
//!             Cmd::Add(item) => self.items.push(item.into()),
//!             Cmd::Count(reply) => drop(reply.send(self.items.len())),
//!         }
//!         Ok(())
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (ctx, _cancel) = Context::root();
//! let carts = Manager::<Cart>::builder("carts").sharded(2).mailbox(64).build()?;
//! carts.tell(&ctx, &7, Cmd::Add("tea")).map_err(|e| e.to_string())?;
//! carts.tell(&ctx, &7, Cmd::Add("milk")).map_err(|e| e.to_string())?;
//! let items = carts.ask(&ctx, &7, Cmd::Count).map_err(|e| e.to_string())?;
//! assert_eq!(items, 2);
//! assert!(carts.close(&ctx).in_time);
//! # Ok(()) }
//! ```
//!
//! `README.md` in this folder has the protocol. The rooms: `model` is what users implement; `manager`,
//! `handle`, `address` and `cx` are what they hold, `counts` the numbers
//! of `handle`; `builder`, `hooks` and `memory` say how a manager is set up; `cell` is one session and `directory` all of them;
//! `shards`, `worker` and `turn` run them; `ending` and `sweep` let them go; `send`, `send_all` and
//! `timers` bring messages; `supervisor` and `child` keep several
//! of them running together; `policy`, `store` and `stats` are what their names say.

mod address;
mod builder;
mod cell;
mod child;
mod config;
mod core;
mod counts;
mod cx;
mod directory;
mod ending;
mod errors;
mod fifo;
mod handle;
mod hooks;
mod manager;
mod memory;
mod model;
mod policy;
mod send;
mod send_all;
mod shards;
mod slowest;
mod stats;
mod store;
mod supervisor;
mod sweep;
mod timers;
mod turn;
mod watch;
mod worker;

pub use address::Address;
pub use builder::Builder;
pub use child::Child;
pub use config::{DeadLetter, Died};
pub use cx::Cx;
pub use errors::{AskError, ChildError, StartError, TellError, Untold};
pub use handle::{Broadcast, Sessions};
pub use manager::{Closed, Manager};
pub use model::{Failure, Idle, Reason, Restore, Session};
pub use policy::{Intensity, Restart};
pub use shards::Load;
pub use stats::Stats;
pub use store::{Corrupt, MemoryStore, Snapshot, Store, StoreError};
pub use supervisor::{Builder as SupervisorBuilder, Stopped, Strategy, Supervisor};
pub use timers::TimerId;
