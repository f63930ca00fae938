//! Stages whose `on_error` policy can be set.

use super::fused::TryFused;
use super::handle::Flow;
use super::stage::Stage;

/// A stage whose `on_error` policy can be set: one that ends in a fallible operator.
pub trait Fallible<P>: Stage {
    /// The same stage with the policy.
    type With: Stage;

    /// Sets the policy.
    #[doc(hidden)]
    fn with(self, policy: P) -> Self::With;
}

/// An operator that has a policy.
pub trait Lenient<P> {
    /// The same with another policy.
    type With;

    /// Sets the policy.
    fn with(self, policy: P) -> Self::With;
}

impl<S, O, E, P> Fallible<P> for TryFused<S, O, E>
where
    Self: Stage,
    O: Lenient<P>,
    TryFused<S, O::With, E>: Stage,
{
    type With = TryFused<S, O::With, E>;

    fn with(self, policy: P) -> Self::With {
        TryFused { up: self.up, op: self.op.with(policy), name: self.name, error: self.error }
    }
}

impl<S: Stage> Flow<S> {
    /// Sets what the fallible stage before it does with errors; without it the first error fails the
    /// run. The policies are in [`on_error`](super::on_error).
    ///
    /// ```
    /// use ironsys::{Context, flow::{Flow, FlowError, Monitor, on_error}};
    /// # fn main() -> Result<(), FlowError<std::num::ParseIntError>> {
    /// let (ctx, _cancel) = Context::root();
    /// let monitor = Monitor::new();
    /// let sum = Flow::of(["1", "x", "3"])
    ///     .par_try_map(2, |s| s.parse::<u32>())
    ///     .on_error(on_error::skip())
    ///     .monitor(&monitor)
    ///     .fold(&ctx, 0, |a, b| a + b)?;
    /// assert_eq!(sum, 4);
    /// assert_eq!(monitor.report().segments.iter().map(|s| s.skipped).sum::<u64>(), 1);
    /// # Ok(()) }
    /// ```
    pub fn on_error<P>(self, policy: P) -> Flow<S::With>
    where
        S: Fallible<P>,
    {
        Flow(self.0.with(policy))
    }
}
