//! Everything into a collection.

use super::super::error::FlowError;
use super::super::flow::Flow;
use super::super::stage::{ErrorOf, Stage};
use super::drive;
use crate::context::Context;
use std::ops::ControlFlow;

impl<S: Stage> Flow<S> {
    /// Runs the flow and collects its items into a `Vec`, a map, or whatever else can be extended.
    /// That is the one place where a flow holds as much as there is.
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
        C: Default + Extend<S::Item>,
    {
        self.run_plain(ctx, "collect", |pull, cx, at| {
            let mut all = C::default();
            drive(pull, at, cx, |item, _| {
                all.extend(Some(item));
                ControlFlow::<()>::Continue(())
            })?;
            Ok(all)
        })
    }
}
