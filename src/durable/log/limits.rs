//! When an event counts as safe, and how much may be kept.

use std::time::Duration;

/// When an event is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Durability {
    /// When it is on disk: it survives the end of the process and of the machine's power. Everybody
    /// who waits at the same time shares one sync.
    #[default]
    Always,
    /// When the system has it: it survives the end of the process. A thread of the outbox syncs this
    /// long after a write at the latest, so a power cut loses at most that much. Readers see an event
    /// when it is synced. `Duration::ZERO` syncs without a pause.
    Every(Duration),
    /// When the system has it: it survives the end of the process. When it reaches the disk is up to
    /// the system.
    Os,
}

/// What a submit does when the disk space of an outbox is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum WhenFull {
    /// It waits until readers have acked enough: back-pressure.
    #[default]
    Wait,
    /// It fails at once.
    Refuse,
}

/// The limits of a log.
#[derive(Debug, Clone, Copy)]
pub(in crate::durable) struct Limits {
    pub(in crate::durable) durability: Durability,
    pub(in crate::durable) when_full: WhenFull,
    /// A segment that has reached this is ended.
    pub(in crate::durable) segment_bytes: u64,
    /// What may wait in memory, and is written at once.
    pub(in crate::durable) group_bytes: usize,
    /// What may be on disk.
    pub(in crate::durable) max_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            durability: Durability::Always,
            when_full: WhenFull::Wait,
            segment_bytes: 64 << 20,
            group_bytes: 4 << 20,
            max_bytes: 8 << 30,
        }
    }
}
