//! A loop on a thread of its own, which a relay and a queue hold: how it is ended.

use crate::context::{Context, Stop};
use crate::pool::{JoinError, Pool, Ticket};

/// Waits for the thread, within `ctx`, and then stops it; returns why the loop ended before its time.
#[track_caller]
pub(super) fn end<E: Send + 'static>(
    ctx: &Context,
    pool: &mut Option<Pool>,
    job: &mut Option<Ticket<Result<(), E>>>,
    panicked: fn(String) -> E,
    stopped: fn(Stop) -> E,
) -> Option<E> {
    if let Some(pool) = pool.take() {
        drop(pool.drain(ctx));
    }
    let (ended, _cancel) = Context::root();
    match job.take()?.join(&ended) {
        Ok(result) => result.err(),
        Err(JoinError::Panicked(panic)) => Some(panicked(panic.message().to_owned())),
        Err(JoinError::Stopped(stop) | JoinError::Cancelled(stop)) => Some(stopped(stop)),
        Err(_) => None,
    }
}
