//! What a parked thread waits for.

use crate::sync::Arc;
use std::fmt;
use std::panic::Location;
use std::time::Instant;

/// The kind of thing a thread waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WaitKind {
    /// Room in a channel, or a receiver for what is sent.
    Send,
    /// A message.
    Recv,
    /// The first of several channel operations.
    Select,
    /// Permits of a semaphore.
    Permit,
    /// A turn at a rate limit.
    Rate,
    /// The end of a task or job.
    Join,
    /// A point in time.
    Sleep,
    /// The stop of a context.
    Stopped,
    /// Work to do: an idle worker.
    Work,
}

impl fmt::Display for WaitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WaitKind::Send => "send",
            WaitKind::Recv => "recv",
            WaitKind::Select => "select",
            WaitKind::Permit => "permit",
            WaitKind::Rate => "rate",
            WaitKind::Join => "join",
            WaitKind::Sleep => "sleep",
            WaitKind::Stopped => "stopped",
            WaitKind::Work => "work",
        })
    }
}

/// Where a thread is parked, and for what.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) kind: WaitKind,
    /// The name of the channel, semaphore or task, if it has one.
    pub(crate) name: Option<Arc<str>>,
    /// The call of the public function that blocks.
    pub(crate) at: &'static Location<'static>,
    /// When the thread parked; not recorded inside a model.
    pub(crate) since: Option<Instant>,
}

impl Site {
    #[track_caller]
    pub(crate) fn new(kind: WaitKind, name: Option<Arc<str>>) -> Self {
        Site { kind, name, at: Location::caller(), since: None }
    }
}
