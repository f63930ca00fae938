//! Every interleaving, by loom.

use super::model::{Body, Model};
use super::report;
use crate::sync::{InjectedPanic, rewind_choices, set_choices};
use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Once};
use std::time::Instant;

pub(super) fn check(model: &Model, body: Body) {
    let executions = Arc::new(AtomicU64::new(0));
    let since = Instant::now();
    let patterns = match report::variable::<u64>("IRONSYS_CHOICE") {
        Some(one) => one..one + 1,
        None => 0..1 << model.choices,
    };
    let _current = Current::set(&model.name, &executions, since);
    let mut bound = None;
    for bits in patterns {
        set_choices(bits);
        let mut builder = loom::model::Builder::new(); // Reads the environment.
        builder.preemption_bound = builder.preemption_bound.or(model.bound);
        if std::env::var_os("LOOM_MAX_BRANCHES").is_none() {
            builder.max_branches = model.branches;
        }
        bound = builder.preemption_bound;
        let (body, executions) = (body.clone(), executions.clone());
        builder.check(move || {
            executions.fetch_add(1, Ordering::Relaxed);
            rewind_choices();
            body();
        });
    }
    let kind = bound.map_or("loom-unbounded".into(), |bound| format!("loom-{bound}"));
    report::line(&model.name, &kind, executions.load(Ordering::Relaxed), since);
}

/// The model that runs on this OS thread. All threads of a model do.
struct Current {
    name: String,
    executions: Arc<AtomicU64>,
    since: Instant,
}

std::thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}
static HOOK: Once = Once::new();

impl Current {
    /// A failing model may abort while it unwinds, so the execution is reported by a panic hook.
    fn set(name: &str, executions: &Arc<AtomicU64>, since: Instant) -> Reset {
        let current = Current { name: name.into(), executions: executions.clone(), since };
        CURRENT.with(|c| *c.borrow_mut() = Some(current));
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                if !panic.payload().is::<InjectedPanic>() {
                    Current::failed();
                }
                before(panic);
            }));
        });
        Reset
    }

    fn failed() {
        let take =
            |c: &RefCell<Option<Current>>| c.try_borrow_mut().ok().and_then(|mut c| c.take());
        if let Some(this) = CURRENT.try_with(take).ok().flatten() {
            let executions = this.executions.load(Ordering::Relaxed);
            report::line(&this.name, "loom-FAILED", executions, this.since);
        }
    }
}

/// A model that has ended is not blamed for what its test does afterwards.
struct Reset;

impl Drop for Reset {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = CURRENT.try_with(|c| c.take());
        }
    }
}
