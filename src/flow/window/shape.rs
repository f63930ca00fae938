//! Which windows there are.

use crate::error::BuildError;
use std::time::Duration;

/// A way to cut time into windows. Times are durations from an origin: the start of the run, or
/// whatever the times of the items count from.
///
/// ```
/// use ironsys::flow::Window;
/// use std::time::Duration;
/// # fn main() -> Result<(), ironsys::BuildError> {
/// let minute = Duration::from_secs(60);
/// let per_minute = Window::tumbling(minute)?;
/// let last_hour_every_minute = Window::sliding(60 * minute, minute)?;
/// let visits = Window::session(30 * minute)?.lateness(minute);
/// assert_eq!(Window::tumbling(Duration::ZERO).unwrap_err().field(), "size");
/// # let _ = (per_minute, last_hour_every_minute, visits);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub(super) shape: Shape,
    pub(super) lateness: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Windows of `size` nanoseconds that begin at every multiple of `every`.
    Sliding { size: u128, every: u128 },
    /// Windows that end when nothing has come for `gap` nanoseconds.
    Session { gap: u128 },
}

/// An item is in so many sliding windows at most.
const MAX_OVERLAP: u128 = 1024;

impl Window {
    /// Windows of one size, each after the other: from 0, from `size`, from twice `size` and so on.
    ///
    /// # Errors
    /// `size`: it is zero.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Count, Flow, Window}};
    /// use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let window = Window::tumbling(Duration::from_secs(10))?;
    /// let panes = Flow::of([1, 4, 12]).window_by(window, |at| Duration::from_secs(*at), Count::default);
    /// let counts = panes.map(|pane| (pane.start.as_secs(), pane.value.0)).collect::<Vec<_>>(&ctx)?;
    /// assert_eq!(counts, [(0, 2), (10, 1)]);
    /// # Ok(()) }
    /// ```
    pub fn tumbling(size: Duration) -> Result<Window, BuildError> {
        Window::sliding(size, size)
    }

    /// Windows of one size, of which one begins every `every`. They overlap if that is less than
    /// `size`, and leave gaps, whose items are in no window, if it is more.
    ///
    /// # Errors
    /// `size`: it is zero. `every`: it is zero, or so short that an item would be in more than 1,024
    /// windows.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Count, Flow, Window}};
    /// use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let window = Window::sliding(Duration::from_secs(10), Duration::from_secs(5))?;
    /// let panes = Flow::of([6, 12]).window_by(window, |at| Duration::from_secs(*at), Count::default);
    /// let counts = panes.map(|pane| (pane.start.as_secs(), pane.value.0)).collect::<Vec<_>>(&ctx)?;
    /// assert_eq!(counts, [(0, 1), (5, 2), (10, 1)]);
    /// # Ok(()) }
    /// ```
    pub fn sliding(size: Duration, every: Duration) -> Result<Window, BuildError> {
        let (size, every) = (size.as_nanos(), every.as_nanos());
        if size == 0 {
            return Err(BuildError::new("window", "size", "is zero"));
        }
        if every == 0 {
            return Err(BuildError::new("window", "every", "is zero"));
        }
        if size.div_ceil(every) > MAX_OVERLAP {
            let problem = format!("is so short that an item is in more than {MAX_OVERLAP} windows");
            return Err(BuildError::new("window", "every", problem));
        }
        Ok(Window { shape: Shape::Sliding { size, every }, lateness: Duration::ZERO })
    }

    /// Windows of activity: one ends when nothing has come for `gap`; its end is `gap` after its last
    /// item. An item no further than `gap` from two windows that are still open makes one of them.
    ///
    /// # Errors
    /// `gap`: it is zero.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Count, Flow, Window}};
    /// use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let window = Window::session(Duration::from_secs(5))?;
    /// let panes = Flow::of([1, 4, 12]).window_by(window, |at| Duration::from_secs(*at), Count::default);
    /// let counts = panes.map(|pane| (pane.start.as_secs(), pane.value.0)).collect::<Vec<_>>(&ctx)?;
    /// assert_eq!(counts, [(1, 2), (12, 1)]);
    /// # Ok(()) }
    /// ```
    pub fn session(gap: Duration) -> Result<Window, BuildError> {
        match gap.as_nanos() {
            0 => Err(BuildError::new("window", "gap", "is zero")),
            gap => Ok(Window { shape: Shape::Session { gap }, lateness: Duration::ZERO }),
        }
    }

    /// Sets by how much an item may be older than the latest one and still find its window open. The
    /// default is zero. By the clock nothing is late, and it means nothing.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Count, Flow, Window}};
    /// use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (ctx, _cancel) = Context::root();
    /// let window = Window::tumbling(Duration::from_secs(10))?.lateness(Duration::from_secs(5));
    /// let panes = Flow::of([1, 12, 4]).window_by(window, |at| Duration::from_secs(*at), Count::default);
    /// let counts = panes.map(|pane| (pane.start.as_secs(), pane.value.0)).collect::<Vec<_>>(&ctx)?;
    /// assert_eq!(counts, [(0, 2), (10, 1)]);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn lateness(mut self, lateness: Duration) -> Window {
        self.lateness = lateness;
        self
    }
}
