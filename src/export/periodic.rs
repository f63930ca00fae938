//! A thread that does one thing every so often, for as long as its context lasts.

use crate::context::Context;
use crate::error::BuildError;
use crate::panics;
use crate::sync::{Arc, catch_unwind};
use crate::threads::Owned;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

/// The thread. Dropped, it is stopped and joined.
pub(super) struct Periodic {
    thread: Owned<()>,
}

impl Periodic {
    /// Calls `look` every `every` on the clock of `ctx`, first after that time. A panic of it is
    /// logged, and the next one comes all the same.
    pub(super) fn start(
        what: &'static str,
        ctx: &Context,
        every: Duration,
        at: &'static Location<'static>,
        mut look: impl FnMut() + Send + 'static,
    ) -> Result<Periodic, BuildError> {
        if every.is_zero() {
            return Err(BuildError::new(what, "every", "is 0: it would never rest"));
        }
        let name: Arc<str> = what.into();
        let work = move |ctx: &Context| {
            while ctx.sleep(every).is_ok() {
                if let Err(payload) = catch_unwind(&mut look) {
                    let text = panics::message(&*payload).to_owned();
                    panics::contain(|| log::error!("ironsys: {what} panicked: {text}"));
                    panics::discard(payload);
                }
            }
        };
        let thread = Owned::start(ctx, name, at, work)
            .map_err(|e| BuildError::new(what, "start", format!("has no thread: {e}")))?;
        Ok(Periodic { thread })
    }

    pub(super) fn stop(self) {
        drop(self.thread);
    }
}

impl fmt::Debug for Periodic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Periodic").field("ctx", self.thread.ctx()).finish_non_exhaustive()
    }
}
