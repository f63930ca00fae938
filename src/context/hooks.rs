//! What happens when a context stops.

use super::handle::Context;
use super::node::Node;
use super::stop::Stop;
use crate::panics;
use crate::sync::{Arc, catch_unwind};
use crate::time::Alarm;
use crate::wait::Waiter;
use std::fmt;

/// A closure of the user's.
pub(super) type Call = Box<dyn FnOnce(Stop) + Send>;

pub(super) enum Hook {
    Wake(Arc<Waiter>),
    Call(Call),
}

impl Hook {
    /// Runs outside of all locks. A panic in a closure must not keep the rest from being told.
    pub(super) fn fire(self, why: &Stop) {
        match self {
            Hook::Wake(waiter) => waiter.wake(),
            Hook::Call(call) => {
                if let Err(payload) = catch_unwind(|| call(why.clone())) {
                    let text = panics::message(&*payload);
                    log::error!("ironsys: an on_stop closure panicked: {text}");
                    panics::discard(payload);
                }
            }
        }
    }
}

/// A registered [`Context::on_stop`] closure. Dropping it takes the closure back, if it has not run.
#[must_use = "the closure is taken back when this is dropped"]
pub struct OnStop {
    node: Arc<Node>,
    slot: Option<usize>,
    _alarm: Option<Alarm>,
}

impl OnStop {
    pub(super) fn register(ctx: &Context, call: Call) -> OnStop {
        let node = ctx.node().clone();
        let _ = ctx.is_stopped(); // Notice a deadline that has passed.
        let slot = match node.subscribe(Hook::Call(call)) {
            Ok(slot) => Some(slot),
            Err((hook, why)) => {
                hook.fire(&why);
                None
            }
        };
        // Blocked threads notice a deadline themselves; a closure needs the clock to call.
        let alarm = match (slot, node.deadline) {
            (Some(_), Some(deadline)) => {
                let weak = Arc::downgrade(&node);
                let expire = move || {
                    if let Some(node) = weak.upgrade() {
                        node.stop(&Stop::DeadlineExceeded);
                    }
                };
                Some(node.root.clock.call_at(deadline, Box::new(expire)))
            }
            _ => None,
        };
        OnStop { node, slot, _alarm: alarm }
    }
}

impl Drop for OnStop {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            self.node.unsubscribe(slot);
        }
    }
}

impl fmt::Debug for OnStop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnStop")
    }
}
