//! Random schedules, by shuttle: more threads than loom can hold, and livelocks.

use super::model::{Body, Model};
use super::report;
use shuttle::scheduler::{
    DfsScheduler, PctScheduler, RandomScheduler, Scheduler, UrwRandomScheduler,
};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// How many priority changes PCT makes: bugs of this depth are found with a known probability.
const PCT_DEPTH: usize = 3;
/// Frames with assertions in them are large.
const STACK_BYTES: usize = 256 * 1024;

pub(super) fn check(model: &Model, body: Body) {
    let runs = report::variable("IRONSYS_RUNS").or(model.runs.map(|n| n as usize)).unwrap_or(1000);
    let kinds = std::env::var("IRONSYS_SCHEDULERS").unwrap_or_else(|_| "random,pct,urw".into());
    for kind in kinds.split(',') {
        match kind {
            "random" => run(model, kind, RandomScheduler::new(runs), &body),
            // PCT needs a second thread to give priorities to.
            "pct" => run(model, kind, PctScheduler::new(PCT_DEPTH, runs), &body),
            "urw" => run(model, kind, UrwRandomScheduler::new(runs), &body),
            "dfs" => run(model, kind, DfsScheduler::new(Some(runs), false), &body),
            other => panic!("IRONSYS_SCHEDULERS names `{other}`: not one of random,pct,urw,dfs"),
        }
    }
}

fn run(model: &Model, kind: &str, scheduler: impl Scheduler + 'static, body: &Body) {
    let mut config = shuttle::Config::new();
    config.stack_size = STACK_BYTES;
    config.silence_warnings = true;
    let (body, executions) = (body.clone(), Arc::new(AtomicU64::new(0)));
    let since = Instant::now();
    let counted = executions.clone();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        shuttle::Runner::new(scheduler, config).run(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            body();
        });
    }));
    let failed = if outcome.is_err() { "-FAILED" } else { "" };
    let executions = executions.load(Ordering::Relaxed);
    report::line(&model.name, &format!("shuttle-{kind}{failed}"), executions, since);
    if let Err(payload) = outcome {
        resume_unwind(payload);
    }
}
