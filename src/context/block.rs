//! The one loop in which a call waits under a context.

use super::handle::Context;
use super::hooks::Hook;
use super::node::earliest;
use super::stop::Stop;
use crate::sync::Arc;
use crate::wait::{Site, Waiter};
use std::time::Instant;

/// A blocking operation, as the loop sees it.
pub(crate) trait Op {
    type Out;

    /// Tries, under the lock of whoever owns the condition; if it has to wait, it is registered
    /// there before that lock is released. Runs no code of the user's.
    fn poll(&mut self, waiter: &Arc<Waiter>) -> Option<Self::Out>;

    /// Leaves without waiting on, and passes a notification that it may have taken to the next.
    /// `Some` if the operation had been completed by somebody else: then it did happen.
    fn withdraw(&mut self) -> Option<Self::Out>;
}

impl Context {
    /// Waits for `op` until this context stops.
    pub(crate) fn block<O: Op>(&self, site: Site, op: &mut O) -> Result<O::Out, Stop> {
        loop {
            if let Some(out) = self.block_at(None, &site, op)? {
                return Ok(out);
            }
        }
    }

    /// Waits for `op` until this context stops or, `Ok(None)`, until `until`.
    ///
    /// What has happened wins over a stop that came at the same time.
    pub(crate) fn block_until<O: Op>(
        &self,
        until: Option<Instant>,
        site: Site,
        op: &mut O,
    ) -> Result<Option<O::Out>, Stop> {
        self.block_at(until, &site, op)
    }

    fn block_at<O: Op>(
        &self,
        until: Option<Instant>,
        site: &Site,
        op: &mut O,
    ) -> Result<Option<O::Out>, Stop> {
        let waiter = Waiter::current();
        if let Some(out) = op.poll(&waiter) {
            return Ok(Some(out));
        }
        let node = self.node();
        let slot = match node.subscribe(Hook::Wake(waiter.clone())) {
            Ok(slot) => slot,
            Err((_, stop)) => return op.withdraw().map(Some).ok_or(stop),
        };
        let clock = self.clock();
        let deadline = earliest(until, node.deadline);
        let result = loop {
            let woken = waiter.wait(clock, deadline, site);
            if let Some(out) = op.poll(&waiter) {
                break Ok(Some(out));
            }
            if let Some(stop) = node.stopped() {
                break op.withdraw().map(Some).ok_or(stop);
            }
            if !woken && until.is_some_and(|until| clock.now() >= until) {
                break Ok(op.withdraw());
            }
        };
        node.unsubscribe(slot);
        result
    }

    /// Waits for `op` whatever becomes of the context: for joins that keep borrows alive.
    pub(crate) fn block_to_the_end<O: Op>(&self, site: Site, op: &mut O) -> O::Out {
        let waiter = Waiter::current();
        loop {
            if let Some(out) = op.poll(&waiter) {
                return out;
            }
            waiter.wait(self.clock(), None, &site);
        }
    }
}
