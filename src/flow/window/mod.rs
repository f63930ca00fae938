//! Windows: what was gathered in a stretch of time.
//!
//! * `shape`: which windows there are, and which of them an item belongs to;
//! * `panes`: the open ones, and which are complete;
//! * `by_clock`, `by_event`: the operators, by the time items arrive and by the time they carry.

mod by_clock;
mod by_event;
mod panes;
mod shape;

pub use panes::Pane;
pub use shape::Window;
