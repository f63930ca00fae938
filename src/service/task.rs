//! A thread as a part.

use super::part::{Ended, Part};
use super::stopper::Stopper;
use crate::context::Context;
use crate::panics::{self, Panicked};
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
            let why = match ended {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(why)) => match ctx.check() {
                    Ok(()) => why,
                    // What it was told to end with is not a failure of it.
                    Err(stop) => {
                        if !why.contains(&stop.to_string()) {
                            log::warn!(
                                "ironsys: `{called}` was told to end, and ended with: {why}"
                            );
                        }
                        return Ok(());
                    }
                },
                Err(payload) => {
                    let panicked = Panicked::new(&*called, at, payload);
                    let why = panicked.to_string();
                    panics::discard(panicked);
                    why
                }
            };
            stopper.request(format!("`{called}` has failed: {why}"));
            Err(why)
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
