//! Boundaries: what stands before them runs on threads of its own.
//!
//! * `buffer`: one link; `linked`: one if it is needed; `merge`: one with two lanes;
//! * `ordered`: a link, workers, and a `board` for their results; `unordered`: two links and workers;
//! * `par_map`, `par_flat_map`, `par_reduce`: what is built on them, with `par` as the numbers;
//! * `intervals`: partial results that find their neighbours.

mod board;
mod buffer;
mod by_key;
mod conflate;
mod intervals;
mod linked;
mod merge;
mod ordered;
mod par;
mod par_flat_map;
mod par_map;
mod par_reduce;
mod par_try_map;
mod unordered;

pub use par::Par;

pub(super) use linked::Linked;
