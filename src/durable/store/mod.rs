//! The states of sessions on disk: a redb file, and one thread that writes it.
//!
//! redb syncs once a transaction and lets one transaction write at a time, so many sessions that save
//! at once would wait for each other's syncs. Here they queue up: the thread takes all that is there,
//! writes it in one transaction, and answers everybody. What is loaded goes the same way, after what
//! was given to be saved before it.
//!
//! * `handle` is what users hold;
//! * `thread` owns the file, and `file` is how it is opened, written and closed;
//! * `record` is what is written for one snapshot, with its checksum;
//! * `key` is how an id becomes a key.

mod file;
mod handle;
mod key;
mod record;
mod thread;

pub use handle::{DiskStore, DiskStoreError};
pub use key::StoreKey;
