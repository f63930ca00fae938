//! Bars of your own.

use super::tracer::{Bar, Tracer, What};
use crate::context::Context;
use crate::observe;
use crate::sync;
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::time::Instant;

/// Marks stretches of work, for a context that carries a [`Tracer`]: put it there with
/// [`with_value`](Context::with_value).
pub trait Spans {
    /// Marks what happens until the guard is dropped, on this thread.
    ///
    /// # Cost
    /// Without a tracer, one look-up among the values of the context. With one, two looks at the clock and
    /// a lock.
    #[track_caller]
    fn span(&self, name: impl Into<Cow<'static, str>>) -> Span;
}

impl Spans for Context {
    #[track_caller]
    fn span(&self, name: impl Into<Cow<'static, str>>) -> Span {
        let at = Location::caller();
        let open = self.value::<Tracer>().map(|tracer| Open {
            tracer: tracer.clone(),
            name: name.into(),
            from: sync::time::now(),
            at,
        });
        Span { open, here: PhantomData }
    }
}

/// A stretch of work that goes on until this is dropped. Made by [`Spans::span`]. It stays on its thread.
#[must_use = "the span ends when this is dropped"]
pub struct Span {
    open: Option<Open>,
    here: PhantomData<*const ()>,
}

struct Open {
    tracer: Tracer,
    name: Cow<'static, str>,
    from: Instant,
    at: &'static Location<'static>,
}

impl Drop for Span {
    fn drop(&mut self) {
        let Some(Open { tracer, name, from, at }) = self.open.take() else { return };
        let (thread, to) = (observe::thread_number(), sync::time::now());
        tracer
            .add(Bar { thread, name, what: What::Span, from, sure: to, to, at }, sync::thread_name);
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.open.as_ref().map(|open| &*open.name);
        f.debug_struct("Span").field("name", &name).finish_non_exhaustive()
    }
}
