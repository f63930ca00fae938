//! What guards calls: breakers, retries, budgets, hedges and the like.

use super::Section;
use crate::export::prometheus::{Labels, Measured, Scrape};
use crate::resilience::{
    BreakerState, BreakerStats, BudgetStats, BulkheadStats, HedgeStats, RetryStats,
    SingleFlightStats, TimeoutStats,
};

/// Under `ironsys_breaker_`; of the states, the present one is 1 and the others are 0.
impl Measured for BreakerStats {
    fn measure(&self, labels: Labels<'_>, into: &mut Scrape) {
        let states = [
            ("closed", BreakerState::Closed),
            ("open", BreakerState::Open),
            ("half_open", BreakerState::HalfOpen),
            ("forced_open", BreakerState::ForcedOpen),
            ("disabled", BreakerState::Disabled),
            ("metrics_only", BreakerState::MetricsOnly),
        ];
        for (name, state) in states {
            let is = self.state == state;
            Section::new(into, "breaker", labels).gauge_of(
                "state",
                "The state it is in.",
                ("state", name),
                is,
            );
        }
        Section::new(into, "breaker", labels)
            .counter("succeeded", "Calls that ended well.", self.succeeded)
            .counter("failed", "Calls that failed or panicked.", self.failed)
            .counter("ignored", "Calls whose answer said nothing.", self.ignored)
            .counter("stale", "Answers that came too late for their state.", self.stale)
            .counter("rejected", "Calls turned away.", self.rejected)
            .counter("slow", "Calls that were slow.", self.slow)
            .counter("opened", "Times it opened.", self.opened)
            .gauge("probes_out", "Probes that have not answered.", self.probes_out)
            .gauge("waiting", "Calls that wait to be admitted.", self.waiting)
            .counter("untold", "Transitions that listeners missed.", self.untold);
    }
}

/// Under `ironsys_retry_`.
impl Measured for RetryStats {
    fn measure(&self, labels: Labels<'_>, into: &mut Scrape) {
        let given_up = [
            ("permanent", self.permanent),
            ("exhausted", self.exhausted),
            ("out_of_time", self.out_of_time),
            ("over_budget", self.over_budget),
            ("stopped", self.stopped),
        ];
        let start = Section::new(into, "retry", labels)
            .counter("calls", "Calls.", self.calls)
            .counter("retries", "Attempts beyond the first.", self.retries)
            .counter("recovered", "Calls done after a retry.", self.recovered);
        given_up.into_iter().fold(start, |section, (why, count)| {
            section.counter_of("given_up", "Calls given up.", ("why", why), count)
        });
    }
}

/// Under `ironsys_retry_budget_`.
impl Measured for BudgetStats {
    fn measure(&self, labels: Labels<'_>, into: &mut Scrape) {
        Section::new(into, "retry_budget", labels)
            .gauge("balance", "Tokens.", self.balance)
            .counter("granted", "Extra calls that got one.", self.granted)
            .counter("refused", "Extra calls not made.", self.refused);
    }
}

/// Under `ironsys_bulkhead_`.
impl Measured for BulkheadStats {
    fn measure(&self, labels: Labels<'_>, into: &mut Scrape) {
        Section::new(into, "bulkhead", labels)
            .counter("admitted", "Calls let in.", self.admitted)
            .gauge("running", "Calls that run.", self.running)
            .gauge("waiting", "Calls that wait.", self.waiting)
            .counter("refused", "Calls refused.", self.refused);
    }
}

/// Under `ironsys_hedge_`.
impl Measured for HedgeStats {
    fn measure(&self, labels: Labels<'_>, into: &mut Scrape) {
        Section::new(into, "hedge", labels)
            .counter("calls", "Calls.", self.calls)
            .counter("hedges", "Attempts beyond the first.", self.hedges)
            .counter("won", "Calls won by such an attempt.", self.won)
            .counter("over_budget", "Attempts not made for want of a token.", self.over_budget);
    }
}

/// Under `ironsys_single_flight_`.
impl Measured for SingleFlightStats {
    fn measure(&self, labels: Labels<'_>, into: &mut Scrape) {
        Section::new(into, "single_flight", labels)
            .counter("made", "Calls made.", self.made)
            .counter("joined", "Callers that joined one.", self.joined)
            .gauge("in_flight", "Calls under way.", self.in_flight);
    }
}

/// Under `ironsys_timeout_`.
impl Measured for TimeoutStats {
    fn measure(&self, labels: Labels<'_>, into: &mut Scrape) {
        Section::new(into, "timeout", labels)
            .counter("calls", "Calls.", self.calls)
            .counter("timed_out", "Calls that timed out.", self.timed_out)
            .counter("overran", "Calls whose value came too late.", self.overran);
    }
}
