//! The handle that flows are built with, and how a sink runs one.

use super::cx::{At, Cx};
use super::error::{FlowCause, FlowError};
use super::fault::Becomes;
use super::raise::{Raise, Verdict};
use super::stage::{ErrorOf, Halt, Stage};
use super::topology::Topology;
use super::wiring::Wiring;
use crate::context::{Context, Stop};
use crate::panics::Panicked;
use crate::scope;
use crate::sync::{Arc, MODEL, catch_unwind};
use std::fmt;
use std::panic::Location;

/// A lazy stream: a source and what happens to its items. Nothing runs until a sink is called.
///
/// See the [module](super) for how to build one.
#[must_use = "a flow does nothing until a sink runs it"]
pub struct Flow<S>(pub(super) S);

impl<S: Stage> Flow<S> {
    /// Returns the plan: which stages run on which threads, and what is between them. Print it.
    ///
    /// ```
    /// use ironsys::flow::Flow;
    /// let flow = Flow::of(0..9).map(|n| n + 1).buffer(4).filter(|n| n % 2 == 0);
    /// let plan = flow.explain().to_string();
    /// assert!(plan.contains("==> buffer(4)"), "{plan}");
    /// ```
    #[must_use]
    pub fn explain(&self) -> Topology {
        let mut topology = Topology::default();
        self.0.describe(&mut topology);
        topology
    }

    /// Runs the flow with a sink that can fail with an `E`, see `run_as`.
    #[track_caller]
    pub(super) fn run<R, E>(
        self,
        ctx: &Context,
        sink: &'static str,
        body: impl FnOnce(&mut S::Run, &Cx, &mut At, &Raise<E>) -> Result<R, Halt>,
    ) -> Result<R, FlowError<E>>
    where
        S::Fault: Becomes<E>,
        E: Send + 'static,
    {
        self.run_as(ctx, sink, Raise::before::<S::Fault>, body)
    }

    /// Runs the flow with a sink that cannot fail, see `run_as`.
    #[track_caller]
    pub(super) fn run_plain<R>(
        self,
        ctx: &Context,
        sink: &'static str,
        body: impl FnOnce(&mut S::Run, &Cx, &mut At) -> Result<R, Halt>,
    ) -> Result<R, FlowError<ErrorOf<S>>> {
        self.run_as(ctx, sink, |raise| raise, |pull, cx, at, _| body(pull, cx, at))
    }

    /// Runs the flow under `ctx`: `body` pulls the last segment on this thread, the others run on
    /// threads of their own. Returns when all have ended.
    #[track_caller]
    pub(super) fn run_as<R, E: Send + 'static>(
        self,
        ctx: &Context,
        sink: &'static str,
        before: impl FnOnce(Raise<E>) -> Raise<ErrorOf<S>>,
        body: impl FnOnce(&mut S::Run, &Cx, &mut At, &Raise<E>) -> Result<R, Halt>,
    ) -> Result<R, FlowError<E>> {
        let at = Location::caller();
        let (run_ctx, cancel) = ctx.with_cancel();
        let verdict = Arc::new(Verdict::new(ctx.clone(), cancel, at));
        let raise = Raise::new(verdict.clone());
        // With a deadline, the hook's alarm marks the context in time, so that a chain that only
        // computes sees it in one load an item.
        let _deadline = (!MODEL && run_ctx.deadline().is_some()).then(|| run_ctx.on_stop(|_| {}));
        let mut wiring = Wiring::new(run_ctx.clone(), verdict.clone());
        let mut at_sink = wiring.stage(sink);
        let stage = at_sink.stage.clone();
        let pull = self.0.start(&mut wiring, before(raise.clone()));
        let (seat, plan) = wiring.finish();
        let last = || {
            seat.run(pull, |pull, cx| {
                cx.check()?;
                let out = body(pull, cx, &mut at_sink, &raise)?;
                verdict.end();
                Ok(out)
            })
        };
        let out = if plan.tasks.is_empty() && plan.daemons.is_empty() {
            Ok(last())
        } else {
            let mut out = Err(Halt);
            let opened = catch_unwind(|| {
                let threads = scope::options().name("flow").limit(plan.tasks.len().max(1));
                threads.run::<(), Stop>(&run_ctx, |s| {
                    for daemon in plan.daemons {
                        s.daemon(move |ctx| {
                            daemon(ctx);
                            Ok(())
                        });
                    }
                    for (name, task) in plan.tasks {
                        s.named(name).execute(move |_| {
                            task();
                            Ok(())
                        });
                    }
                    out = last();
                    Ok(())
                })
            });
            // A scope that was stopped has dropped tasks: the last segment has halted for that.
            opened.map(|_| out)
        };
        match (verdict.take(), out) {
            (Some(failure), _) => Err(failure),
            (None, Ok(Ok(out))) => Ok(out),
            (None, Ok(Err(Halt))) => {
                // Nobody has failed, so somebody has stopped it.
                let stop = run_ctx.check().err().unwrap_or(Stop::DeadlineExceeded);
                Err(FlowError::new(stage, None, FlowCause::Stopped(stop)))
            }
            (None, Err(payload)) => {
                let panicked = Panicked::new(stage.clone(), at, payload);
                Err(FlowError::new(stage, None, FlowCause::Panicked(panicked)))
            }
        }
    }
}

impl<S: Stage> fmt::Debug for Flow<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flow(\n{})", self.explain())
    }
}
