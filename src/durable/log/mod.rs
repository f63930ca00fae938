//! The log behind an outbox: segments of frames on disk, written in groups.
//!
//! * `limits`: when an event counts as safe, and how much may be kept;
//! * `frame`: the bytes of a frame; `scan` reads them;
//! * `writer`: appends groups, ends segments and begins new ones;
//! * `recover`: what a log is when it is opened;
//! * `cursor`: how far a reader is;
//! * `state`: what the lock guards, `line` who waits; `ops`: what a call does each time it looks;
//! * `group`: the group commit; `stats`: the counts;
//! * `segments`: reading on, from one segment to the next.

mod cursor;
mod frame;
mod group;
mod limits;
mod line;
mod ops;
mod recover;
mod scan;
mod segments;
mod state;
mod stats;
mod writer;

pub use limits::{Durability, WhenFull};
pub use recover::{OnDamage, OpenReport};

pub(in crate::durable) use cursor::{Cursor, is_name};
pub(in crate::durable) use frame::MAX_BODY;
pub(in crate::durable) use group::{FolderLock, Log, NotReady, NotSafe, NotTaken};
pub(in crate::durable) use limits::Limits;
pub(in crate::durable) use recover::open;
pub(in crate::durable) use segments::Segments;
pub use stats::{ReaderLag, Stats};

pub(in crate::durable) use state::{NONE, Refusal};
pub(in crate::durable) use writer::Mark;
