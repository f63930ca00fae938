//! Stages that only tell the wiring something.

use super::super::fallible::Fallible;
use super::super::handle::Flow;
use super::super::monitor::Monitor;
use super::super::raise::Raise;
use super::super::stage::{ErrorOf, Head, Stage};
use super::super::topology::Topology;
use super::super::wiring::Wiring;
use std::borrow::Cow;

/// The stage of [`Flow::named`].
#[derive(Debug)]
pub struct Named<S> {
    up: S,
    name: Cow<'static, str>,
}

impl<S: Stage> Stage for Named<S> {
    type Item = S::Item;
    type Fault = S::Fault;
    type Run = S::Run;
    const HEAD: Head = S::HEAD;

    fn start<'env>(self, wiring: &mut Wiring<'env>, raise: Raise<ErrorOf<Self>>) -> Self::Run
    where
        Self: 'env,
    {
        wiring.name_next(self.name);
        self.up.start(wiring, raise)
    }

    fn describe(&self, topology: &mut Topology) {
        self.up.describe(topology);
        topology.rename(&self.name);
    }
}

impl<P, S: Fallible<P>> Fallible<P> for Named<S> {
    type With = Named<S::With>;

    fn with(self, policy: P) -> Self::With {
        Named { up: self.up.with(policy), name: self.name }
    }
}

struct Monitored<S> {
    up: S,
    monitor: Monitor,
}

impl<S: Stage> Stage for Monitored<S> {
    type Item = S::Item;
    type Fault = S::Fault;
    type Run = S::Run;
    const HEAD: Head = S::HEAD;

    fn start<'env>(self, wiring: &mut Wiring<'env>, raise: Raise<ErrorOf<Self>>) -> Self::Run
    where
        Self: 'env,
    {
        wiring.monitors.push(self.monitor);
        self.up.start(wiring, raise)
    }

    fn describe(&self, topology: &mut Topology) {
        self.up.describe(topology);
    }
}

impl<S: Stage> Flow<S> {
    /// Names the stage before it, for errors, reports and the plan.
    ///
    /// ```
    /// use ironsys::{Context, flow::Flow};
    /// let (ctx, _cancel) = Context::root();
    /// let flow = Flow::of(["1", "x"]).try_map(|s| s.parse::<u32>()).named("parse");
    /// let error = flow.count(&ctx).unwrap_err();
    /// assert_eq!((error.stage(), error.item()), ("parse", Some(1)));
    /// ```
    pub fn named(self, name: impl Into<Cow<'static, str>>) -> Flow<Named<S>> {
        Flow(Named { up: self.0, name: name.into() })
    }

    /// Lets `monitor` watch the runs of this flow, the whole of it.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Monitor, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let monitor = Monitor::new();
    /// Flow::of(0..5).buffer(2).monitor(&monitor).count(&ctx)?;
    /// assert_eq!(monitor.report().links[0].ledger.accepted, 5);
    /// # Ok(()) }
    /// ```
    pub fn monitor(self, monitor: &Monitor) -> Flow<impl Stage<Item = S::Item, Fault = S::Fault>> {
        Flow(Monitored { up: self.0, monitor: monitor.clone() })
    }
}
