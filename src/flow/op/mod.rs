//! Operators that are fused onto the stage before them.

mod filter;
mod map;
mod named;
mod take;
mod try_map;
