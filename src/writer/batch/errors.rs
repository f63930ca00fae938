//! What a ticket says when its item was not written.

use crate::context::Stop;
use crate::sync::Arc;
use std::fmt;

/// The outcome of an item that is not known to be written, with the item where there is one.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum BatchError<T, E> {
    /// The call for its batch failed, also after the last retry.
    #[error("the batch failed: {error}")]
    Failed {
        /// What was to be written.
        item: T,
        /// The error, shared by all of the batch.
        error: Arc<E>,
    },
    /// The call for its batch panicked. It is not tried again.
    #[error("the batch panicked: {message}")]
    Panicked {
        /// What was to be written.
        item: T,
        /// The text of the panic.
        message: Arc<str>,
    },
    /// The batcher ended before the item's turn. The item is here, or in what
    /// [`drain`](super::Batcher::drain) gave back.
    #[error("the batcher ended before the item was written")]
    Undelivered(Option<T>),
    /// The context of the wait stopped; the item is still on its way.
    #[error(transparent)]
    Stopped(Stop),
}

impl<T, E> BatchError<T, E> {
    /// Takes the item back, if it is here.
    ///
    /// ```
    /// # use ironsys::{Context, schedule::Backoff, writer::Batcher};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let insert = |_: &Context, _: &[u32]| Err("locked");
    /// # let once = Backoff::fixed(Duration::ZERO).max_attempts(1);
    /// # let rows = Batcher::builder("rows", insert).retry(once).build()?;
    /// let failed = rows.submit(&ctx, 7)?.wait(&ctx).unwrap_err();
    /// assert_eq!(failed.into_item(), Some(7));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn into_item(self) -> Option<T> {
        match self {
            BatchError::Failed { item, .. } | BatchError::Panicked { item, .. } => Some(item),
            BatchError::Undelivered(item) => item,
            BatchError::Stopped(_) => None,
        }
    }

    /// Returns the error of the call, if it failed.
    ///
    /// ```
    /// # use ironsys::{Context, schedule::Backoff, writer::Batcher};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let insert = |_: &Context, _: &[u32]| Err("locked");
    /// # let once = Backoff::fixed(Duration::ZERO).max_attempts(1);
    /// # let rows = Batcher::builder("rows", insert).retry(once).build()?;
    /// let failed = rows.submit(&ctx, 7)?.wait(&ctx).unwrap_err();
    /// assert_eq!(failed.error(), Some(&"locked"));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn error(&self) -> Option<&E> {
        match self {
            BatchError::Failed { error, .. } => Some(error),
            _ => None,
        }
    }

    /// Returns why the wait's context stopped, if that is what happened.
    ///
    /// ```
    /// # use ironsys::{Context, writer::Batcher};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, cancel) = Context::root();
    /// # let insert = |_: &Context, _: &[u32]| Ok::<_, String>(());
    /// # let rows = Batcher::builder("rows", insert).build()?;
    /// let mut ticket = rows.submit(&ctx, 7)?;
    /// cancel.cancel();
    /// assert!(ticket.wait(&ctx).unwrap_err().stop().is_some());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn stop(&self) -> Option<&Stop> {
        match self {
            BatchError::Stopped(stop) => Some(stop),
            _ => None,
        }
    }
}

impl<T, E: fmt::Debug> fmt::Debug for BatchError<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BatchError::Failed { error, .. } => write!(f, "Failed({error:?}, ..)"),
            BatchError::Panicked { message, .. } => write!(f, "Panicked({message:?}, ..)"),
            BatchError::Undelivered(item) => {
                write!(f, "Undelivered({})", if item.is_some() { ".." } else { "" })
            }
            BatchError::Stopped(stop) => write!(f, "Stopped({stop:?})"),
        }
    }
}
