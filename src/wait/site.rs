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

/// Who could end a wait, in a form that the task tree resolves: see `observe::Threads`.
#[derive(Clone, Default)]
pub(crate) enum On {
    /// Anybody, for all that is known.
    #[default]
    Unknown,
    /// Whoever is at work for the thing with this [`key`].
    Thing(usize),
    /// All tasks of the scope, or all its daemons, that is the last entry of the waiting thread.
    Tasks { daemons: bool },
    /// Whoever has what this lends.
    Lent(Arc<dyn Lends>),
}

/// What is lent out and comes back: permits.
pub(crate) trait Lends: Send + Sync {
    /// How much of it is out.
    fn out(&self) -> usize;
    /// Under which key takers are on record.
    fn key(&self) -> usize;
}

/// A number for what is waited for and worked for: its address. Both sides keep it alive, so no two
/// things have one number at a time.
pub(crate) fn key<T: ?Sized>(of: &T) -> usize {
    std::ptr::from_ref(of).cast::<()>().addr()
}

/// Where a thread is parked, and for what.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) kind: WaitKind,
    /// The name of the channel, semaphore or task, if it has one.
    pub(crate) name: Option<Arc<str>>,
    /// The call of the public function that blocks.
    pub(crate) at: &'static Location<'static>,
    /// When the thread parked; not recorded inside a model.
    pub(crate) since: Option<Instant>,
    /// Who could end the wait.
    pub(crate) on: On,
}

impl Site {
    #[track_caller]
    pub(crate) fn new(kind: WaitKind, name: Option<Arc<str>>) -> Self {
        Site { kind, name, at: Location::caller(), since: None, on: On::Unknown }
    }

    /// The same wait, with who could end it.
    pub(crate) fn on(self, on: On) -> Self {
        Site { on, ..self }
    }
}
