//! What is on disk: outboxes and relays.

use super::Section;
use crate::durable;
use crate::export::prometheus::{Labels, Measured, Scrape};

/// Under `ironsys_outbox_`; each reader with its name.
impl Measured for durable::Stats {
    fn measure(&self, labels: Labels<'_>, into: &mut Scrape) {
        Section::new(into, "outbox", labels)
            .ledger(&self.ledger)
            .gauge("events", "Events that some reader has not acked.", self.len)
            .gauge("unsynced", "Events not on disk yet.", self.unsynced)
            .bytes("disk", "What the segments take up.", self.bytes_on_disk)
            .bytes("memory", "The group being collected.", self.bytes_in_memory as u64)
            .gauge("segments", "Segments.", self.segments)
            .bytes_total("submitted", "What was submitted.", self.submitted_bytes)
            .counter("groups", "Groups written.", self.groups)
            .counter("syncs", "Times the log was synced.", self.syncs)
            .counter("refused", "Events refused: no space.", self.refused)
            .gauge("waiting", "Calls that wait to be on disk, or for room.", self.waiting);
        for reader in &self.readers {
            let own = [labels, &[("reader", &*reader.name)]].concat();
            Section::new(into, "outbox_reader", &own)
                .gauge("lag", "Events it has not acked.", reader.lag)
                .gauge("position", "The first event it has not acked.", reader.position)
                .gauge("open", "Whether somebody reads.", reader.open);
        }
    }
}

/// Under `ironsys_relay_`.
impl Measured for durable::RelayStats {
    fn measure(&self, labels: Labels<'_>, into: &mut Scrape) {
        Section::new(into, "relay", labels)
            .ledger(&self.ledger)
            .counter("sent", "Times an event was sent.", self.sent)
            .counter("outages", "Times the broker was down.", self.outages)
            .gauge("down", "Whether the broker is down.", self.is_down);
    }
}
