//! Whether a service does its work.

use super::stopper::Stopper;
use crate::sync::{Arc, Mutex};
use std::fmt;

/// Answers whether a service is ready for work, and whether it is alive. Cheap to clone: for the thread
/// that answers the probes of whoever watches the process.
#[derive(Clone)]
pub struct Health {
    inner: Arc<Inner>,
}

struct Inner {
    stopper: Stopper,
    /// Guards whether everything is started, and what to ask. The probes are asked without the lock.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    started: bool,
    probes: Vec<Probe>,
}

#[derive(Clone)]
struct Probe {
    name: Arc<str>,
    vital: bool,
    ask: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
}

/// The answer of a [`Health`]: what stands in the way. Nothing does if it [is fine](Self::is_fine).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Every probe that failed, in the order they were added.
    pub problems: Vec<Problem>,
}

/// One thing that stands in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The probe that failed; the service's own are `start` and `stop`.
    pub probe: Arc<str>,
    /// What it said.
    pub why: String,
}

impl Health {
    pub(super) fn new(stopper: Stopper) -> Health {
        Health { inner: Arc::new(Inner { stopper, state: Mutex::new(State::default()) }) }
    }

    pub(super) fn started(&self) {
        self.inner.state.lock().started = true;
    }

    pub(super) fn add(
        &self,
        name: Arc<str>,
        vital: bool,
        ask: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
    ) {
        let mut state = self.inner.state.lock();
        state.probes.push(Probe { name, vital, ask });
    }

    /// Asks whether work should be sent here: everything is started, it has not been asked to end, and
    /// every probe is content. The probes run on this thread; none may block.
    ///
    /// A probe that panics has failed.
    ///
    /// ```
    /// # use ironsys::{Context, service::*};
    /// # let (ctx, _cancel) = Context::root();
    /// # let mut service = Service::builder("shop").build()?;
    /// let health = service.health();
    /// assert_eq!(&*health.ready().problems[0].probe, "start"); // not started yet
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn ready(&self) -> Status {
        let (started, probes) = self.state(false);
        let mut problems = Vec::new();
        let problem = |probe: &str, why: String| Problem { probe: probe.into(), why };
        if !started {
            problems.push(problem("start", "not everything is started".into()));
        }
        if let Err(stop) = self.inner.stopper.asked().check() {
            problems.push(problem("stop", stop.to_string()));
        }
        ask(&probes, problems)
    }

    /// Asks whether the process is worth keeping: every vital probe is content. It stays so while the
    /// service starts and drains.
    ///
    /// ```
    /// # use ironsys::{Context, service::*};
    /// # let (ctx, _cancel) = Context::root();
    /// # let mut service = Service::builder("shop").build()?;
    /// let health = service.health();
    /// assert!(health.live().is_fine());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn live(&self) -> Status {
        ask(&self.state(true).1, Vec::new())
    }

    fn state(&self, vital: bool) -> (bool, Vec<Probe>) {
        let state = self.inner.state.lock();
        let probes = state.probes.iter().filter(|probe| probe.vital || !vital);
        (state.started, probes.cloned().collect())
    }
}

fn ask(probes: &[Probe], mut problems: Vec<Problem>) -> Status {
    for probe in probes {
        let answer = crate::sync::catch_unwind(|| (probe.ask)());
        let why = match answer {
            Ok(Ok(())) => continue,
            Ok(Err(why)) => why,
            Err(payload) => {
                let why = format!("panicked: {}", crate::panics::message(&*payload));
                crate::panics::discard(payload);
                why
            }
        };
        problems.push(Problem { probe: probe.name.clone(), why });
    }
    Status { problems }
}

impl Status {
    /// Returns whether nothing stands in the way.
    ///
    /// ```
    /// # use ironsys::{Context, service::*};
    /// # let (ctx, _cancel) = Context::root();
    /// # let mut service = Service::builder("shop").build()?;
    /// service.live_if("memory", || Err("corrupt".to_string()));
    /// assert!(!service.health().live().is_fine());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_fine(&self) -> bool {
        self.problems.is_empty()
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_fine() {
            return f.write_str("ok");
        }
        for (i, problem) in self.problems.iter().enumerate() {
            let comma = if i == 0 { "" } else { "; " };
            write!(f, "{comma}{}: {}", problem.probe, problem.why)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("stopper", &self.inner.stopper).finish_non_exhaustive()
    }
}
