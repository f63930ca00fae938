//! Everything into one value.

use super::super::error::FlowError;
use super::super::fault::Becomes;
use super::super::handle::Flow;
use super::super::stage::{ErrorOf, Stage};
use super::drive;
use crate::context::Context;
use std::ops::ControlFlow;

impl<S: Stage> Flow<S> {
    /// Runs the flow and folds its items into a value, on this thread.
    ///
    /// # Cancellation
    /// Stops every stage, waits for them, and returns the stop as an error.
    ///
    /// # Errors
    /// The first failure of any stage.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// assert_eq!(Flow::of(1..=4).fold(&ctx, 1, |product, n| product * n)?, 24);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn fold<A>(
        self,
        ctx: &Context,
        init: A,
        mut f: impl FnMut(A, S::Item) -> A,
    ) -> Result<A, FlowError<ErrorOf<S>>> {
        self.run_plain(ctx, "fold", |pull, cx, at| {
            let mut sum = Some(init);
            drive(pull, at, cx, |item, _| {
                sum = sum.take().map(|sum| f(sum, item));
                ControlFlow::<()>::Continue(())
            })?;
            Ok(sum)
        })
        .map(|sum| sum.expect("a fold that panicked has failed"))
    }

    /// Like [`fold`](Flow::fold) with an `f` that can fail.
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
    /// let sum = Flow::of([250u8, 3, 4]).try_fold(&ctx, 0u8, |sum, n| {
    ///     sum.checked_add(n).ok_or("too much")
    /// });
    /// assert_eq!(sum.unwrap_err().item(), Some(2));
    /// ```
    #[track_caller]
    pub fn try_fold<A, E>(
        self,
        ctx: &Context,
        init: A,
        mut f: impl FnMut(A, S::Item) -> Result<A, E>,
    ) -> Result<A, FlowError<E>>
    where
        S::Fault: Becomes<E>,
        E: Send + 'static,
    {
        self.run(ctx, "try_fold", |pull, cx, at, raise| {
            let mut sum = Some(init);
            let failed = drive(pull, at, cx, |item, _| match sum.take().map(|sum| f(sum, item)) {
                Some(Ok(next)) => {
                    sum = Some(next);
                    ControlFlow::Continue(())
                }
                Some(Err(error)) => ControlFlow::Break(error),
                None => ControlFlow::Continue(()),
            })?;
            match failed {
                Some(error) => {
                    at.item -= 1;
                    Err(raise.error(at, cx, error))
                }
                None => Ok(sum),
            }
        })
        .map(|sum| sum.expect("a fold that panicked has failed"))
    }

    /// Runs the flow and combines its items; `None` if there are none.
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
    /// assert_eq!(Flow::of(1..5).reduce(&ctx, |a, b| a + b)?, Some(10));
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn reduce(
        self,
        ctx: &Context,
        mut f: impl FnMut(S::Item, S::Item) -> S::Item,
    ) -> Result<Option<S::Item>, FlowError<ErrorOf<S>>> {
        self.run_plain(ctx, "reduce", |pull, cx, at| {
            let mut sum: Option<S::Item> = None;
            drive(pull, at, cx, |item, _| {
                sum = Some(match sum.take() {
                    None => item,
                    Some(sum) => f(sum, item),
                });
                ControlFlow::<()>::Continue(())
            })?;
            Ok(sum)
        })
    }

    /// Runs the flow and counts its items.
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
    /// assert_eq!(Flow::of(["a", "b"]).count(&ctx)?, 2);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn count(self, ctx: &Context) -> Result<u64, FlowError<ErrorOf<S>>> {
        self.run_plain(ctx, "count", |pull, cx, at| {
            drive(pull, at, cx, |_, _| ControlFlow::<()>::Continue(()))?;
            Ok(at.item)
        })
    }
}
