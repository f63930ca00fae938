//! What a session is: the trait that users implement, and why one ends.

use super::cx::Cx;
use super::store::Snapshot;
use crate::context::Stop;
use crate::sync::Arc;
use std::fmt;
use std::hash::Hash;
use std::time::Duration;

/// State that nobody else can reach, and the messages that change it, one at a time.
///
/// A session is known by its id. Its methods are called one after the other, never two at once, by
/// whichever thread has it; so the state needs no lock. Between two messages it is data.
///
/// An error from [`handle`](Self::handle) and a panic are the same to the supervisor: the state is
/// dropped, and [`Restart`](super::Restart) decides whether [`start`](Self::start) makes a new one.
///
/// ```
/// use ironsys::channel::Reply;
/// use ironsys::session::{Cx, Session};
///
/// struct Cart { items: Vec<String> }
/// enum Cmd { Add(String), Count(Reply<usize>) }
///
/// impl Session for Cart {
///     type Id = u64;
///     type Msg = Cmd;
///     type Error = std::convert::Infallible;
///
///     fn start(_: &u64, _: &mut Cx<'_, Self>) -> Result<Self, Self::Error> {
///         Ok(Cart { items: Vec::new() })
///     }
///
///     fn handle(&mut self, msg: Cmd, _: &mut Cx<'_, Self>) -> Result<(), Self::Error> {
///         match msg {
///             Cmd::Add(item) => self.items.push(item),
///             Cmd::Count(reply) => drop(reply.send(self.items.len())),
///         }
///         Ok(())
///     }
/// }
/// ```
pub trait Session: Sized + Send + 'static {
    /// What a session is known by. `Hash` and `Eq` run under a lock of the directory: keep them plain.
    type Id: Clone + Eq + Hash + fmt::Debug + Send + Sync + 'static;
    /// What it is told.
    type Msg: Send + 'static;
    /// What it fails with.
    type Error: fmt::Display + Send + Sync + 'static;

    /// Makes the state: at the first start, and at every restart unless a snapshot is in the store.
    ///
    /// # Errors
    /// The session does not come to be. A caller of [`get_or_start`](super::Sessions::get_or_start) gets the error;
    /// messages that waited are undelivered. A failed *re*start counts as one more crash.
    fn start(id: &Self::Id, cx: &mut Cx<'_, Self>) -> Result<Self, Self::Error>;

    /// Handles one message.
    ///
    /// # Errors
    /// The session has failed; this state is not used any more.
    fn handle(&mut self, msg: Self::Msg, cx: &mut Cx<'_, Self>) -> Result<(), Self::Error>;

    /// Says what to do now that nothing has come for the idle time, or that there are more sessions
    /// than may live. The default is to leave memory if a store keeps the state, and to stay if not.
    fn idle(&mut self, cx: &mut Cx<'_, Self>) -> Idle {
        if cx.has_store() { Idle::Passivate } else { Idle::Stay }
    }

    /// Runs last, once, whatever the reason, unless the state is gone by a crash; the state is saved
    /// after it, once. Not called when the session is only passivated.
    ///
    /// # Panics
    /// A panic is reported as a failure and changes nothing else: the state as it is then is saved all
    /// the same, since there is no other that holds what the session has done. A session that must not be
    /// saved half-way keeps that in mind in [`save`](Self::save).
    fn stop(&mut self, reason: &Reason<Self::Error>, cx: &mut Cx<'_, Self>) {
        let _ = (reason, cx);
    }

    /// Returns what the store is to keep. The default is nothing: such a session is never passivated.
    fn save(&self) -> Option<Snapshot> {
        None
    }

    /// Makes the state from what [`save`](Self::save) returned, perhaps an older program's: look at
    /// the version. The default starts afresh.
    ///
    /// # Errors
    /// [`Restore::Corrupt`] if the snapshot cannot be read: [`Corrupt`](super::Corrupt) says what
    /// follows. [`Restore::Failed`] as for [`start`](Self::start).
    fn restore(
        id: &Self::Id,
        snapshot: Snapshot,
        cx: &mut Cx<'_, Self>,
    ) -> Result<Self, Restore<Self::Error>> {
        drop(snapshot);
        Self::start(id, cx).map_err(Restore::Failed)
    }

    /// Returns a copy of `msg` to try again with should it crash the session. Asked for only if
    /// [`poison_after`](super::Builder::poison_after) allows more than one try. The default is `None`:
    /// a message that crashed the session is not tried again.
    fn again(msg: &Self::Msg) -> Option<Self::Msg> {
        let _ = msg;
        None
    }
}

/// What a session wants to do when it is idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Idle {
    /// Stay in memory; ask again after another idle time.
    Stay,
    /// Save and leave memory; the next message brings it back.
    Passivate,
    /// End, as by [`Cx::stop`].
    Stop,
}

