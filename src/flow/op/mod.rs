//! Operators that are fused onto the stage before them, and stages that only tell the wiring something.

mod batch;
mod closer;
mod distinct;
mod eager;
mod filter;
mod flat_map;
mod map;
mod map_err;
mod named;
mod pair;
mod progress;
mod quiet;
mod sorted;
mod take;
mod tee;
mod throttle;
mod timeout;
mod try_map;
