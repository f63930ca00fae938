//! The smallest and the largest.

use super::super::error::FlowError;
use super::super::handle::Flow;
use super::super::stage::{ErrorOf, Stage};
use super::drive;
use crate::context::Context;
use std::cmp::Ordering;
use std::ops::ControlFlow;

impl<S: Stage> Flow<S> {
    /// Runs the flow and returns the smallest item, the first of equals; `None` if there are none.
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
    /// assert_eq!(Flow::of([3, 1, 2]).min(&ctx)?, Some(1));
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn min(self, ctx: &Context) -> Result<Option<S::Item>, FlowError<ErrorOf<S>>>
    where
        S::Item: Ord,
    {
        self.best(ctx, "min", |_| (), |new, best| new.0.cmp(&best.0) == Ordering::Less)
    }

    /// Runs the flow and returns the largest item, the last of equals; `None` if there are none.
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
    /// assert_eq!(Flow::of([3, 1, 2]).max(&ctx)?, Some(3));
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn max(self, ctx: &Context) -> Result<Option<S::Item>, FlowError<ErrorOf<S>>>
    where
        S::Item: Ord,
    {
        self.best(ctx, "max", |_| (), |new, best| new.0.cmp(&best.0) != Ordering::Less)
    }

    /// Like [`min`](Flow::min), by a key that is computed once for each item.
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
    /// assert_eq!(Flow::of(["ccc", "a", "bb"]).min_by_key(&ctx, |s| s.len())?, Some("a"));
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn min_by_key<K: Ord>(
        self,
        ctx: &Context,
        key: impl FnMut(&S::Item) -> K,
    ) -> Result<Option<S::Item>, FlowError<ErrorOf<S>>> {
        self.best(ctx, "min_by_key", key, |new, best| new.1.cmp(&best.1) == Ordering::Less)
    }

    /// Like [`max`](Flow::max), by a key that is computed once for each item.
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
    /// assert_eq!(Flow::of(["ccc", "a", "bb"]).max_by_key(&ctx, |s| s.len())?, Some("ccc"));
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn max_by_key<K: Ord>(
        self,
        ctx: &Context,
        key: impl FnMut(&S::Item) -> K,
    ) -> Result<Option<S::Item>, FlowError<ErrorOf<S>>> {
        self.best(ctx, "max_by_key", key, |new, best| new.1.cmp(&best.1) != Ordering::Less)
    }

    #[track_caller]
    fn best<K>(
        self,
        ctx: &Context,
        sink: &'static str,
        mut key: impl FnMut(&S::Item) -> K,
        mut better: impl FnMut(&(S::Item, K), &(S::Item, K)) -> bool,
    ) -> Result<Option<S::Item>, FlowError<ErrorOf<S>>> {
        self.run_plain(ctx, sink, |pull, cx, at| {
            let mut best: Option<(S::Item, K)> = None;
            drive(pull, at, cx, |item, _| {
                let key = key(&item);
                let new = (item, key);
                if best.as_ref().is_none_or(|best| better(&new, best)) {
                    best = Some(new);
                }
                ControlFlow::<()>::Continue(())
            })?;
            Ok(best.map(|(item, _)| item))
        })
    }
}
