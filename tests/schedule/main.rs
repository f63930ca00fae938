//! When things happen. One test binary: a module for each part of the room.
//!
//! Nothing sleeps: all time is virtual.

mod backoff;
