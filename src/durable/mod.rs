//! Durable hand-off: an event is on disk when the call returns, and gets where it belongs later.
//!
//! Who hands over work either waits for its end, under the caller's deadline, or gives it away: then
//! the receiver owns it, and nothing may lose it in between. This room is the second kind. An
//! [`Outbox`] is a log in a directory of the machine; `append` returns when the event has been synced.
//! Receivers read it in order and ack; what is not acked is read again after a crash.
//!
//! ```
//! use ironsys::{Context, durable::Outbox};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! let (ctx, _cancel) = Context::root();
//! let outbox = Outbox::open(dir.path())?;
//! outbox.append(&ctx, b"paid: 12.50")?; // on disk now
//!
//! let mut billing = outbox.reader("billing")?;
//! let event = billing.next(&ctx)?;
//! assert_eq!((event.id, &*event.body), (1, &b"paid: 12.50"[..]));
//! billing.ack(event.id)?; // not to be read again
//! assert!(outbox.stats().ledger.is_balanced());
//! # Ok(()) }
//! ```
//!
//! * `outbox`: what users hold;
//! * `call`: the other way, a caller that waits;
//! * `consumer`: from a source to workers, and back with the commit;
//! * `queue`: from the outbox to other processes of the machine, with no broker (Unix);
//! * `relay`: from the outbox to a broker, at least once; `job`: how its thread and a queue's end;
//! * `log`: segments, groups, recovery (`README.md` has the bytes and the proof);
//! * `storage`: what a log needs of a disk;
//! * `store`: the states of sessions, in a file.

mod call;
mod consumer;
mod job;
mod log;
mod outbox;
#[cfg(all(unix, not(any(loom, ironsys_loom, shuttle))))]
mod queue;
mod relay;
mod storage;
#[cfg(not(any(loom, ironsys_loom, shuttle)))]
mod store;

pub use call::{BadDeadline, Call};
pub use consumer::{
    Committer, ConsumeError, Consumer, ConsumerBuilder, ConsumerReport, Control, Delivery, Source,
    SourceError,
};
pub use log::{Durability, OnDamage, OpenReport, ReaderLag, Stats, WhenFull};
pub use outbox::{
    AppendError, Builder, Event, OpenError, Outbox, ReadError, Reader, ReaderError, SubmitError,
    Ticket, WaitError,
};
#[cfg(all(unix, not(any(loom, ironsys_loom, shuttle))))]
pub use queue::{Queue, QueueCommitter, QueueError, QueueReport, QueueSource, QueueStats};
pub use relay::{
    DeadLetter, DeadLetters, OpenLetters, PublishError, Publisher, Relay, RelayBuilder, RelayError,
    RelayReport, RelayStats, ReplayError, Replayed, Returned, Sent, StartError,
};
#[cfg(feature = "testing")]
pub use storage::{Fault, FaultAt, Memory};
pub use storage::{Folder, Storage, StorageError, StorageFile};
#[cfg(not(any(loom, ironsys_loom, shuttle)))]
pub use store::{DiskStore, DiskStoreError, StoreKey};
