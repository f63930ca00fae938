//! What works: pools, sessions, resources, buffers, tasks.

use super::Section;
use crate::export::prometheus::{Labels, Measured, Scrape};
use crate::observe::{TaskKind, Tasks};
use crate::pool;
use crate::resource;
use crate::session;

/// Under `ironsys_pool_`, and the queue under `ironsys_channel_`.
impl Measured for pool::Stats {
    fn measure(&self, labels: Labels<'_>, into: &mut Scrape) {
        Section::new(into, "pool", labels)
            .ledger(&self.ledger)
            .gauge("workers", "Workers.", self.workers)
            .gauge("running", "Jobs at work.", self.running)
            .counter("overran", "Jobs that ended after their deadline.", self.overran)
            .counter("stuck", "Jobs reported as stuck.", self.stuck)
            .counter("replaced", "Workers replaced: their job was stuck.", self.replaced)
            .counter("revived", "Workers started again after a panic.", self.revived);
        self.queue.measure(labels, into);
    }
}

/// Under `ironsys_keyed_pool_`, and the threads under `ironsys_pool_`.
impl Measured for pool::KeyedStats {
    fn measure(&self, labels: Labels<'_>, into: &mut Scrape) {
        Section::new(into, "keyed_pool", labels)
            .ledger(&self.ledger)
            .gauge("keys", "Keys with something to do.", self.keys)
            .gauge("waiting", "Jobs that wait for their turn.", self.waiting)
            .gauge("blocked", "Calls that wait for room.", self.blocked)
            .counter("rejected", "Jobs refused for want of room.", self.rejected);
        self.threads.measure(labels, into);
    }
}

/// Under `ironsys_session_`; each shard with its number.
impl Measured for session::Stats {
    fn measure(&self, labels: Labels<'_>, into: &mut Scrape) {
        Section::new(into, "session", labels)
            .ledger(&self.ledger)
            .gauge("sessions", "Sessions in the directory.", self.sessions)
            .gauge("live", "Sessions in memory.", self.live)
            .gauge("threads", "Threads.", self.threads)
            .gauge("queued", "Messages in mailboxes.", self.queued)
            .gauge("deepest", "The most messages in one mailbox.", self.deepest)
            .counter("restarts", "Restarts after failures.", self.restarts);
        for (number, shard) in self.shards.iter().enumerate() {
            let number = number.to_string();
            let own = [labels, &[("shard", &*number)]].concat();
            Section::new(into, "session_shard", &own)
                .gauge("ready", "Sessions that wait for their turn.", shard.ready)
                .counter("turns", "Turns.", shard.turns)
                .counter("handled", "Messages handled.", shard.handled)
                .gauge("parked", "Whether it has nothing to do.", shard.is_parked);
        }
    }
}

/// Under `ironsys_resource_`.
impl Measured for resource::Stats {
    fn measure(&self, labels: Labels<'_>, into: &mut Scrape) {
        Section::new(into, "resource", labels)
            .ledger(&self.ledger)
            .gauge("max", "The most there are at once.", self.max)
            .gauge("idle", "Idle ones.", self.idle)
            .gauge("taken", "Taken ones.", self.taken)
            .gauge("creating", "Ones being made.", self.creating)
            .gauge("waiting", "Calls that wait for their turn.", self.waiting)
            .counter("takes", "Calls that got one.", self.takes)
            .counter("create_failed", "Creations that failed.", self.create_failed);
    }
}

/// Under `ironsys_buffers_`.
impl Measured for resource::BufferStats {
    fn measure(&self, labels: Labels<'_>, into: &mut Scrape) {
        Section::new(into, "buffers", labels)
            .ledger(&self.ledger)
            .gauge("kept", "Buffers kept.", self.kept)
            .bytes("kept", "What these take up.", self.kept_bytes as u64)
            .gauge("taken", "Buffers taken.", self.taken)
            .counter("reused", "Times that a kept one was taken.", self.reused)
            .counter("oversized", "Buffers that came back too large.", self.oversized)
            .counter("surplus", "Buffers that came back when enough were kept.", self.surplus);
    }
}

/// Under `ironsys_tasks_`: how many of each kind run, and how many of these wait.
impl Measured for Tasks {
    fn measure(&self, labels: Labels<'_>, into: &mut Scrape) {
        for kind in [TaskKind::Scope, TaskKind::Task, TaskKind::Worker, TaskKind::Job] {
            let of_kind = || self.as_slice().iter().filter(|task| task.kind == kind);
            let waiting = of_kind().filter(|task| task.waiting.is_some()).count();
            let kind = kind.to_string();
            Section::new(into, "tasks", labels)
                .gauge_of("running", "What is listed.", ("kind", &kind), of_kind().count())
                .gauge_of("waiting", "What of it is parked.", ("kind", &kind), waiting);
        }
    }
}
