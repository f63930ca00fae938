//! The items of a running flow as an iterator.

use super::super::cx::{At, Cx};
use super::super::error::FlowError;
use super::super::handle::Flow;
use super::super::stage::{ErrorOf, Halt, Pull, Stage, Step};
use crate::context::Context;
use std::fmt;

impl<S: Stage> Flow<S> {
    /// Runs the flow for as long as `body` runs, which gets an iterator over its items. When it
    /// returns, the flow ends.
    ///
    /// # Cancellation
    /// The iterator ends, and the result is the stop as an error, unless `body` had returned before.
    ///
    /// # Errors
    /// The first failure of any stage: the iterator ends there. What `body` returns is lost then.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let (first, sum) = Flow::of(1..100).buffer(4).with_iter(&ctx, |mut items| {
    ///     (items.next(), items.take(3).sum::<i32>())
    /// })?;
    /// assert_eq!((first, sum), (Some(1), 9));
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn with_iter<R>(
        self,
        ctx: &Context,
        body: impl FnOnce(Items<'_, S>) -> R,
    ) -> Result<R, FlowError<ErrorOf<S>>> {
        self.iterate(ctx, "with_iter", body)
    }

    /// Runs the flow and collects its items into a `Vec`, a map, a string, or whatever else is made
    /// of an iterator. That is the one place where a flow holds as much as there is.
    ///
    /// # Cancellation
    /// As for [`fold`](Flow::fold).
    ///
    /// # Errors
    /// The first failure of any stage.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// use std::collections::HashMap;
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let lengths: HashMap<_, _> = Flow::of(["a", "bb"]).map(|s| (s, s.len())).collect(&ctx)?;
    /// assert_eq!(lengths["bb"], 2);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn collect<C>(self, ctx: &Context) -> Result<C, FlowError<ErrorOf<S>>>
    where
        C: FromIterator<S::Item>,
    {
        self.iterate(ctx, "collect", |items| items.collect())
    }

    #[track_caller]
    fn iterate<R>(
        self,
        ctx: &Context,
        sink: &'static str,
        body: impl FnOnce(Items<'_, S>) -> R,
    ) -> Result<R, FlowError<ErrorOf<S>>> {
        self.run_plain(ctx, sink, |pull, cx, at| {
            let mut state = State::Flowing;
            let call = at.clone();
            let out = call.call_whole(cx, || body(Items { pull, cx, at, state: &mut state }));
            match state {
                State::Halted => Err(Halt),
                State::Flowing | State::Ended => Ok(out),
            }
        })
    }
}

/// The items of a running flow. Made by [`Flow::with_iter`].
pub struct Items<'a, S: Stage> {
    pull: &'a mut S::Run,
    cx: &'a Cx,
    at: &'a mut At,
    state: &'a mut State,
}

#[derive(Debug)]
enum State {
    Flowing,
    Ended,
    Halted,
}

impl<S: Stage> Iterator for Items<'_, S> {
    type Item = S::Item;

    fn next(&mut self) -> Option<S::Item> {
        while let State::Flowing = self.state {
            let step = match self.pull.step(self.cx) {
                Ok(Step::Wait) => self.pull.wait(self.cx, None).map(|()| Step::Wait),
                step => step,
            };
            match step {
                Ok(Step::Item(item)) => {
                    self.at.item += 1;
                    self.cx.delivered(self.at.item);
                    return Some(item);
                }
                Ok(Step::Wait) => {}
                Ok(Step::End) => *self.state = State::Ended,
                Err(Halt) => *self.state = State::Halted,
            }
        }
        None
    }
}

impl<S: Stage> fmt::Debug for Items<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items").field("state", &self.state).finish_non_exhaustive()
    }
}
