//! Sinks that may end before the flow does.

use super::super::error::FlowError;
use super::super::handle::Flow;
use super::super::stage::{ErrorOf, Stage};
use super::drive;
use crate::context::Context;
use std::ops::ControlFlow;

impl<S: Stage> Flow<S> {
    /// Runs the flow until an item passes `f`, and returns that item. The stages before it are
    /// stopped then; items that they had taken from a source and not delivered are dropped, and
    /// counted so in the report.
    ///
    /// # Cancellation
    /// As for [`fold`](Flow::fold).
    ///
    /// # Errors
    /// The first failure of any stage, unless the item was found before.
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// assert_eq!(Flow::of(1..).buffer(8).find_first(&ctx, |n| n * n > 50)?, Some(8));
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn find_first(
        self,
        ctx: &Context,
        f: impl FnMut(&S::Item) -> bool,
    ) -> Result<Option<S::Item>, FlowError<ErrorOf<S>>> {
        self.first(ctx, "find_first", f)
    }

    /// Returns whether some item passes `f`, as soon as one does.
    ///
    /// # Cancellation
    /// As for [`find_first`](Flow::find_first).
    ///
    /// # Errors
    /// As for [`find_first`](Flow::find_first).
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// assert!(Flow::of(1..).any(&ctx, |n| *n == 7)?);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn any(
        self,
        ctx: &Context,
        f: impl FnMut(&S::Item) -> bool,
    ) -> Result<bool, FlowError<ErrorOf<S>>> {
        self.first(ctx, "any", f).map(|found| found.is_some())
    }

    /// Returns whether all items pass `f`; `false` as soon as one does not.
    ///
    /// # Cancellation
    /// As for [`find_first`](Flow::find_first).
    ///
    /// # Errors
    /// As for [`find_first`](Flow::find_first).
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// assert!(Flow::of([2, 4]).all(&ctx, |n| n % 2 == 0)?);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn all(
        self,
        ctx: &Context,
        mut f: impl FnMut(&S::Item) -> bool,
    ) -> Result<bool, FlowError<ErrorOf<S>>> {
        self.first(ctx, "all", |item| !f(item)).map(|found| found.is_none())
    }

    /// Returns whether no item passes `f`; `false` as soon as one does.
    ///
    /// # Cancellation
    /// As for [`find_first`](Flow::find_first).
    ///
    /// # Errors
    /// As for [`find_first`](Flow::find_first).
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Never}};
    /// # fn main() -> Result<(), FlowError<Never>> {
    /// let (ctx, _cancel) = Context::root();
    /// assert!(Flow::of([1, 3]).none(&ctx, |n| n % 2 == 0)?);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn none(
        self,
        ctx: &Context,
        f: impl FnMut(&S::Item) -> bool,
    ) -> Result<bool, FlowError<ErrorOf<S>>> {
        self.first(ctx, "none", f).map(|found| found.is_none())
    }

    #[track_caller]
    fn first(
        self,
        ctx: &Context,
        sink: &'static str,
        mut f: impl FnMut(&S::Item) -> bool,
    ) -> Result<Option<S::Item>, FlowError<ErrorOf<S>>> {
        self.run_plain(ctx, sink, |pull, cx, at| {
            drive(pull, at, cx, |item, _| {
                if f(&item) { ControlFlow::Break(item) } else { ControlFlow::Continue(()) }
            })
        })
    }
}
