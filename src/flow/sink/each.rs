//! A call for every item.

use super::super::error::FlowError;
use super::super::fault::Becomes;
use super::super::handle::Flow;
use super::super::stage::{ErrorOf, Stage};
use super::drive;
use crate::context::Context;
use std::ops::ControlFlow;

impl<S: Stage> Flow<S> {
    /// Runs the flow and calls `f` with every item, on this thread.
    ///
    /// # Cancellation
    /// As for [`fold`](Flow::fold).
    ///
    /// # Errors
    /// The first failure of any stage.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// let mut sum = 0;
    /// Flow::of(0..5).buffer(2).for_each(&ctx, |n| sum += n)?;
    /// assert_eq!(sum, 10);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn for_each(
        self,
        ctx: &Context,
        mut f: impl FnMut(S::Item),
    ) -> Result<(), FlowError<ErrorOf<S>>> {
        self.run_plain(ctx, "for_each", |pull, cx, at| {
            drive(pull, at, cx, |item, _| {
                f(item);
                ControlFlow::<()>::Continue(())
            })
            .map(drop)
        })
    }

    /// Like [`for_each`](Flow::for_each) with an `f` that can fail.
    ///
    /// # Cancellation
    /// As for [`fold`](Flow::fold).
    ///
    /// # Errors
    /// The first failure of any stage, or of `f`.
    ///
    /// ```
    /// use ironsys::{Context, flow::Flow};
    /// let (ctx, _cancel) = Context::root();
    /// let odd = |n: u32| if n % 2 == 0 { Ok(()) } else { Err(format!("{n} is odd")) };
    /// let error = Flow::of([2, 4, 5]).try_for_each(&ctx, odd).unwrap_err();
    /// assert_eq!(error.error().unwrap(), "5 is odd");
    /// ```
    #[track_caller]
    pub fn try_for_each<E>(
        self,
        ctx: &Context,
        mut f: impl FnMut(S::Item) -> Result<(), E>,
    ) -> Result<(), FlowError<E>>
    where
        S::Fault: Becomes<E>,
        E: Send + 'static,
    {
        self.run(ctx, "try_for_each", |pull, cx, at, raise| {
            let failed = drive(pull, at, cx, |item, _| match f(item) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => ControlFlow::Break(error),
            })?;
            match failed {
                Some(error) => {
                    at.item -= 1;
                    Err(raise.error(at, cx, error))
                }
                None => Ok(()),
            }
        })
    }
}
