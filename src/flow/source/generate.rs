//! A closure as a source.

use super::super::cx::{At, Cx};
use super::super::fault::Fails;
use super::super::handle::Flow;
use super::super::raise::Raise;
use super::super::stage::{Halt, Head, Stage, Step};
use super::{Origin, Source};
use crate::context::Context;
use std::marker::PhantomData;

struct Generate<F, E>(Option<F>, PhantomData<fn() -> E>);

impl<T, E, F> Origin for Generate<F, E>
where
    T: Send,
    E: Send + 'static,
    F: FnMut(&Context) -> Result<Option<T>, E> + Send,
{
    type Item = T;
    type Fault = Fails<E>;
    const HEAD: Head = Head::Opaque;

    fn step(&mut self, at: &At, cx: &Cx, raise: &Raise<E>) -> Result<Step<T>, Halt> {
        let Some(f) = &mut self.0 else { return Ok(Step::End) };
        match at.call(cx, || f(&cx.ctx)) {
            Ok(item) => Ok(item.map_or(Step::End, Step::Item)),
            Err(error) => Err(raise.error(at, cx, error)),
        }
    }

    fn close(&mut self) {
        self.0 = None;
    }
}

impl Flow<()> {
    /// Makes a flow of what `f` returns, until that is `None`. `f` may block under the context that
    /// it is given: it stops with the run.
    ///
    /// # Cancellation
    /// Looked at before each call, and up to `f` within.
    ///
    /// # Errors
    /// The first of `f` fails the run. An error that `f` returns because the run has stopped comes
    /// too late to hide why.
    ///
    /// ```
    /// use ironsys::{Context, Stop, flow::{Flow, FlowError}, time::VirtualClock};
    /// use std::time::Duration;
    /// # fn main() -> Result<(), FlowError<Stop>> {
    /// let (ctx, _cancel) = Context::builder().clock(VirtualClock::auto().clock()).build();
    /// let mut n = 0;
    /// let ticks = Flow::generate(|ctx| {
    ///     ctx.sleep(Duration::from_secs(1))?;
    ///     n += 1;
    ///     Ok::<_, Stop>(Some(n))
    /// });
    /// assert_eq!(ticks.take(3).collect::<Vec<_>>(&ctx)?, [1, 2, 3]);
    /// # Ok(()) }
    /// ```
    pub fn generate<T, E, F>(f: F) -> Flow<impl Stage<Item = T, Fault = Fails<E>>>
    where
        T: Send,
        E: Send + 'static,
        F: FnMut(&Context) -> Result<Option<T>, E> + Send,
    {
        Flow(Source { origin: Generate(Some(f), PhantomData), name: "generate" })
    }
}