/// Why a snapshot did not become a session.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Restore<E> {
    /// The snapshot cannot be read.
    #[error("corrupt snapshot: {0}")]
    Corrupt(String),
    /// It could be read, but the session failed to start.
    #[error("{0}")]
    Failed(E),
}

/// Why a session ended. Cheap to clone: it goes to everybody who watched.
#[non_exhaustive]
pub enum Reason<E> {
    /// It ended itself: [`Cx::stop`], or [`Idle::Stop`].
    Finished,
    /// Somebody called [`stop`](super::Sessions::stop).
    Asked,
    /// Its supervisor stopped it because of another one.
    Sibling,
    /// The manager was closed.
    Shutdown,
    /// The manager's context stopped, or the manager was dropped.
    Cancelled(Stop),
    /// It failed, and is not restarted.
    Failed(Arc<Failure<E>>),
}

impl<E> Reason<E> {
    /// Returns whether it ended as it should: not by a failure.
    ///
    /// ```
    /// # use ironsys::session::Reason;
    /// assert!(Reason::<String>::Asked.is_normal());
    /// ```
    #[must_use]
    pub fn is_normal(&self) -> bool {
        !matches!(self, Reason::Failed(_))
    }

    /// Returns the failure, if that is why it ended.
    ///
    /// ```
    /// # use ironsys::session::{Failure, Reason};
    /// let reason = Reason::Failed(Failure::Error("no disk").into());
    /// assert_eq!(reason.failure().unwrap().to_string(), "no disk");
    /// ```
    #[must_use]
    pub fn failure(&self) -> Option<&Failure<E>> {
        match self {
            Reason::Failed(failure) => Some(failure),
            _ => None,
        }
    }
}

impl<E> Clone for Reason<E> {
    fn clone(&self) -> Self {
        match self {
            Reason::Finished => Reason::Finished,
            Reason::Asked => Reason::Asked,
            Reason::Sibling => Reason::Sibling,
            Reason::Shutdown => Reason::Shutdown,
            Reason::Cancelled(stop) => Reason::Cancelled(stop.clone()),
            Reason::Failed(failure) => Reason::Failed(failure.clone()),
        }
    }
}

impl<E: fmt::Display> fmt::Display for Reason<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Finished => f.write_str("it finished"),
            Reason::Asked => f.write_str("it was asked to stop"),
            Reason::Sibling => f.write_str("its supervisor stopped it because of another"),
            Reason::Shutdown => f.write_str("the manager was closed"),
            Reason::Cancelled(stop) => write!(f, "the manager was stopped: {stop}"),
            Reason::Failed(failure) => write!(f, "it failed: {failure}"),
        }
    }
}

impl<E: fmt::Display> fmt::Debug for Reason<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reason({self})")
    }
}

/// How a session failed.
#[non_exhaustive]
pub enum Failure<E> {
    /// A method returned an error.
    Error(E),
    /// A method panicked, with this text. [`on_failure`](super::Builder::on_failure) sees the payload.
    Panicked(String),
    /// Its snapshot could not be read, or the store failed, and the policy is to refuse; or there was no
    /// thread for it. With the id.
    Store(String),
    /// One message has been worked on for this long and longer. Only ever reported: the session is
    /// still at it.
    Hung(Duration),
}

impl<E: fmt::Display> fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Error(e) => write!(f, "{e}"),
            Failure::Panicked(text) => write!(f, "panicked: {text}"),
            Failure::Store(text) => f.write_str(text),
            Failure::Hung(limit) => write!(f, "at one message for more than {limit:?}"),
        }
    }
}

impl<E: fmt::Display> fmt::Debug for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failure({self})")
    }
}
