//! One function that can fail, on several threads.

use super::super::fallible::Fallible;
use super::super::fault::{Becomes, Fails};
use super::super::handle::Flow;
use super::super::link::Reader;
use super::super::on_error::{Fail, OnError};
use super::super::raise::Raise;
use super::super::stage::{Head, Stage};
use super::super::topology::Topology;
use super::super::wiring::Wiring;
use super::board::BoardReader;
use super::ordered::ordered;
use super::par::Par;
use super::unordered::unordered;

/// The stage of [`Flow::par_try_map`].
#[derive(Debug)]
pub struct ParTryMap<S, F, P> {
    up: S,
    par: Par,
    f: F,
    policy: P,
}

impl<S, F, P, Q> Fallible<Q> for ParTryMap<S, F, P>
where
    Self: Stage,
    ParTryMap<S, F, Q>: Stage,
{
    type With = ParTryMap<S, F, Q>;

    fn with(self, policy: Q) -> Self::With {
        ParTryMap { up: self.up, par: self.par, f: self.f, policy }
    }
}

impl<S, U, E, F, P> Stage for ParTryMap<S, F, P>
where
    S: Stage,
    S::Fault: Becomes<E>,
    U: Send,
    E: Send + 'static,
    F: Fn(S::Item) -> Result<U, E> + Send + Sync,
    P: OnError<S::Item, E>,
{
    type Item = U;
    type Fault = Fails<E>;
    type Run = BoardReader<S::Item, U>;
    const HEAD: Head = Head::Link;

    fn start<'env>(self, wiring: &mut Wiring<'env>, raise: Raise<E>) -> Self::Run
    where
        Self: 'env,
        Self::Item: 'env,
    {
        let ParTryMap { up, par, f, policy } = self;
        let before = raise.clone().before::<S::Fault>();
        let own = raise.clone();
        ordered(wiring, up, before, &raise, "par_try_map", par, move |item, at, cx| {
            policy.attempt(item, at, cx, &f).map_err(|failed| failed.raise(at, cx, &own))
        })
    }

    fn describe(&self, topology: &mut Topology) {
        self.up.describe(topology);
        topology.workers("par_try_map", self.par);
    }
}

/// The stage of [`Flow::par_try_map_unordered`].
#[derive(Debug)]
pub struct Unordered<S, F, P>(ParTryMap<S, F, P>);

impl<S, F, P, Q> Fallible<Q> for Unordered<S, F, P>
where
    Self: Stage,
    Unordered<S, F, Q>: Stage,
{
    type With = Unordered<S, F, Q>;

    fn with(self, policy: Q) -> Self::With {
        let ParTryMap { up, par, f, .. } = self.0;
        Unordered(ParTryMap { up, par, f, policy })
    }
}

impl<S, U, E, F, P> Stage for Unordered<S, F, P>
where
    S: Stage,
    S::Fault: Becomes<E>,
    U: Send,
    E: Send + 'static,
    F: Fn(S::Item) -> Result<U, E> + Send + Sync,
    P: OnError<S::Item, E>,
{
    type Item = U;
    type Fault = Fails<E>;
    type Run = Reader<U>;
    const HEAD: Head = Head::Link;

    fn start<'env>(self, wiring: &mut Wiring<'env>, raise: Raise<E>) -> Self::Run
    where
        Self: 'env,
        Self::Item: 'env,
    {
        let ParTryMap { up, par, f, policy } = self.0;
        let before = raise.clone().before::<S::Fault>();
        let own = raise.clone();
        let name = "par_try_map_unordered";
        unordered(wiring, up, before, &raise, name, par, false, move |item, at, cx, out| {
            match policy.attempt(item, at, cx, &f) {
                Ok(Some(made)) => out(made),
                Ok(None) => Ok(()),
                Err(failed) => Err(failed.raise(at, cx, &own)),
            }
        })
    }

    fn describe(&self, topology: &mut Topology) {
        self.0.up.describe(topology);
        topology.workers("par_try_map_unordered", self.0.par);
    }
}

impl<S: Stage> Flow<S> {
    /// Like [`par_map`](Flow::par_map) with an `f` that can fail. The first error, as it happens and
    /// not as the items are ordered, fails the run, unless [`on_error`](Flow::on_error) says
    /// otherwise.
    ///
    /// # Cancellation
    /// As for [`par_map`](Flow::par_map).
    ///
    /// # Errors
    /// As for [`try_map`](Flow::try_map).
    ///
    /// ```
    /// use ironsys::{Context, flow::Flow};
    /// let (ctx, _cancel) = Context::root();
    /// let numbers = Flow::of(["1", "2", "x"]).par_try_map(2, |s| s.parse::<u32>());
    /// assert_eq!(numbers.count(&ctx).unwrap_err().item(), Some(2));
    /// ```
    pub fn par_try_map<U, E, F>(self, par: impl Into<Par>, f: F) -> Flow<ParTryMap<S, F, Fail>>
    where
        F: Fn(S::Item) -> Result<U, E> + Send + Sync,
        U: Send,
        E: Send + 'static,
        S::Fault: Becomes<E>,
    {
        Flow(ParTryMap { up: self.0, par: par.into(), f, policy: Fail })
    }

    /// Like [`par_try_map`](Flow::par_try_map), with the results as they are made.
    ///
    /// # Cancellation
    /// As for [`par_map`](Flow::par_map).
    ///
    /// # Errors
    /// As for [`try_map`](Flow::try_map).
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, on_error}};
    /// # fn main() -> Result<(), FlowError<std::num::ParseIntError>> {
    /// let (ctx, _cancel) = Context::root();
    /// let numbers = Flow::of(["1", "2", "x"]).par_try_map_unordered(2, |s| s.parse::<u32>());
    /// assert_eq!(numbers.on_error(on_error::skip()).count(&ctx)?, 2);
    /// # Ok(()) }
    /// ```
    pub fn par_try_map_unordered<U, E, F>(
        self,
        par: impl Into<Par>,
        f: F,
    ) -> Flow<Unordered<S, F, Fail>>
    where
        F: Fn(S::Item) -> Result<U, E> + Send + Sync,
        U: Send,
        E: Send + 'static,
        S::Fault: Becomes<E>,
    {
        Flow(Unordered(ParTryMap { up: self.0, par: par.into(), f, policy: Fail }))
    }
}
