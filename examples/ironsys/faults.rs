//! The buttons: what can be made to go wrong, to see the system bend and recover.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Switches that the parts look at. All are off at first.
#[derive(Default)]
pub(crate) struct Faults {
    /// The peer that says who is who takes a second for each answer.
    pub(crate) slow_auth: AtomicBool,
    /// Billing cannot be reached.
    pub(crate) broker_down: AtomicBool,
    /// Five times the load of the demo.
    pub(crate) load: AtomicBool,
}

impl Faults {
    pub(crate) fn by_name(&self, name: &str) -> Option<&AtomicBool> {
        match name {
            "slow-auth" => Some(&self.slow_auth),
            "broker-down" => Some(&self.broker_down),
            "load" => Some(&self.load),
            _ => None,
        }
    }

    pub(crate) fn is(switch: &AtomicBool) -> bool {
        switch.load(Relaxed)
    }
}
