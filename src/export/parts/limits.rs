//! What limits: semaphores, rates, adaptive limits, admission.

use super::Section;
use crate::export::prometheus::{Labels, Measured, Scrape};
use crate::limit;

/// Under `ironsys_semaphore_`.
impl Measured for limit::SemaphoreStats {
    fn measure(&self, labels: Labels<'_>, into: &mut Scrape) {
        Section::new(into, "semaphore", labels)
            .ledger(&self.ledger)
            .gauge("capacity", "Permits.", self.capacity)
            .gauge("in_use", "Permits that are out.", self.in_use)
            .gauge("waiting", "Calls that wait.", self.waiting)
            .gauge("peak_waiting", "The most calls that waited.", self.peak_waiting)
            .counter("rejected", "Calls turned away at the door.", self.rejected);
    }
}

/// Under `ironsys_rate_`.
impl Measured for limit::RateStats {
    fn measure(&self, labels: Labels<'_>, into: &mut Scrape) {
        Section::new(into, "rate", labels)
            .ledger(&self.ledger)
            .gauge("balance", "How many could pass now; negative: owed.", self.balance)
            .gauge("used", "How many have passed and still count.", self.used)
            .gauge("waiting", "Calls that wait.", self.waiting)
            .gauge("peak_waiting", "The most calls that waited.", self.peak_waiting)
            .counter("refused", "Calls refused without a wait.", self.refused);
    }
}

/// Under `ironsys_keyed_limit_`.
impl Measured for limit::KeyedStats {
    fn measure(&self, labels: Labels<'_>, into: &mut Scrape) {
        Section::new(into, "keyed_limit", labels)
            .gauge("keys", "Keys.", self.keys)
            .gauge("max_keys", "The most keys there may be.", self.max_keys)
            .counter("evicted", "Keys evicted.", self.evicted)
            .counter("refused_keys", "Calls of new keys without room.", self.refused_keys);
    }
}

/// Under `ironsys_adaptive_limit_`.
impl Measured for limit::AdaptiveStats {
    fn measure(&self, labels: Labels<'_>, into: &mut Scrape) {
        Section::new(into, "adaptive_limit", labels)
            .gauge("limit", "The limit.", self.limit)
            .gauge("in_flight", "Calls at work.", self.in_flight)
            .gauge("waiting", "Calls that wait.", self.waiting)
            .counter_of("ended", "How calls ended.", ("outcome", "done"), self.successes)
            .counter_of("ended", "How calls ended.", ("outcome", "dropped"), self.drops)
            .counter_of("ended", "How calls ended.", ("outcome", "ignored"), self.ignored)
            .counter("app_limited", "Samples with too little load to grow.", self.app_limited)
            .counter("lost", "Samples not learned from.", self.lost)
            .seconds("mean_time", "How long calls took that ended well.", self.mean_time);
    }
}

/// Under `ironsys_admission_`.
impl Measured for limit::AdmissionStats {
    fn measure(&self, labels: Labels<'_>, into: &mut Scrape) {
        Section::new(into, "admission", labels)
            .counter("accepted", "Requests.", self.ledger.accepted)
            .counter_of("decided", "Decisions.", ("outcome", "admitted"), self.ledger.done)
            .counter_of("decided", "Decisions.", ("outcome", "shed"), self.ledger.failed)
            .counter_of("decided", "Decisions.", ("outcome", "displaced"), self.ledger.dropped)
            .counter_of("decided", "Decisions.", ("outcome", "gave_up"), self.ledger.cancelled)
            .gauge("limit", "The limit.", self.limit)
            .gauge("in_flight", "Requests at work.", self.in_flight)
            .gauge("waiting", "Requests that wait.", self.waiting)
            .gauge("overloaded", "Whether requests wait for too long.", self.is_overloaded)
            .counter_of("ended", "How requests ended.", ("outcome", "done"), self.successes)
            .counter_of("ended", "How requests ended.", ("outcome", "dropped"), self.drops)
            .counter_of("ended", "How requests ended.", ("outcome", "ignored"), self.ignored);
    }
}
