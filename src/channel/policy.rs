//! What a full channel does.

use crate::sync::Arc;
use std::fmt;

/// What a send does when the channel is full.
///
/// ```
/// use ironsys::channel::{self, Overflow};
/// use std::sync::mpsc;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (lost, seen) = mpsc::channel();
/// let (tx, rx) = channel::builder::<u32>(2)
///     .overflow(Overflow::DropOldest)
///     .on_drop(move |v| lost.send(v).unwrap())
///     .build()?;
/// for v in 1..=3 {
///     tx.try_send(v)?;
/// }
/// assert_eq!((rx.try_recv()?, rx.try_recv()?), (2, 3));
/// assert_eq!(seen.recv()?, 1);
/// # Ok(()) }
/// ```
#[non_exhaustive]
pub enum Overflow<T> {
    /// Wait for room. The default: back-pressure.
    Block,
    /// Give the value back at once.
    Reject,
    /// Drop the value being sent; the send succeeds.
    DropNewest,
    /// Drop the value that has waited longest, to make room.
    DropOldest,
    /// Drop the value of the lowest priority, which may be the one being sent; of equal ones the
    /// newest. The function is called once for each value, by the sender, outside of all locks.
    /// Looking for the victim costs time proportional to the capacity.
    DropLowest(Arc<dyn Fn(&T) -> i64 + Send + Sync>),
}

impl<T> Overflow<T> {
    /// Drops the value of the lowest priority, see [`Overflow::DropLowest`].
    ///
    /// ```
    /// # use ironsys::channel::{self, Overflow};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (tx, rx) = channel::builder(1).overflow(Overflow::drop_lowest(|v: &i64| *v)).build()?;
    /// tx.try_send(5)?;
    /// tx.try_send(9)?;
    /// assert_eq!(rx.drain(), [9]);
    /// # Ok(()) }
    /// ```
    pub fn drop_lowest(priority: impl Fn(&T) -> i64 + Send + Sync + 'static) -> Self {
        Overflow::DropLowest(Arc::new(priority))
    }
}

impl<T> Clone for Overflow<T> {
    fn clone(&self) -> Self {
        match self {
            Overflow::Block => Overflow::Block,
            Overflow::Reject => Overflow::Reject,
            Overflow::DropNewest => Overflow::DropNewest,
            Overflow::DropOldest => Overflow::DropOldest,
            Overflow::DropLowest(priority) => Overflow::DropLowest(priority.clone()),
        }
    }
}

impl<T> fmt::Debug for Overflow<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Overflow::Block => "Block",
            Overflow::Reject => "Reject",
            Overflow::DropNewest => "DropNewest",
            Overflow::DropOldest => "DropOldest",
            Overflow::DropLowest(_) => "DropLowest(..)",
        })
    }
}
