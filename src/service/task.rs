//! A thread as a part.

use super::part::{Ended, Part};
use super::stopper::Stopper;
use crate::context::Context;
use crate::panics::Panicked;
use crate::sync::{Arc, catch_unwind};
use crate::threads::Owned;
use std::fmt::Display;
use std::io;
use std::panic::Location;

/// A thread that runs until its context stops.
pub(super) struct Task {
    thread: Owned<Result<(), String>>,
}

impl Task {
    pub(super) fn start<E: Display>(
        ctx: &Context,
        name: Arc<str>,
        stopper: Stopper,
        at: &'static Location<'static>,
        work: impl FnOnce(&Context) -> Result<(), E> + Send + 'static,
    ) -> io::Result<Task> {
        let called = name.clone();
        let run = move |ctx: &Context| {
            let ended = catch_unwind(|| work(ctx).map_err(|error| error.to_string()));
            let ended = ended
                .unwrap_or_else(|payload| Err(Panicked::new(&*called, at, payload).to_string()));
            // What it was told to end with is not a failure of it.
            if let (Err(why), false) = (&ended, ctx.is_stopped()) {
                stopper.request(format!("`{called}` has failed: {why}"));
                return ended;
            }
            Ok(())
        };
        Ok(Task { thread: Owned::start(ctx, name, at, run)? })
    }
}

impl Part for Task {
    fn drain(mut self: Box<Self>, ctx: &Context) -> Ended {
        self.thread.cancel("the service drains".into());
        let _ = self.thread.wait(ctx);
        match self.thread.join() {
            Some(Ok(Err(why))) => Ended::clean().error(why),
            Some(Err(panicked)) => Ended::clean().error(panicked),
            Some(Ok(Ok(()))) | None => Ended::clean(),
        }
    }
}
