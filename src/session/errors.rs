//! What telling, asking and starting say when it did not happen. The message comes back.

use super::model::Failure;
use crate::context::Stop;
use crate::sync::Arc;
use std::fmt;

/// A message that was not taken, with the message.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum TellError<M> {
    /// The session behind this address has ended; by id: none could be started, time and again.
    #[error("the session has ended")]
    Ended(M),
    /// The manager takes no more messages.
    #[error("the manager is closed")]
    Closed(M),
    /// The mailbox is full: at once if its policy is to reject or with `try_tell`.
    #[error("the mailbox is full")]
    Full(M),
    /// The context stopped before there was room.
    #[error("tell stopped: {stop}")]
    Stopped {
        /// The message.
        msg: M,
        /// Why the context stopped.
        stop: Stop,
    },
}

/// A batch that was not told to its end: what came before has been taken.
#[derive(thiserror::Error)]
#[error("session {id:?}: {error}")]
#[non_exhaustive]
pub struct Untold<I: fmt::Debug, M> {
    /// Whom the first message that was not taken is for.
    pub id: I,
    /// Why, and the message.
    pub error: TellError<M>,
    /// What comes after it, untried.
    pub rest: Vec<(I, M)>,
}

impl<I: fmt::Debug, M> fmt::Debug for Untold<I, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Untold");
        shown.field("id", &self.id).field("error", &self.error).field("rest", &self.rest.len());
        shown.finish()
    }
}

impl<M> TellError<M> {
    /// Takes the message back.
    ///
    /// ```
    /// # use ironsys::session::TellError;
    /// assert_eq!(TellError::Full("hello").into_inner(), "hello");
    /// ```
    #[must_use]
    pub fn into_inner(self) -> M {
        match self {
            TellError::Ended(msg) | TellError::Closed(msg) | TellError::Full(msg) => msg,
            TellError::Stopped { msg, .. } => msg,
        }
    }

    /// Returns whether the session has ended.
    ///
    /// ```
    /// # use ironsys::session::TellError;
    /// assert!(TellError::Ended("hello").is_ended());
    /// ```
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(self, TellError::Ended(_))
    }

    /// Returns whether the manager is closed.
    ///
    /// ```
    /// # use ironsys::session::TellError;
    /// assert!(TellError::Closed("hello").is_closed());
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self, TellError::Closed(_))
    }

    /// Returns whether there was no room.
    ///
    /// ```
    /// # use ironsys::session::TellError;
    /// assert!(TellError::Full("hello").is_full());
    /// ```
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, TellError::Full(_))
    }

    /// Returns why the context stopped, if that is what happened.
    ///
    /// ```
    /// # use ironsys::{Stop, session::TellError};
    /// let stop = Stop::DeadlineExceeded;
    /// let error = TellError::Stopped { msg: "hello", stop: stop.clone() };
    /// assert_eq!(error.stop(), Some(&stop));
    /// ```
    #[must_use]
    pub fn stop(&self) -> Option<&Stop> {
        match self {
            TellError::Stopped { stop, .. } => Some(stop),
            _ => None,
        }
    }
}

impl<M> fmt::Debug for TellError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TellError::Ended(_) => f.write_str("Ended(..)"),
            TellError::Closed(_) => f.write_str("Closed(..)"),
            TellError::Full(_) => f.write_str("Full(..)"),
            TellError::Stopped { stop, .. } => write!(f, "Stopped({stop:?}, ..)"),
        }
    }
}

/// A question without an answer.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum AskError<M> {
    /// The question was not taken; it comes back.
    #[error(transparent)]
    NotAsked(#[from] TellError<M>),
    /// The session dropped the reply: it failed, ended, or would not answer.
    #[error("no answer will come")]
    Dropped,
    /// The context stopped while the answer was awaited; the question may be handled all the same.
    #[error("ask stopped: {0}")]
    Stopped(Stop),
    /// The session asks itself, or one that asks it on this very thread, and would wait for its own end.
    /// The question stays in the mailbox, and is handled after the present message.
    #[error("the session asks itself")]
    Itself,
}

impl<M> AskError<M> {
    /// Returns whether the reply was dropped.
    ///
    /// ```
    /// # use ironsys::session::AskError;
    /// assert!(AskError::<()>::Dropped.is_dropped());
    /// ```
    #[must_use]
    pub fn is_dropped(&self) -> bool {
        matches!(self, AskError::Dropped)
    }

    /// Returns why the context stopped, if that is what happened.
    ///
    /// ```
    /// # use ironsys::{Stop, session::AskError};
    /// let stop = Stop::DeadlineExceeded;
    /// assert_eq!(AskError::<()>::Stopped(stop.clone()).stop(), Some(&stop));
    /// ```
    #[must_use]
    pub fn stop(&self) -> Option<&Stop> {
        match self {
            AskError::NotAsked(e) => e.stop(),
            AskError::Stopped(stop) => Some(stop),
            AskError::Dropped | AskError::Itself => None,
        }
    }
}

impl<M> fmt::Debug for AskError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AskError::NotAsked(e) => write!(f, "NotAsked({e:?})"),
            AskError::Dropped => f.write_str("Dropped"),
            AskError::Itself => f.write_str("Itself"),
            AskError::Stopped(stop) => write!(f, "Stopped({stop:?})"),
        }
    }
}

/// A session that did not start.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum StartError<E> {
    /// `start` or `restore` failed.
    #[error("the session did not start: {0}")]
    Failed(Arc<Failure<E>>),
    /// It was stopped before it had started.
    #[error("the session was stopped before it had started")]
    Ended,
    /// The manager starts no more sessions.
    #[error("the manager is closed")]
    Closed,
    /// The context stopped first; the session goes on starting.
    #[error("start stopped: {0}")]
    Stopped(Stop),
}

impl<E: fmt::Display> fmt::Debug for StartError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StartError({self})")
    }
}

/// A supervisor that did not start: a child did not. Those before it have been stopped again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("child {child} did not start: {problem}")]
pub struct ChildError {
    pub(super) child: String,
    pub(super) problem: String,
}

impl ChildError {
    /// Returns the name of the child.
    ///
    /// ```
    /// # use ironsys::{Context, session::*};
    /// # let (ctx, _cancel) = Context::root();
    /// let zero = Child::task("a\0b", |_| Ok::<_, String>(()));
    /// let error = Supervisor::builder("top").child(zero).start(&ctx).unwrap_err();
    /// assert_eq!(error.child(), "a\0b");
    /// ```
    #[must_use]
    pub fn child(&self) -> &str {
        &self.child
    }
}
