//! What a call says when it took nothing.

use crate::context::Stop;

/// A [`take`](super::ResourcePool::take) that took nothing. Its place is free again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TakeError<E> {
    /// The pool is closed.
    #[error("the pool is closed")]
    Closed,
    /// Everything is taken; only from `try_take`.
    #[error("everything is taken")]
    Exhausted,
    /// None was idle, and a new one could not be made.
    #[error("no resource could be made: {0}")]
    Create(E),
    /// The context stopped first.
    #[error(transparent)]
    Stopped(#[from] Stop),
}

impl<E> TakeError<E> {
    /// Returns whether the pool is closed.
    ///
    /// ```
    /// # use ironsys::{Context, resource::ResourcePool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// # let connect = |_: &Context| Ok::<_, String>("conn");
    /// # let pool = ResourcePool::builder("db", connect).build()?;
    /// pool.close();
    /// assert!(pool.take(&ctx).unwrap_err().is_closed());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self, TakeError::Closed)
    }

    /// Returns why no resource could be made, if that is what happened.
    ///
    /// ```
    /// # use ironsys::{Context, resource::ResourcePool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, _cancel) = Context::root();
    /// let pool = ResourcePool::builder("db", |_: &Context| Err::<(), _>("no route")).build()?;
    /// assert_eq!(pool.take(&ctx).unwrap_err().create(), Some(&"no route"));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn create(&self) -> Option<&E> {
        match self {
            TakeError::Create(error) => Some(error),
            _ => None,
        }
    }

    /// Returns why the context stopped, if that is what happened.
    ///
    /// ```
    /// # use ironsys::{Context, resource::ResourcePool};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (ctx, cancel) = Context::root();
    /// # let connect = |_: &Context| Ok::<_, String>("conn");
    /// # let pool = ResourcePool::builder("db", connect).build()?;
    /// cancel.cancel();
    /// assert!(pool.take(&ctx).unwrap_err().stop().is_some());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn stop(&self) -> Option<&Stop> {
        match self {
            TakeError::Stopped(stop) => Some(stop),
            _ => None,
        }
    }
}
