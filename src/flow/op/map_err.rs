//! Another error for everything before.

use super::super::fault::Fails;
use super::super::handle::Flow;
use super::super::raise::Raise;
use super::super::stage::{Head, Stage};
use super::super::topology::Topology;
use super::super::wiring::Wiring;

struct MapErr<S, F> {
    up: S,
    f: F,
}

impl<S, E, E2, F> Stage for MapErr<S, F>
where
    S: Stage<Fault = Fails<E>>,
    E: Send + 'static,
    E2: Send + 'static,
    F: Fn(E) -> E2 + Send + Sync + 'static,
{
    type Item = S::Item;
    type Fault = Fails<E2>;
    type Run = S::Run;
    const HEAD: Head = S::HEAD;

    fn start<'env>(self, wiring: &mut Wiring<'env>, raise: Raise<E2>) -> Self::Run
    where
        Self: 'env,
    {
        self.up.start(wiring, raise.convert(self.f))
    }

    fn describe(&self, topology: &mut Topology) {
        self.up.describe(topology);
    }
}

impl<S: Stage> Flow<S> {
    /// Converts the error of everything before it. `f` is called once, by the stage that fails.
    ///
    /// ```
    /// use ironsys::{Context, flow::Flow};
    /// let (ctx, _cancel) = Context::root();
    /// let numbers = Flow::of(["1", "x"]).try_map(|s| s.parse::<u32>()).map_err(|e| e.to_string());
    /// let error = numbers.count(&ctx).unwrap_err();
    /// assert_eq!(error.error().unwrap(), "invalid digit found in string");
    /// ```
    pub fn map_err<E, E2, F>(self, f: F) -> Flow<impl Stage<Item = S::Item, Fault = Fails<E2>>>
    where
        S: Stage<Fault = Fails<E>>,
        E: Send + 'static,
        E2: Send + 'static,
        F: Fn(E) -> E2 + Send + Sync + 'static,
    {
        Flow(MapErr { up: self.0, f })
    }
}
