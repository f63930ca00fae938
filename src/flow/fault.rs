//! How a flow can fail, as types: not at all, or with the user's error.
//!
//! `?` converts errors with `From`; so do the fallible operators. A flow that cannot fail yet takes on
//! the error of its first fallible operator, whatever that is; one that fails with `E0` takes an
//! operator that fails with `E` if `E: From<E0>`. Two marker types keep these apart, so that the two
//! rules do not overlap for the compiler.

use std::fmt;
use std::marker::PhantomData;

/// How a flow can fail: [`Never`] or [`Fails<E>`](Fails).
pub trait Fault: Send + 'static {
    /// The error of a run.
    type Error: Send + 'static;
}

/// The flow has no fallible part. Also the error of such a flow, of which there is no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Never {}

impl fmt::Display for Never {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl std::error::Error for Never {}

impl Fault for Never {
    type Error = Never;
}

/// The flow can fail with an `E`.
#[derive(Debug)]
pub struct Fails<E>(PhantomData<fn() -> E>);

impl<E: Send + 'static> Fault for Fails<E> {
    type Error = E;
}

/// What a fallible operator asks of the flow before it: its errors become the operator's, as with `?`.
pub trait Becomes<E>: Fault {
    /// Converts the error.
    fn convert(error: Self::Error) -> E;
}

impl<E> Becomes<E> for Never {
    fn convert(error: Never) -> E {
        match error {}
    }
}

impl<E0: Send + 'static, E: From<E0>> Becomes<E> for Fails<E0> {
    fn convert(error: E0) -> E {
        E::from(error)
    }
}

/// Either side may fail: the fault of a flow made of two, such as a merge.
pub trait Joins<B: Fault>: Fault {
    /// What the whole fails with.
    type Both: Fault;
    /// Converts an error of the left side.
    fn left(error: Self::Error) -> <Self::Both as Fault>::Error;
    /// Converts an error of the right side.
    fn right(error: B::Error) -> <Self::Both as Fault>::Error;
}

impl<B: Fault> Joins<B> for Never {
    type Both = B;
    fn left(error: Never) -> B::Error {
        match error {}
    }
    fn right(error: B::Error) -> B::Error {
        error
    }
}

impl<E: Send + 'static> Joins<Never> for Fails<E> {
    type Both = Fails<E>;
    fn left(error: E) -> E {
        error
    }
    fn right(error: Never) -> E {
        match error {}
    }
}

impl<E: From<E2> + Send + 'static, E2: Send + 'static> Joins<Fails<E2>> for Fails<E> {
    type Both = Fails<E>;
    fn left(error: E) -> E {
        error
    }
    fn right(error: E2) -> E {
        E::from(error)
    }
}
