//! Real threads, many times over; with the feature `chaos`, a seed for each run.

use super::model::{Body, Model};
use super::report;
use crate::observe;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

pub(super) fn check(model: &Model, body: Body) {
    let runs = report::variable("IRONSYS_RUNS").or(model.runs).unwrap_or(200);
    let patience = Duration::from_secs(report::variable("IRONSYS_HANG_SECS").unwrap_or(30));
    let seeds = Seeds::new();
    let since = Instant::now();
    let (done, each) = mpsc::channel();
    // On a thread of its own, so that a hang is a failure and not a hang.
    let runner = std::thread::Builder::new().name(model.name.clone()).spawn(move || {
        for i in 0..runs {
            seeds.plant(i);
            body();
            let _ = done.send(());
        }
    });
    let runner = runner.expect("the system has a thread left for a test");
    let mut count = 0;
    loop {
        match each.recv_timeout(patience) {
            Ok(()) => count += 1,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                report::line(&model.name, &seeds.kind("HANGS", count), count + 1, since);
                let secs = patience.as_secs();
                let name = &model.name;
                panic!("{name}: run {count} has not ended in {secs} s\n{}", observe::tasks());
            }
        }
    }
    match runner.join() {
        Ok(()) => report::line(&model.name, &seeds.kind("", count), count, since),
        Err(payload) => {
            report::line(&model.name, &seeds.kind("FAILED", count), count + 1, since);
            std::panic::resume_unwind(payload)
        }
    }
}

/// Where the preemptions of a run come from.
#[derive(Clone, Copy)]
struct Seeds {
    #[cfg(feature = "chaos")]
    first: u64,
}

#[cfg(feature = "chaos")]
impl Seeds {
    fn new() -> Self {
        use std::hash::{BuildHasher, RandomState};
        let fresh = || RandomState::new().hash_one(0) >> 16;
        Seeds { first: report::variable("IRONSYS_SEED").unwrap_or_else(fresh) }
    }

    fn plant(self, run: u64) {
        crate::sync::chaos::seed(self.first.wrapping_add(run));
    }

    fn kind(self, outcome: &str, run: u64) -> String {
        match outcome {
            "" => "chaos".into(),
            _ => format!("chaos-{outcome} IRONSYS_SEED={}", self.first.wrapping_add(run)),
        }
    }
}

#[cfg(not(feature = "chaos"))]
impl Seeds {
    fn new() -> Self {
        Seeds {}
    }

    fn plant(self, _run: u64) {}

    fn kind(self, outcome: &str, _run: u64) -> String {
        match outcome {
            "" => "stress".into(),
            _ => format!("stress-{outcome}"),
        }
    }
}
