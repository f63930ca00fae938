//! What queues: channels, buses, owners, writers, batchers, schedulers, flows.

use super::Section;
use crate::bus;
use crate::channel;
use crate::export::prometheus::{Labels, Measured, Scrape};
use crate::flow;
use crate::owner;
use crate::schedule;
use crate::writer;

/// Under `ironsys_channel_`.
impl Measured for channel::Stats {
    fn measure(&self, labels: Labels<'_>, into: &mut Scrape) {
        Section::new(into, "channel", labels)
            .ledger(&self.ledger)
            .gauge("capacity", "How many messages fit in.", self.capacity)
            .gauge("depth", "Messages queued.", self.depth)
            .gauge("peak", "The most that were ever queued.", self.peak)
            .counter("rejected", "Sends refused: the channel was full.", self.rejected)
            .gauge("blocked_senders", "Senders that wait.", self.blocked_senders)
            .gauge("blocked_receivers", "Receivers that wait.", self.blocked_receivers)
            .seconds_total("full", "Time in which a sender waited for room.", self.time_full)
            .seconds_total("empty", "Time in which a receiver waited.", self.time_empty)
            .gauge("senders", "Sender handles.", self.senders)
            .gauge("receivers", "Receiver handles.", self.receivers);
    }
}

/// Under `ironsys_broadcast_`.
impl Measured for channel::BroadcastStats {
    fn measure(&self, labels: Labels<'_>, into: &mut Scrape) {
        Section::new(into, "broadcast", labels)
            .ledger(&self.ledger)
            .counter("sent", "Messages sent, also to nobody.", self.sent)
            .counter("lagged", "Deliveries missed by slow subscribers.", self.lagged)
            .gauge("capacity", "How many messages are kept at most.", self.capacity)
            .gauge("depth", "Messages kept.", self.depth)
            .gauge("peak", "The most that were ever kept.", self.peak)
            .gauge("blocked_senders", "Senders that wait.", self.blocked_senders)
            .gauge("blocked_receivers", "Subscribers that wait.", self.blocked_receivers)
            .gauge("senders", "Sender handles.", self.senders)
            .gauge("subscribers", "Subscribers.", self.subscribers);
    }
}

/// Under `ironsys_bus_`.
impl Measured for bus::BusStats {
    fn measure(&self, labels: Labels<'_>, into: &mut Scrape) {
        Section::new(into, "bus", labels)
            .gauge("topics", "Topics with subscribers.", self.topics)
            .gauge("subscriptions", "Subscriptions.", self.subscriptions)
            .counter("published", "Messages published.", self.published)
            .counter("unheard", "Messages to topics without a subscriber.", self.unheard)
            .counter("delivered", "Copies put into queues.", self.delivered)
            .counter("rejected", "Copies for which there was no room.", self.rejected);
    }
}

/// Under `ironsys_handler_`, and the queue under `ironsys_channel_`.
impl Measured for bus::HandlerStats {
    fn measure(&self, labels: Labels<'_>, into: &mut Scrape) {
        Section::new(into, "handler", labels).ledger(&self.ledger);
        self.queue.measure(labels, into);
    }
}

/// Under `ironsys_owner_`, and the queue under `ironsys_channel_`.
impl Measured for owner::Stats {
    fn measure(&self, labels: Labels<'_>, into: &mut Scrape) {
        Section::new(into, "owner", labels).ledger(&self.ledger);
        self.queue.measure(labels, into);
    }
}

/// Under `ironsys_writer_`.
impl Measured for writer::Stats {
    fn measure(&self, labels: Labels<'_>, into: &mut Scrape) {
        let ledger = &self.ledger;
        Section::new(into, "writer", labels)
            .bytes_total("accepted", "Bytes taken in.", ledger.accepted)
            .bytes_total("written", "Bytes that the sink took.", ledger.done)
            .bytes_total("failed", "Bytes left when the sink failed.", ledger.failed)
            .bytes_total("cancelled", "Bytes left when the writer stopped.", ledger.cancelled)
            .bytes("buffered", "Bytes in the buffer.", self.buffered as u64)
            .bytes("capacity", "The most that the buffer holds.", self.capacity as u64)
            .bytes("peak", "The most that the buffer held.", self.peak as u64)
            .gauge("blocked", "Writes that wait for room.", self.blocked)
            .counter("writes", "Writes accepted.", self.writes)
            .counter("rejected", "Writes refused.", self.rejected)
            .counter("sink_writes", "Writes of the sink.", self.sink_writes)
            .counter("sink_flushes", "Flushes of the sink.", self.sink_flushes)
            .counter("sink_errors", "Calls of the sink that failed.", self.sink_errors)
            .seconds_total("in_sink", "Time spent in the sink.", self.time_in_sink);
    }
}

/// Under `ironsys_batcher_`, and the queue under `ironsys_channel_`.
impl Measured for writer::BatchStats {
    fn measure(&self, labels: Labels<'_>, into: &mut Scrape) {
        Section::new(into, "batcher", labels)
            .ledger(&self.ledger)
            .counter("batches", "Calls that had an outcome.", self.batches)
            .counter("retries", "Calls that were tried again.", self.retries);
        self.queue.measure(labels, into);
    }
}

/// Under `ironsys_schedule_`.
impl Measured for schedule::Stats {
    fn measure(&self, labels: Labels<'_>, into: &mut Scrape) {
        Section::new(into, "schedule", labels)
            .ledger(&self.ledger)
            .gauge("jobs", "Jobs in the list.", self.jobs)
            .gauge("running", "Runs at work.", self.running)
            .gauge("waiting", "Runs that have not begun.", self.waiting)
            .counter("skipped", "Times at which an earlier run had not ended.", self.skipped)
            .counter("missed", "Times that passed without a run.", self.missed)
            .counter("looks", "Looks at the clock.", self.looks);
    }
}

/// Under `ironsys_flow_`: each segment and each link with its name and its place in the flow.
impl Measured for flow::Report {
    fn measure(&self, labels: Labels<'_>, into: &mut Scrape) {
        for (place, segment) in self.segments.iter().enumerate() {
            let place = place.to_string();
            let own = [labels, &[("segment", &*segment.name), ("place", &place)]].concat();
            Section::new(into, "flow", &own)
                .counter("taken", "Items taken.", segment.taken)
                .counter("delivered", "Items given on.", segment.delivered)
                .counter("skipped", "Errors passed over.", segment.skipped)
                .seconds_total("busy", "Thread time at work.", segment.busy)
                .seconds_total("starved", "Thread time without input.", segment.starved)
                .seconds_total("blocked", "Thread time without room behind.", segment.blocked)
                .gauge("waiting", "Items that wait for the segment.", segment.depth);
        }
        for (place, link) in self.links.iter().enumerate() {
            let place = place.to_string();
            let own = [labels, &[("link", &*link.name), ("place", &place)]].concat();
            Section::new(into, "flow_link", &own)
                .ledger(&link.ledger)
                .gauge("capacity", "How many items fit in.", link.capacity)
                .gauge("depth", "Items in it.", link.depth)
                .gauge("peak", "The most items that were in it.", link.peak)
                .seconds_total("full", "Thread time that waited for room.", link.time_full)
                .seconds_total("empty", "Thread time that waited for items.", link.time_empty);
        }
    }
}
