//! Boundaries: what stands before them runs on threads of its own.

mod buffer;
mod linked;
mod merge;
