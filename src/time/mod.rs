//! Clocks: real time, and virtual time that a test moves by hand.
//!
//! Every deadline, sleep and measurement under a [`Context`](crate::Context) reads the context's
//! [`Clock`]. Deadlines are `Instant`s of that clock. With a [`VirtualClock`] nothing ever sleeps:
//! `advance` moves the time and wakes the threads whose deadline has come, in order of time.
//!
//! * `clock`: the handle, and what a clock must do;
//! * `virtual_clock`: time by hand, and the autojump;
//! * `timers`: things to call at a time; one thread for a system clock, while there is one pending.

mod clock;
mod timers;
mod virtual_clock;

pub use clock::Clock;
pub use virtual_clock::{Participant, VirtualClock};
pub(crate) use virtual_clock::{Token, Virtual, seats};

pub(crate) use clock::Wake;
pub(crate) use timers::Alarm;
