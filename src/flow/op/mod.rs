//! Operators that are fused onto the stage before them, and stages that only tell the wiring something.

mod closer;
mod filter;
mod flat_map;
mod map;
mod map_err;
mod named;
mod progress;
mod take;
mod try_map;
