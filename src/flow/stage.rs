//! What a flow is made of: stages before the run, pulls while it runs.

use super::cx::Cx;
use super::fault::Fault;
use super::raise::Raise;
use super::topology::Topology;
use super::wiring::Wiring;
use std::time::Instant;

/// A source with the operators after it: what a [`Flow`](super::Flow) is made of.
///
/// You name it in signatures, `fn evens() -> Flow<impl Stage<Item = u64, Fault = Never>>`; flows are
/// built with the methods of [`Flow`](super::Flow).
pub trait Stage: Sized + Send {
    /// What it yields.
    type Item: Send;
    /// How it can fail: [`Never`](super::Never) or [`Fails<E>`](super::Fails).
    type Fault: Fault;
    #[doc(hidden)]
    type Run: Pull<Item = Self::Item>;
    /// Where the items of this stage's segment come from.
    #[doc(hidden)]
    const HEAD: Head;

    /// Builds what runs. Called by a sink only, from the sink towards the sources. First registers
    /// the stage with [`Wiring::stage`], then starts what stands before it.
    #[doc(hidden)]
    fn start<'env>(self, wiring: &mut Wiring<'env>, raise: Raise<ErrorOf<Self>>) -> Self::Run
    where
        Self: 'env,
        Self::Item: 'env;

    /// Adds itself to the plan of the flow, from the source towards the sink.
    #[doc(hidden)]
    fn describe(&self, topology: &mut Topology);
}

/// The error that a run of `S` fails with.
pub type ErrorOf<S> = <<S as Stage>::Fault as Fault>::Error;

/// What stands at the head of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// User code that may block inside [`Pull::step`]: nothing may be kept back while it does.
    Opaque,
    /// A source that answers at once, or says [`Step::Wait`] and waits in [`Pull::wait`].
    Prompt,
    /// The stage itself is a link or a channel, with nothing fused onto it: its `wait` ends in time.
    Link,
}

impl Head {
    /// The head of a stage fused onto this one.
    pub const fn fused(self) -> Head {
        match self {
            Head::Opaque => Head::Opaque,
            Head::Prompt | Head::Link => Head::Prompt,
        }
    }
}

/// One step of a running stage.
#[derive(Debug)]
pub enum Step<T> {
    /// The next item.
    Item(T),
    /// There will be no more.
    End,
    /// Nothing is there now. Whoever drives flushes what it holds back, then calls [`Pull::wait`].
    Wait,
}

/// The run is over for this segment; the reason has been recorded elsewhere, or lies in the context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Halt;

/// A running stage, pulled by what stands after it on the same thread.
pub trait Pull: Send {
    /// What it yields.
    type Item: Send;

    /// Makes the next step. After [`Step::End`] it is not called again.
    fn step(&mut self, cx: &Cx) -> Result<Step<Self::Item>, Halt>;

    /// Waits, after [`Step::Wait`], until a step may do better, or until `until`. May return early.
    fn wait(&mut self, cx: &Cx, until: Option<Instant>) -> Result<(), Halt>;

    /// Takes nothing more: lets go of what stands before it, so that it stops. `step` and `wait` are
    /// not called afterwards.
    fn close(&mut self);
}
