//! What sagas say when they are not done.

use super::definition::StepError;
use crate::context::Stop;
use crate::durable::{AppendError, OpenError as JournalError, ReadError, ReaderError};

/// [`Sagas`](super::Sagas) that were not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Somebody has this journal open.
    #[error(transparent)]
    Reader(#[from] ReaderError),
    /// The journal cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The outbox holds something else, or what a newer version has written.
    #[error("event {0} of the outbox is no record of a saga that this version knows")]
    Record(u64),
    /// Two definitions have the same name.
    #[error("there are two definitions of the saga `{0}`")]
    Twice(String),
}

/// A saga that is not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SagaError {
    /// A step failed for good, and everything is undone.
    #[error("saga `{id}` is undone: `{step}` failed: {why}")]
    Undone {
        /// Which saga.
        id: String,
        /// The step that failed.
        step: String,
        /// Why.
        why: StepError,
    },
    /// A compensation failed for good. The saga waits for [`retry`](super::Sagas::retry) or
    /// [`close`](super::Sagas::close).
    #[error("saga `{id}` is stuck: `{step}` cannot be undone: {trouble}")]
    Stuck {
        /// Which saga.
        id: String,
        /// The step that is not undone.
        step: String,
        /// Why not.
        trouble: String,
    },
    /// The context stopped. The saga is open, and can be resumed.
    #[error("saga `{id}` is interrupted: {stop}")]
    Interrupted {
        /// Which saga.
        id: String,
        /// Why.
        stop: Stop,
    },
    /// The journal failed. If the saga had begun it is open, and can be resumed.
    #[error("the record of saga `{id}` is not written: {source}")]
    Journal {
        /// Which saga.
        id: String,
        /// Why.
        source: AppendError,
    },
    /// An open saga has this id.
    #[error("saga `{0}` is open already")]
    Exists(String),
    /// No open saga has this id.
    #[error("no saga `{0}` is open")]
    Unknown(String),
    /// Another call runs it now.
    #[error("saga `{0}` runs in another call")]
    Busy(String),
    /// No definition has the name under which it was begun, or it has other steps now.
    #[error("saga `{id}` does not fit the definition of `{saga}`, or there is none")]
    Definition {
        /// Which saga.
        id: String,
        /// The name.
        saga: String,
    },
    /// The id is empty, or longer than 256 bytes.
    #[error("`{0}` is no id for a saga")]
    Id(String),
    /// So many sagas are open that no other can begin.
    #[error("{0} sagas are open, and no other can begin")]
    Full(usize),
}

impl SagaError {
    /// Returns whether everything was undone: it is as if the saga had never begun.
    ///
    /// ```
    /// # use ironsys::{Context, saga::*};
    /// # let (ctx, _cancel) = Context::root(); let dir = tempfile::tempdir()?;
    /// # let act = |_: &Context, turn: &Turn<'_>| Err(StepError::permanent("no credit"));
    /// # let saga = Saga::builder("order").step("pay", act, no_undo).build()?;
    /// # let sagas = Sagas::open(dir.path(), [saga])?;
    /// assert!(sagas.run(&ctx, "order", "a", b"").unwrap_err().is_undone());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_undone(&self) -> bool {
        matches!(self, SagaError::Undone { .. })
    }

    /// Returns whether the saga waits for somebody.
    ///
    /// ```
    /// # use ironsys::{Context, saga::*};
    /// # let (ctx, _cancel) = Context::root(); let dir = tempfile::tempdir()?;
    /// let act = |_: &Context, _: &Turn<'_>| Err(StepError::permanent("no credit"));
    /// let undo = |_: &Context, _: &Turn<'_>| Err(StepError::permanent("no answer"));
    /// let saga = Saga::builder("order").step("pay", act, undo).build()?;
    /// let sagas = Sagas::open(dir.path(), [saga])?;
    /// assert!(sagas.run(&ctx, "order", "a", b"").unwrap_err().is_stuck());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        matches!(self, SagaError::Stuck { .. })
    }

    /// Returns why the context stopped, if that is what happened.
    ///
    /// ```
    /// # use ironsys::{Context, saga::*};
    /// # let (ctx, _cancel) = Context::root(); let dir = tempfile::tempdir()?;
    /// # let act = |_: &Context, turn: &Turn<'_>| Ok([turn.state(), b"!"].concat());
    /// # let saga = Saga::builder("order").step("pay", act, no_undo).build()?;
    /// # let sagas = Sagas::open(dir.path(), [saga])?;
    /// let soon = ctx.with_timeout(std::time::Duration::ZERO);
    /// let error = sagas.run(&soon, "order", "a", b"").unwrap_err();
    /// assert_eq!(error.stop(), Some(&ironsys::Stop::DeadlineExceeded));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stop(&self) -> Option<&Stop> {
        match self {
            SagaError::Interrupted { stop, .. } => Some(stop),
            _ => None,
        }
    }
}
