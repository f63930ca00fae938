//! The numbers of one part under one prefix.

use crate::export::prometheus::{Labels, Number, Scrape};
use crate::observe::Ledger;
use std::time::Duration;

/// Adds to a scrape under `ironsys_PART_`.
pub(super) struct Section<'a, 's> {
    scrape: &'s mut Scrape,
    part: &'static str,
    labels: Labels<'a>,
}

impl<'a, 's> Section<'a, 's> {
    pub(super) fn new(scrape: &'s mut Scrape, part: &'static str, labels: Labels<'a>) -> Self {
        Section { scrape, part, labels }
    }

    fn name(&self, what: &str) -> String {
        format!("ironsys_{}_{what}", self.part)
    }

    pub(super) fn counter(self, what: &str, help: &str, value: u64) -> Self {
        self.scrape.counter(&self.name(what), help, self.labels, value);
        self
    }

    pub(super) fn bytes_total(self, what: &str, help: &str, value: u64) -> Self {
        self.scrape.counter_bytes(&self.name(what), help, self.labels, value);
        self
    }

    pub(super) fn seconds_total(self, what: &str, help: &str, value: Duration) -> Self {
        self.scrape.counter_seconds(&self.name(what), help, self.labels, value);
        self
    }

    pub(super) fn gauge(self, what: &str, help: &str, value: impl Into<Number>) -> Self {
        self.scrape.gauge(&self.name(what), help, self.labels, value);
        self
    }

    pub(super) fn bytes(self, what: &str, help: &str, value: u64) -> Self {
        self.scrape.bytes(&self.name(what), help, self.labels, value);
        self
    }

    pub(super) fn seconds(self, what: &str, help: &str, value: Duration) -> Self {
        self.scrape.seconds(&self.name(what), help, self.labels, value);
        self
    }

    /// One series of several, told apart by a label more.
    pub(super) fn counter_of(
        self,
        what: &str,
        help: &str,
        label: (&str, &str),
        value: u64,
    ) -> Self {
        let labels = [self.labels, &[label]].concat();
        self.scrape.counter(&self.name(what), help, &labels, value);
        self
    }

    /// One series of several, told apart by a label more.
    pub(super) fn gauge_of(
        self,
        what: &str,
        help: &str,
        label: (&str, &str),
        value: impl Into<Number>,
    ) -> Self {
        let labels = [self.labels, &[label]].concat();
        self.scrape.gauge(&self.name(what), help, &labels, value);
        self
    }

    /// What came in, how it ended, what is left.
    pub(super) fn ledger(self, ledger: &Ledger) -> Self {
        let ended = [
            ("done", ledger.done),
            ("failed", ledger.failed),
            ("cancelled", ledger.cancelled),
            ("dropped", ledger.dropped),
        ];
        let start = self.counter("accepted", "What was taken in.", ledger.accepted);
        let all = ended.into_iter().fold(start, |section, (outcome, count)| {
            section.counter_of("ended", "How it ended.", ("outcome", outcome), count)
        });
        all.gauge("in_flight", "What has not ended.", ledger.in_flight)
    }
}
