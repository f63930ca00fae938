//! One run of a job, on its way from the book to its end.

use super::core::Core;
use super::job::Call;
use super::view::{LastRun, Outcome};
use crate::context::Context;
use crate::observe::{self, TaskKind};
use crate::panics;
use crate::sync::{Arc, catch_unwind};

/// A run that a runner has taken. It begins only if it has not been withdrawn; dropped before, it says
/// so in the book.
pub(super) struct Run {
    core: Arc<Core>,
    job: u64,
    run: u64,
    begun: bool,
}

impl Run {
    pub(super) fn new(core: Arc<Core>, job: u64, run: u64) -> Self {
        Run { core, job, run, begun: false }
    }

    /// Runs the job under `ctx`, unless it was withdrawn. A panic of the job ends here.
    pub(super) fn perform(mut self, ctx: &Context) {
        if ctx.is_stopped() {
            return;
        }
        let (ctx, cancel) = ctx.with_cancel();
        let core = self.core.clone();
        let Some(begun) = core.book().begin(self.job, self.run, &cancel) else { return };
        self.begun = true;
        let ctx = begun.timeout.map_or(ctx.clone(), |timeout| ctx.with_timeout(timeout));
        let began = core.ctx.clock().now();
        let result = core.inside(self.job, || {
            let id = Some(begun.id.clone());
            let parent = observe::current();
            let _listed = observe::begin(ctx.registry(), TaskKind::Job, id, begun.at, parent);
            match begun.call {
                Call::Once(work) => catch_unwind(|| work(&ctx)),
                Call::Many(work) => {
                    let result = catch_unwind(|| work(&ctx));
                    panics::discard(work); // It may be the last one.
                    result
                }
            }
        });
        let outcome = match result {
            Ok(Ok(())) => Outcome::Done,
            Ok(Err(_)) if ctx.is_stopped() => Outcome::Cancelled,
            Ok(Err(text)) => Outcome::Failed(text),
            Err(payload) => {
                let text = panics::message(&*payload).to_owned();
                let (id, at) = (&begun.id, begun.at);
                panics::contain(|| {
                    log::error!("ironsys: the job {id}, added at {at}, panicked: {text}");
                });
                panics::discard(payload);
                Outcome::Panicked(text)
            }
        };
        let took = core.ctx.clock().now().saturating_duration_since(began);
        let last = LastRun { began, took, outcome };
        core.change(|book, fx| book.end(self.job, self.run, last, fx));
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if !self.begun {
            // Of no effect if it was withdrawn with its job.
            self.core.change(|book, fx| book.give_up(self.job, self.run, fx));
        }
    }
}
