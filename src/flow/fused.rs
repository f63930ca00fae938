//! Operators that run on the thread of the stage before them: the two shapes, without the wiring.
//!
//! An operator is a struct with its state and closures and one method, `step`: pull from `up` until
//! there is something to yield. User code is called through `at`, so that a panic has a name.

use super::cx::{At, Cx};
use super::error::FlowCause;
use super::fault::{Becomes, Fails};
use super::raise::Raise;
use super::stage::{ErrorOf, Halt, Head, Pull, Stage, Step};
use super::topology::Topology;
use super::wiring::Wiring;
use crate::error::BuildError;
use std::time::Instant;

/// An operator that cannot fail.
pub(crate) trait Operator<T>: Send {
    /// What it yields.
    type Out: Send;

    /// Pulls from `up` until there is an item, the end, or a wait. After an `End` of its own that did
    /// not come from `up`, it has closed `up`.
    fn step<P: Pull<Item = T>>(
        &mut self,
        up: &mut P,
        at: &mut At,
        cx: &Cx,
    ) -> Result<Step<Self::Out>, Halt>;

    /// Waits; an operator with a deadline of its own waits until that at the latest.
    fn wait<P: Pull<Item = T>>(
        &mut self,
        up: &mut P,
        cx: &Cx,
        until: Option<Instant>,
    ) -> Result<(), Halt> {
        up.wait(cx, until)
    }

    /// Looks at the numbers it was given, before anything runs.
    fn check(&self) -> Result<(), BuildError> {
        Ok(())
    }
}

/// A stage and an operator after it.
pub(crate) struct Fused<S, O> {
    pub(super) up: S,
    pub(super) op: O,
    pub(super) name: &'static str,
}

/// The same, running.
pub(crate) struct FusedRun<P, O> {
    up: P,
    op: O,
    at: At,
}

impl<S: Stage, O: Operator<S::Item>> Stage for Fused<S, O> {
    type Item = O::Out;
    type Fault = S::Fault;
    type Run = FusedRun<S::Run, O>;
    const HEAD: Head = S::HEAD.fused();

    fn start<'env>(self, wiring: &mut Wiring<'env>, raise: Raise<ErrorOf<Self>>) -> Self::Run
    where
        Self: 'env,
    {
        let at = wiring.stage(self.name);
        if let Err(error) = self.op.check() {
            let _ = raise.raise(&at, None, FlowCause::Misbuilt(error));
        }
        FusedRun { up: self.up.start(wiring, raise), op: self.op, at }
    }

    fn describe(&self, topology: &mut Topology) {
        self.up.describe(topology);
        topology.stage(self.name);
    }
}

impl<P: Pull, O: Operator<P::Item>> Pull for FusedRun<P, O> {
    type Item = O::Out;

    #[inline]
    fn step(&mut self, cx: &Cx) -> Result<Step<O::Out>, Halt> {
        self.op.step(&mut self.up, &mut self.at, cx)
    }

    #[inline]
    fn wait(&mut self, cx: &Cx, until: Option<Instant>) -> Result<(), Halt> {
        self.op.wait(&mut self.up, cx, until)
    }

    fn close(&mut self) {
        self.up.close();
    }
}

/// An operator that can fail with an `E`.
pub trait TryOperator<T, E>: Send {
    /// What it yields.
    type Out: Send;

    /// Like [`Operator::step`]; a failure is what [`Raise::error`] returns.
    fn step<P: Pull<Item = T>>(
        &mut self,
        up: &mut P,
        at: &mut At,
        cx: &Cx,
        raise: &Raise<E>,
    ) -> Result<Step<Self::Out>, Halt>;

    /// Like [`Operator::wait`].
    fn wait<P: Pull<Item = T>>(
        &mut self,
        up: &mut P,
        cx: &Cx,
        until: Option<Instant>,
    ) -> Result<(), Halt> {
        up.wait(cx, until)
    }
}

/// A stage and a fallible operator after it.
#[derive(Debug)]
pub struct TryFused<S, O, E> {
    pub(super) up: S,
    pub(super) op: O,
    pub(super) name: &'static str,
    pub(super) error: std::marker::PhantomData<fn() -> E>,
}

/// The same, running.
#[derive(Debug)]
pub struct TryFusedRun<P, O, E> {
    up: P,
    op: O,
    at: At,
    raise: Raise<E>,
}

impl<S, O, E> Stage for TryFused<S, O, E>
where
    S: Stage,
    S::Fault: Becomes<E>,
    O: TryOperator<S::Item, E>,
    E: Send + 'static,
{
    type Item = O::Out;
    type Fault = Fails<E>;
    type Run = TryFusedRun<S::Run, O, E>;
    const HEAD: Head = S::HEAD.fused();

    fn start<'env>(self, wiring: &mut Wiring<'env>, raise: Raise<E>) -> Self::Run
    where
        Self: 'env,
    {
        let at = wiring.stage(self.name);
        let up = self.up.start(wiring, raise.clone().before::<S::Fault>());
        TryFusedRun { up, op: self.op, at, raise }
    }

    fn describe(&self, topology: &mut Topology) {
        self.up.describe(topology);
        topology.stage(self.name);
    }
}

impl<P, O, E> Pull for TryFusedRun<P, O, E>
where
    P: Pull,
    O: TryOperator<P::Item, E>,
    E: Send + 'static,
{
    type Item = O::Out;

    #[inline]
    fn step(&mut self, cx: &Cx) -> Result<Step<O::Out>, Halt> {
        self.op.step(&mut self.up, &mut self.at, cx, &self.raise)
    }

    #[inline]
    fn wait(&mut self, cx: &Cx, until: Option<Instant>) -> Result<(), Halt> {
        self.op.wait(&mut self.up, cx, until)
    }

    fn close(&mut self) {
        self.up.close();
    }
}

/// Unwraps an item out of a step, and hands an end or a wait on.
macro_rules! item {
    ($step:expr) => {
        match $step? {
            $crate::flow::stage::Step::Item(item) => item,
            $crate::flow::stage::Step::End => return Ok($crate::flow::stage::Step::End),
            $crate::flow::stage::Step::Wait => return Ok($crate::flow::stage::Step::Wait),
        }
    };
}
pub(super) use item;
